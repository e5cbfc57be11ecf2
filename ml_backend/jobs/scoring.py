"""Columns of tasks through the scores of ``analysis``, and the findings back to tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis import classification, detection, reasons
from analysis.findings import NONE, Findings
from analysis.geometry.matching import box_iou
from analysis.regions import Regions
from ml_backend.labelstudio.reader import TaskPage
from ml_backend.labelstudio.results import Labels, pixel_boxes
from ml_backend.labelstudio.suggestions import Fix
from ml_backend.prediction import ControlPredictions
from ml_backend.store import StoredLabels

__all__ = ["Calibration", "PageScores", "fit_calibration", "page_labels", "score_page"]

#: How many findings a reason names; the rest are in the suggestion.
_MOST_NAMED: Final = 3

#: Share of a classifier's probability that must lie on the project's labels to say anything.
_LEAST_MASS: Final = 0.05

_ACTIONS: Final = {
    "mislabelled": "relabel",
    "missing": "add",
    "spurious": "remove",
    "duplicate": "remove",
    "badly_drawn": "redraw",
}

_Learnt = TypeVar("_Learnt", detection.Calibration, classification.Calibration)

#: What a model's reliability was learnt as: named arrays, as the store keeps them.
Calibration = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class PageScores:
    """Scores of T tasks.

    Attributes:
        priority: float32 (T,), in [0, 1]; NaN where there is nothing to score or to score with.
        kind: kind of the worst finding of each task; "" where there is none.
        reason: the worst findings of each task in plain words.
        fixes: row of a task to the row of its worst annotation and what to change in it.
    """

    priority: NDArray[np.float32]
    kind: list[str]
    reason: list[str]
    fixes: dict[int, tuple[int, list[Fix]]]


@dataclass(frozen=True, slots=True)
class _Finding:
    score: float
    kind: str
    reason: str
    annotation: int
    fix: Fix


def page_labels(page: TaskPage, table: ControlPredictions, labels: Labels) -> StoredLabels:
    """Return one control tag's human labels in pixels, of the tasks that have a prediction."""
    notes = page.annotations
    usable = table.found[notes.task]
    kept = labels.take(usable[labels.annotation])
    # Sizes come from the images themselves: imports often lack or misstate them.
    place = np.cumsum(table.found) - 1
    size = table.predictions.size[place[notes.task[kept.annotation]]].reshape(-1, 2)
    return StoredLabels(
        task=page.id[notes.task[usable]],
        unit=notes.id[usable],
        region_unit=notes.id[kept.annotation],
        label=kept.label,
        box=pixel_boxes(kept.box, kept.angle, size),
        held_task=page.id[page.held[0]],
        held=page.held[1],
    )


def fit_calibration(table: ControlPredictions, labels: StoredLabels) -> Calibration:
    """Learn from all human labels of a control tag how far its model can be trusted.

    Args:
        table: predictions of the tasks ``np.unique(labels.task)``, found for each.
        labels: the human labels.
    """
    place = np.unique(labels.task, return_inverse=True)[1]
    if table.control.tag == "Choices":
        given, probs = _class_columns(table, labels, place)
        return classification.fit(given, probs).to_arrays()
    people, model, _ = _box_columns(table, labels, place)
    return detection.fit(people, model, num_classes=len(table.control.labels)).to_arrays()


def score_page(
    page: TaskPage,
    tables: Sequence[ControlPredictions],
    calibrations: Sequence[Calibration | None],
    threshold: float,
) -> PageScores:
    """Score the human labels of one page of tasks.

    Args:
        page: tasks with their labels.
        tables: predictions, one table per control tag.
        calibrations: what ``fit_calibration`` learnt per control tag, None where nothing yet.
        threshold: score from which a finding is worth naming.
    """
    priority = np.full(len(page), np.nan, dtype=np.float32)
    found: dict[int, list[_Finding]] = defaultdict(list)
    for table, labels, calibration in zip(
        tables, page.annotations.labels, calibrations, strict=True
    ):
        units = np.flatnonzero(table.found[page.annotations.task])
        task = page.annotations.task[units]
        items = labels.item[np.isin(labels.annotation, units)]
        score = _score_choices if table.control.tag == "Choices" else _score_boxes
        people = page_labels(page, table, labels)
        scored = score(table, people, (np.cumsum(table.found) - 1)[task], items, calibration)
        np.fmax.at(priority, task, scored.priority)
        for n, unit in enumerate(scored.unit.tolist()):
            one = _Finding(
                score=float(scored.findings.score[n]),
                kind=str(scored.findings.kind[n]),
                reason=scored.reason[n],
                annotation=int(units[unit]),
                fix=scored.fix[n],
            )
            found[int(task[unit])].append(one)
    return _by_task(priority, found, threshold)


@dataclass(frozen=True, slots=True)
class _Scored:
    """What one control tag's labels came to, by unit: one current annotation of a task."""

    priority: NDArray[np.float32]
    unit: NDArray[np.int64]
    findings: Findings
    reason: list[str]
    fix: list[Fix]


def _score_boxes(
    table: ControlPredictions,
    labels: StoredLabels,
    place: NDArray[np.int64],
    items: NDArray[np.int64],
    calibration: Calibration | None,
) -> _Scored:
    people, model, source = _box_columns(table, labels, place)
    trust = _learnt(detection.Calibration, calibration)
    found = detection.find(people, model, num_classes=len(table.control.labels), calibration=trust)
    about, against = found.annotation, found.prediction
    has, seen = about != NONE, against != NONE
    given = np.full(len(found), NONE, dtype=np.int32)
    given[has] = people.label[about[has]]
    confidence = np.zeros(len(found), dtype=np.float32)
    confidence[seen] = table.predictions.score[source[against[seen]]]
    iou = np.zeros(len(found), dtype=np.float32)
    both = has & seen
    iou[both] = box_iou(people.box[about[both]], model.box[against[both]])
    sizes = table.predictions.size[place[found.task]].tolist()
    fixes = [
        Fix(
            control=table.control,
            action=_ACTIONS[str(found.kind[n])],
            item=int(items[about[n]]) if has[n] else -1,
            label=int(found.label[n]),
            box=model.box[against[n]] if seen[n] else None,
            score=float(confidence[n]),
            size=(sizes[n][0], sizes[n][1]),
        )
        for n in range(len(found))
    ]
    units = np.arange(len(labels.unit))
    return _Scored(
        detection.task_scores(found, units),
        found.task,
        found,
        reasons.describe(
            found, table.control.labels, given=given, confidence=confidence, overlap=iou
        ),
        fixes,
    )


def _score_choices(
    table: ControlPredictions,
    labels: StoredLabels,
    place: NDArray[np.int64],
    items: NDArray[np.int64],
    calibration: Calibration | None,
) -> _Scored:
    given, probs = _class_columns(table, labels, place)
    trust = _learnt(classification.Calibration, calibration)
    found = classification.find(given, probs, tasks=np.arange(len(given)), calibration=trust)
    # A label that the model has no class for cannot be judged: it is neither right nor wrong. Nor
    # can a choice that was not made: it may have been hidden, or not have applied.
    judged = given != NONE
    found = found.take(judged[found.prediction])
    confidence = probs[found.prediction, found.label]
    item_of = dict(zip(labels.region_unit.tolist(), items.tolist(), strict=True))
    fixes = [
        Fix(
            control=table.control,
            action="relabel",
            item=item_of[int(labels.unit[unit])],
            label=int(found.label[n]),
            box=None,
            score=float(confidence[n]),
            size=(0, 0),
        )
        for n, unit in enumerate(found.task.tolist())
    ]
    priority = np.zeros(len(given), dtype=np.float32)
    priority[found.task] = found.score
    priority[~judged] = np.nan
    return _Scored(
        priority,
        found.task,
        found,
        reasons.describe(
            found,
            table.control.labels,
            given=given[found.prediction],
            confidence=confidence,
            what="item",
        ),
        fixes,
    )


def _learnt(kind: type[_Learnt], arrays: Calibration | None) -> _Learnt | None:
    """Read a calibration; one that another version of Relook kept is as good as none."""
    try:
        return None if arrays is None else kind.from_arrays(dict(arrays))
    except (KeyError, TypeError, ValueError):
        return None


def _box_columns(
    table: ControlPredictions, labels: StoredLabels, place: NDArray[np.int64]
) -> tuple[Regions, Regions, NDArray[np.int64]]:
    """People's boxes and, for each unit, a copy of the model's; with where those came from."""
    said = table.predictions
    begin = np.searchsorted(said.image, place, side="left")
    count = np.searchsorted(said.image, place, side="right") - begin
    step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    source = np.repeat(begin, count) + step
    # What the project has no label for can neither be missing nor be a better label.
    source_unit = np.repeat(np.arange(len(place)), count)
    mapped = said.label[source] != NONE
    source, source_unit = source[mapped], source_unit[mapped]
    model = Regions(source_unit, said.label[source], said.box[source], said.score[source])
    order = np.argsort(labels.unit)
    unit = order[np.searchsorted(labels.unit, labels.region_unit, sorter=order)]
    return Regions(unit, _judged(table, labels), labels.box), model, source


def _class_columns(
    table: ControlPredictions, labels: StoredLabels, place: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The class each unit was given, -1 where none or unknown to the model, and the model's."""
    given = np.full(len(labels.unit), NONE, dtype=np.int32)
    order = np.argsort(labels.unit)
    unit = order[np.searchsorted(labels.unit, labels.region_unit, sorter=order)]
    given[unit] = _judged(table, labels)
    # Among the labels that the model knows; where it sees none of them it says nothing.
    probs = np.where(table.known, table.predictions.probs[place], 0)
    mass = probs.sum(axis=1, keepdims=True)
    given[mass[:, 0] < _LEAST_MASS] = NONE
    even = np.float32(1 / max(probs.shape[1], 1))
    scaled = np.where(mass < _LEAST_MASS, even, probs / np.maximum(mass, _LEAST_MASS))
    return given, scaled.astype(np.float32)


def _judged(table: ControlPredictions, labels: StoredLabels) -> NDArray[np.int32]:
    known = np.append(table.known, False)
    return np.where(known[labels.label], labels.label, NONE).astype(np.int32)


def _by_task(
    priority: NDArray[np.float32], found: Mapping[int, list[_Finding]], threshold: float
) -> PageScores:
    kind, reason = [""] * len(priority), [""] * len(priority)
    fixes: dict[int, tuple[int, list[Fix]]] = {}
    for row, all_of_task in found.items():
        ranked = sorted(all_of_task, key=lambda one: -one.score)
        named = [one for one in ranked if one.score >= threshold] or ranked[:1]
        kind[row] = named[0].kind
        reason[row] = "; ".join(one.reason for one in named[:_MOST_NAMED])
        if len(named) > _MOST_NAMED:
            reason[row] += f"; and {len(named) - _MOST_NAMED} more"
        worst = named[0].annotation
        fixes[row] = worst, [one.fix for one in named if one.annotation == worst]
    return PageScores(priority, kind, reason, fixes)
