"""Second answers for one object: of regions of one label that overlap, the surest stays."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.geometry import ragged
from analysis.geometry.matching import box_iou
from analysis.geometry.shapes import iou
from ml_backend.outlines import Geometry, Outlines, boxes, shapes

__all__ = ["surest"]

#: Geometries with an area; points and spans of one label may well lie close.
_WITH_AREA: Final = ("box", "polygon", "mask")


def surest(
    geometry: Geometry,
    item: NDArray[np.int64],
    label: NDArray[np.int32],
    score: NDArray[np.float32],
    outline: Outlines,
    threshold: float,
) -> NDArray[np.bool_]:
    """Return which of R regions stay, bool (R,).

    A region goes where a surer one that stays, of the same input and label, overlaps it by more
    than the threshold.

    Args:
        geometry: what the regions are made of.
        item: int64 (R,), the input that each lies in.
        label: int32 (R,).
        score: float32 (R,).
        outline: the regions.
        threshold: IoU in [0, 1].
    """
    stays = np.ones(len(item), dtype=np.bool_)
    if geometry not in _WITH_AREA or len(item) < 2:
        return stays
    surer, other = _pairs(item, label, score)
    shape = shapes(geometry, outline)
    box = boxes(geometry, outline)
    close = np.flatnonzero(box_iou(box[surer], box[other]) > 0)
    surer, other = surer[close], other[close]
    overlap = box_iou(box[surer], box[other]) if shape is None else iou(shape, shape, surer, other)
    surer, other = surer[overlap > threshold], other[overlap > threshold]
    # Each round settles at least the next surest of each heap; most heaps need two.
    while True:
        now = np.ones(len(item), dtype=np.bool_)
        now[other[stays[surer]]] = False
        if (now == stays).all():
            return stays
        stays = now


def _pairs(
    item: NDArray[np.int64], label: NDArray[np.int32], score: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of one input and label, the surer region first."""
    order = np.lexsort((-score, label, item))
    new = (np.diff(item[order]) != 0) | (np.diff(label[order]) != 0)
    group = np.append(0, np.cumsum(new))
    end = np.searchsorted(group, group, side="right")
    place = np.arange(len(order))
    first, second = ragged.expand(place + 1, end - place - 1)
    return order[first], order[second]
