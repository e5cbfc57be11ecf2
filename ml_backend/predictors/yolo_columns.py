"""Ultralytics' results as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.outlines import Geometry, Outlines
from ml_backend.predictors.base import SCORE_FLOOR, Predictions

__all__ = ["Found", "gather", "read", "turned"]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in one image: R regions, or K class probabilities.

    Attributes:
        label: int32 (R,).
        score: float32 (R,).
        outline: R regions.
        probs: float32 (K,); K is 0 for regions.
    """

    label: NDArray[np.int32]
    score: NDArray[np.float32]
    outline: Outlines
    probs: NDArray[np.float32]


def read(result: Any, geometry: Geometry) -> Found:
    """Read one image's ``ultralytics.engine.results.Results`` in one of its geometries.

    Regions whose numbers are not finite are left out.
    """
    if geometry == "choice":
        return _found(np.empty(0), np.empty(0), Outlines.of_rows([]), _numpy(result.probs.data))
    if result.obb is not None:
        table = _numpy(result.obb.data)
        return _found(table[:, 6], table[:, 5], Outlines.of_table(turned(table[:, :5])))
    table = _numpy(result.boxes.data)
    score, label = table[:, 4], table[:, 5]
    if geometry == "point":
        return _points(_numpy(result.keypoints.data), score)
    if geometry == "box":
        low, high = table[:, :2], table[:, 2:4]
        upright = np.column_stack([low, high - low, np.zeros(len(table))])
        return _found(label, score, Outlines.of_table(upright))
    return _found(label, score, Outlines.of_rows(result.numbers))


def turned(boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Turn rotated boxes about their centres into ones about their top left corners.

    Of the four ways to name a rectangle this is the one nearest to upright: its width is the side
    that lies flatter.

    Args:
        boxes: float (R, 5), Ultralytics' xywhr: centre, width, height, radians clockwise as seen;
            models of different generations give angles of different ranges.

    Returns:
        float64 (R, 5), the geometry "box"; angles in [0, 45] or [315, 360).
    """
    x, y, width, height, radians = np.asarray(boxes, dtype=np.float64).T
    quarters = np.round(radians / (np.pi / 2))
    across = quarters % 2 == 1
    width, height = np.where(across, height, width), np.where(across, width, height)
    rest = radians - quarters * (np.pi / 2)
    cos, sin = np.cos(rest), np.sin(rest)
    left = x - (width * cos - height * sin) / 2
    top = y - (width * sin + height * cos) / 2
    # Twice: a very small negative angle gives 360 itself.
    return np.column_stack([left, top, width, height, np.rad2deg(rest) % 360 % 360])


def gather(
    found: Sequence[Found], size: NDArray[np.int32], classes: int, geometry: Geometry
) -> Predictions:
    """Put the images' columns together.

    Args:
        found: per image.
        size: int32 (N, 2), width and height.
        classes: how many labels the model has.
        geometry: that of all of them.

    Raises:
        ValueError: when the model's output does not fit the classes it names, or its
            probabilities are not finite.
    """
    if geometry == "choice":
        if any(len(one.probs) != classes for one in found):
            raise ValueError(
                f"gives {len(found[0].probs)} probabilities but names {classes} classes"
            )
        probs = np.array([one.probs for one in found], dtype=np.float32).reshape(-1, classes)
        if not np.isfinite(probs).all():
            raise ValueError("gives probabilities that are not finite")
        return Predictions.of_classes(probs, size)
    label = np.concatenate([np.empty(0, dtype=np.int32), *(one.label for one in found)])
    if len(label) and not 0 <= label.min() <= label.max() < classes:
        raise ValueError(f"gives class {label.max()} but names {classes} classes")
    return Predictions(
        size=size.reshape(-1, 2),
        item=np.repeat(np.arange(len(found)), [len(one.label) for one in found]),
        label=label,
        score=np.concatenate([np.empty(0, dtype=np.float32), *(one.score for one in found)]),
        outline=Outlines.concatenate([one.outline for one in found]),
        probs=np.empty((len(found), 0), dtype=np.float32),
    )


def _points(joints: NDArray[np.float32], score: NDArray[np.float32]) -> Found:
    """Key points (R, K, 2 or 3) of R objects as regions: those that are likely at all."""
    objects, count = joints.shape[:2]
    seen = joints[..., 2] if joints.shape[2] == 3 else np.ones((objects, count))
    likely = (seen * score[:, None]).ravel()
    number, label = np.divmod(np.arange(objects * count), max(count, 1))
    table = np.column_stack([joints[..., :2].reshape(-1, 2), number])
    kept = likely >= SCORE_FLOOR
    return _found(label[kept], likely[kept], Outlines.of_table(table[kept]))


def _found(
    label: NDArray[Any],
    score: NDArray[Any],
    outline: Outlines,
    probs: NDArray[np.float32] | None = None,
) -> Found:
    finite = np.isfinite(outline.values)
    if not finite.all():
        row = np.repeat(np.arange(len(outline)), np.diff(outline.offsets))
        kept = ~np.isin(np.arange(len(outline)), row[~finite])
        label, score, outline = label[kept], score[kept], outline.take(kept)
    return Found(
        label.astype(np.int32),
        np.clip(score, 0, 1).astype(np.float32),
        outline,
        np.empty(0, dtype=np.float32) if probs is None else probs,
    )


def _numpy(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy(), dtype=np.float32)
