"""How well outlines agree: the part of an IoU that a large object's inside cannot hide."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from analysis.geometry import ragged
from analysis.geometry.masks import Masks, common_area
from analysis.geometry.matching import Pairs, overlapping_pairs
from analysis.geometry.shapes import Shapes, columns, rasterise
from analysis.regions import Regions

__all__ = ["boundary_iou", "boundary_scores", "erode"]

#: Width of the boundary as a share of the image's diagonal (Cheng et al., CVPR 2021).
_RATIO: Final = 0.02
#: Runs eroded in one go: what bounds the memory.
_BLOCK: Final = 1 << 18
#: Regions that overlap this much are about the same object.
_SAME_OBJECT: Final = 0.5
#: Boundary IoU that people and models usually reach, and its weight in matched regions.
_PRIOR_USUAL: Final = 0.7
_PRIOR: Final = 10.0


def boundary_iou(
    first: Shapes,
    second: Shapes,
    pairs: Pairs,
    *,
    size: NDArray[np.integer[Any]] | None = None,
    ratio: float = _RATIO,
) -> NDArray[np.float32]:
    """Return the boundary IoU of pairs of shapes (Cheng et al., CVPR 2021).

    The IoU of what lies inside each shape within d pixels of its outline or of the image's
    border, d being ``ratio`` of the image's diagonal, rounded, at least 1; distances as by the
    authors' 3 x 3 erosion. Polygons are rasterised first.

    Args:
        first: F shapes.
        second: S shapes on images of the same size.
        pairs: which to compare.
        size: int (2,) or (P, 2), height and width of each pair's image; needed where both are
            polygons, else the masks' own is taken.
        ratio: width of the boundary, in (0, 1].

    Returns:
        float32 (P,), in [0, 1]; 0 where both are empty.

    Raises:
        ValueError: when the size is unknown or differs within a pair.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio is {ratio}, expected 0 to 1")
    sizes = _sizes(first, second, pairs, size)
    result = np.zeros(len(pairs), dtype=np.float32)
    for rows in ragged.blocks(columns(first, pairs.first) + columns(second, pairs.second), _BLOCK):
        a = rasterise(first, pairs.first[rows], sizes[rows])
        b = rasterise(second, pairs.second[rows], sizes[rows])
        result[rows] = _boundary_iou(a, b, ratio)
    return result


def boundary_scores(
    annotations: Regions,
    predictions: Regions,
    *,
    size: NDArray[np.integer[Any]] | None = None,
    ratio: float = _RATIO,
    usual: float | None = None,
) -> NDArray[np.float32]:
    """Return how likely each annotation's outline is badly drawn.

    Each annotation is held against the prediction of its class over it (IoU of 0.5 or more) with
    the largest confidence times IoU. The score is that confidence times how far the boundary IoU
    falls short of the usual one, as a share of it: confidence * max(0, 1 - boundary IoU / usual).

    Args:
        annotations: human regions with shapes.
        predictions: the model's regions with shapes and scores.
        size: int (2,) or (A, 2), height and width of each annotation's image; see
            ``boundary_iou``.
        ratio: width of the boundary, as a share of the image's diagonal.
        usual: boundary IoU of a well drawn region; None takes the median of these very pairs,
            drawn towards 0.7 while they are few.

    Returns:
        float32 (A,), in [0, 1], higher is more likely badly drawn; 0 where nothing speaks.

    Raises:
        ValueError: when shapes or scores are missing, or see ``boundary_iou``.
    """
    if annotations.shape is None or predictions.shape is None:
        raise ValueError("annotations.shape or predictions.shape is None, expected shapes")
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per region")
    pairs = overlapping_pairs(annotations, predictions)
    alike = annotations.label[pairs.first] == predictions.label[pairs.second]
    alike &= (annotations.label[pairs.first] != NONE) & (pairs.iou >= _SAME_OBJECT)
    pairs = pairs.take(alike)
    weight = predictions.score[pairs.second] * pairs.iou
    order = np.lexsort((-weight, pairs.first))
    chosen = order[np.unique(pairs.first[order], return_index=True)[1]]
    best = Pairs(pairs.first[chosen], pairs.second[chosen], pairs.iou[chosen])
    if size is not None and np.ndim(size) == 2:
        size = size[best.first]
    reached = boundary_iou(annotations.shape, predictions.shape, best, size=size, ratio=ratio)
    if usual is None:
        middle = float(np.median(reached)) if len(reached) else _PRIOR_USUAL
        usual = (len(reached) * middle + _PRIOR * _PRIOR_USUAL) / (len(reached) + _PRIOR)
    score = np.zeros(len(annotations), dtype=np.float32)
    short = np.clip(1 - reached / usual, 0, 1)
    score[best.first] = predictions.score[best.second] * short
    return score


def _sizes(
    first: Shapes, second: Shapes, pairs: Pairs, size: NDArray[np.integer[Any]] | None
) -> NDArray[np.int64]:
    if isinstance(first, Masks):
        return np.asarray(first.size[pairs.first], dtype=np.int64)
    if isinstance(second, Masks):
        return np.asarray(second.size[pairs.second], dtype=np.int64)
    if size is None:
        raise ValueError("size is None, expected the images' height and width for polygons")
    wide = np.broadcast_to(np.asarray(size, dtype=np.int64), (len(pairs), 2))
    if (wide <= 0).any():
        row = int(np.flatnonzero((wide <= 0).any(axis=1))[0])
        raise ValueError(f"size row {row} is {wide[row].tolist()}, expected pixels above 0")
    return wide


def _boundary_iou(a: Masks, b: Masks, ratio: float) -> NDArray[np.float32]:
    distance = np.rint(ratio * np.hypot(a.size[:, 0], a.size[:, 1])).clip(min=1).astype(np.int64)
    inner_a, inner_b = erode(a, distance), erode(b, distance)
    rows = np.arange(len(a))
    shared = common_area(a, b, rows, rows) + common_area(inner_a, inner_b, rows, rows)
    shared -= common_area(inner_a, b, rows, rows) + common_area(a, inner_b, rows, rows)
    union = a.area() - inner_a.area() + b.area() - inner_b.area() - shared
    iou = np.zeros(len(a), dtype=np.float32)
    np.divide(shared, union, out=iou, where=union > 0, casting="same_kind")
    return iou


def erode(masks: Masks, distance: NDArray[np.integer[Any]]) -> Masks:
    """Take away every pixel that is within ``distance`` of the background or the image's border.

    Distance is the larger of the steps across and down, as of a square structuring element.

    Args:
        masks: R regions.
        distance: int (R,), pixels, not negative.
    """
    if not len(masks):
        return masks
    spans = columns(masks, np.arange(len(masks)))
    parts = [
        _eroded(masks.take(np.arange(rows.start, rows.stop)), np.asarray(distance)[rows])
        for rows in ragged.blocks(np.diff(masks.offsets) + spans, _BLOCK)
    ]
    row = [part.row for part in parts]
    shift = np.cumsum([0, *(len(part) for part in parts)])
    return Masks.from_runs(
        np.concatenate([rows + by for rows, by in zip(row, shift[:-1].tolist(), strict=True)]),
        np.concatenate([part.runs for part in parts]),
        masks.size,
    )


def _eroded(masks: Masks, distance: NDArray[np.int64]) -> Masks:
    height = masks.size[:, 0].astype(np.int64)
    row, runs = _by_column(masks)
    runs = runs + np.stack([distance[row], -distance[row]], axis=1)
    filled = runs[:, 1] > runs[:, 0]
    row, runs = row[filled], runs[filled]
    # Twice the largest image between regions: a shifted run never reaches another region's.
    stride = 2 * int(masks.size.astype(np.int64).prod(axis=1).max(initial=0)) + 1
    wanted = 2 * distance.astype(np.int64) + 1
    reach = np.ones(len(masks), dtype=np.int64)
    while (reach < wanted).any():
        # Columns x to x + reach - 1 are all foreground; joined with those further on, twice that.
        step = np.minimum(reach, wanted - reach)
        moved = runs - (step * height)[row][:, None]
        row, runs = _meet(row, runs, moved, stride)
        reach += step
    return Masks.from_runs(row, runs + (distance * height)[row][:, None], masks.size)


def _by_column(masks: Masks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same runs, cut where a column ends."""
    height = masks.size[:, 0].astype(np.int64)[masks.row]
    first = masks.runs[:, 0] // height
    run, column = ragged.expand(first, (masks.runs[:, 1] - 1) // height - first + 1)
    tall = height[run]
    cut = np.stack(
        [
            np.maximum(masks.runs[run, 0], column * tall),
            np.minimum(masks.runs[run, 1], (column + 1) * tall),
        ],
        axis=1,
    )
    return masks.row[run], cut


def _meet(
    row: NDArray[np.int64], runs: NDArray[np.int64], moved: NDArray[np.int64], stride: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What two tables of runs of the same regions share."""
    base = (row * stride)[:, None]
    mine, theirs = runs + base, moved + base
    low = np.searchsorted(theirs[:, 1], mine[:, 0], side="right")
    high = np.searchsorted(theirs[:, 0], mine[:, 1], side="left")
    a, b = ragged.expand(low, np.maximum(high - low, 0))
    met = np.stack(
        [np.maximum(mine[a, 0], theirs[b, 0]), np.minimum(mine[a, 1], theirs[b, 1])], axis=1
    )
    return row[a], met - base[a]
