"""Outlines as the review page draws them: rings of corners in pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from analysis.geometry.polygons import Polygons
from ml_backend.outlines import Geometry, Outlines

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
        return [_rings(outline[row]) for row in range(len(outline))]
    if geometry == "box":
        corners = Polygons.from_rotated(outline.table(5))
        cut, at = corners.offsets, corners.xy.astype(np.float64)
    else:
        cut, at = outline.offsets // 2, outline.table(2)
    return [[at[a:b].round(1).tolist()] for a, b in pairwise(cut.tolist())]


def _rings(numbers: NDArray[np.float64]) -> list[Any]:
    """The borders of one mask, holes among them."""
    height, width, *_ = numbers.astype(np.int64).tolist()
    runs = numbers[2:].astype(np.int64).reshape(-1, 2)
    # Runs go down the columns: begin and end of each are a step up and a step down.
    step = np.zeros(height * width + 1, dtype=np.int8)
    np.add.at(step, runs[:, 0], 1)
    np.add.at(step, runs[:, 1], -1)
    filled = np.cumsum(step[:-1], dtype=np.int8).astype(np.uint8).reshape(width, height).T
    found, _ = cv2.findContours(
        np.ascontiguousarray(filled), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    )
    return [ring[:, 0].tolist() for ring in found]
