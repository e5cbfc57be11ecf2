"""What a detector's boxes say about each human box, and human boxes about each of the detector's.

Columns of numbers for a linear model: confidences as log odds, overlaps, sizes, and how well the
detector knows the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from analysis.findings import NONE
from analysis.geometry.matching import Pairs, overlapping_pairs
from analysis.regions import Regions

__all__ = ["AnnotationEvidence", "PredictionEvidence", "Scale", "of_annotations", "of_predictions"]

_Floats = NDArray[np.float64]
_Rows = NDArray[np.int64]

#: IoU at which two boxes begin to be, and at which they surely are, about one object.
_ALIKE: Final = (0.1, 0.5)
_RIVAL: Final = (0.3, 0.6)
_NEAR: Final = (0.05, 0.3)
#: A prediction that overlaps a human box this much is accounted for by it.
_COVERED: Final = 0.5
#: Confidences beyond these tell no more.
_SURE: Final = (0.02, 0.98)
#: Below this confidence a prediction's place tells less and less.
_FAINT: Final = 0.05
#: Boxes of a class that move its rates half way from the detector's mean to its own.
_PRIOR: Final = 10.0
#: And what the mean itself is taken for while there are few boxes of any class.
_USUAL: Final = 0.7
_USUAL_SIDE: Final = 80.0


@dataclass(frozen=True, slots=True)
class Scale:
    """What the evidence of one project is measured against.

    Attributes:
        side: float, usual side of a human box, pixels.
        recall: float64 (K,), mean confidence of the detector in human boxes of each class.
        precision: float64 (K,), share of the detector's boxes of each class, by confidence, that
            people drew too.
    """

    side: float
    recall: _Floats
    precision: _Floats

    @classmethod
    def measure(cls, annotations: Regions, predictions: Regions, num_classes: int) -> Scale:
        """Measure it; classes with few boxes stay near the detector's mean."""
        pairs = overlapping_pairs(annotations, predictions)
        own = _alike(annotations, predictions, pairs)
        score = _scores(predictions)
        seen = _largest(len(annotations), pairs.first[own], _gated(score, pairs, _ALIKE)[own])
        hit = _largest(len(predictions), pairs.second[own], pairs.iou[own]) > _COVERED
        side = np.sqrt(_area(annotations.box))
        return cls(
            float(np.median(side)) if len(side) else _USUAL_SIDE,
            _rates(annotations.label, np.ones(len(annotations)), seen, num_classes),
            _rates(predictions.label, score, hit, num_classes),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {"side": np.array(self.side), "recall": self.recall, "precision": self.precision}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Scale:
        """Return what ``to_arrays`` gave."""
        return cls(float(arrays["side"]), arrays["recall"], arrays["precision"])


@dataclass(frozen=True, slots=True)
class AnnotationEvidence:
    """Evidence on A human boxes.

    Attributes:
        columns: float64 (A, D).
        other: int64 (A,), the prediction of another class that speaks most against the label, or
            ``NONE``.
        near: int64 (A,), the prediction of the same class that the box is most likely meant for,
            or ``NONE``.
        fit: float64 (A,), confidence x IoU of that prediction, 0 where there is none.
    """

    columns: _Floats
    other: _Rows
    near: _Rows
    fit: _Floats


@dataclass(frozen=True, slots=True)
class PredictionEvidence:
    """Evidence on those of the detector's boxes that no human box accounts for.

    Attributes:
        columns: float64 (M, D), the first of them the confidence.
        row: int64 (M,), rows of the predictions.
    """

    columns: _Floats
    row: _Rows


def of_annotations(
    annotations: Regions, predictions: Regions, scale: Scale, pairs: Pairs | None = None
) -> AnnotationEvidence:
    """Return what the detector says about each human box; ``pairs`` where they are known."""
    count = len(annotations)
    # Beyond what counts as sure, more confidence must not move anything.
    score = np.minimum(_scores(predictions), np.float32(_SURE[1]))
    pairs = overlapping_pairs(annotations, predictions) if pairs is None else pairs
    own = _alike(annotations, predictions, pairs)
    agreeing, doubting = pairs.take(own), pairs.take(~own)
    same = _largest(count, agreeing.first, _gated(score, agreeing, _ALIKE))
    against = _gated(score, doubting, _RIVAL)
    other, other_at = _best(count, doubting, against, predictions)
    anything = _largest(count, pairs.first, _gated(score, pairs, _NEAR))
    fit, _ = _best(count, pairs, score[pairs.second] * pairs.iou, predictions)
    own_fit, near_at = _best(count, agreeing, score[agreeing.second] * agreeing.iou, predictions)
    own_iou = _told(agreeing, score, near_at)
    size = np.log(np.sqrt(_area(annotations.box)) / scale.side)
    known = annotations.label.clip(min=0)
    lead = np.maximum(_odds(other) - _odds(same), 0)
    columns = [_odds(same), _odds(other), lead, _odds(anything), fit, own_fit]
    columns += [own_iou, size, np.minimum(size, 0), _odds(scale.recall[known])]
    return AnnotationEvidence(
        np.stack(columns, axis=1),
        _second(doubting, other_at),
        _second(agreeing, near_at),
        own_fit,
    )


def of_predictions(
    annotations: Regions, predictions: Regions, scale: Scale, pairs: Pairs | None = None
) -> PredictionEvidence:
    """Return what human boxes say about each box that only the detector drew.

    Of several boxes on one spot only the surest counts, whatever their classes.
    """
    score = _scores(predictions)
    pairs = overlapping_pairs(annotations, predictions) if pairs is None else pairs
    covered = _largest(len(predictions), pairs.second, pairs.iou)
    own = _alike(annotations, predictions, pairs)
    inside = _largest(
        len(predictions), pairs.second[own], _share_inside(annotations, predictions, pairs)[own]
    )
    row = np.flatnonzero(
        (covered < _COVERED) & ~_beaten(predictions, score) & (predictions.label != NONE)
    )
    size = np.log(np.sqrt(_area(predictions.box[row])) / scale.side)
    columns = [_odds(score[row]), covered[row], inside[row], size, np.minimum(size, 0)]
    columns.append(_odds(scale.precision[predictions.label[row]]))
    return PredictionEvidence(np.stack(columns, axis=1), row)


def _scores(predictions: Regions) -> NDArray[np.float32]:
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per box")
    return predictions.score


def _alike(annotations: Regions, predictions: Regions, pairs: Pairs) -> NDArray[np.bool_]:
    given = annotations.label[pairs.first]
    return np.asarray((given == predictions.label[pairs.second]) & (given != NONE))


def _gated(score: NDArray[np.float32], pairs: Pairs, gate: tuple[float, float]) -> _Floats:
    """Confidence of each pair's prediction, less where the boxes hardly overlap."""
    low, high = gate
    return np.asarray(score[pairs.second] * ((pairs.iou - low) / (high - low)).clip(0, 1))


def _beaten(predictions: Regions, score: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Boxes that greedy non-maximum suppression over all classes leaves out."""
    rivals = overlapping_pairs(predictions, predictions, _COVERED)
    mine, theirs = rivals.first, rivals.second
    known = (predictions.label[theirs] != NONE) & (mine != theirs)
    mine, theirs = mine[known], theirs[known]
    place = _places(predictions, score, np.unique(mine))
    stronger = place[theirs] < place[mine]
    mine, theirs = mine[stronger], theirs[stronger]
    beaten = np.zeros(len(predictions), dtype=np.bool_)
    while len(mine):
        waiting = np.zeros(len(predictions), dtype=np.bool_)
        waiting[mine] = True
        # A box with no stronger rival left stays, and beats all that it overlaps.
        lost = mine[~waiting[theirs]]
        beaten[lost] = True
        left = ~beaten[mine] & ~beaten[theirs]
        mine, theirs = mine[left], theirs[left]
    return beaten


def _places(predictions: Regions, score: NDArray[np.float32], rows: _Rows) -> _Rows:
    """Places of some rows, the surest first and equals by what they say, never by their order."""
    order = np.lexsort((*predictions.box[rows].T, predictions.label[rows], -score[rows]))
    place = np.full(len(predictions), len(predictions), dtype=np.int64)
    place[rows[order]] = np.arange(len(rows))
    return place


def _share_inside(annotations: Regions, predictions: Regions, pairs: Pairs) -> _Floats:
    """Share of each pair's prediction that the human box takes up, by their bounding boxes."""
    a, b = annotations.box[pairs.first], predictions.box[pairs.second]
    meet = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    return np.asarray(np.prod(np.maximum(meet, 0), axis=1) / _area(b))


def _area(box: NDArray[np.float32]) -> _Floats:
    """Area of boxes, at least one pixel, float64."""
    side = (box[:, 2:] - box[:, :2]).astype(np.float64)
    return np.maximum(side[:, 0] * side[:, 1], 1.0)


def _odds(score: NDArray[np.floating[Any]]) -> _Floats:
    return np.asarray(logit(np.clip(score, *_SURE).astype(np.float64)))


def _rates(
    label: NDArray[np.int32], weight: NDArray[Any], value: NDArray[Any], classes: int
) -> _Floats:
    """Weighted mean of a value by class, drawn to the mean of all."""
    known = label != NONE
    total = np.bincount(label[known], (weight * value)[known], minlength=classes)
    count = np.bincount(label[known], weight[known], minlength=classes)
    mean = (total.sum() + _PRIOR * _USUAL) / (count.sum() + _PRIOR)
    return np.asarray((total + _PRIOR * mean) / (count + _PRIOR))


def _largest(count: int, row: _Rows, value: NDArray[Any]) -> _Floats:
    largest = np.zeros(count)
    np.maximum.at(largest, row, value)
    return largest


def _best(
    count: int, pairs: Pairs, value: NDArray[Any], predictions: Regions
) -> tuple[_Floats, _Rows]:
    """Per row its largest value and the place that has it; 0 and ``NONE`` where there is none.

    Of equal values the better overlap, then the lower label decides: never the order of rows.
    """
    top = _largest(count, pairs.first, value)
    place = np.flatnonzero((value > 0) & (value == top[pairs.first]))
    row = pairs.first[place]
    tied = np.zeros(len(place), dtype=np.bool_)
    tied[1:] |= row[1:] == row[:-1]
    tied[:-1] |= tied[1:]
    at = np.full(count, NONE, dtype=np.int64)
    at[row] = place
    if tied.any():
        place, row = place[tied], row[tied]
        label = predictions.label[pairs.second[place]]
        order = np.lexsort((-label, pairs.iou[place], row))
        at[row[order]] = place[order]
    return top, at


def _told(pairs: Pairs, score: NDArray[np.float32], at: _Rows) -> _Floats:
    """IoU with the chosen predictions, told the less the fainter they are; 0 where none is."""
    faint = (score[pairs.second] / _FAINT).clip(max=1)
    return np.append(pairs.iou * faint, 0.0)[at]


def _second(pairs: Pairs, at: _Rows) -> _Rows:
    return np.where(at == NONE, NONE, np.append(pairs.second, NONE)[at])
