"""People's annotations of one task beside each other: what one changed, how far they agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import agreement, region_agreement
from analysis.annotators import Votes
from analysis.findings import NONE
from analysis.geometry import ragged
from analysis.geometry.assignment import match
from analysis.regions import Regions
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.regions.results import Labels
from ml_backend.outlines import Outlines, boxes

__all__ = ["REACH", "Agreed", "Changes", "agreed", "changes", "places"]

#: From where two regions are of one thing, and below which it was drawn anew.
_NEAR: Final = 0.1
_STAYED: Final = 0.95
#: Key points are of one place within so many per cent of each side of the image.
REACH: Final = 2.5


@dataclass(frozen=True, slots=True)
class Changes:
    """What answers changed, C rows.

    Attributes:
        annotation: int64 (C,), the annotation that was answered.
        given: int32 (C,), its label; -1 for a region that it lacks.
        better: int32 (C,), the answer's label; -1 for a region that it dropped; the same as
            ``given`` for one that it drew anew.
    """

    annotation: NDArray[np.int64]
    given: NDArray[np.int32]
    better: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Agreed:
    """How far people agree under one control tag; P pairs of people who share tasks.

    Attributes:
        alpha: Krippendorff's, at most 1, 0 as by chance; NaN where it cannot be told.
        first: int64 (P,), user id.
        second: int64 (P,), user id.
        tasks: int64 (P,), tasks that both labelled.
        agreement: float64 (P,), in [0, 1]: share of equal labels, or the mean F1 of regions.
        kappa: float64 (P,), Cohen's for choices, else NaN.
    """

    alpha: float
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    tasks: NDArray[np.int64]
    agreement: NDArray[np.float64]
    kappa: NDArray[np.float64]


def changes(
    control: Control,
    labels: Labels,
    annotation: NDArray[np.int64],
    answer: NDArray[np.int64],
    reach: float | NDArray[np.floating] = REACH,
) -> Changes:
    """Compare annotations with the ones that answer them.

    Args:
        control: the control tag.
        labels: its labels of N annotations.
        annotation: int64 (A,), rows of annotations.
        answer: int64 (A,), row of the annotation that answers each.
        reach: within which key points are of one place, in the unit of the outlines; one number
            for all, or float (R, 2), across and down for each region.
    """
    place = places(control, labels.label, labels.outline, np.full((len(labels), 2), reach))
    mine, pair = _of(labels, annotation)
    theirs, of_answer = _of(labels, answer)
    # A label that the config lacks is one label like any other here.
    label = np.where(labels.label < 0, len(control.labels), labels.label).astype(np.int32)
    old = Regions(pair, label[mine], place[mine])
    new = Regions(of_answer, label[theirs], place[theirs], np.ones(len(theirs), dtype=np.float32))
    found = match(old, new, iou=_NEAR, classwise=False)
    took = found.annotation
    both = np.flatnonzero(took != NONE)
    given, better = old.label[took[both]], new.label[both]
    moved = both[(given != better) | (found.iou[both] < _STAYED)]
    added, dropped = np.flatnonzero(took == NONE), np.flatnonzero(found.prediction == NONE)
    nothing = np.full(len(pair) + len(of_answer), NONE, dtype=np.int32)
    return Changes(
        annotation[np.concatenate([of_answer[moved], of_answer[added], pair[dropped]])],
        np.concatenate([old.label[took[moved]], nothing[: len(added)], old.label[dropped]]),
        np.concatenate([new.label[moved], new.label[added], nothing[: len(dropped)]]),
    )


def agreed(
    control: Control,
    labels: Labels,
    task: NDArray[np.int64],
    author: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> Agreed:
    """Compare what several people made of the same tasks.

    Args:
        control: the control tag.
        labels: its labels of N annotations.
        task: int64 (N,), task of each annotation.
        author: int64 (N,), who made it.
        rows: int64, the annotations that count, at most one of each person in each task.
    """
    if control.geometry == "choice" and not control.multiple:
        return _choices(control, labels, task[rows], author[rows], rows)
    mine, at = _of(labels, rows)
    label, outline = labels.label[mine], labels.outline.take(mine)
    where = places(control, label, outline, np.full((len(mine), 2), REACH))
    regions = Regions(task[rows][at], label, where)
    looked = (task[rows], author[rows])
    found = region_agreement.compare_boxes(regions, author[rows][at], looked=looked)
    if not len(found):
        return _nobody()
    pairs, place = np.unique(
        np.stack([found.first, found.second], axis=1), axis=0, return_inverse=True
    )
    tasks = np.bincount(place.ravel())
    return Agreed(
        region_agreement.box_alpha(regions, author[rows][at], looked=looked),
        pairs[:, 0],
        pairs[:, 1],
        tasks,
        np.bincount(place.ravel(), found.f1) / tasks,
        np.full(len(pairs), np.nan),
    )


def _choices(
    control: Control,
    labels: Labels,
    task: NDArray[np.int64],
    author: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> Agreed:
    said = np.full(int(rows.max(initial=-1)) + 1, NONE, dtype=np.int32)
    kept = np.isin(labels.annotation, rows)
    said[labels.annotation[kept]] = labels.label[kept]
    votes, _, people = Votes.from_ids(task, author, said[rows])
    found = agreement.cohen_kappa(votes, len(control.labels))
    if not len(found):
        return _nobody()
    return Agreed(
        agreement.krippendorff_alpha(votes, len(control.labels)),
        people[found.first],
        people[found.second],
        found.items,
        found.agreement,
        found.kappa,
    )


def _nobody() -> Agreed:
    none, nothing = np.empty(0, dtype=np.int64), np.empty(0)
    return Agreed(float("nan"), none, none, none, nothing, nothing)


def _of(
    labels: Labels, annotations: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Regions of annotations, and the place of each one's annotation among those.

    An annotation that stands twice, since it answers two, has its regions twice.
    """
    order = np.argsort(labels.annotation, kind="stable")
    begin, end = (
        np.searchsorted(labels.annotation, annotations, side=side, sorter=order)
        for side in ("left", "right")
    )
    at, place = ragged.expand(begin, end - begin)
    return order[place], at


def places(
    control: Control,
    label: NDArray[np.int32],
    outline: Outlines,
    reach: NDArray[np.floating[Any]],
) -> NDArray[np.float32]:
    """Boxes that overlap where two people's regions are of one thing; float32 (R, 4).

    They are in the outlines' unit, the same for all people. The one class of an input is
    everywhere; of several, each is a thing of its own.

    Args:
        control: the control tag.
        label: int32 (R,), labels.
        outline: R outlines.
        reach: float (R, 2), within which key points are of one place, in their unit.
    """
    if control.geometry == "choice":
        number = label if control.multiple else np.zeros(len(label))
        return _flat(np.asarray(number, dtype=np.float32), np.asarray(number + 1, dtype=np.float32))
    if control.geometry == "span":
        start, end = outline.table(2).astype(np.float32).T
        return _flat(start, np.maximum(end, start))
    place = boxes(control.geometry, outline)
    if control.geometry == "point":
        place = place + np.concatenate([-reach, reach], axis=1).astype(np.float32)
    return place


def _flat(start: NDArray[np.float32], end: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([start, np.zeros_like(start), end, np.ones_like(start)], axis=1)
