"""How well a project's labels and its model agree, class by class, out of the store's columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import evaluation
from analysis.evaluation import Evaluation
from analysis.rates import curves
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.scoring.choices import answers, classes
from ml_backend.scoring.columns import Units
from ml_backend.scoring.matched import as_regions
from ml_backend.storage.labels import StoredLabels

__all__ = ["Agreement", "agreed"]


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
    labels = labels.of(tasks[table.found])
    place = np.searchsorted(tasks[table.found], labels.task)
    units = Units.of(table, labels, place)
    count = len(table.control.labels)
    support = np.bincount(labels.label[labels.label >= 0], minlength=count)
    if table.control.geometry != "choice":
        people, model = as_regions(units)
        found = evaluation.regions(people, model, num_classes=count, iou=iou, confidence=confidence)
        return _of(found, support)
    if table.control.multiple:
        return _several(units, support, confidence)
    label, probs = classes(units)
    return _of(evaluation.classes(label, probs, confidence=confidence), support)


def _of(found: Evaluation, support: NDArray[np.int64]) -> Agreement:
    return Agreement(found.precision, found.recall, found.f1, found.ap, support, found.confusion)


def _several(units: Units, support: NDArray[np.int64], confidence: float) -> Agreement:
    """Each label is a question of its own: it is confused with nothing but its absence."""
    given, judged = answers(units)
    given, probs = given[judged].astype(np.bool_), units.model.probs[judged]
    said: NDArray[np.bool_] = probs >= confidence
    both, more, less = (
        column.sum(axis=0) for column in (said & given, said & ~given, given & ~said)
    )
    count = given.shape[1]
    table = np.zeros((count + 1, count + 1), dtype=np.int64)
    table[np.arange(count), np.arange(count)] = both
    table[count, :count], table[:count, count] = more, less
    ap: NDArray[Any] = np.array(
        [curves.ranking_precision(probs[:, k], given[:, k]) for k in range(count)]
    )
    precision, recall, f1 = curves.rates(both, more, less)
    return Agreement(precision, recall, f1, ap, support, table)
