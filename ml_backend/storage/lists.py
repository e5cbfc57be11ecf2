"""Arrow's columns of lists, as NumPy has them: all values in a row, and where each list begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["as_lists", "lengths", "values"]


def as_lists(starts: NDArray[np.int64], values: NDArray[Any]) -> pa.Array:
    """Return a column of N lists.

    Args:
        starts: int64 (N + 1,), where each list begins among the values, and where the last ends.
        values: of all lists.
    """
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), pa.array(values))


def lengths(column: pa.Array | pa.ChunkedArray) -> NDArray[np.int64]:
    """Return how many values each list has, int64 (N,)."""
    return np.asarray(pc.list_value_length(column), dtype=np.int64)


def values(column: pa.Array | pa.ChunkedArray, dtype: type[np.generic]) -> NDArray[Any]:
    """Return the values of all lists, one list after the other."""
    return np.asarray(pc.list_flatten(column), dtype=dtype)
