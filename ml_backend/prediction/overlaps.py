"""Second answers for one object: of regions of one label that overlap, the surest stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.geometry.matching import pair_blocks
from analysis.regions import Regions
from ml_backend.outlines import WITH_AREA, Geometry, Outlines, boxes, shapes

__all__ = ["surest"]


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
    stays: NDArray[np.bool_] = np.ones(len(item), dtype=np.bool_)
    if geometry not in WITH_AREA or len(item) < 2:
        return stays
    order = np.lexsort((-score, label, item))
    new = (np.diff(item[order]) != 0) | (np.diff(label[order]) != 0)
    group = np.append(0, np.cumsum(new))
    shape = shapes(geometry, outline.take(order))
    box = boxes(geometry, outline.take(order))
    ranked = Regions(group, np.zeros(len(order), dtype=np.int32), box, None, shape)
    # The surer come first, and so no later block has a say in what an earlier one has settled.
    for pairs in pair_blocks(ranked, ranked, threshold):
        later = pairs.second > pairs.first
        stays = _left(stays, pairs.first[later], pairs.second[later])
    left = np.empty_like(stays)
    left[order] = stays
    return left


def _left(
    before: NDArray[np.bool_], surer: NDArray[np.int64], other: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Leave out what a surer region that stays overlaps."""
    stays = before
    # Each round settles at least the next surest of each heap; most heaps need two.
    while True:
        now = before.copy()
        now[other[stays[surer]]] = False
        if (now == stays).all():
            return stays
        stays = now
