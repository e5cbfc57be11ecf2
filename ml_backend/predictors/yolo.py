"""Ultralytics models of every task, from checkpoints and from ONNX exports.

Ultralytics is AGPL-3.0: running this predictor brings its terms.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ml_backend.errors import ModelError
from ml_backend.outlines import Geometry
from ml_backend.predictors.base import SCORE_FLOOR, Input, Predictions
from ml_backend.predictors.yolo_columns import Found, gather, read
from ml_backend.predictors.yolo_files import make_network, open_model, reason, use_threads
from ml_backend.predictors.yolo_masks import SegmentPredictor

__all__ = ["YoloPredictor"]

_SERVES: Final[Mapping[str, frozenset[Geometry]]] = {
    "detect": frozenset({"box"}),
    "obb": frozenset({"box"}),
    "segment": frozenset({"box", "polygon", "mask"}),
    "pose": frozenset({"box", "point"}),
    "classify": frozenset({"choice"}),
}
#: Regions an image; Ultralytics' own 300 are soon full of weak ones.
_MOST_REGIONS: Final = 1000
#: Images that go through the model together: at most so many, and so many pixels.
_BATCH: Final = 32
_BATCH_PIXELS: Final = 1 << 26
#: Side of the blank image that a model must take before it counts as loaded.
_BLANK: Final = 64

_Image = NDArray[np.uint8]


class YoloPredictor:
    """A YOLO checkpoint or ONNX export.

    Args:
        path: the model file; the caller has checked that it lies in the model folder.
        version: what its predictions are called.
        threads: CPU threads of the model; 0: one per core.

    Attributes:
        model: the loaded ``ultralytics.YOLO``. The network that predicts is a copy of
            ``model.model``, fused: ``model.predictor.model``.
        lock: held while ``model`` computes; whoever else uses ``model`` must hold it.
        task: "detect", "obb", "segment", "pose" or "classify".
        joints: what the labels of the geometry "point" are: the numbers of the model's key points,
            from "0"; none but for pose models. ``classes`` are those of all other geometries.

    Raises:
        ModelError: when it cannot be loaded or is made for a task that no control tag has.
    """

    reads: Literal["image", "text"] = "image"

    def __init__(self, path: Path, version: str, threads: int = 0) -> None:
        self.version = version
        self._path = path
        self.lock = threading.Lock()
        if threads:
            torch.set_num_threads(threads)
        opened = open_model(path)
        if opened.task not in _SERVES:
            raise ModelError(
                f"model {path.name!r} is made for {opened.task!r}; Relook serves "
                f"{', '.join(_SERVES)}"
            )
        self.model: Any = opened.model
        self.task = opened.task
        self.classes = opened.classes
        self.serves = _SERVES[opened.task]
        self._fixed_batch = opened.batch
        self._cuda = torch.cuda.is_available()
        # A file that opens may still not run.
        try:
            self._run([np.zeros((_BLANK, _BLANK, 3), dtype=np.uint8)], min(self.serves))
            self.joints = tuple(str(number) for number in range(self._joint_count()))
            if threads:
                use_threads(opened, threads)
        except Exception as error:
            raise ModelError(
                f"model {path.name!r} cannot be run ({reason(error, path)}); train or "
                "export it again"
            ) from error

    @staticmethod
    def warm_up() -> None:
        """Run a network of no use, so that the first real one finds all imported.

        Ultralytics and PyTorch put off a thousand modules until something is predicted.
        """
        blank = np.zeros((_BLANK, _BLANK, 3), dtype=np.uint8)
        # On the CPU: a server that never predicts takes no memory of the GPU.
        make_network().predict(blank, device="cpu", verbose=False, save=False)

    def predict(self, items: Sequence[Input], geometry: Geometry) -> Predictions:
        """Predict images; see ``Predictor``.

        A segment model's polygon is the outline of a region's largest part; its holes and other
        parts are in the mask alone. A key point's score is its own confidence times its object's.
        """
        if geometry not in self.serves:
            raise ModelError(
                f"model {self.version} is made for {self.task!r} and answers in "
                f"{' or '.join(sorted(self.serves))}, not in {geometry}"
            )
        images = [item for item in items if not isinstance(item, str)]
        if len(images) < len(items):
            raise ModelError(f"model {self.version} reads images, not texts")
        found: dict[int, Found] = {}
        for rows in _batches(images):
            try:
                turned = [_bgr(images[row]) for row in rows]
                found |= zip(rows, self._run(turned, geometry), strict=True)
            except Exception as error:
                # Ultralytics, OpenCV and ONNX Runtime raise kinds of their own.
                said = reason(error, self._path)
                raise ModelError(f"model {self.version} failed on a batch: {said}") from error
        size = np.array([[image.shape[1], image.shape[0]] for image in images], dtype=np.int32)
        try:
            names = self.joints if geometry == "point" else self.classes
            return gather([found[row] for row in range(len(images))], size, len(names), geometry)
        except ValueError as error:
            raise ModelError(f"model {self.version} {error}; train or export it again") from error

    def _run(self, images: list[_Image], geometry: Geometry) -> list[Found]:
        options: dict[str, Any] = {
            "conf": SCORE_FLOOR,
            "max_det": _MOST_REGIONS,
            "quantize": 16 if self._cuda else None,
            "device": 0 if self._cuda else "cpu",
            "verbose": False,
            "save": False,
        }
        if self.task == "segment":
            options["predictor"] = SegmentPredictor
        found: list[Found] = []
        step = self._fixed_batch or len(images)
        with self.lock:
            for start in range(0, len(images), step):
                batch = images[start : start + step]
                # An export may take so many images at a time and no other number.
                filled = batch + batch[-1:] * (step - len(batch))
                if self.task == "segment" and self.model.predictor:
                    self.model.predictor.asked = geometry
                results = self.model.predict(filled, **options)[: len(batch)]
                found += [read(result, geometry) for result in results]
        return found

    def _joint_count(self) -> int:
        if self.task != "pose":
            return 0
        return int(self.model.predictor.model.kpt_shape[0])


def _bgr(image: _Image) -> _Image:
    """Return an image as Ultralytics takes arrays; OpenCV does it forty times faster than NumPy."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), dtype=np.uint8)


def _batches(images: Sequence[_Image]) -> Iterator[list[int]]:
    """Rows of images of one shape: Ultralytics pads a mixed batch, which changes its answers."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for row, image in enumerate(images):
        alike.setdefault(image.shape, []).append(row)
    for shape, rows in alike.items():
        step = max(1, min(_BATCH, _BATCH_PIXELS // (shape[0] * shape[1])))
        yield from (rows[start : start + step] for start in range(0, len(rows), step))
