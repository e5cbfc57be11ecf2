"""Boxes, polygons and masks: people's against the model's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis import detection
from analysis.findings import NONE, Findings
from analysis.geometry.matching import box_iou
from analysis.geometry.shapes import iou
from analysis.regions import Regions
from ml_backend.outlines import Outlines, boxes, shapes
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
    return detection.fit(people, model, num_classes=classes).to_arrays()


def score(units: Units, items: NDArray[np.int64], calibration: Calibration | None) -> Scored:
    """Score every unit; ``items`` int64 (R,) are the regions' places in their annotations.

    Raises:
        ValueError: when the calibration is not one.
    """
    people, model = _tables(units)
    trust = None if calibration is None else detection.Calibration.from_arrays(calibration)
    classes = len(units.table.control.labels)
    found = detection.find(people, model, num_classes=classes, calibration=trust)
    return Scored(
        detection.task_scores(found, np.arange(len(units))),
        found,
        region_reasons(units, found, "box", _overlap(people, model, found)),
        region_fixes(units, found, items),
    )


def _tables(units: Units) -> tuple[Regions, Regions]:
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
