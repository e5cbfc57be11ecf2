"""ObjectLab's scores of single boxes; ``analysis.reference.objectlab`` tells of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from analysis.geometry.matching import overlapping_pairs
from analysis.reference.precision import exact_iou
from analysis.regions import Regions

__all__ = ["BoxScores", "Constants", "score_boxes"]

#: Pairs of boxes looked at in one go.
_BLOCK: Final = 1 << 18
#: What a float32 IoU may be off by.
_ROUNDING: Final = 1e-6

_Scores = NDArray[np.float64]
_Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Constants:
    """ObjectLab's numbers.

    Attributes:
        alpha: weight of the overlap in a similarity, the rest is the distance's.
        decay: the distance counts exp(-decay * pixels between the centres).
        low: predictions above this confidence testify to a box's place.
        high: predictions of this confidence testify to an overlooked object or a swapped class.
        temperature: of the softmin that pools an image's boxes.
        label_overlap: boxes that overlap this much are one object; if their classes differ, both
            have the worst swap score. Above 1 nothing is compared.
        weights: of overlooked, badloc and swap in an image's score; they sum to 1.
        ap_scale: share of a class's average precision that a box's score is held against.
        factors: further share for overlooked, badloc and swap.
        smallest: similarity to take where there is nothing to compare with; None takes the
            smallest of the data at hand.
    """

    alpha: float = 0.9
    decay: float = 0.1
    low: float = 0.5
    high: float = 0.95
    temperature: float = 0.1
    label_overlap: float = 0.95
    weights: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    ap_scale: float = 0.25
    factors: tuple[float, float, float] = (0.8, 0.8, 0.8)
    smallest: float | None = None


@dataclass(frozen=True, slots=True)
class BoxScores:
    """Quality of A annotations and P predictions, in [0, 1], lower is more likely wrong.

    Attributes:
        overlooked: float64 (P,), similarity of a sure prediction to the nearest label of its
            class; NaN where the prediction is not sure or overlaps a label.
        badloc: float64 (A,), similarity to the best prediction of the label's class over it.
        swap: float64 (A,), how unlike every sure prediction of another class.
        smallest: float, what stood in where there was nothing to compare with.
    """

    overlooked: _Scores
    badloc: _Scores
    swap: _Scores
    smallest: float


def score_boxes(
    annotations: Regions, predictions: Regions, constants: Constants | None = None
) -> BoxScores:
    """Score every box.

    Args:
        annotations: A human boxes; label -1 is a class that the model does not know: such a box
            covers predictions and its own scores are 1.
        predictions: P boxes with a score.
        constants: None takes ObjectLab's.

    Raises:
        ValueError: when predictions have no score.
    """
    use = constants or Constants()
    score = _confidence(predictions)
    sure, decent = score >= np.float32(use.high), score > np.float32(use.low)
    surer = score > np.float32(use.high)
    near = np.full(len(predictions), -1.0)
    placed = np.full(len(annotations), -1.0)
    rival = np.full(len(annotations), -1.0)
    covered = np.zeros(len(predictions), dtype=np.bool_)
    smallest = 1.0
    for mine, theirs in _all_pairs(annotations, predictions):
        a, b = annotations.box[mine].T.astype(np.float64), predictions.box[theirs].T
        iou = exact_iou(a, b)
        # Rounded as cleanlab rounds it: what is below 1e-16 is nothing.
        close = 1 - (1 - np.exp(-use.decay * _distance(a, b)))
        alike = use.alpha * iou + (1 - use.alpha) * close
        smallest = float(alike.min(initial=smallest, where=alike > 0))
        over = iou > 0
        covered[theirs[over]] = True
        same = annotations.label[mine] == predictions.label[theirs]
        for best, rows, some in (
            (near, theirs, same & sure[theirs]),
            (placed, mine, same & over & decent[theirs]),
            (rival, mine, ~same & surer[theirs]),
        ):
            np.maximum.at(best, rows[some], alike[some])
    if use.smallest is not None:
        smallest = use.smallest
    doubt = 1 - score.astype(np.float64)
    overlooked = np.where(near >= 0, near, smallest * doubt)
    swap = np.where(rival >= 0, np.maximum(smallest, 1 - rival), 1.0)
    swap[_two_classes(annotations, use.label_overlap)] = smallest
    known = annotations.label != NONE
    return BoxScores(
        np.where(sure & ~covered, overlooked, np.nan),
        np.where((placed >= 0) & known, placed, 1.0),
        np.where(known, swap, 1.0),
        smallest,
    )


def _confidence(predictions: Regions) -> NDArray[np.float32]:
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per box")
    return predictions.score


def _all_pairs(annotations: Regions, predictions: Regions) -> Iterator[tuple[_Rows, _Rows]]:
    """Rows of both tables for every pair of one task, some annotations at a time."""
    order = np.argsort(predictions.task, kind="stable")
    tasks = predictions.task[order]
    begin = np.searchsorted(tasks, annotations.task, side="left")
    count = np.searchsorted(tasks, annotations.task, side="right") - begin
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique(np.searchsorted(ends, np.arange(_BLOCK, total, _BLOCK)))
    for rows in np.split(np.arange(len(annotations)), cuts):
        some = count[rows]
        mine = np.repeat(rows, some)
        place = np.arange(len(mine)) + np.repeat(begin[rows] - np.cumsum(some) + some, some)
        yield mine, order[place]


def _distance(a: NDArray[Any], b: NDArray[Any]) -> _Scores:
    across = (a[0] + a[2] - b[0] - b[2]) / 2
    down = (a[1] + a[3] - b[1] - b[3]) / 2
    distance: _Scores = np.sqrt(across * across + down * down)
    return distance


def _two_classes(annotations: Regions, overlap: float) -> _Rows:
    """Annotations that lie on one of another class."""
    if overlap > 1:
        return np.empty(0, dtype=np.int64)
    twins = overlapping_pairs(annotations, annotations, max(overlap - _ROUNDING, 0))
    differ = annotations.label[twins.first] != annotations.label[twins.second]
    twins = twins.take(differ)
    # In cleanlab's IoU: not rounded, and 0 for boxes without area even where they are equal.
    iou = exact_iou(annotations.box[twins.first].T, annotations.box[twins.second].T)
    rows: _Rows = twins.first[iou >= overlap]
    return rows
