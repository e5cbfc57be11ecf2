"""Average precision of boxes, per class, as ObjectLab (and PASCAL VOC) compute it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from analysis.geometry.matching import overlapping_pairs
from analysis.regions import Regions, check_labels

__all__ = ["average_precision", "exact_iou"]

_LEAST_AREA: Final = 1e-6

_Scores = NDArray[np.float64]


def exact_iou(a: NDArray[Any], b: NDArray[Any]) -> _Scores:
    """Return the intersection over union of boxes in float64, as cleanlab does.

    Args:
        a: float (4, P), rows x0 y0 x1 y1.
        b: float (4, P), rows x0 y0 x1 y1.

    Returns:
        float64 (P,), in [0, 1]; a union of less than 1e-6 counts as 1e-6.
    """
    # Beside ``matching.box_iou``, because cleanlab's numbers need it: an IoU of 7 / 10 reaches a
    # threshold of 0.7 in float64 only, and equal boxes without area do not overlap there.
    a, b = a.astype(np.float64), b.astype(np.float64)
    across = np.minimum(a[2], b[2]) - np.maximum(a[0], b[0])
    down = np.minimum(a[3], b[3]) - np.maximum(a[1], b[1])
    shared = np.maximum(across, 0) * np.maximum(down, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    iou: _Scores = shared / np.maximum(union, _LEAST_AREA)
    return iou


def average_precision(
    annotations: Regions, predictions: Regions, num_classes: int, iou: _Scores
) -> _Scores:
    """Return the area under the precision-recall curve of each class.

    A prediction is right where the box of its class and image that it overlaps most is overlapped
    enough and no surer prediction has it: unlike in COCO's matching it never falls back on the
    next box. The curve is made to fall and read at every point (VOC 2010 and later).

    Args:
        annotations: A human boxes.
        predictions: P boxes with a score.
        num_classes: number of labels.
        iou: float64 (I,), overlaps that count as enough, above 0.

    Returns:
        float64 (I, num_classes), in [0, 1], 0 for a class without boxes. Of equally sure
        predictions the earlier row counts as surer.

    Raises:
        ValueError: when predictions have no score, or naming the first label that is not below
            ``num_classes``.
    """
    check_labels(annotations, predictions, num_classes)
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per box")
    right = _right(annotations, predictions, predictions.score, iou)
    order = np.lexsort((predictions.task, -predictions.score, predictions.label))
    order = order[predictions.label[order] != NONE]
    ends = np.searchsorted(predictions.label[order], np.arange(num_classes + 1))
    boxes = np.bincount(annotations.label[annotations.label != NONE], minlength=num_classes)
    area = np.zeros((len(iou), num_classes))
    for label in np.flatnonzero((boxes > 0) & (np.diff(ends) > 0)):
        hits = right[:, order[ends[label] : ends[label + 1]]]
        precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
        falling = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        area[:, label] = (hits * falling).sum(axis=1) / boxes[label]
    return area


def _right(
    annotations: Regions, predictions: Regions, score: NDArray[np.float32], least: _Scores
) -> NDArray[np.bool_]:
    """Which predictions are right at each overlap, (I, P)."""
    right = np.zeros((len(least), len(predictions)), dtype=np.bool_)
    floor = np.nextafter(np.float32(least.min(initial=1)), np.float32(0))
    pairs = overlapping_pairs(predictions, annotations, float(floor) - 1e-6)
    same = predictions.label[pairs.first] == annotations.label[pairs.second]
    pairs = pairs.take(same & (predictions.label[pairs.first] != NONE))
    iou = exact_iou(predictions.box[pairs.first].T, annotations.box[pairs.second].T)
    # The box that each prediction overlaps most, the earlier row of two.
    best = np.lexsort((pairs.second, -iou, pairs.first))
    best = best[np.diff(pairs.first[best], prepend=NONE) != 0]
    rows, boxes, iou = pairs.first[best], pairs.second[best], iou[best]
    surest = np.lexsort((rows, -score[rows], boxes))
    rows, boxes, iou = rows[surest], boxes[surest], iou[surest]
    for step, enough in enumerate(least):
        some = np.flatnonzero(iou >= enough)
        first = np.diff(boxes[some], prepend=NONE) != 0
        right[step, rows[some[first]]] = True
    return right
