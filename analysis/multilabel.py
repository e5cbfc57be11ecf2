"""Wrong and missing labels where a row may have several: each class is a question of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import classification
from analysis.findings import NONE, Findings

__all__ = ["Calibration", "find", "fit", "mistakenness"]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a model's probabilities relate to the answers of this project, class by class.

    Attributes:
        classes: learnt from each class's answers.
    """

    classes: tuple[classification.Calibration, ...]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        named = {"count": np.array(len(self.classes))}
        for number, part in enumerate(self.classes):
            named |= {f"{number}.{name}": array for name, array in part.to_arrays().items()}
        return named

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        parts: list[dict[str, NDArray[Any]]] = [{} for _ in range(int(arrays["count"]))]
        for key, array in arrays.items():
            number, dot, name = key.partition(".")
            if dot:
                parts[int(number)][name] = array
        return cls(tuple(classification.Calibration.from_arrays(part) for part in parts))


def fit(given: NDArray[np.bool_], probs: NDArray[np.floating[Any]]) -> Calibration:
    """Learn from a whole project how the model's probabilities relate to the answers given.

    Args:
        given: bool (N, K), which labels each row has.
        probs: float (N, K), in [0, 1], each class by itself.

    Raises:
        ValueError: as ``mistakenness``.
    """
    questions = _questions(*_checked(given, probs))
    return Calibration(tuple(classification.fit(labels, pair) for labels, pair in questions))


def mistakenness(
    given: NDArray[np.bool_],
    probs: NDArray[np.floating[Any]],
    *,
    calibration: Calibration | None = None,
) -> NDArray[np.float32]:
    """Return how likely each answer, given or not given, is wrong.

    Each class is scored by ``classification.mistakenness`` as a choice between "is" and "is not",
    recalibrated on the project's answers to that question.

    Args:
        given: bool (N, K), which labels each row has.
        probs: float (N, K), in [0, 1], each class by itself; rows need not sum to 1.
        calibration: what ``fit`` learnt; None learns it from these very rows.

    Returns:
        float32 (N, K), in [0, 1], higher is more likely wrong.

    Raises:
        ValueError: when shapes differ, naming the first row that holds no probability, or the
            calibration is of another number of classes.
    """
    given, probs = _checked(given, probs)
    count = probs.shape[1]
    trusts = [None] * count if calibration is None else calibration.classes
    if len(trusts) != count:
        raise ValueError(f"calibration is of {len(trusts)} classes, expected {count}")
    score = np.zeros(probs.shape, dtype=np.float32)
    for column, (trust, (labels, pair)) in enumerate(
        zip(trusts, _questions(given, probs), strict=True)
    ):
        score[:, column] = classification.mistakenness(labels, pair, calibration=trust)
    return score


def find(
    given: NDArray[np.bool_],
    probs: NDArray[np.floating[Any]],
    *,
    tasks: NDArray[np.int64],
    calibration: Calibration | None = None,
    floor: float = 0.1,
) -> Findings:
    """Find labels that should not be there, and labels that are missing.

    Args:
        given: bool (N, K), which labels each row has.
        probs: float (N, K), in [0, 1], each class by itself.
        tasks: int64 (N,), the task of each row.
        calibration: what ``fit`` learnt; None learns it from these very rows.
        floor: findings with a lower score are left out.

    Returns:
        rows of kind ``spurious`` (annotation is the row) or ``missing`` (annotation is ``NONE``),
        worst first; prediction is the row, label the class that is to go or to come.

    Raises:
        ValueError: as ``mistakenness``, and when tasks and rows differ in number.
    """
    score = mistakenness(given, probs, calibration=calibration)
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


def _questions(
    given: NDArray[np.bool_], probs: NDArray[np.floating[Any]]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.floating[Any]]]]:
    """Each class as a choice between "is not", 0, and "is", 1."""
    for column in range(probs.shape[1]):
        likely = probs[:, column]
        yield given[:, column].astype(np.int64), np.stack([1 - likely, likely], axis=1)


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
