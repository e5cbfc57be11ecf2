"""Which regions of the same task overlap, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.geometry import shapes
from analysis.regions import Regions

__all__ = ["Pairs", "box_iou", "overlapping_pairs", "pair_blocks"]

#: Candidate pairs looked at in one go: what bounds the memory.
_BLOCK: Final = 1 << 20
#: A task with more boxes than this is worth narrowing by position first.
_CROWDED: Final = 128


@dataclass(frozen=True, slots=True)
class Pairs:
    """Overlapping regions of two tables, P pairs, in order of ``first``.

    Attributes:
        first: int64 (P,), row in the first table.
        second: int64 (P,), row in the second table.
        iou: float32 (P,), intersection over union, in (0, 1].
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    iou: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: NDArray[np.bool_]) -> Pairs:
        """Return the pairs that the mask keeps."""
        return Pairs(self.first[rows], self.second[rows], self.iou[rows])


def box_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes, row by row.

    Two boxes without area are one thing where they are equal, IoU 1, else two, IoU 0.

    Args:
        a: float32 (P, 4), x0 y0 x1 y1.
        b: float32 (P, 4), x0 y0 x1 y1.

    Returns:
        float32 (P,), in [0, 1].
    """
    across = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    down = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    shared = np.maximum(across, 0) * np.maximum(down, 0)
    union = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1]) - shared
    union += (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    iou = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    flat = np.flatnonzero(union <= 0)
    iou[flat] = (a[flat] == b[flat]).all(axis=1)
    clipped: NDArray[np.float32] = np.clip(iou, 0, 1).astype(np.float32)
    return clipped


def pair_blocks(first: Regions, second: Regions, least: float = 0.0) -> Iterator[Pairs]:
    """Yield the pairs of one task whose IoU is above ``least``, some rows of ``first`` at a time.

    Where both tables have shapes the IoU is theirs (``geometry.shapes.iou``), else the boxes'.
    Memory is bounded by the block and by the most crowded row, not by the square of the table.

    Args:
        first: F regions.
        second: S regions.
        least: IoU that a pair has to exceed, in [0, 1).

    Yields:
        Pairs in order of ``first``; all pairs of one row of ``first`` are in one block.
    """
    exact = first.shape is not None and second.shape is not None
    # Boxes that only touch have IoU 0, unless they are equal and have no area.
    touching = not exact and _has_flat(first) and _has_flat(second)
    before = np.less_equal if touching else np.less
    order, begin, count = _candidates(first, second, touching)
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique(np.searchsorted(ends, np.arange(_BLOCK, total, _BLOCK)))
    mine = np.ascontiguousarray(first.box.T)
    theirs = np.ascontiguousarray(second.box[order].T)
    for rows in np.split(np.arange(len(first)), cuts):
        some = count[rows]
        a = np.repeat(rows, some)
        b = np.arange(len(a)) + np.repeat(begin[rows] - np.cumsum(some) + some, some)
        for low, high in ((0, 2), (1, 3)):
            meet = np.flatnonzero(
                before(mine[low].take(a), theirs[high].take(b))
                & before(theirs[low].take(b), mine[high].take(a))
            )
            a, b = a.take(meet), b.take(meet)
        if first.shape is None or second.shape is None:
            iou = box_iou(mine[:, a].T, theirs[:, b].T)
        else:
            iou = shapes.iou(first.shape, second.shape, a, order[b], least)
        keep = np.flatnonzero(iou > least)
        yield Pairs(a[keep], order[b[keep]], iou[keep])


def overlapping_pairs(first: Regions, second: Regions, least: float = 0.0) -> Pairs:
    """Return all pairs of regions of one task whose IoU is above ``least``, at once.

    Args:
        first: F regions.
        second: S regions.
        least: IoU that a pair has to exceed, in [0, 1).
    """
    blocks = list(pair_blocks(first, second, least))
    return Pairs(
        np.concatenate([block.first for block in blocks]),
        np.concatenate([block.second for block in blocks]),
        np.concatenate([block.iou for block in blocks]),
    )


def _has_flat(regions: Regions) -> bool:
    x0, y0, x1, y1 = regions.box.T
    return bool(((x1 <= x0) | (y1 <= y0)).any())


def _candidates(
    first: Regions, second: Regions, touching: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Order of ``second`` and, per row of ``first``, the slice of it that may overlap."""
    order = np.argsort(second.task, kind="stable")
    tasks = second.task[order]
    begin = np.searchsorted(tasks, first.task, side="left")
    count = np.searchsorted(tasks, first.task, side="right") - begin
    if count.max(initial=0) <= _CROWDED:
        return order, begin, count
    return _narrowed(first, second, touching)


def _narrowed(
    first: Regions, second: Regions, touching: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """As ``_candidates``, less those wholly to the left or right, or above or below.

    Each task goes by the axis that leaves fewer: lines of text share their columns.
    """
    task = np.concatenate([first.task, second.task])
    ranks = np.unique(task, return_inverse=True)[1]
    mine, theirs = ranks[: len(first)], ranks[len(first) :]
    tasks = int(ranks.max(initial=-1)) + 1
    across, down = (
        _along(first.box[:, axis::2], second.box[:, axis::2], mine, theirs, tasks, touching)
        for axis in (0, 1)
    )
    fewer = np.bincount(mine, down[2], tasks) < np.bincount(mine, across[2], tasks)
    # Both orders have the tasks in the same places.
    return (
        np.where(fewer[theirs[across[0]]], down[0], across[0]),
        np.where(fewer[mine], down[1], across[1]),
        np.where(fewer[mine], down[2], across[2]),
    )


def _along(
    a: NDArray[np.float32],
    b: NDArray[np.float32],
    mine: NDArray[np.int64],
    theirs: NDArray[np.int64],
    tasks: int,
    touching: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """As ``_candidates``, less those wholly before or after on one axis, low and high (R, 2)."""
    low, high = b.astype(np.float64).T
    longest = np.zeros(tasks)
    np.maximum.at(longest, theirs, high - low)
    order = np.lexsort((low, theirs))
    begin = _rank(theirs[order], low[order], mine, a[:, 0] - longest[mine])
    stop = a[:, 1].astype(np.float64)
    end = _rank(theirs[order], low[order], mine, np.nextafter(stop, np.inf) if touching else stop)
    return order, begin, np.maximum(end - begin, 0)


def _rank(
    task: NDArray[np.int64],
    place: NDArray[np.float64],
    wanted: NDArray[np.int64],
    at: NDArray[np.float64],
) -> NDArray[np.int64]:
    """How many of the sorted (task, place) come before each (wanted, at)."""
    both = np.lexsort(
        (
            np.concatenate([np.ones(len(task)), np.zeros(len(wanted))]),
            np.concatenate([place, at]),
            np.concatenate([task, wanted]),
        )
    )
    known = both < len(task)
    before = np.cumsum(known)
    ranks = np.empty(len(wanted), dtype=np.int64)
    ranks[both[~known] - len(task)] = before[~known]
    return ranks
