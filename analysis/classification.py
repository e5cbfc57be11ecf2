"""Wrong class labels, from a model's probabilities.

One row's score depends on that row and on a ``Calibration`` alone, so a task scored by itself gets
the very score that it gets in a run over the whole project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE, Findings

__all__ = ["Calibration", "find", "fit", "mistakenness"]

#: Weight of the prior in a class's threshold, in labels.
_PRIOR: Final = 5.0
_PRIOR_CONFIDENCE: Final = 0.8


@dataclass(frozen=True, slots=True)
class Calibration:
    """How sure a model is of each class on this project.

    Attributes:
        confidence: float32 (K,), mean probability of the class over the labels that name it:
            the class threshold of confident learning (Northcutt et al., 2021).
    """

    confidence: NDArray[np.float32]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {"confidence": self.confidence}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(arrays["confidence"].astype(np.float32))


def fit(labels: NDArray[np.int32], probs: NDArray[np.float32]) -> Calibration:
    """Learn how sure the model is of each class; classes with few labels stay near a prior.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    _check(labels, probs)
    rows = np.flatnonzero(labels != NONE)
    classes = probs.shape[1]
    own = probs[rows, labels[rows]]
    total = np.bincount(labels[rows], weights=own, minlength=classes)
    count = np.bincount(labels[rows], minlength=classes)
    mean = (total + _PRIOR * _PRIOR_CONFIDENCE) / (count + _PRIOR)
    return Calibration(mean.astype(np.float32))


def mistakenness(
    labels: NDArray[np.int32],
    probs: NDArray[np.float32],
    *,
    calibration: Calibration | None = None,
) -> NDArray[np.float32]:
    """Return how likely each label is wrong.

    The probability of each class is held against how sure the model usually is of it; the score
    is the margin of the strongest other class over the given one, mapped to [0, 1].

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1.
        calibration: what ``fit`` learnt; None learns it from these very rows.

    Returns:
        float32 (N,), in [0, 1], higher is more likely wrong; 0 where nothing is labelled.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    return _judge(labels, probs, calibration or fit(labels, probs))[0]


def find(
    labels: NDArray[np.int32],
    probs: NDArray[np.float32],
    *,
    tasks: NDArray[np.int64],
    calibration: Calibration | None = None,
    floor: float = 0.1,
) -> Findings:
    """Find mislabelled rows.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1.
        tasks: int64 (N,), the task of each row.
        calibration: what ``fit`` learnt; None learns it from these very rows.
        floor: findings with a lower score are left out.

    Returns:
        rows of kind ``mislabelled``; annotation and prediction are the row, label is the class
        that the model prefers. The score is the margin by which it does.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    wrong, other = _judge(labels, probs, calibration or fit(labels, probs))
    score = np.maximum(2 * wrong - 1, 0)
    rows = np.flatnonzero(score >= floor)
    rows = rows[np.argsort(-score[rows], kind="stable")]
    return Findings(
        tasks[rows], np.full(len(rows), "mislabelled"), rows, rows, score[rows], other[rows]
    )


def _judge(
    labels: NDArray[np.int32], probs: NDArray[np.float32], trust: Calibration
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    _check(labels, probs)
    rows = np.arange(len(labels))
    own = labels.clip(min=0)
    if probs.shape[1] < 2:
        return np.zeros(len(labels), dtype=np.float32), np.full(len(labels), NONE, dtype=np.int32)
    weighed = probs / np.maximum(trust.confidence, 1e-3)
    weighed /= np.maximum(weighed.sum(axis=1, keepdims=True), 1e-9)
    given = weighed[rows, own].copy()
    weighed[rows, own] = -1
    other = weighed.argmax(axis=1).astype(np.int32)
    wrong = np.clip((weighed[rows, other] - given + 1) / 2, 0, 1).astype(np.float32)
    wrong[labels == NONE] = 0
    return wrong, other


def _check(labels: NDArray[np.int32], probs: NDArray[np.float32]) -> None:
    if probs.ndim != 2 or len(labels) != len(probs):
        raise ValueError(f"labels {labels.shape} and probs {probs.shape} do not match")
    if not len(labels):
        return
    wrong = (labels >= probs.shape[1]) | (labels < NONE)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"labels row {row} is {labels[row]}, expected -1 to {probs.shape[1] - 1}")
    total = probs.sum(axis=1)
    off = ~(np.abs(total - 1) < 1e-2)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise ValueError(f"probs row {row} sums to {total[row]}, expected 1")
