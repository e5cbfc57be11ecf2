"""What became of each region: true positive, false positive, false negative, or confused.

Regions labelled -1 are of no known class: they are not counted, on either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from analysis.geometry.assignment import Matches, match
from analysis.regions import Regions, check_labels

__all__ = [
    "Confused",
    "Counts",
    "Flags",
    "confused",
    "confusion",
    "cross_table",
    "flags",
    "task_counts",
]


@dataclass(frozen=True, slots=True)
class Flags:
    """What became of each region at one IoU and confidence.

    Attributes:
        true_positive: bool (P,), predictions that took an annotation of their class.
        false_positive: bool (P,), the other predictions that are counted.
        false_negative: bool (A,), annotations that no prediction of their class took.
    """

    true_positive: NDArray[np.bool_]
    false_positive: NDArray[np.bool_]
    false_negative: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many regions of each kind there are, int64, one row a task or a class."""

    true_positive: NDArray[np.int64]
    false_positive: NDArray[np.int64]
    false_negative: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Confused:
    """What a confusion counts, N matches, predictions alone and annotations alone.

    Attributes:
        given: int64 (N,), the annotated class, K for background.
        said: int64 (N,), the predicted class, K for background.
        annotation: int64 (N,), row of the annotation, ``NONE`` where there is none.
        prediction: int64 (N,), row of the prediction, ``NONE`` where there is none.
    """

    given: NDArray[np.int64]
    said: NDArray[np.int64]
    annotation: NDArray[np.int64]
    prediction: NDArray[np.int64]


def flags(
    annotations: Regions, predictions: Regions, matches: Matches, *, confidence: float = 0.0
) -> Flags:
    """Tell true and false positives and false negatives, region by region.

    Args:
        annotations: human regions.
        predictions: the model's regions.
        matches: of these two tables, from ``assignment.match``, classwise or not.
        confidence: predictions below it are neither, and find nothing.
    """
    kept = matches.counted & _reaching(predictions, confidence)
    hit = np.flatnonzero(kept & (matches.annotation != NONE))
    hit = hit[annotations.label[matches.annotation[hit]] == predictions.label[hit]]
    true = np.zeros(len(predictions), dtype=np.bool_)
    true[hit] = True
    lost = annotations.label != NONE
    lost[matches.annotation[hit]] = False
    return Flags(true, kept & ~true, lost)


def task_counts(
    tasks: NDArray[np.int64],
    annotations: Regions,
    predictions: Regions,
    matches: Matches,
    *,
    confidence: float = 0.0,
) -> Counts:
    """Count true and false positives and false negatives of each task.

    The tasks with at least one false positive of confidence 0.75 or more are
    ``tasks[task_counts(tasks, a, p, matches, confidence=0.75).false_positive > 0]``.

    Args:
        tasks: int64 (T,), each once; regions of other tasks are left out.
        annotations: human regions.
        predictions: the model's regions.
        matches: of these two tables, from ``assignment.match``.
        confidence: predictions below it are neither, and find nothing.

    Returns:
        counts of T rows.
    """
    flagged = flags(annotations, predictions, matches, confidence=confidence)
    order = np.argsort(tasks)

    def count(of: NDArray[np.int64]) -> NDArray[np.int64]:
        if not len(tasks):
            return np.zeros(0, dtype=np.int64)
        row = order[np.searchsorted(tasks, of, sorter=order).clip(max=len(tasks) - 1)]
        return np.bincount(row[tasks[row] == of], minlength=len(tasks))

    return Counts(
        count(predictions.task[flagged.true_positive]),
        count(predictions.task[flagged.false_positive]),
        count(annotations.task[flagged.false_negative]),
    )


def confusion(
    annotations: Regions,
    predictions: Regions,
    *,
    num_classes: int,
    iou: float = 0.5,
    confidence: float = 0.0,
) -> NDArray[np.int64]:
    """Count which class is predicted on which: matches of any two classes.

    Args:
        annotations: human regions.
        predictions: the model's regions; ``score`` is needed.
        num_classes: number of labels, K.
        iou: least IoU of a match.
        confidence: predictions below it are left out.

    Returns:
        int64 (K + 1, K + 1), rows the annotated class, columns the predicted one. The last row is
        background (predictions that took no annotation), as is the last column (annotations that
        no prediction took).

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    found = confused(
        annotations, predictions, num_classes=num_classes, iou=iou, confidence=confidence
    )
    return cross_table(found.given, found.said, num_classes)


def confused(
    annotations: Regions,
    predictions: Regions,
    *,
    num_classes: int,
    iou: float = 0.5,
    confidence: float = 0.0,
) -> Confused:
    """Name what ``confusion`` counts; see there."""
    check_labels(annotations, predictions, num_classes)
    matches = match(annotations, predictions, iou=iou, classwise=False)
    rows = np.flatnonzero(matches.counted & _reaching(predictions, confidence))
    took = matches.annotation[rows]
    lost = annotations.label != NONE
    lost[took[took != NONE]] = False
    alone = np.flatnonzero(lost)
    # A row after the last one stands for no region.
    given = np.append(annotations.label, num_classes)
    return Confused(
        given=np.concatenate([given[took], given[alone]]).astype(np.int64),
        said=np.concatenate([predictions.label[rows], np.full(len(alone), num_classes)]).astype(
            np.int64
        ),
        annotation=np.concatenate([took, alone]),
        prediction=np.concatenate([rows, np.full(len(alone), NONE)]),
    )


def _reaching(predictions: Regions, confidence: float) -> NDArray[np.bool_]:
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per region")
    return predictions.score >= np.float32(confidence)


def cross_table(
    given: NDArray[np.integer[Any]], said: NDArray[np.integer[Any]], num_classes: int
) -> NDArray[np.int64]:
    """Count pairs of classes, ``num_classes`` standing for background; int64 (K + 1, K + 1)."""
    side = num_classes + 1
    cell = given.astype(np.int64) * side + said
    return np.bincount(cell, minlength=side * side).reshape(side, side)
