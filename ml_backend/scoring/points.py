"""Key points: people's against the model's."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import keypoints
from analysis.findings import NONE, Findings
from ml_backend.outlines import Outlines
from ml_backend.scoring.columns import Units
from ml_backend.scoring.drawn import DrawnScorer

__all__ = ["fit", "score"]

#: Area of an object as a share of the box around its points, as COCO's tools take it; how many
#: times as long as wide it counts at most (points in a line have no width); and the least share
#: of the image that it counts as (one point alone has no size).
_FILLS: Final = 0.53
_LONGEST: Final = 2.0
_LEAST: Final = 0.01


def _tables(units: Units) -> tuple[keypoints.Keypoints, keypoints.Keypoints]:
    model = units.model
    least = _LEAST * model.size.astype(np.float64).prod(axis=1)
    return (
        _points(units.unit, units.given, units.labels.outline, None, least),
        _points(model.item, model.label, model.outline, model.score, least),
    )


def _points(
    unit: NDArray[np.int64],
    label: NDArray[np.int32],
    outline: Outlines,
    score: NDArray[np.float32] | None,
    least: NDArray[np.float64],
) -> keypoints.Keypoints:
    x, y, part = outline.table(3).T
    # Of two noses in one face, the second is another face's.
    places = np.stack([unit, part.astype(np.int64), label], axis=1)
    again = _repeats(places)
    instance = part.astype(np.int64) + np.where(label == NONE, 0, again * (1 + _most(part)))
    return keypoints.Keypoints(
        unit, instance, label, x, y, score, _areas(unit, instance, x, y, least)
    )


def _most(part: NDArray[np.float64]) -> int:
    return int(part.max(initial=0))


def _repeats(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each row stood before, int64 (R,)."""
    _, same = np.unique(rows, axis=0, return_inverse=True)
    order = np.argsort(same, kind="stable")
    begin = np.searchsorted(same[order], same[order], side="left")
    before = np.empty(len(rows), dtype=np.int64)
    before[order] = np.arange(len(rows)) - begin
    return before


def _areas(
    unit: NDArray[np.int64],
    instance: NDArray[np.int64],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    least: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Area of the object of each point, pixels squared, float32 (P,)."""
    _, of = np.unique(np.stack([unit, instance], axis=1), axis=0, return_inverse=True)
    side = np.stack([_extent(place, of) for place in (x, y)])
    side = np.maximum(side, side.max(axis=0) / _LONGEST)
    area = _FILLS * side.prod(axis=0)
    whole: NDArray[np.float32] = np.maximum(area[of], least[unit]).astype(np.float32)
    return whole


def _extent(place: NDArray[np.float64], of: NDArray[np.int64]) -> NDArray[np.float64]:
    low: NDArray[np.float64] = np.full(int(of.max(initial=-1)) + 1, np.inf)
    high: NDArray[np.float64] = -low
    np.minimum.at(low, of, place)
    np.maximum.at(high, of, place)
    return high - low


def _alike(
    people: keypoints.Keypoints, model: keypoints.Keypoints, found: Findings
) -> NDArray[np.float32]:
    """Similarity of the two points that a finding is about, 0 where there is but one."""
    both = np.flatnonzero((found.annotation != NONE) & (found.prediction != NONE))
    mine, theirs = found.annotation[both], found.prediction[both]
    alike = np.zeros(len(found), dtype=np.float32)
    if people.area is not None:
        alike[both] = keypoints.oks(
            np.stack([people.x[mine], people.y[mine]], axis=1)[:, None],
            np.stack([model.x[theirs], model.y[theirs]], axis=1)[:, None],
            people.area[mine],
            [keypoints.DEFAULT_SIGMA],
        )
    return alike


_SCORER: Final = DrawnScorer(
    "point",
    _tables,
    lambda people, model, count: keypoints.fit(people, model, joints=count),
    keypoints.Calibration.from_arrays,
    lambda people, model, count, trust: keypoints.find(
        people, model, joints=count, calibration=trust
    ),
    _alike,
)
fit, score = _SCORER.fit, _SCORER.score
