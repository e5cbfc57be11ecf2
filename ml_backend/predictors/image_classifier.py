"""Image classifiers by timm and torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ml_backend.errors import ModelError, short
from ml_backend.outlines import Geometry
from ml_backend.predictors import files
from ml_backend.predictors.base import Input, Predictions
from ml_backend.predictors.checkpoints import read_checkpoint
from ml_backend.predictors.image_networks import (
    LIBRARIES,
    Network,
    build,
    download,
    is_official,
    official_digest,
)

__all__ = ["ImageClassifier"]

_BATCH: Final = 32


class ImageClassifier:
    """A classifier of images: probabilities of classes that exclude each other, or do not.

    Args:
        name: as settings have it, ``timm:NAME`` or ``torchvision:NAME``. NAME is a checkpoint below
            the model folder (see ``checkpoints.read_checkpoint``), or else the official name of
            pretrained weights.
        folder: the model folder.
        threads: CPU threads of the model; 0 leaves it to PyTorch, one per core.
        downloads: official weights may be fetched; without it no connection is ever opened.

    Raises:
        ModelError: when there is no such model, or it cannot be loaded.
    """

    reads: Literal["image", "text"] = "image"
    joints: tuple[str, ...] = ()
    serves: frozenset[Geometry] = frozenset({"choice"})

    def __init__(self, name: str, folder: Path, threads: int = 0, downloads: bool = False) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.version = self.version_of(name, folder, downloads)
        self._network = _load(name, folder, downloads)
        self.classes = self._network.classes
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        #: Whether it computes in float16, which a GPU does faster.
        self._halves = self._device.type == "cuda"
        self._network.module.requires_grad_(False).to(self._device)
        # One grey image shows whether weights, input size and classes fit together.
        self.predict([np.full((64, 64, 3), 128, dtype=np.uint8)], "choice")

    @staticmethod
    def version_of(name: str, folder: Path, downloads: bool = False) -> str:
        """Return the version of a model without loading it.

        Raises:
            ModelError: when there is no such model.
        """
        library, model = _split(name)
        if _fetched(library, model, folder, downloads):
            return f"{name}@{official_digest(library, model)[:8]}"
        return files.version(name, files.locate(folder, model))

    def predict(self, items: Sequence[Input], geometry: Geometry) -> Predictions:
        """Predict images; see ``Predictor``."""
        images = cast(Sequence[NDArray[np.uint8]], items)
        size = np.array([image.shape[1::-1] for image in images], dtype=np.int32)
        probs = np.empty((len(images), len(self.classes)), dtype=np.float32)
        for start in range(0, len(images), _BATCH):
            part = slice(start, start + _BATCH)
            probs[part] = self._run(images[part])
        return Predictions.of_classes(probs, size)

    def _run(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        try:
            logits = self._logits(images)
        except Exception as error:
            # Networks raise almost anything on input of another shape than their own.
            raise ModelError(f"model {self.version} failed on a batch: {short(error)}") from error
        if logits.shape != (len(images), len(self.classes)):
            raise ModelError(
                f"model {self.version} answers with {tuple(logits.shape)} numbers, not with one "
                f"for each of {len(self.classes)} classes; it is no classifier of them"
            )
        probs = logits.sigmoid() if self._network.multi_label else logits.softmax(dim=1)
        array: NDArray[np.float32] = probs.cpu().numpy()
        if not np.isfinite(array).all():
            raise ModelError(
                f"model {self.version} gives probabilities that are no numbers; its weights are "
                "broken: train or save it again"
            )
        return array

    @torch.inference_mode()
    def _logits(self, images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        network = self._network
        # Pillow lets other threads run while it resizes; one at a time would hold back a GPU.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            inputs = list(pool.map(network.transform, map(Image.fromarray, images)))
        batch = torch.stack(inputs).to(self._device)
        logits = self._forward(batch)
        if self._halves and not torch.isfinite(logits).all():
            # Some networks are too large in their numbers for float16; they stay in float32 then.
            self._halves = False
            logits = self._forward(batch)
        return logits

    def _forward(self, batch: torch.Tensor) -> torch.Tensor:
        # Autocast keeps the sums that would overflow.
        with torch.autocast(self._device.type, torch.float16, enabled=self._halves):
            answer: Any = self._network.module(batch)
        logits: torch.Tensor = answer.float()
        return logits


def _split(name: str) -> tuple[str, str]:
    library, _, model = name.partition(":")
    if library not in LIBRARIES:
        raise ModelError(
            f"model {name[:120]!r} is of no known library; write timm:NAME or torchvision:NAME"
        )
    return library, model


def _fetched(library: str, model: str, folder: Path, downloads: bool) -> bool:
    """Return whether a name means official weights that may be fetched; a file goes first."""
    try:
        files.locate(folder, model)
    except ModelError as error:
        if not is_official(library, model):
            raise
        if not downloads:
            raise ModelError(
                f"{error}; {library} offers {model!r} for download, which the machine's owner has "
                "not allowed"
            ) from error
        return True
    return False


def _load(name: str, folder: Path, downloads: bool) -> Network:
    library, model = _split(name)
    if _fetched(library, model, folder, downloads):
        return download(library, model)
    try:
        return build(library, read_checkpoint(files.locate(folder, model)))
    except ModelError as error:
        raise ModelError(f"model {name!r} cannot be loaded: {error}") from error
