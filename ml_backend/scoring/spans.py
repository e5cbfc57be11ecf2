"""Spans of text: people's against the model's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis import detection, spans
from analysis.findings import NONE, Findings
from ml_backend.scoring.columns import (
    Calibration,
    Scored,
    Units,
    region_fixes,
    region_reasons,
)

__all__ = ["fit", "score"]


def fit(units: Units) -> Calibration:
    """Learn from a whole project how far its model can be trusted."""
    people, model = _tables(units)
    classes = len(units.table.control.labels)
    return spans.fit(people, model, num_classes=classes).to_arrays()


def score(units: Units, items: NDArray[np.int64], calibration: Calibration | None) -> Scored:
    """Score every unit; ``items`` int64 (R,) are the regions' places in their annotations.

    Raises:
        ValueError: when the calibration is not one.
    """
    people, model = _tables(units)
    trust = None if calibration is None else spans.Calibration.from_arrays(calibration)
    classes = len(units.table.control.labels)
    found = spans.find(people, model, num_classes=classes, calibration=trust)
    return Scored(
        detection.task_scores(found, np.arange(len(units))),
        found,
        region_reasons(units, found, "span", _overlap(people, model, found)),
        region_fixes(units, found, items),
    )


def _tables(units: Units) -> tuple[spans.Spans, spans.Spans]:
    said = units.model
    human, model = (
        table.table(2).astype(np.int64).T for table in (units.labels.outline, said.outline)
    )
    return (
        spans.Spans(units.unit, human[0], human[1], units.given),
        spans.Spans(said.item, model[0], model[1], said.label, said.score),
    )


def _overlap(people: spans.Spans, model: spans.Spans, found: Findings) -> NDArray[np.float32]:
    """Characters that both cover as a share of those that either does."""
    both = np.flatnonzero((found.annotation != NONE) & (found.prediction != NONE))
    about, against = found.annotation[both], found.prediction[both]
    first = np.maximum(people.start[about], model.start[against])
    last = np.minimum(people.end[about], model.end[against])
    shared = np.maximum(last - first, 0)
    length = people.end[about] - people.start[about] + model.end[against] - model.start[against]
    overlap = np.zeros(len(found), dtype=np.float32)
    overlap[both] = shared / (length - shared)
    return overlap
