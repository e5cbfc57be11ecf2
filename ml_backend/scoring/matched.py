"""People's regions beside the model's, as the review page shows them: which is which, how alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.evaluation import flags
from analysis.findings import NONE
from analysis.geometry.assignment import match, match_at
from analysis.regions import Regions
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.scoring import regions
from ml_backend.scoring.between import REACH, places
from ml_backend.scoring.columns import Units
from ml_backend.storage.labels import StoredLabels

__all__ = ["Matched", "as_regions", "matched"]

#: From where two regions are of one thing, and from where a region that has no such partner is
#: still shown beside one.
_SAME: Final = 0.5
_NEAR: Final = 0.1
_MOST: Final = 255


@dataclass(frozen=True, slots=True)
class Matched:
    """What the model says beside the labels of T tasks with R human regions.

    Attributes:
        label: int32 (T,), the class that people gave most often, -1 for none.
        predicted: int32 (T,), the class that the model gives most often, or is surest of.
        confidence: float32 (T,), of the surest false positive where there is one, else of the
            surest prediction; NaN where there is none.
        iou: float32 (T,), of the worst drawn pair; NaN where there is none.
        false_positives: int64 (T,), predictions that no human region of their class accounts for,
            of the annotation that has most.
        false_negatives: int64 (T,), human regions that no prediction of their class accounts for.
        region_predicted: int32 (R,), class that the model sees there, -1 for none.
        region_confidence: float32 (R,), how sure it is; NaN.
        region_iou: float32 (R,), NaN.
    """

    label: NDArray[np.int32]
    predicted: NDArray[np.int32]
    confidence: NDArray[np.float32]
    iou: NDArray[np.float32]
    false_positives: NDArray[np.int64]
    false_negatives: NDArray[np.int64]
    region_predicted: NDArray[np.int32]
    region_confidence: NDArray[np.float32]
    region_iou: NDArray[np.float32]


def matched(
    table: ControlPredictions, labels: StoredLabels, tasks: NDArray[np.int64], threshold: float
) -> Matched:
    """Put the labels of some tasks beside the model's.

    Args:
        table: predictions of the tasks.
        labels: the human labels of those tasks; beside those of tasks without a prediction nothing
            stands.
        tasks: int64 (T,), task ids.
        threshold: confidence from which a prediction counts as one.
    """
    found = np.flatnonzero(table.found)
    judged = labels.of(tasks[found])
    place = _rows(tasks[found], judged.task)
    units = Units.of(table, judged, place)
    task = found[place]
    of_region = _rows(tasks, labels.task)[labels.unit_row]
    label = _most_frequent(of_region, labels.label, len(tasks), len(table.control.labels))
    beside = _choices if table.control.geometry == "choice" else _regions
    said = beside(table, units, task, found, label, threshold)
    there = np.isin(labels.region_unit, judged.unit)
    return replace(
        said,
        region_predicted=_spread(said.region_predicted, there, NONE),
        region_confidence=_spread(said.region_confidence, there, np.nan),
        region_iou=_spread(said.region_iou, there, np.nan),
    )


def as_regions(units: Units) -> tuple[Regions, Regions]:
    """Return people's regions and the model's as boxes or shapes; their task is the unit.

    A span is a box one high over its characters, a key point one around it, within which another
    counts as the same place.
    """
    geometry = units.table.control.geometry
    if geometry not in ("span", "point"):
        return regions.tables(units)
    control, labels, model = units.table.control, units.labels, units.model
    reach = model.size * (REACH / 100)
    mine = places(control, labels.label, labels.outline, reach[units.unit])
    theirs = places(control, model.label, model.outline, reach[model.item])
    return (
        Regions(units.unit, units.given, mine),
        Regions(model.item, model.label, theirs, model.score),
    )


def _regions(
    table: ControlPredictions,
    units: Units,
    task: NDArray[np.int64],
    found: NDArray[np.int64],
    label: NDArray[np.int32],
    threshold: float,
) -> Matched:
    count = len(label)
    people, model = as_regions(units)
    partner, iou = _partners(people, model)
    there = partner != NONE
    score = np.append(units.model.score, np.nan).astype(np.float32)
    predicted = np.where(there, np.append(model.label, NONE)[partner], NONE).astype(np.int32)
    confidence = np.where(there, score[partner], np.nan).astype(np.float32)
    same = match(people, model, iou=_SAME)
    flagged = flags(people, model, same, confidence=threshold)
    by_unit = [
        np.bincount(column, minlength=len(units))
        for column in (model.task[flagged.false_positive], people.task[flagged.false_negative])
    ]
    surest = np.full(count, np.nan, dtype=np.float32)
    every = table.predictions.only(table.predictions.label >= 0)
    np.fmax.at(surest, found[every.item], every.score)
    wrong = np.full(count, np.nan, dtype=np.float32)
    false = np.flatnonzero(flagged.false_positive)
    np.fmax.at(wrong, task[model.task[false]], units.model.score[false])
    worst = np.full(count, np.nan, dtype=np.float32)
    np.fmin.at(worst, task[units.unit], iou)
    kept = every.only(every.score >= threshold)
    kinds = len(table.control.labels)
    return Matched(
        label=label,
        predicted=_most_frequent(found[kept.item], kept.label, count, kinds),
        confidence=np.where(np.isnan(wrong), surest, wrong),
        iou=worst,
        false_positives=_worst_unit(task, by_unit[0], count),
        false_negatives=_worst_unit(task, by_unit[1], count),
        region_predicted=predicted,
        region_confidence=confidence,
        region_iou=iou,
    )


def _partners(people: Regions, model: Regions) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Which prediction, of any class, stands beside each human region, and their overlap."""
    same, near = match_at(people, model, (_SAME, _NEAR), classwise=False)
    partner = same.prediction.copy()
    free = np.append(same.annotation == NONE, False)
    loose = (partner == NONE) & free[near.prediction]
    partner[loose] = near.prediction[loose]
    iou = np.append(np.maximum(same.iou, near.iou), np.nan)[partner]
    strict = same.prediction != NONE
    iou[strict] = same.iou[same.prediction[strict]]
    iou[loose] = near.iou[near.prediction[loose]]
    return partner, np.where(partner == NONE, np.nan, iou).astype(np.float32)


def _choices(
    table: ControlPredictions,
    units: Units,
    task: NDArray[np.int64],
    found: NDArray[np.int64],
    label: NDArray[np.int32],
    threshold: float,
) -> Matched:
    count = len(label)
    kinds = len(table.control.labels)
    probs = np.zeros((count, kinds), dtype=np.float32)
    if table.predictions.probs.size:
        probs[found] = table.predictions.probs
    sure = probs.max(axis=1, initial=0)
    predicted = np.where(sure > 0, probs.argmax(axis=1) if kinds else 0, NONE).astype(np.int32)
    said = probs >= threshold
    if not table.control.multiple:
        said = (np.arange(kinds) == predicted[:, None]) & said
    # A label that the config or the model does not know is judged by nobody.
    given = np.zeros((len(units), kinds), dtype=np.bool_)
    known = units.given != NONE
    given[units.unit[known], units.given[known]] = True
    judged = given.any(axis=1)
    false = [(said[task] & ~given).sum(axis=1), (given & ~said[task]).sum(axis=1)]
    of_region = task[units.unit]
    return Matched(
        label=label,
        predicted=predicted,
        confidence=np.where(sure > 0, sure, np.nan).astype(np.float32),
        iou=np.full(count, np.nan, dtype=np.float32),
        false_positives=_worst_unit(task, np.where(judged, false[0], 0), count),
        false_negatives=_worst_unit(task, np.where(judged, false[1], 0), count),
        region_predicted=predicted[of_region],
        region_confidence=np.where(sure > 0, sure, np.nan)[of_region].astype(np.float32),
        region_iou=np.full(len(of_region), np.nan, dtype=np.float32),
    )


def _rows(known: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place of each wanted number among others, all of which are there."""
    order = np.argsort(known, kind="stable")
    place: NDArray[np.int64] = order[np.searchsorted(known, wanted, sorter=order)]
    return place


def _spread(column: NDArray[Any], there: NDArray[np.bool_], nothing: float) -> NDArray[Any]:
    """The column of some regions as one of all, with nothing beside the others."""
    every = np.full(len(there), nothing, dtype=column.dtype)
    every[there] = column
    return every


def _worst_unit(
    task: NDArray[np.int64], counted: NDArray[np.integer], count: int
) -> NDArray[np.int64]:
    most = np.zeros(count, dtype=np.int64)
    np.maximum.at(most, task, counted)
    return np.minimum(most, _MOST)


def _most_frequent(
    task: NDArray[np.int64], label: NDArray[np.int32], count: int, kinds: int
) -> NDArray[np.int32]:
    """The class that stands most often in each task, the first of equals; -1 where none does."""
    known = label != NONE
    pair, often = np.unique(task[known] * kinds + label[known], return_counts=True)
    order = np.lexsort((-pair, often))
    most = np.full(count, NONE, dtype=np.int32)
    if kinds:
        most[pair[order] // kinds] = pair[order] % kinds
    return most
