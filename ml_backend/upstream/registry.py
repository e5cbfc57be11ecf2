"""Upstreams by name, each kept while it is used: they hold caches and, some, loaded models."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from ml_backend.settings import ServiceSettings
from ml_backend.upstream.base import Upstream
from ml_backend.upstream.existing import PREFIX, ExistingUpstream
from ml_backend.upstream.in_process import InProcessUpstream
from ml_backend.upstream.remote import RemoteUpstream

__all__ = ["Upstreams"]

_KEPT: Final = 16
_ADDRESS: Final = ("http://", "https://")


class Upstreams:
    """The upstreams of one process.

    Args:
        settings: which hosts and classes the machine's owner allows.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._open: OrderedDict[str, Upstream] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> Upstream:
        """Return the upstream of a name, see ``is_upstream``.

        Raises:
            ModelError: when the owner of the machine does not allow it, or the name is wrong.
        """
        with self._lock:
            if name not in self._open:
                self._open[name] = self._make(name)
                if len(self._open) > _KEPT:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return self._open[name]

    def _make(self, name: str) -> Upstream:
        settings = self._settings
        if name.startswith(_ADDRESS):
            return RemoteUpstream(name, settings.model_hosts, settings.label_studio_url)
        if name.startswith(PREFIX):
            return ExistingUpstream(name)
        return InProcessUpstream(name, settings.model_classes)
