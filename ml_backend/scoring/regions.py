"""Boxes, polygons and masks: people's against the model's."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import detection
from analysis.findings import NONE, Findings
from analysis.geometry.matching import box_iou
from analysis.geometry.shapes import iou
from analysis.regions import Regions
from ml_backend.outlines import Outlines, boxes, shapes
from ml_backend.scoring.columns import Units
from ml_backend.scoring.drawn import DrawnScorer

__all__ = ["fit", "score", "tables"]


def tables(units: Units) -> tuple[Regions, Regions]:
    """Return people's regions and the model's; their task is the unit."""
    geometry = units.table.control.geometry
    human, model = units.labels.outline, units.model
    # One table of both: either all are upright boxes, or both have shapes to compare.
    both = shapes(geometry, Outlines.concatenate([human, model.outline]))
    box = boxes(geometry, Outlines.concatenate([human, model.outline]))
    split = len(human)
    at = np.arange(len(box))
    mine, theirs = (None, None) if both is None else (both.take(at[:split]), both.take(at[split:]))
    return (
        Regions(units.unit, units.given, box[:split], None, mine),
        Regions(model.item, model.label, box[split:], model.score, theirs),
    )


def _overlap(people: Regions, model: Regions, found: Findings) -> NDArray[np.float32]:
    both = np.flatnonzero((found.annotation != NONE) & (found.prediction != NONE))
    about, against = found.annotation[both], found.prediction[both]
    overlap = np.zeros(len(found), dtype=np.float32)
    if people.shape is None or model.shape is None:
        overlap[both] = box_iou(people.box[about], model.box[against])
    else:
        overlap[both] = iou(people.shape, model.shape, about, against)
    return overlap


_SCORER: Final = DrawnScorer(
    "box",
    tables,
    lambda people, model, count: detection.fit(people, model, num_classes=count),
    detection.Calibration.from_arrays,
    lambda people, model, count, trust: detection.find(
        people, model, num_classes=count, calibration=trust
    ),
    _overlap,
)
fit, score = _SCORER.fit, _SCORER.score
