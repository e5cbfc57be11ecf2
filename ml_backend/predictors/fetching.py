"""Official checkpoints on their way to this machine, each fetched once at a time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ml_backend.errors import ModelError

__all__ = ["Fetching"]

#: What somebody who cannot wait is given: Label Studio waits 3 s for /setup.
_WAIT_S: Final = 0.5
#: A download that failed is not tried again before this.
_PAUSE_S: Final = 60.0


@dataclass(slots=True)
class _Download:
    result: Future[None] = field(default_factory=Future)
    ended: float = float("inf")


class Fetching:
    """Fetches checkpoints that Ultralytics publishes, in threads of their own.

    Args:
        folder: where they are kept, and nothing else is.
        patient: whether who asks waits for the end; else it is told that a download is under way.
    """

    def __init__(self, folder: Path, patient: bool) -> None:
        self._folder = folder
        self._wait = None if patient else _WAIT_S
        self._lock = threading.Lock()
        self._downloads: dict[str, _Download] = {}

    def fetch(self, name: str) -> bool:
        """Fetch a checkpoint, unless it has been.

        Returns:
            whether it is there now; False where no official checkpoint is called so.

        Raises:
            ModelError: when it cannot be fetched, or is on its way.
        """
        if not _official(name):
            return False
        with self._lock:
            download = self._downloads.get(name)
            if download is None and (self._folder / name).exists():
                return True  # it has come since the caller looked
            if download is None or download.ended + _PAUSE_S < time.monotonic():
                download = self._downloads[name] = _Download()
                # Ended with the process: what is not whole is not there under its name.
                threading.Thread(target=self._run, args=(name, download), daemon=True).start()
        try:
            download.result.result(self._wait)
        except TimeoutError as error:
            raise ModelError(
                f"model {name!r} is being fetched from Ultralytics; try again in a minute"
            ) from error
        return True

    def _run(self, name: str, download: _Download) -> None:
        from ml_backend.predictors import yolo_files  # noqa: PLC0415 - imports PyTorch

        try:
            yolo_files.fetch(name, self._folder)
        except Exception as error:
            download.ended = time.monotonic()
            download.result.set_exception(error)
        else:
            with self._lock:
                # Asked for again, it has been taken away since.
                del self._downloads[name]
            download.result.set_result(None)


def _official(name: str) -> bool:
    if not name.endswith(".pt") or "/" in name:
        return False
    from ml_backend.predictors import yolo_files  # noqa: PLC0415 - imports PyTorch

    return yolo_files.is_official(name)
