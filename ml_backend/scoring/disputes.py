"""What the annotators of one task disagree on: whatever the model says of it, one of them errs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis import region_agreement
from analysis.crowd.sheets import Sheets
from analysis.findings import Findings
from analysis.regions import Regions
from ml_backend.scoring.between import REACH, places
from ml_backend.scoring.columns import Scored, Units

__all__ = ["disputes"]


def disputes(units: Units, task: NDArray[np.int64]) -> Scored:
    """Find what some annotators of a task gave and others did not; no model says who is right.

    Args:
        units: current annotations.
        task: int64 (U,), the task of each.
    """
    nothing = np.full(len(units), np.nan, dtype=np.float32)
    _, place, many = np.unique(task, return_inverse=True, return_counts=True)
    several = np.flatnonzero(many[place] > 1)
    if not len(several):
        return Scored(nothing, Findings(), [], [])
    labels, control = units.labels, units.table.control
    rows = np.flatnonzero(np.isin(units.unit, several))
    unit = units.unit[rows]
    reach = units.model.size[unit] * (REACH / 100)
    label, outline = labels.label[rows], labels.outline.take(rows)
    regions = Regions(task[unit], label, places(control, label, outline, reach))
    sheets = Sheets.of(regions.task, unit, (task[several], several))
    pairs = region_agreement.box_pairs(regions, sheets, same_label=True)
    found, made, looked = region_agreement.disputed(sheets, pairs)
    names = [*control.labels, "?"]
    said = [
        f"annotators disagree: {names[name]}, given by {some} of {everyone}"
        for name, some, everyone in zip(
            label[found.annotation].tolist(), made.tolist(), looked.tolist(), strict=True
        )
    ]
    about = unit[found.annotation]
    np.fmax.at(nothing, about, found.score)
    of_units = Findings(
        about, found.kind, rows[found.annotation], found.prediction, found.score, found.label
    )
    return Scored(nothing, of_units, said, [None] * len(said))
