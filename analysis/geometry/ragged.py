"""Rows of unequal length in flat columns: where each row's entries lie."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["blocks", "check_offsets", "expand", "select", "starts"]


def starts(counts: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the offsets, int64 (R + 1,), of rows with so many entries each."""
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def expand(
    begin: NDArray[np.integer[Any]], counts: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every entry's row and place, for rows that begin at ``begin``.

    Args:
        begin: int (R,), place of each row's first entry.
        counts: int (R,), entries of each row, not negative.

    Returns:
        int64 (N,) and int64 (N,), N the sum of ``counts``; rows in order.
    """
    row = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(row)) + np.repeat(begin - starts(counts)[:-1], counts)
    return row, place.astype(np.int64, copy=False)


def select(
    offsets: NDArray[np.int64], rows: NDArray[np.integer[Any]] | NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the chosen rows' offsets and the places of their entries, in that order."""
    index = np.arange(len(offsets) - 1)[rows]
    counts = np.diff(offsets)[index]
    return starts(counts), expand(offsets[index], counts)[1]


def blocks(counts: NDArray[np.integer[Any]], size: int) -> Iterator[slice]:
    """Yield slices of rows that hold about ``size`` entries, one row at least."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique(np.searchsorted(ends, np.arange(size, total, size)) + 1)
    edges = [0, *cuts[cuts < len(counts)].tolist(), len(counts)]
    for low, high in itertools.pairwise(edges):
        yield slice(low, high)


def check_offsets(name: str, offsets: NDArray[np.int64], entries: int) -> None:
    """Refuse offsets that do not cut ``entries`` entries into rows.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or offsets[-1] != entries:
        raise ValueError(f"{name} must run from 0 to {entries}, one more than there are regions")
    back = np.diff(offsets) < 0
    if back.any():
        row = int(np.flatnonzero(back)[0])
        raise ValueError(f"{name} row {row} ends at {offsets[row + 1]}, before its begin")
