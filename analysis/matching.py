"""Which boxes of the same task overlap, and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.regions import Regions

__all__ = ["Pairs", "box_iou", "overlapping_pairs"]

_BLOCK = 1 << 21


@dataclass(frozen=True, slots=True)
class Pairs:
    """Overlapping boxes of two tables, P pairs.

    Attributes:
        first: int64 (P,), row in the first table.
        second: int64 (P,), row in the second table.
        iou: float32 (P,), intersection over union, in (0, 1].
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    iou: NDArray[np.float32]

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


def overlapping_pairs(first: Regions, second: Regions, least: float = 0.0) -> Pairs:
    """Return all pairs of boxes of the same task whose IoU is above ``least``.

    Memory is bounded by the largest task, not by the square of the table.
    """
    order = np.argsort(second.task, kind="stable")
    tasks = second.task[order]
    begin = np.searchsorted(tasks, first.task, side="left")
    count = np.searchsorted(tasks, first.task, side="right") - begin
    ends = np.cumsum(count)
    cuts = np.searchsorted(ends, np.arange(_BLOCK, int(ends[-1]) if len(ends) else 0, _BLOCK))
    parts = []
    for rows in np.split(np.arange(len(first)), np.unique(cuts)):
        a = np.repeat(rows, count[rows])
        step = np.arange(len(a)) - np.repeat(np.cumsum(count[rows]) - count[rows], count[rows])
        b = order[np.repeat(begin[rows], count[rows]) + step]
        iou = box_iou(first.box[a], second.box[b])
        keep = iou > least
        parts.append(Pairs(a[keep], b[keep], iou[keep]))
    return Pairs(
        np.concatenate([part.first for part in parts]).astype(np.int64),
        np.concatenate([part.second for part in parts]).astype(np.int64),
        np.concatenate([part.iou for part in parts]).astype(np.float32),
    )
