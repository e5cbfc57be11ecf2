"""Which regions of the same task overlap, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import shapes
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
    """Intersection over union of boxes, row by row; 0 where the union has no area.

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
    clipped: NDArray[np.float32] = np.clip(iou, 0, 1).astype(np.float32)
    return clipped


def pair_blocks(first: Regions, second: Regions, least: float = 0.0) -> Iterator[Pairs]:
    """Yield the pairs of one task whose IoU is above ``least``, some rows of ``first`` at a time.

    Where both tables have shapes the IoU is theirs (``analysis.shapes.iou``), else the boxes'.
    Memory is bounded by the block and by the most crowded row, not by the square of the table.

    Args:
        first: F regions.
        second: S regions.
        least: IoU that a pair has to exceed, in [0, 1).

    Yields:
        Pairs in order of ``first``; all pairs of one row of ``first`` are in one block.
    """
    order, begin, count = _candidates(first, second)
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
                (mine[low].take(a) < theirs[high].take(b))
                & (theirs[low].take(b) < mine[high].take(a))
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


def _candidates(
    first: Regions, second: Regions
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Order of ``second`` and, per row of ``first``, the slice of it that may overlap."""
    order = np.argsort(second.task, kind="stable")
    tasks = second.task[order]
    begin = np.searchsorted(tasks, first.task, side="left")
    count = np.searchsorted(tasks, first.task, side="right") - begin
    if count.max(initial=0) <= _CROWDED:
        return order, begin, count
    return _narrowed(first, second)


def _narrowed(
    first: Regions, second: Regions
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """As ``_candidates``, less those that lie wholly to the left or right."""
    task = np.concatenate([first.task, second.task])
    ranks = np.unique(task, return_inverse=True)[1]
    mine, theirs = ranks[: len(first)], ranks[len(first) :]
    left, right = second.box[:, 0].astype(np.float64), second.box[:, 2].astype(np.float64)
    widest = np.zeros(ranks.max(initial=-1) + 1)
    np.maximum.at(widest, theirs, right - left)
    order = np.lexsort((left, theirs))
    begin = _rank(theirs[order], left[order], mine, first.box[:, 0] - widest[mine])
    end = _rank(theirs[order], left[order], mine, first.box[:, 2].astype(np.float64))
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
