"""Wrong class labels, from a model's probabilities.

One row's score depends on that row and on a ``Calibration`` alone, so a task scored by itself gets
the very score that it gets in a run over the whole project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import probabilities
from analysis.findings import NONE, Findings
from analysis.neighbors import Neighbors

__all__ = ["Calibration", "find", "fit", "mistakenness"]

#: Weight of the prior in a class's usual confidence, in labels.
_PRIOR: Final = 5.0
_PRIOR_CONFIDENCE: Final = 0.8
#: How much the strongest other class counts beside the given one.
_RIVAL: Final = 0.5
_TINY: Final = 1e-30


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
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(arrays["confidence"].astype(np.float32))


def fit(labels: NDArray[np.integer[Any]], probs: NDArray[np.floating[Any]]) -> Calibration:
    """Learn how sure the model is of each class; classes with few labels stay near a prior.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1, from a model that has not seen the row's label.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    probabilities.check(labels, probs)
    rows = np.flatnonzero(labels != NONE)
    classes = probs.shape[1]
    own = probs[rows, labels[rows]]
    total = np.bincount(labels[rows], weights=own, minlength=classes)
    count = np.bincount(labels[rows], minlength=classes)
    mean = (total + _PRIOR * _PRIOR_CONFIDENCE) / (count + _PRIOR)
    return Calibration(mean.astype(np.float32))


def mistakenness(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    *,
    embeddings: NDArray[np.floating[Any]] | None = None,
    neighbors: Neighbors | None = None,
    calibration: Calibration | None = None,
) -> NDArray[np.float32]:
    """Return how likely each label is wrong.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1, from a model that has not seen the row's label.
        embeddings: float (N, D), what the rows look like; makes neighbours testify.
        neighbors: the same, already searched with ``analysis.neighbors.knn``.
        calibration: what ``fit`` learnt; None learns it from these very rows.

    Returns:
        float32 (N,), in [0, 1], higher is more likely wrong; above 0.5 another class is the
        better answer. 0 where nothing is labelled: no label, nothing that could be wrong.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    return _judge(labels, probs, calibration or fit(labels, probs))[0]


def find(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    *,
    tasks: NDArray[np.int64],
    embeddings: NDArray[np.floating[Any]] | None = None,
    neighbors: Neighbors | None = None,
    calibration: Calibration | None = None,
    floor: float = 0.1,
) -> Findings:
    """Find mislabelled rows.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1, from a model that has not seen the row's label.
        tasks: int64 (N,), the task of each row.
        embeddings: float (N, D), what the rows look like; makes neighbours testify.
        neighbors: the same, already searched with ``analysis.neighbors.knn``.
        calibration: what ``fit`` learnt; None learns it from these very rows.
        floor: findings with a lower score are left out.

    Returns:
        rows of kind ``mislabelled``, worst first; annotation and prediction are the row, label is
        the best other class. The score is ``mistakenness``: above 0.5 is worth a look.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    if tasks.shape != labels.shape:
        raise ValueError(f"tasks {tasks.shape} and labels {labels.shape} do not match")
    score, other = _judge(labels, probs, calibration or fit(labels, probs))
    rows = np.flatnonzero((score >= floor) & (other != NONE))
    rows = rows[np.argsort(-score[rows], kind="stable")]
    return Findings(
        tasks[rows], np.full(len(rows), "mislabelled"), rows, rows, score[rows], other[rows]
    )


def _judge(
    labels: NDArray[np.integer[Any]], probs: NDArray[np.floating[Any]], trust: Calibration
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Each row's score and best other class, ``NONE`` where nothing is labelled."""
    probabilities.check(labels, probs)
    score = np.zeros(len(labels), dtype=np.float32)
    other = np.full(len(labels), NONE, dtype=np.int32)
    if len(trust.confidence) != probs.shape[1]:
        raise ValueError(
            f"calibration is of {len(trust.confidence)} classes, probs of {probs.shape[1]}"
        )
    usual = np.log(np.maximum(trust.confidence, 1e-3))

    def judge(rows: slice, block: NDArray[np.floating[Any]]) -> None:
        if probs.shape[1] < 2:
            return
        given = labels[rows].clip(min=0)
        logs = np.log(np.maximum(block, _TINY, dtype=np.float32)) - usual
        own = logs[np.arange(len(given)), given]
        best, rival = probabilities.strongest_other(given, logs)
        odds = _RIVAL * rival - own - (1 - _RIVAL) * np.log(2)
        known = labels[rows] != NONE
        score[rows] = np.where(known, 1 / (1 + np.exp(-odds)), 0)
        other[rows] = np.where(known, best, NONE)

    probabilities.each_block(probs, judge)
    return score, other
