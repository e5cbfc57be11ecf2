"""Masks of segment models, turned into numbers one by one: all of an image's would fill memory."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from ultralytics.engine.results import Results
from ultralytics.models.yolo.segment import SegmentationPredictor
from ultralytics.utils import ops

from analysis.geometry.masks import Masks
from ml_backend.outlines import Geometry

__all__ = ["SegmentPredictor", "outline_numbers", "run_numbers"]

#: Pixels of masks that are dense at a time.
_DENSE: Final = 1 << 26


class SegmentPredictor(SegmentationPredictor):  # type: ignore[misc]
    """Ultralytics' predictor, which keeps no dense masks.

    Attributes:
        asked: "box", "polygon" or "mask". Its results carry ``numbers``, one array of that
            geometry per region, except for boxes.
    """

    asked: Geometry = "box"

    def construct_result(
        self, pred: Any, img: Any, orig_img: NDArray[np.uint8], img_path: str, proto: Any
    ) -> Any:
        """Build one image's result: the boxes, and the numbers of each region.

        As in Ultralytics, a region whose mask is empty is left out; where only boxes are asked
        for, no mask is made.
        """
        shape = (orig_img.shape[0], orig_img.shape[1])
        pred[:, :4] = ops.scale_boxes(img.shape[2:], pred[:, :4], orig_img.shape)
        numbers: list[NDArray[np.float64]] = []
        if self.asked != "box":
            # Half a pixel of what the network saw: no corner can say more.
            tolerance = max(1.0, max(shape) / max(img.shape[2:])) / 2
            step = max(1, _DENSE // (shape[0] * shape[1]))
            for part in pred.split(step):
                masks = ops.process_mask_native(proto, part[:, 6:], part[:, :4], shape)
                for mask, box in zip(masks, part[:, :4].cpu().numpy(), strict=True):
                    numbers.append(self._numbers(mask, box, shape, tolerance))
            keep = [len(one) > 0 for one in numbers]
            pred = pred[np.flatnonzero(keep)]
            numbers = [one for one in numbers if len(one)]
        result = Results(orig_img, path=img_path, names=self.model.names, boxes=pred[:, :6])
        result.numbers = numbers
        return result

    def _numbers(
        self, mask: Any, box: NDArray[np.float32], shape: tuple[int, int], tolerance: float
    ) -> NDArray[np.float64]:
        # Outside its box a mask is empty.
        left, top = np.floor(box[:2]).astype(int).clip(0).tolist()
        right, bottom = np.ceil(box[2:]).astype(int).tolist()
        inside: NDArray[np.uint8] = mask[top:bottom, left:right].cpu().numpy()
        if not inside.any():
            return np.empty(0)
        if self.asked == "polygon":
            return outline_numbers(inside, (left, top), tolerance)
        return run_numbers(inside, (left, top), shape)


def run_numbers(
    inside: NDArray[np.uint8], corner: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the numbers of the geometry "mask".

    Args:
        inside: uint8 (h, w), 0 or 1, a part of the image outside which nothing is covered.
        corner: its x and y in the image.
        shape: height and width of the image.
    """
    tall, wide = inside.shape
    # A row of background below parts the columns.
    columns = np.zeros((wide, tall + 1), dtype=np.int8)
    columns[:, :tall] = inside.T
    step = np.diff(columns.ravel(), prepend=np.int8(0))
    place = np.stack([np.flatnonzero(step == 1), np.flatnonzero(step == -1)], axis=1)
    column, row = np.divmod(place, tall + 1)
    runs = (column + corner[0]) * shape[0] + row + corner[1]
    masks = Masks.from_runs(np.zeros(len(runs), dtype=np.int64), runs, np.array([shape]))
    return np.concatenate([shape, masks.runs.ravel()]).astype(np.float64)


def outline_numbers(
    inside: NDArray[np.uint8], corner: tuple[int, int], tolerance: float
) -> NDArray[np.float64]:
    """Return the numbers of the geometry "polygon": the outline of the largest part.

    It runs along the edges of the pixels, not through their middles, which would make a small
    region smaller. Corners that lie within ``tolerance`` pixels of a straight line are left out.

    Args:
        inside: uint8 (h, w), 0 or 1, with something covered.
        corner: its x and y in the image.
        tolerance: pixels.
    """
    # On a grid of half pixels a pixel's edges are points: it covers three by three of them.
    fine = cv2.resize(inside, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    grid = cv2.copyMakeBorder(fine, 0, 1, 0, 1, cv2.BORDER_CONSTANT)
    grid = cv2.dilate(grid, np.ones((2, 2), dtype=np.uint8), anchor=(1, 1))
    rings, _ = cv2.findContours(grid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    ring = max(rings, key=cv2.contourArea)
    fewer = cv2.approxPolyDP(ring, 2 * tolerance, closed=True)
    kept = fewer if len(fewer) >= 3 else ring
    return (kept.reshape(-1, 2) / 2 + corner).astype(np.float64).ravel()
