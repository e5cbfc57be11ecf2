"""Columns of tasks through the scores of ``analysis``, and the findings back to tasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import classification, detection
from ml_backend.labelstudio.reader import TaskPage
from ml_backend.labelstudio.results import Labels, pixel_boxes
from ml_backend.labelstudio.suggestions import Fix
from ml_backend.prediction import ControlPredictions
from ml_backend.store import StoredLabels

__all__ = ["Calibration", "PageScores", "fit_calibration", "page_labels", "score_page"]

#: How many findings a reason names; the rest are in the suggestion.
_MOST_NAMED: Final = 3

_ACTIONS: Final = {
    "mislabelled": "relabel",
    "missing": "add",
    "spurious": "remove",
    "duplicate": "remove",
    "badly_drawn": "redraw",
}

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
        regions = labels.region[np.isin(labels.annotation, units)]
        score = _score_choices if table.control.tag == "Choices" else _score_boxes
        people = page_labels(page, table, labels)
        per_unit, findings = score(
            table, people, (np.cumsum(table.found) - 1)[task], calibration, regions
        )
        np.fmax.at(priority, task, per_unit)
        for unit, kind, said, fix in findings:
            one = _Finding(fix.certainty, kind, said, int(units[unit]), fix.fix)
            found[int(task[unit])].append(one)
    return _by_task(priority, found, threshold)
