"""Spans of text: people's against the model's."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import spans
from analysis.findings import NONE, Findings
from ml_backend.scoring.columns import Units
from ml_backend.scoring.drawn import DrawnScorer

__all__ = ["fit", "score"]


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


_SCORER: Final = DrawnScorer(
    "span",
    _tables,
    lambda people, model, count: spans.fit(people, model, num_classes=count),
    spans.Calibration.from_arrays,
    lambda people, model, count, trust: spans.find(
        people, model, num_classes=count, calibration=trust
    ),
    _overlap,
)
fit, score = _SCORER.fit, _SCORER.score
