"""What a detector says about each human box, and what people say about each of its boxes.

Everything is a reduction over the pairs of one row, so memory stays bounded by the block of pairs
that is looked at, and one task's evidence never depends on another task.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from analysis.matching import pair_blocks
from analysis.regions import Regions

__all__ = [
    "AnnotationEvidence",
    "PredictionEvidence",
    "annotation_evidence",
    "logit",
    "prediction_evidence",
]

#: A model's box supports a human box the more, the further IoU lies between these two.
_NO_SUPPORT: Final = 0.1
_FULL_SUPPORT: Final = 0.5
#: IoU from which a box is at least about the same place.
_SAME_PLACE: Final = 0.3
#: Of two predictions that overlap more than this only the stronger tells of an object.
_RIVALS: Final = 0.45
#: Confidences nearer to 0 or 1 than this are all the same.
_CERTAIN: Final = 0.01

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
_Table = TypeVar("_Table", "AnnotationEvidence", "PredictionEvidence")


class _Columns:
    __slots__: tuple[str, ...] = ()

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Self:
        """Return the chosen rows."""
        return type(self)(**{name: getattr(self, name)[rows] for name in self.__slots__})


@dataclass(frozen=True, slots=True)
class AnnotationEvidence(_Columns):
    """What the model says about N human boxes; 0 or ``NONE`` where it says nothing.

    Attributes:
        same: float32 (N,), strongest support by a box of the same class, in [0, 1].
        same_near: float32 (N,), the same, counted from a small overlap on.
        other: float32 (N,), strongest support for another class, in [0, 1].
        any_near: float32 (N,), strongest support by any class, counted from a small overlap on.
        iou: float32 (N,), largest IoU with any prediction, however weak.
        iou_same: float32 (N,), largest IoU with a prediction of the same class.
        twin: int64 (N,), the prediction of the same class that fits best.
        twin_iou: float32 (N,), its IoU.
        twin_score: float32 (N,), its confidence.
        rival: int64 (N,), the prediction of another class that fits best.
    """

    same: Floats
    same_near: Floats
    other: Floats
    any_near: Floats
    iou: Floats
    iou_same: Floats
    twin: Rows
    twin_iou: Floats
    twin_score: Floats
    rival: Rows


@dataclass(frozen=True, slots=True)
class PredictionEvidence(_Columns):
    """What people drew where the model has N boxes.

    The columns ending in ``_without`` leave out the human box that fits best: what would be left
    had that one been overlooked.

    Attributes:
        beaten: bool (N,), a stronger prediction is at the same place.
        owner: int64 (N,), the human box that fits best, or ``NONE``.
        cover: float32 (N,), IoU with it.
        cover_without: float32 (N,), largest IoU with the others.
        same: float32 (N,), largest IoU with a human box of the same class.
        same_without: float32 (N,)
        inside: float32 (N,), largest share of the prediction that one human box of the same class
            covers: high on parts of objects and on members of a crowd drawn as one.
        inside_without: float32 (N,)
        around: float32 (N,), largest share of a human box of the same class that the prediction
            covers: high on groups.
        around_without: float32 (N,)
    """

    beaten: NDArray[np.bool_]
    owner: Rows
    cover: Floats
    cover_without: Floats
    same: Floats
    same_without: Floats
    inside: Floats
    inside_without: Floats
    around: Floats
    around_without: Floats


def logit(p: Floats) -> Floats:
    """Log odds of a probability; those near 0 or 1 are cut off."""
    safe = np.clip(p, _CERTAIN, 1 - _CERTAIN)
    odds: Floats = np.log(safe) - np.log1p(-safe)
    return odds


def annotation_evidence(annotations: Regions, predictions: Regions) -> AnnotationEvidence:
    """Hold human boxes against a model's.

    Args:
        annotations: N human boxes.
        predictions: the model's boxes, with scores.
    """
    n = len(annotations)
    found = _nothing(AnnotationEvidence, n)
    confidence = _confidence(predictions)
    for pairs in pair_blocks(annotations, predictions):
        score = confidence[pairs.second]
        alike = annotations.label[pairs.first] == predictions.label[pairs.second]
        support = score * np.clip((pairs.iou - _NO_SUPPORT) / (_FULL_SUPPORT - _NO_SUPPORT), 0, 1)
        near = score * np.minimum(pairs.iou / _SAME_PLACE, 1)
        _largest(found.any_near, pairs.first, near)
        _largest(found.iou, pairs.first, pairs.iou)
        same = np.flatnonzero(alike)
        rows = pairs.first[same]
        _largest(found.same, rows, support[same])
        _largest(found.same_near, rows, near[same])
        _largest(found.iou_same, rows, pairs.iou[same])
        best = same[_best(rows, score[same] * pairs.iou[same], pairs.second[same], predictions)]
        rows = pairs.first[best]
        found.twin[rows] = pairs.second[best]
        found.twin_iou[rows] = pairs.iou[best]
        found.twin_score[rows] = score[best]
        other = np.flatnonzero(~alike & (support > 0))
        best = other[_best(pairs.first[other], support[other], pairs.second[other], predictions)]
        found.other[pairs.first[best]] = support[best]
        found.rival[pairs.first[best]] = pairs.second[best]
    return found


def prediction_evidence(predictions: Regions, annotations: Regions) -> PredictionEvidence:
    """Hold a model's boxes against human ones and against each other.

    Args:
        predictions: N boxes of the model, with scores.
        annotations: human boxes.
    """
    n = len(predictions)
    found = _nothing(PredictionEvidence, n)
    found.beaten[:] = _beaten(predictions)
    size, people_size = _area(predictions), _area(annotations)
    for pairs in pair_blocks(predictions, annotations):
        best = _best(pairs.first, pairs.iou, pairs.second, annotations)
        rows = pairs.first[best]
        found.owner[rows] = pairs.second[best]
        found.cover[rows] = pairs.iou[best]
        rest = np.ones(len(pairs), dtype=np.bool_)
        rest[best] = False
        _largest(found.cover_without, pairs.first[rest], pairs.iou[rest])
        alike = predictions.label[pairs.first] == annotations.label[pairs.second]
        shared = pairs.iou / (1 + pairs.iou)
        shared *= size[pairs.first] + people_size[pairs.second]
        inside = np.minimum(shared / size[pairs.first], 1)
        around = np.minimum(shared / people_size[pairs.second], 1)
        for value, whole, without in (
            (pairs.iou, found.same, found.same_without),
            (inside, found.inside, found.inside_without),
            (around, found.around, found.around_without),
        ):
            _largest(whole, pairs.first[alike], value[alike])
            left = alike & rest
            _largest(without, pairs.first[left], value[left])
    return found


def _nothing(kind: type[_Table], rows: int) -> _Table:
    """Return evidence of a model that says nothing, for so many rows."""
    blank = {"Floats": 0, "Rows": NONE, "NDArray[np.bool_]": False}
    dtype = {"Floats": np.float32, "Rows": np.int64, "NDArray[np.bool_]": np.bool_}
    return kind(
        **{
            column.name: np.full(rows, blank[str(column.type)], dtype[str(column.type)])
            for column in fields(kind)
        }
    )


def _confidence(predictions: Regions) -> Floats:
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per region")
    return predictions.score


def _area(regions: Regions) -> Floats:
    width = regions.box[:, 2] - regions.box[:, 0]
    # Boxes without area overlap nothing; the floor only keeps the division quiet.
    return np.maximum(width * (regions.box[:, 3] - regions.box[:, 1]), 1e-6)


def _beaten(predictions: Regions) -> NDArray[np.bool_]:
    score = _confidence(predictions)
    beaten = np.zeros(len(predictions), dtype=np.bool_)
    for pairs in pair_blocks(predictions, predictions, _RIVALS):
        mine, theirs = pairs.first, pairs.second
        loses = score[mine] < score[theirs]
        tied = np.flatnonzero((score[mine] == score[theirs]) & (mine != theirs))
        if len(tied):
            loses[tied] = _comes_later(predictions, mine[tied], theirs[tied])
        beaten[mine[loses]] = True
    return beaten


def _largest(out: Floats, rows: Rows, value: Floats) -> None:
    """Raise ``out`` to the largest value of each row; rows are in order."""
    if len(rows):
        begin = _starts(rows)
        out[rows[begin]] = np.maximum.reduceat(value, begin)


def _best(rows: Rows, value: Floats, partner: Rows, partners: Regions) -> Rows:
    """Position of each row's largest value; rows are in order.

    Ties go by what the partners are, never by where they stand in their table.
    """
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    begin = _starts(rows)
    length = np.diff(np.append(begin, len(rows)))
    top = np.repeat(np.maximum.reduceat(value, begin), length)
    at: Rows = np.flatnonzero(value == top)
    if len(at) > len(begin):
        at = at[np.lexsort((*_content(partners, partner[at]), rows[at]))]
        at = at[_starts(rows[at])]
    return at


def _starts(rows: Rows) -> Rows:
    """Where each run of equal rows begins."""
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    starts: Rows = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1]]))
    return starts


def _content(regions: Regions, rows: Rows) -> tuple[NDArray[Any], ...]:
    """Sort keys, least first: strongest, then lowest label, then place."""
    strength = np.zeros(len(rows)) if regions.score is None else -regions.score[rows]
    return (rows, *regions.box[rows].T, regions.label[rows], strength)


def _comes_later(regions: Regions, mine: Rows, theirs: Rows) -> NDArray[np.bool_]:
    rows = np.concatenate([mine, theirs])
    rank = np.empty(len(rows), dtype=np.int64)
    rank[np.lexsort(_content(regions, rows))] = np.arange(len(rows))
    later: NDArray[np.bool_] = rank[: len(mine)] > rank[len(mine) :]
    return later
