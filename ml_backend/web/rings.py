"""Outlines as the review page draws them: rings of corners in pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.geometry.polygons import Polygons
from ml_backend.outlines import Geometry, Outlines, masks

__all__ = ["drawable"]


def drawable(geometry: Geometry, outline: Outlines) -> list[Any]:
    """Return each region as JSON.

    Returns:
        rings ``[[[x, y], ...], ...]``, a point ``[x, y]``, a span ``[start, end]``, or None for a
        choice.
    """
    if geometry == "choice":
        return [None] * len(outline)
    if geometry == "span":
        return list(outline.table(2).astype(np.int64).tolist())
    if geometry == "point":
        return list(outline.table(3)[:, :2].round(1).tolist())
    if geometry == "mask":
        table = masks(outline)
        return [_rings(table.dense(row)) for row in range(len(table))]
    if geometry == "box":
        corners = Polygons.from_rotated(outline.table(5))
        cut, at = corners.offsets, corners.xy.astype(np.float64)
    else:
        cut, at = outline.offsets // 2, outline.table(2)
    return [[at[a:b].round(1).tolist()] for a, b in pairwise(cut.tolist())]


def _rings(mask: NDArray[np.bool_]) -> list[Any]:
    """The borders of one mask, holes among them."""
    filled = np.ascontiguousarray(mask, dtype=np.uint8)
    found, _ = cv2.findContours(filled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return [ring[:, 0].tolist() for ring in found]
