"""Sentence Transformers: texts as vectors."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils import logging

from ml_backend.embedders.base import unit
from ml_backend.embedders.images import loading
from ml_backend.errors import ModelError, short
from ml_backend.predictors import files
from ml_backend.predictors.base import Input

__all__ = ["TextEmbedder", "load"]

# Progress bars have no one to look at them.
logging.disable_progress_bar()  # type: ignore[no-untyped-call]

_BATCH = 32


def load(name: str, folder: Path, *, downloads: bool) -> TextEmbedder:
    """Load a sentence model.

    Args:
        name: below the model folder, a folder with ``modules.json`` and safetensors weights; or
            else a name on the Hugging Face hub.
        folder: the model folder.
        downloads: whether the hub may be asked.

    Raises:
        ModelError: when it cannot be loaded.
    """
    path: Path | None = None
    try:
        path = files.locate(folder, name)
    except ModelError:
        if not (name and downloads):
            raise
    with loading(name):
        network = SentenceTransformer(
            str(path or name),
            device="cuda" if torch.cuda.is_available() else "cpu",
            local_files_only=path is not None,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )
        called = f"sentence-transformers:{name}"
        version = files.version(called, path) if path else _version(called, network)
        return TextEmbedder(version, network)


class TextEmbedder:
    """An embedder of texts; what lies beyond the model's longest input is not read.

    Args:
        version: of the model's files.
        network: the loaded model.
    """

    reads: Literal["image", "text"] = "text"

    def __init__(self, version: str, network: Any) -> None:
        self.version = version
        self._network = network
        self._lock = threading.Lock()
        self.size = int(self._encode(["a"]).shape[1])

    def embed(self, items: Sequence[Input]) -> NDArray[np.float32]:
        """Embed texts; see ``Embedder``."""
        texts = [item for item in items if isinstance(item, str)]
        if len(texts) < len(items):
            raise ModelError(f"model {self.version} reads texts, not images")
        if not texts:
            return np.empty((0, self.size), dtype=np.float32)
        # Tokenizers refuse half a surrogate pair, which JSON can carry.
        clean = [
            text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts
        ]
        return unit(self._encode(clean))

    def embed_patches(
        self,
        images: Sequence[NDArray[np.uint8]],
        image_row: NDArray[np.int64],
        box: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Refuse: texts have no patches."""
        raise ModelError(f"model {self.version} reads texts, not images")

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        try:
            with self._lock:
                vectors = self._network.encode(
                    texts, batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True
                )
        except Exception as error:
            raise ModelError(f"model {self.version} failed on a batch: {short(error)}") from error
        return np.asarray(vectors, dtype=np.float32)


def _version(name: str, network: Any) -> str:
    """Return the version of a model that lies in its library's own cache, from its weights."""
    total = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        total.update(key.encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return f"{name}@{total.hexdigest()[:8]}"
