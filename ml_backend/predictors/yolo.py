"""Ultralytics models: boxes from detectors, class probabilities from classifiers.

Ultralytics is AGPL-3.0: running this predictor brings its terms.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ModelError
from ml_backend.predictors.base import SCORE_FLOOR, Predictions

# Before the import: Ultralytics looks for the network when it loads, and would install
# packages when an image is of a kind it cannot read.
os.environ.setdefault("YOLO_OFFLINE", "true")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")
os.environ.setdefault("YOLO_VERBOSE", "false")

import torch
from ultralytics import YOLO

__all__ = ["YoloPredictor"]

_SERVES: Final = {"detect": "RectangleLabels", "classify": "Choices"}
_BATCH = 32


class YoloPredictor:
    """A YOLO checkpoint or export.

    Args:
        path: the model file; the caller has checked that it lies in the model folder.
        version: what its predictions are called.
        threads: CPU threads of the model; 0 leaves it to PyTorch, one per core.

    Raises:
        ModelError: when it cannot be loaded or is made for a task that no control tag has.
    """

    def __init__(self, path: Path, version: str, threads: int = 0) -> None:
        self.version = version
        if threads:
            torch.set_num_threads(threads)
        try:
            self._model: Any = YOLO(str(path), verbose=False)
            names: dict[int, str] = dict(self._model.names)
        except Exception as error:
            raise ModelError(
                f"model {path.name!r} cannot be loaded ({error}); put an Ultralytics checkpoint "
                "or export of a known kind there"
            ) from error
        if self._model.task not in _SERVES:
            raise ModelError(
                f"model {path.name!r} is made for {self._model.task!r}; Relook serves "
                f"{' and '.join(_SERVES)}"
            )
        self.serves = _SERVES[self._model.task]
        self.classes = tuple(names[index] for index in sorted(names))
        self._cuda = torch.cuda.is_available()
        # Ultralytics keeps the state of a call in its predictor: one call at a time.
        self._lock = threading.Lock()

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> Predictions:
        """Predict images; see ``Predictor``."""
        # Ultralytics takes arrays as BGR.
        flipped = [np.ascontiguousarray(image[..., ::-1]) for image in images]
        results: list[Any] = []
        for start in range(0, len(flipped), _BATCH):
            results += self._run(flipped[start : start + _BATCH])
        size = np.array([[image.shape[1], image.shape[0]] for image in images], dtype=np.int32)
        if self.serves == "Choices":
            return _classes(results, size, len(self.classes))
        return _boxes(results, size)

    def _run(self, images: list[NDArray[np.uint8]]) -> list[Any]:
        options = {
            "conf": SCORE_FLOOR,
            "batch": len(images),
            "half": self._cuda,
            "device": 0 if self._cuda else "cpu",
            "verbose": False,
            "save": False,
        }
        try:
            with self._lock:
                return list(self._model.predict(images, **options))
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise ModelError(f"model {self.version} failed on a batch: {error}") from error


def _boxes(results: list[Any], size: NDArray[np.int32]) -> Predictions:
    tables = [result.boxes.data.float().cpu().numpy() for result in results]
    rows = np.concatenate([table[:, :6] for table in tables] or [np.empty((0, 6))])
    image = np.repeat(np.arange(len(tables)), [len(table) for table in tables])
    return Predictions(
        size=size.reshape(-1, 2),
        image=image.astype(np.int64),
        label=rows[:, 5].astype(np.int32),
        box=rows[:, :4].astype(np.float32),
        score=np.clip(rows[:, 4], 0, 1).astype(np.float32),
        probs=np.empty((len(tables), 0), dtype=np.float32),
    )


def _classes(results: list[Any], size: NDArray[np.int32], count: int) -> Predictions:
    probs = [result.probs.data.float().cpu().numpy() for result in results]
    return Predictions(
        size=size.reshape(-1, 2),
        image=np.empty(0, dtype=np.int64),
        label=np.empty(0, dtype=np.int32),
        box=np.empty((0, 4), dtype=np.float32),
        score=np.empty(0, dtype=np.float32),
        probs=np.array(probs, dtype=np.float32).reshape(len(results), count),
    )
