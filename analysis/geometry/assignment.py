"""Each annotation to at most one prediction: COCO's greedy matching, for whole projects at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from analysis.geometry.matching import Pairs, overlapping_pairs
from analysis.regions import Regions

__all__ = ["Matches", "by_confidence", "match", "match_at"]

#: What a float32 IoU may be off by: a pair at the very threshold is a match.
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Matches:
    """Which prediction took which annotation.

    Attributes:
        annotation: int64 (P,), the annotation row that each prediction took, or ``NONE``.
        prediction: int64 (A,), the prediction row that took each annotation, or ``NONE``.
        iou: float32 (P,), of the match, 0 where there is none.
        counted: bool (P,), False where a prediction takes no part: its label is -1, too many
            surer ones came before, or it took nothing and lies over an annotation labelled -1.
    """

    annotation: NDArray[np.int64]
    prediction: NDArray[np.int64]
    iou: NDArray[np.float32]
    counted: NDArray[np.bool_]


def by_confidence(predictions: Regions) -> NDArray[np.int64]:
    """Return the prediction rows, the surest first; ties by task, then by row, as COCO's.

    Raises:
        ValueError: when predictions have no score.
    """
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per region")
    order: NDArray[np.int64] = np.lexsort((predictions.task, -predictions.score))
    return order


def match(
    annotations: Regions,
    predictions: Regions,
    *,
    iou: float = 0.5,
    classwise: bool = True,
    most: int | None = None,
) -> Matches:
    """Match as COCO's evaluation does (pycocotools' ``COCOeval.evaluateImg``).

    Within a task the predictions choose in order of confidence, each the annotation not yet taken
    that it overlaps most, if the IoU reaches ``iou``; of equal IoUs the last row. What the surer
    predictions take does not depend on the others, so the matches above any confidence are
    exactly those of these matches whose prediction reaches it.

    Args:
        annotations: human regions; those labelled -1 are taken by nobody and excuse predictions
            over them.
        predictions: the model's regions; ``score`` is needed.
        iou: least IoU of a match, in (0, 1].
        classwise: match equal labels only; else any, and a match may be of two classes.
        most: predictions per task (and class, if classwise) that take part, the surest; None
            for all. COCO takes 100.

    Raises:
        ValueError: when predictions have no score or ``iou`` is out of range.
    """
    return match_at(annotations, predictions, (iou,), classwise=classwise, most=most)[0]


def match_at(
    annotations: Regions,
    predictions: Regions,
    thresholds: Sequence[float],
    *,
    classwise: bool = True,
    most: int | None = None,
) -> list[Matches]:
    """Match at several IoUs; overlaps are looked up once. See ``match``."""
    for iou in thresholds:
        if not 0 < iou <= 1:
            raise ValueError(f"iou is {iou}, expected above 0 and at most 1")
    order = by_confidence(predictions)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    counted = predictions.label != NONE
    if most is not None:
        counted &= _place(predictions, rank, classwise) < most
    least = max(min(thresholds, default=1) - 2 * _ROUNDING, 0)
    pairs = overlapping_pairs(predictions, annotations, least)
    pairs = pairs.take(counted[pairs.first])
    known = annotations.label[pairs.second] != NONE
    unknown = pairs.take(~known)
    if classwise:
        known &= predictions.label[pairs.first] == annotations.label[pairs.second]
    wanted = pairs.take(known)
    best = np.lexsort((-wanted.second, -wanted.iou, wanted.first))
    wanted = Pairs(wanted.first[best], wanted.second[best], wanted.iou[best])
    return [
        _match(annotations, predictions, _above(wanted, iou), _above(unknown, iou), rank, counted)
        for iou in thresholds
    ]


def _above(pairs: Pairs, iou: float) -> Pairs:
    return pairs.take(pairs.iou >= iou - _ROUNDING)


def _match(
    annotations: Regions,
    predictions: Regions,
    wanted: Pairs,
    unknown: Pairs,
    rank: NDArray[np.int64],
    counted: NDArray[np.bool_],
) -> Matches:
    taken = _take_turns(wanted, rank, len(annotations))
    annotation = np.full(len(predictions), NONE, dtype=np.int64)
    prediction = np.full(len(annotations), NONE, dtype=np.int64)
    iou = np.zeros(len(predictions), dtype=np.float32)
    annotation[wanted.first[taken]] = wanted.second[taken]
    prediction[wanted.second[taken]] = wanted.first[taken]
    iou[wanted.first[taken]] = wanted.iou[taken]
    counts = counted.copy()
    counts[unknown.first[annotation[unknown.first] == NONE]] = False
    return Matches(annotation, prediction, iou, counts)


def _take_turns(wanted: Pairs, rank: NDArray[np.int64], annotations: int) -> NDArray[np.int64]:
    """The pairs that come about when predictions choose in order of rank.

    All choose at once, an annotation keeps the best ranked of those that chose it, and the others
    go on to their next choice (deferred acceptance, Gale and Shapley, 1962). As every annotation
    prefers the same order, the outcome is that of choosing in turn, in a handful of rounds.
    """
    proposers, at = np.unique(wanted.first, return_index=True)
    end = np.append(at[1:], len(wanted))
    turn = rank[proposers]
    best = np.full(annotations, len(rank), dtype=np.int64)
    holder = np.full(annotations, NONE, dtype=np.int64)
    active = np.arange(len(proposers))
    while len(active):
        choice = wanted.second[at[active]]
        np.minimum.at(best, choice, turn[active])
        won = best[choice] == turn[active]
        ousted = holder[choice[won]]
        holder[choice[won]] = active[won]
        active = np.concatenate([active[~won], ousted[ousted != NONE]])
        at[active] += 1
        active = active[at[active] < end[active]]
    return np.asarray(at[holder[holder != NONE]])


def _place(
    predictions: Regions, rank: NDArray[np.int64], classwise: bool
) -> NDArray[np.integer[Any]]:
    """How many surer predictions of the same task (and class) each has."""
    group = predictions.label if classwise else np.zeros(len(rank), dtype=np.int32)
    order = np.lexsort((rank, group, predictions.task))
    fresh = np.ones(len(order), dtype=np.bool_)
    task, label = predictions.task[order], group[order]
    fresh[1:] = (task[1:] != task[:-1]) | (label[1:] != label[:-1])
    begin = np.flatnonzero(fresh)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - np.repeat(begin, np.diff(np.append(begin, len(order))))
    return place
