"""Which embedder serves a control tag of a project."""

from __future__ import annotations

import threading
from typing import Final

from cachetools import LRUCache

from ml_backend.embedders.base import Embedder
from ml_backend.embedders.registry import KINDS, make_embedder, shared_features
from ml_backend.errors import ModelError
from ml_backend.labelstudio.config import Control
from ml_backend.prediction.model_choice import ModelChoice
from ml_backend.predictors import files
from ml_backend.settings import ProjectSettings, ServiceSettings

__all__ = ["NO_EMBEDDER", "EmbedderChoice"]

#: The name that turns embeddings off.
NO_EMBEDDER: Final = "none"
#: Loaded at once: projects mostly use one and the same.
_KEPT: Final = 2


class EmbedderChoice:
    """Embedders by the names that admins give them, loaded once per process.

    Args:
        choice: which model answers for which tag.
        settings: the model folder, whether models may be downloaded, and CPU threads.
    """

    def __init__(self, choice: ModelChoice, settings: ServiceSettings) -> None:
        self._choice = choice
        self._settings = settings
        self._lock = threading.Lock()
        #: By name and digest of the file.
        self._kept = LRUCache[tuple[str, str], Embedder](_KEPT)

    def embedder(self, control: Control, settings: ProjectSettings) -> Embedder | None:
        """Return the embedder of a control tag, or None where it has none.

        Without a name it is the features of the tag's own model, where that has some to share. An
        embedder that reads images is none for a tag on texts, and the other way round.

        Raises:
            ModelError: when the model is missing, or cannot be loaded.
        """
        name = settings.embedder
        if name == NO_EMBEDDER:
            return None
        if name:
            found = self._named(name)
            return found if found.reads == control.reads else None
        model = self._choice.own_model(control, settings)
        # The registry counts a model's memory while it is held: its features are not kept here.
        return None if model is None else shared_features(model)

    def _named(self, name: str) -> Embedder:
        with self._lock:
            key = name, self._digest(name)
            if key not in self._kept:
                service = self._settings
                self._kept[key] = make_embedder(
                    name, service.model_dir, downloads=service.downloads, threads=service.threads
                )
            return self._kept[key]

    def _digest(self, name: str) -> str:
        """Return what tells a replaced file; "" for official weights, which stay what they are."""
        kind, _, inner = name.partition(":")
        try:
            path = files.locate(self._settings.model_dir, inner if kind in KINDS else name)
        except ModelError:
            return ""
        return files.digest(path)
