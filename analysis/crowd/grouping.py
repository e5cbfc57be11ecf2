"""All pairs of rows that share a group, some at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.geometry import ragged

__all__ = ["pairs_within"]

#: Pairs that are made in one go: what bounds the memory.
_BLOCK: Final = 1 << 20


def pairs_within(
    group: NDArray[np.integer[Any]],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the pairs (i, j), i < j, of rows of one group, in order of i and j, block by block.

    Args:
        group: int (G,), sorted.

    Yields:
        int64 (B,) and int64 (B,), about a million at most beside the largest group; no block of
        no pairs.
    """
    rows = np.arange(len(group))
    after = np.searchsorted(group, group, side="right") - rows - 1
    ends = np.cumsum(after)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique(np.searchsorted(ends, np.arange(_BLOCK, total, _BLOCK)))
    for some in np.split(rows, cuts):
        row, second = ragged.expand(some + 1, after[some])
        if len(row):
            yield some[row], second
