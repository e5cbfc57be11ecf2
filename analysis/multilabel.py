"""Wrong and missing labels where a row may have several: each class is a question of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import classification
from analysis.findings import NONE, Findings

__all__ = ["find", "mistakenness", "row_scores"]


def mistakenness(given: NDArray[np.bool_], probs: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return how likely each answer, given or not given, is wrong.

    Each class is scored by ``classification.mistakenness`` as a choice between "is" and "is not",
    recalibrated on the project's answers to that question.

    Args:
        given: bool (N, K), which labels each row has.
        probs: float (N, K), in [0, 1], each class by itself; rows need not sum to 1.

    Returns:
        float32 (N, K), in [0, 1], higher is more likely wrong.

    Raises:
        ValueError: when shapes differ, naming the first row that holds no probability.
    """
    given, probs = _checked(given, probs)
    score = np.zeros(probs.shape, dtype=np.float32)
    for column in range(probs.shape[1]):
        likely = probs[:, column]
        pair = np.stack([1 - likely, likely], axis=1)
        score[:, column] = classification.mistakenness(given[:, column].astype(np.int64), pair)
    return score


def find(
    given: NDArray[np.bool_],
    probs: NDArray[np.floating[Any]],
    *,
    tasks: NDArray[np.int64],
    floor: float = 0.1,
) -> Findings:
    """Find labels that should not be there, and labels that are missing.

    Args:
        given: bool (N, K), which labels each row has.
        probs: float (N, K), in [0, 1], each class by itself.
        tasks: int64 (N,), the task of each row.
        floor: findings with a lower score are left out.

    Returns:
        rows of kind ``spurious`` (annotation is the row) or ``missing`` (annotation is ``NONE``),
        worst first; prediction is the row, label the class that is to go or to come.

    Raises:
        ValueError: as ``mistakenness``, and when tasks and rows differ in number.
    """
    score = mistakenness(given, probs)
    tasks = np.asarray(tasks)
    if tasks.shape != score.shape[:1]:
        raise ValueError(f"tasks {tasks.shape} and given {score.shape} do not match")
    row, label = np.nonzero((score >= floor) & (score > 0))
    worst = np.argsort(-score[row, label], kind="stable")
    row, label = row[worst], label[worst]
    there = np.asarray(given, dtype=np.bool_)[row, label]
    return Findings(
        tasks[row],
        np.where(there, "spurious", "missing"),
        np.where(there, row, NONE),
        row,
        score[row, label],
        label.astype(np.int32),
    )


def row_scores(score: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one number per row of ``mistakenness``: its worst answer, float32 (N,)."""
    return np.asarray(score.max(axis=1, initial=0))


def _checked(
    given: NDArray[np.bool_], probs: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.bool_], NDArray[np.floating[Any]]]:
    given, probs = np.asarray(given), np.asarray(probs)
    if probs.ndim != 2 or given.shape != probs.shape:
        raise ValueError(
            f"given {given.shape} and probs {probs.shape} do not match, expected (N, K) both"
        )
    odd = ~np.isin(given, (0, 1)).all(axis=1)
    if odd.any():
        row = int(np.flatnonzero(odd)[0])
        raise ValueError(f"given row {row} is {given[row].tolist()}, expected 0 and 1")
    off = ~((probs >= 0) & (probs <= 1)).all(axis=1)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise ValueError(f"probs row {row} is {probs[row].tolist()}, expected 0 to 1")
    return given.astype(np.bool_), probs
