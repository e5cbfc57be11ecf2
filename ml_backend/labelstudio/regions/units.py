"""Between Label Studio's per cent of the image and pixels, for all regions at once."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.geometry.masks import Masks
from ml_backend.outlines import Geometry, Outlines, masks

__all__ = ["to_percent", "to_pixels"]

#: Numbers of a region that are lengths, x and y in turn; the others are angles or counts.
_LENGTHS: Final = {"box": 4, "point": 2}
_WIDTH: Final = {"box": 5, "point": 3}
#: Masks of another size are scaled where the sides' ratio differs by no more than this.
_SKEW: Final = 0.01


def to_pixels(geometry: Geometry, outline: Outlines, size: NDArray[np.int32]) -> Outlines:
    """Turn regions as Label Studio keeps them into pixels.

    Masks are in pixels already, of the image that the annotator saw. Where that has another size
    it is scaled, each pixel taking the value of the nearest; where it has another shape the
    mask cannot be placed and comes back without foreground. Spans and choices stay as they are.

    Args:
        geometry: what the regions are.
        outline: R regions, lengths in per cent.
        size: int32 (R, 2), width and height of each region's image, pixels.
    """
    if geometry == "mask":
        return _fitted(outline, size)
    return _scaled(geometry, outline, size.reshape(-1, 2) / 100)


def to_percent(geometry: Geometry, outline: Outlines, size: NDArray[np.int32]) -> Outlines:
    """Turn regions in pixels into what Label Studio keeps, the inverse of ``to_pixels``."""
    if geometry == "mask":
        return _fitted(outline, size)
    return _scaled(geometry, outline, 100 / np.maximum(size.reshape(-1, 2), 1))


def _scaled(geometry: Geometry, outline: Outlines, scale: NDArray[np.float64]) -> Outlines:
    if geometry == "polygon":
        corners = np.diff(outline.offsets) // 2
        xy = outline.table(2) * np.repeat(scale, corners, axis=0)
        return Outlines(outline.offsets, xy.reshape(-1))
    if geometry not in _LENGTHS:
        return outline
    table = outline.table(_WIDTH[geometry]).copy()
    lengths = _LENGTHS[geometry]
    table[:, :lengths] *= np.tile(scale, lengths // 2)
    return Outlines.of_table(table)


def _fitted(outline: Outlines, size: NDArray[np.int32]) -> Outlines:
    wanted = size.reshape(-1, 2)[:, ::-1]
    stated = outline.values[outline.offsets[:-1][:, None] + np.arange(2)].astype(np.int32)
    other = np.flatnonzero((stated != wanted).any(axis=1))
    if not len(other):
        return outline
    fitted = _resized(masks(outline.take(other)), wanted[other])
    order = np.arange(len(outline))
    order[other] = len(outline) + np.arange(len(other))
    return Outlines.concatenate([outline, fitted]).take(order)


def _resized(table: Masks, size: NDArray[np.int32]) -> Outlines:
    # One after the other: as images they are large.
    each = [
        Outlines.of_masks(Masks.from_dense([_nearest(table, row, *wanted)]))
        for row, wanted in enumerate(size.tolist())
    ]
    return Outlines.concatenate(each)


def _nearest(table: Masks, row: int, height: int, width: int) -> NDArray[np.bool_]:
    tall, wide = table.size[row].tolist()
    skew = abs(wide * height - width * tall)
    if skew > _SKEW * max(wide * height, width * tall):
        return np.zeros((height, width), dtype=np.bool_)
    across = (2 * np.arange(width) + 1) * wide // (2 * width)
    down = (2 * np.arange(height) + 1) * tall // (2 * height)
    scaled: NDArray[np.bool_] = table.dense(row)[np.ix_(down, across)]
    return scaled
