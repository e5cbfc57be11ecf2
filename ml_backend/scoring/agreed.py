"""How well a project's labels and its model agree, class by class, out of the store's columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import evaluation
from analysis.evaluation import Evaluation
from analysis.findings import NONE
from analysis.rates import curves
from analysis.rates.outcomes import cross_table
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.scoring.choices import answers, classes
from ml_backend.scoring.columns import Units
from ml_backend.scoring.matched import as_regions
from ml_backend.storage.labels import StoredLabels

__all__ = ["Agreement", "Cells", "agreed", "cells"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of people and model under one control tag with K labels.

    Attributes:
        precision: float64 (K,), NaN where the model never said the class.
        recall: float64 (K,), NaN where people never did.
        f1: float64 (K,).
        ap: float64 (K,), average precision.
        support: int64 (K,), how often people gave the class.
        confusion: int64 (K + 1, K + 1), rows are people's classes, columns the model's; the last
            of each stands for nothing there.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    ap: NDArray[np.float64]
    support: NDArray[np.int64]
    confusion: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cells:
    """The N things that the confusion of ``agreed`` counts, each in one cell.

    Attributes:
        given: int64 (N,), people's class, K for none: its row.
        said: int64 (N,), the model's class, K for none: its column.
        task: int64 (N,), its task.
        region: int64 (N,), place of the human region among those of its task, by annotation id
            and then as they stand in it; -1 where it is none, but the whole input.
    """

    given: NDArray[np.int64]
    said: NDArray[np.int64]
    task: NDArray[np.int64]
    region: NDArray[np.int64]


def agreed(
    table: ControlPredictions,
    labels: StoredLabels,
    tasks: NDArray[np.int64],
    iou: float,
    confidence: float,
) -> Agreement:
    """Compare labels and predictions.

    Args:
        table: predictions of the tasks.
        labels: their human labels.
        tasks: int64 (T,), task ids, ascending.
        iou: least overlap of two regions of one thing, in (0, 1].
        confidence: from which a prediction counts as one, in [0, 1].
    """
    units = _units(table, labels, tasks)
    count = len(table.control.labels)
    given = units.labels.label
    support = np.bincount(given[given >= 0], minlength=count)
    if table.control.geometry != "choice":
        people, model = as_regions(units)
        found = evaluation.regions(people, model, num_classes=count, iou=iou, confidence=confidence)
        return _of(found, support)
    if table.control.multiple:
        return _several(units, support, confidence)
    label, probs = classes(units)
    return _of(evaluation.classes(label, probs, confidence=confidence), support)


def cells(
    table: ControlPredictions,
    labels: StoredLabels,
    tasks: NDArray[np.int64],
    iou: float,
    confidence: float,
) -> Cells:
    """Name what the confusion of ``agreed`` counts; the arguments are the same."""
    units = _units(table, labels, tasks)
    count = len(table.control.labels)
    task = units.labels.task
    if table.control.geometry != "choice":
        people, model = as_regions(units)
        found = evaluation.confused(
            people, model, num_classes=count, iou=iou, confidence=confidence
        )
        alone = found.annotation == NONE
        unit = np.append(people.task, NONE)[found.annotation]
        unit[alone] = model.task[found.prediction[alone]]
        region = np.append(_places(units), NONE)[found.annotation]
        return Cells(found.given, found.said, task[unit], region)
    if table.control.multiple:
        row, given, said = _asked(units, confidence)
    else:
        given, said = evaluation.confused_classes(*classes(units), confidence=confidence)
        row = np.arange(len(given))
    return Cells(given, said, task[row], np.full(len(row), NONE))


def _units(table: ControlPredictions, labels: StoredLabels, tasks: NDArray[np.int64]) -> Units:
    labels = labels.of(tasks[table.found])
    return Units.of(table, labels, np.searchsorted(tasks[table.found], labels.task))


def _places(units: Units) -> NDArray[np.int64]:
    """Each human region's place among those of its task, int64 (R,)."""
    task = units.labels.task[units.unit]
    order = np.lexsort((units.labels.region_unit, task))
    ordered = task[order]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return place


def _of(found: Evaluation, support: NDArray[np.int64]) -> Agreement:
    return Agreement(found.precision, found.recall, found.f1, found.ap, support, found.confusion)


def _several(units: Units, support: NDArray[np.int64], confidence: float) -> Agreement:
    """Each label is a question of its own: it is confused with nothing but its absence."""
    given, judged = answers(units)
    given, probs = given[judged], units.model.probs[judged]
    count = given.shape[1]
    _, row, column = _asked(units, confidence)
    table = cross_table(row, column, count)
    ap: NDArray[Any] = np.array(
        [curves.ranking_precision(probs[:, k], given[:, k]) for k in range(count)]
    )
    both, more, less = table.diagonal()[:count], table[count, :count], table[:count, count]
    precision, recall, f1 = curves.rates(both, more, less)
    return Agreement(precision, recall, f1, ap, support, table)


def _asked(
    units: Units, confidence: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Unit, row and column of each label that people or the model gave a unit, int64 (N,)."""
    given, judged = answers(units)
    given &= judged[:, None]
    said = (units.model.probs >= confidence) & judged[:, None]
    unit, label = np.nonzero(given | said)
    count = given.shape[1]
    row = np.where(given[unit, label], label, count)
    return unit, row, np.where(said[unit, label], label, count)
