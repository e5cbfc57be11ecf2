"""Upstreams by name, each kept while it is used: they hold caches and, some, loaded models."""

from __future__ import annotations

import re
import threading
from typing import Final

from cachetools import LRUCache

from ml_backend.predictors.registry import SCHEMES
from ml_backend.settings import ServiceSettings
from ml_backend.upstream.base import Upstream
from ml_backend.upstream.existing import PREFIX, ExistingUpstream
from ml_backend.upstream.in_process import InProcessUpstream
from ml_backend.upstream.remote import RemoteUpstream

__all__ = ["UpstreamRegistry"]

_KEPT: Final = 16
_ADDRESS: Final = re.compile(r"https?://", re.IGNORECASE)
_CLASS: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


class UpstreamRegistry:
    """The upstreams of one process.

    Args:
        settings: which hosts and classes the machine's owner allows.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._open = LRUCache[str, Upstream](_KEPT)
        self._lock = threading.Lock()

    def get(self, name: str) -> Upstream | None:
        """Return the upstream of that name; None where the name is not one's, but a file's.

        Raises:
            ModelError: when the owner of the machine does not allow it, or the name is wrong.
        """
        with self._lock:
            if name not in self._open:
                found = self._make(name)
                if found is None:
                    return None
                self._open[name] = found
            return self._open[name]

    def _make(self, name: str) -> Upstream | None:
        settings = self._settings
        if _ADDRESS.match(name):
            return RemoteUpstream(name, settings.model_hosts, settings.label_studio_url)
        if name.startswith(PREFIX):
            return ExistingUpstream(name)
        if _CLASS.fullmatch(name) and name.partition(":")[0] not in SCHEMES:
            return InProcessUpstream(name, settings.model_classes)
        return None
