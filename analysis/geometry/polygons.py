"""Closed outlines and rotated boxes as flat columns of corners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from analysis.geometry import ragged

__all__ = ["Polygons"]


#: An outline so many times longer than its box is wide and high crosses itself without end.
_SCRIBBLE: Final = 50.0


@dataclass(frozen=True, slots=True)
class Polygons:
    """Closed outlines, R regions of one ring each with V_r corners.

    A ring that crosses itself covers what it winds around, and a scribble (an outline 50 times
    longer than its box is wide and high) its convex hull; one of fewer than three corners covers
    nothing. Regions of several parts or with holes are ``Masks``.

    Attributes:
        offsets: int64 (R + 1,), the corners of region r are rows ``offsets[r]:offsets[r + 1]``.
        xy: float32 (V, 2), pixels; the last corner is joined to the first.

    Raises:
        ValueError: naming the column and the first region that is wrong.
    """

    offsets: NDArray[np.int64]
    xy: NDArray[np.float32]

    def __post_init__(self) -> None:
        offsets = np.ascontiguousarray(self.offsets, dtype=np.int64)
        xy = np.ascontiguousarray(self.xy, dtype=np.float32).reshape(-1, 2)
        ragged.check_offsets("Polygons.offsets", offsets, len(xy))
        bad = ~np.isfinite(xy).all(axis=1)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            region = int(np.searchsorted(offsets, at, side="right")) - 1
            raise ValueError(f"Polygons.xy row {at} (region {region}) is {xy[at].tolist()}")
        object.__setattr__(self, "offsets", offsets)
        object.__setattr__(self, "xy", xy)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Polygons:
        """Return the chosen regions (an index or a mask), in that order."""
        offsets, place = ragged.select(self.offsets, rows)
        return Polygons(offsets, self.xy[place])

    def area(self) -> NDArray[np.float64]:
        """Return the area of each region, float64 (R,), square pixels."""
        return np.asarray(shapely.area(self.geometries()))

    def boxes(self) -> NDArray[np.float32]:
        """Return the boxes around them, float32 (R, 4), x0 y0 x1 y1; zeros without a corner."""
        box = np.zeros((len(self), 4), dtype=np.float32)
        full = np.flatnonzero(np.diff(self.offsets))
        if len(full):
            at = self.offsets[full]
            box[full, :2] = np.minimum.reduceat(self.xy, at)
            box[full, 2:] = np.maximum.reduceat(self.xy, at)
        return box

    def fitted(self, boxes: NDArray[np.floating[Any]]) -> Polygons:
        """Return them moved and stretched until these are the boxes around them.

        Args:
            boxes: float (R, 4), x0 y0 x1 y1; an outline without width or height is moved alone.
        """
        region = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        old, new = self.boxes()[region], boxes[region]
        side = old[:, 2:] - old[:, :2]
        share = (self.xy - old[:, :2]) / np.where(side > 0, side, 1)
        xy = new[:, :2] + share * (new[:, 2:] - new[:, :2])
        return Polygons(self.offsets, xy.astype(np.float32))

    def geometries(self) -> NDArray[np.object_]:
        """Return them as shapely geometries, (R,), each valid, empty where it covers nothing."""
        rings = np.full(len(self), shapely.Polygon(), dtype=object)
        corners = np.diff(self.offsets)
        drawn = np.flatnonzero(corners >= 3)
        if not len(drawn):
            return rings
        _, place = ragged.expand(self.offsets[drawn], corners[drawn])
        index = np.repeat(np.arange(len(drawn)), corners[drawn])
        made = shapely.polygons(
            shapely.linearrings(self.xy[place].astype(np.float64), indices=index)
        )
        scribbled = shapely.length(made) > _SCRIBBLE * _extent(made)
        made[scribbled] = shapely.convex_hull(made[scribbled])
        crossed = ~shapely.is_valid(made)
        made[crossed] = shapely.make_valid(made[crossed], method="structure", keep_collapsed=False)
        rings[drawn] = made
        return rings

    @classmethod
    def from_lists(cls, corners: Sequence[NDArray[Any] | Sequence[Sequence[float]]]) -> Polygons:
        """Build from one (V_r, 2) array or list of corners per region."""
        parts = [np.asarray(part, dtype=np.float32).reshape(-1, 2) for part in corners]
        return cls(
            ragged.starts(np.array([len(part) for part in parts], dtype=np.int64)),
            np.concatenate(parts) if parts else np.empty((0, 2), dtype=np.float32),
        )

    @classmethod
    def from_rotated(cls, boxes: NDArray[np.floating[Any]]) -> Polygons:
        """Build from rotated boxes as Label Studio keeps them, once in pixels.

        Label Studio counts in per cent of the image's width and height: a box must be turned in
        pixels, for there a right angle stays one.

        Args:
            boxes: float (R, 5), x, y, width, height and angle: x and y of the top left corner,
                about which the box is turned clockwise, as seen, by ``angle`` degrees.
        """
        x, y, width, height, angle = _columns(boxes)
        return cls._turned(x, y, width, height, np.deg2rad(angle), corner=True)

    @classmethod
    def from_xywhr(cls, boxes: NDArray[np.floating[Any]]) -> Polygons:
        """Build from rotated boxes in the form of Ultralytics' ``xywhr``.

        Args:
            boxes: float (R, 5), x and y of the centre, width, height, pixels, and the angle in
                radians, clockwise as seen (y grows downwards).
        """
        return cls._turned(*_columns(boxes), corner=False)

    @classmethod
    def _turned(
        cls,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        width: NDArray[np.float64],
        height: NDArray[np.float64],
        radians: NDArray[np.float64],
        *,
        corner: bool,
    ) -> Polygons:
        bad = ~((width >= 0) & (height >= 0))
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"boxes row {row} is {width[row]} wide and {height[row]} high, expected 0 or more"
            )
        low, high = (0.0, 1.0) if corner else (-0.5, 0.5)
        across = np.array([low, high, high, low]) * width[:, None]
        down = np.array([low, low, high, high]) * height[:, None]
        cos, sin = np.cos(radians)[:, None], np.sin(radians)[:, None]
        xy = np.stack(
            [x[:, None] + across * cos - down * sin, y[:, None] + across * sin + down * cos],
            axis=2,
        )
        return cls(np.arange(len(x) + 1) * 4, xy.reshape(-1, 2).astype(np.float32))


def _extent(geometries: NDArray[np.object_]) -> NDArray[np.float64]:
    """Width and height of each together, float64 (R,)."""
    x0, y0, x1, y1 = shapely.bounds(geometries).T
    extent: NDArray[np.float64] = (x1 - x0) + (y1 - y0)
    return extent


def _columns(boxes: NDArray[np.floating[Any]]) -> list[NDArray[np.float64]]:
    table = np.asarray(boxes, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 5:
        raise ValueError(f"boxes have shape {table.shape}, expected (R, 5)")
    return list(table.T)
