"""Exact shapes of regions beside their boxes: polygons, rotated boxes and masks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from analysis.geometry import ragged
from analysis.geometry.masks import Masks, common_area
from analysis.geometry.polygons import Polygons

__all__ = ["Masks", "Polygons", "Shapes", "columns", "iou", "rasterise"]

#: Pixel columns rasterised in one go: what bounds the memory.
_BLOCK: Final = 1 << 20
#: Polygon pairs that a thread takes at a time.
_PAIRS: Final = 1 << 13
_THREADS: Final = 2
#: What float32 boxes may be off by, relative to the areas.
_ROUNDING: Final = 1e-5

#: What ``Regions.shape`` holds: all regions of a table are of one kind.
Shapes: TypeAlias = Polygons | Masks


def iou(
    first: Shapes,
    second: Shapes,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    least: float = 0.0,
) -> NDArray[np.float32]:
    """Return the exact IoU of pairs of shapes; 0 where the union has no area.

    Polygons are compared with polygons as they are, masks with masks pixel by pixel. A polygon
    beside a mask is rasterised on the mask's image first.

    Args:
        first: F shapes.
        second: S shapes.
        a: int64 (P,), rows of ``first``.
        b: int64 (P,), rows of ``second``.
        least: pairs whose boxes and areas rule out a larger IoU than this may be given 0.

    Returns:
        float32 (P,), in [0, 1].

    Raises:
        ValueError: naming the first pair of masks whose images differ in size.
    """
    if isinstance(first, Masks):
        if isinstance(second, Masks):
            return _mask_iou(first, second, a, b, least)
        size = first.size[a]
    elif isinstance(second, Masks):
        size = second.size[b]
    else:
        return _polygon_iou(first, second, a, b, least)
    result = np.empty(len(a), dtype=np.float32)
    for rows in ragged.blocks(columns(first, a) + columns(second, b), _BLOCK):
        mine = rasterise(first, a[rows], size[rows])
        theirs = rasterise(second, b[rows], size[rows])
        every = np.arange(len(mine))
        result[rows] = _mask_iou(mine, theirs, every, every)
    return result


def columns(shapes: Shapes, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Return about how many pixel columns each chosen shape spans, int64 (P,), at least 1."""
    box = shapes.boxes()
    across: NDArray[np.int64] = np.ceil(box[:, 2] - box[:, 0]).astype(np.int64) + 1
    spanned: NDArray[np.int64] = across[rows]
    return spanned


def rasterise(
    shapes: Shapes, rows: NDArray[np.integer[Any]], size: NDArray[np.integer[Any]]
) -> Masks:
    """Return the chosen shapes as masks: a pixel belongs to a polygon that covers its centre.

    A polygon that crosses itself covers what it winds around an odd number of times. Masks are
    returned as they are.

    Args:
        shapes: any.
        rows: int (P,).
        size: int (P, 2), height and width of each image; what lies outside is cut off.
    """
    if isinstance(shapes, Masks):
        return shapes.take(rows)
    wide = np.asarray(size, dtype=np.int64).reshape(-1, 2)
    region, column, y = _crossings(shapes.take(rows), wide[:, 1])
    tall = wide[:, 0] + 1
    cell = np.clip(np.ceil(y - 0.5), 0, wide[region, 0]).astype(np.int64)
    # One number a crossing: sorted, each region's columns follow one another from the top.
    stride = int((tall * wide[:, 1]).max(initial=0)) + 1
    place = np.sort(region * stride + column * tall[region] + cell).reshape(-1, 2)
    region = place[:, 0] // stride
    place -= (region * stride)[:, None]
    column = place[:, 0] // tall[region]
    return Masks.from_runs(region, place - column[:, None], wide)


def _crossings(
    polygons: Polygons, width: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Where outlines cross the middles of pixel columns: region, column and y."""
    corners = np.diff(polygons.offsets)
    region = np.repeat(np.arange(len(polygons)), corners)
    following = np.arange(1, len(polygons.xy) + 1)
    full = corners > 0
    following[polygons.offsets[1:][full] - 1] = polygons.offsets[:-1][full]
    start = polygons.xy.astype(np.float64)
    end = start[following]
    left = np.minimum(start[:, 0], end[:, 0])
    right = np.maximum(start[:, 0], end[:, 0])
    # Half open: a corner in the middle of a column counts for one of its two edges.
    low = np.clip(np.ceil(left - 0.5), 0, width[region]).astype(np.int64)
    high = np.clip(np.ceil(right - 0.5), 0, width[region]).astype(np.int64)
    edge, column = ragged.expand(low, high - low)
    along = (column + 0.5 - start[edge, 0]) / (end[edge, 0] - start[edge, 0])
    y = start[edge, 1] + along * (end[edge, 1] - start[edge, 1])
    return region[edge], column, y


def _polygon_iou(
    first: Polygons,
    second: Polygons,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    least: float,
) -> NDArray[np.float32]:
    mine, theirs = first.geometries(), second.geometries()
    area_a, area_b = shapely.area(mine)[a], shapely.area(theirs)[b]
    # A table beside itself: half of its pairs are often of a region with itself.
    itself = (a == b) & (first is second)
    shared = np.where(itself, area_a, 0.0)
    rows = np.flatnonzero(~itself & _reachable(first, second, a, b, area_a, area_b, least))

    def meet(some: NDArray[np.int64]) -> None:
        shared[some] = shapely.area(shapely.intersection(mine[a[some]], theirs[b[some]]))

    # GEOS lets go of the interpreter: two threads keep two cores busy.
    parts = np.split(rows, np.arange(_PAIRS, len(rows), _PAIRS))
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(meet, parts))
    return _ratio(shared, area_a + area_b - shared)


def _mask_iou(
    first: Masks,
    second: Masks,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    least: float = 0.0,
) -> NDArray[np.float32]:
    area_a, area_b = first.area()[a], second.area()[b]
    rows = np.flatnonzero(_reachable(first, second, a, b, area_a, area_b, least))
    shared = np.zeros(len(a), dtype=np.int64)
    shared[rows] = common_area(first, second, a[rows], b[rows])
    return _ratio(shared, area_a + area_b - shared)


def _reachable(
    first: Shapes,
    second: Shapes,
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    area_a: NDArray[Any],
    area_b: NDArray[Any],
    least: float,
) -> NDArray[np.bool_]:
    """Which pairs could have an IoU above ``least``, by their boxes and areas."""
    if least <= 0:
        return np.ones(len(a), dtype=np.bool_)
    mine, theirs = first.boxes().astype(np.float64)[a], second.boxes().astype(np.float64)[b]
    side = np.minimum(mine[:, 2:], theirs[:, 2:]) - np.maximum(mine[:, :2], theirs[:, :2])
    most = np.minimum(side.clip(min=0).prod(axis=1), np.minimum(area_a, area_b))
    possible: NDArray[np.bool_] = most * (1 + _ROUNDING) >= least * (area_a + area_b - most)
    return possible


def _ratio(shared: NDArray[Any], union: NDArray[Any]) -> NDArray[np.float32]:
    ratio = np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)
    return np.asarray(np.clip(ratio, 0, 1), dtype=np.float32)
