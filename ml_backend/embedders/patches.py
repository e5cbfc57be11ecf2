"""Patches: which part of an image stands for a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.embedders.base import Patches

__all__ = ["MARGIN", "crop", "image_sizes", "inside"]

#: Share of a box's width and height that a crop shows on each side of it.
MARGIN: Final = 0.1

#: A crop's least side, pixels, where the image has as many: a point or a flat box shows something.
_LEAST: Final = 8


def image_sizes(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Return width and height of each image, int64 (N, 2), pixels."""
    return np.array([image.shape[1::-1] for image in images], dtype=np.int64).reshape(-1, 2)


def inside(
    patches: Patches, size: NDArray[np.int64], margin: float, least: float = 0.0
) -> NDArray[np.float64]:
    """Return the boxes with a margin, as far as they are in their images.

    Corners may be given in any order, and lie outside the image or nowhere (not finite): the
    nearest edge of the image stands for what is not in it.

    Args:
        patches: R boxes.
        size: int64 (N, 2), width and height of each image, pixels.
        margin: share of the box's width and height to add on each side, 0 or more.
        least: sides to grow to, pixels, where the image has as many.

    Returns:
        float64 (R, 4), x0 y0 x1 y1.
    """
    limit = size[patches.image_row].astype(np.float64)
    box = np.nan_to_num(patches.box.astype(np.float64), posinf=np.inf, neginf=-np.inf)
    low = np.clip(np.minimum(box[:, :2], box[:, 2:]), 0, limit)
    high = np.clip(np.maximum(box[:, :2], box[:, 2:]), 0, limit)
    least_side = np.minimum(limit, least)
    reach = np.maximum((high - low) * (0.5 + margin), least_side / 2)
    begin = np.clip((low + high) / 2 - reach, 0, limit - least_side)
    end = np.clip((low + high) / 2 + reach, begin + least_side, limit)
    return np.hstack([begin, end])


def crop(
    images: Sequence[NDArray[np.uint8]], patches: Patches, margin: float = MARGIN
) -> list[NDArray[np.uint8]]:
    """Cut patches out of their images, as views; see ``inside``.

    Args:
        images: N images, uint8 (H, W, 3).
        patches: R boxes.
        margin: share of the box's width and height to add on each side, 0 or more.
    """
    box = inside(patches, image_sizes(images), margin, _LEAST)
    cut = np.hstack([np.floor(box[:, :2]), np.ceil(box[:, 2:])]).astype(np.int64).tolist()
    rows = patches.image_row.tolist()
    return [images[row][y0:y1, x0:x1] for row, (x0, y0, x1, y1) in zip(rows, cut, strict=True)]
