"""What of a plane a map shows: a few places that lie far out leave the others no room."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["framed"]

#: The share of places that may lie on the map's edge for lying far out.
_STRAYS: Final = 0.01
#: How much more than the others' extent the map shows.
_MARGIN: Final = 1.3


def framed(at: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Scale places into [-1, 1], both axes alike; strays come to lie on the edge.

    Args:
        at: float (2, N), NaN where a row has no place.

    Returns:
        float32 (2, N), in [-1, 1] or NaN.
    """
    low, most, least, high = np.nanquantile(at, [0, 1 - _STRAYS / 2, _STRAYS / 2, 1], axis=1)
    half = float((high - low).max()) / 2
    near = float((most - least).max()) / 2 * _MARGIN
    if near < half:
        low, high, half = least, most, near
    half = max(half, 1e-9)
    scaled = (at - ((low + high) / 2)[:, None]) / half
    return np.asarray(scaled.clip(-1, 1), dtype=np.float32)
