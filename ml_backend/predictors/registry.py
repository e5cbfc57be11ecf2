"""Models by name: found in the model folder only, loaded once, dropped when unused for long."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path

from ml_backend.errors import ModelError
from ml_backend.predictors.base import Predictor

__all__ = ["ModelRegistry"]

_KEPT = 4
_SUFFIXES = (".pt",)


class ModelRegistry:
    """The models of one process.

    Args:
        folder: the only folder that model files are loaded from. A checkpoint can hold code, so
            what a project's admin names must be something the machine's owner put there.
        threads: CPU threads of a model; 0: one per core.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self._folder = folder
        self._threads = threads
        self._loaded: OrderedDict[str, Predictor] = OrderedDict()
        self._versions: dict[tuple[str, int, int], str] = {}
        self._lock = threading.Lock()

    def version(self, name: str) -> str:
        """Return the version of a model file without loading it.

        Raises:
            ModelError: when there is no such file in the model folder.
        """
        path = self._locate(name)
        stat = path.stat()
        key = (str(path), stat.st_mtime_ns, stat.st_size)
        if key not in self._versions:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._versions[key] = f"{path.stem}@{digest[:8]}"
        return self._versions[key]

    def versions(self) -> list[str]:
        """Return the versions of all model files in the folder."""
        root = self._folder.resolve()
        return [self.version(str(path.relative_to(root))) for path in _model_files(root)]

    def get(self, name: str) -> Predictor:
        """Return a model, loaded if it is not yet.

        Raises:
            ModelError: when it is not there, cannot be loaded, or is of an unknown kind.
        """
        version = self.version(name)
        with self._lock:
            if version not in self._loaded:
                self._loaded[version] = _load(self._locate(name), version, self._threads)
                if self.version(name) != version:
                    del self._loaded[version]
                    raise ModelError(f"model {name!r} was replaced while it was loaded; try again")
                if len(self._loaded) > _KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(version)
            return self._loaded[version]

    def _locate(self, name: str) -> Path:
        if not name:
            raise ModelError(
                "no model is named: set model in the extra params of the model connection, "
                "model_path on the control tag, or RELOOK_MODEL"
            )
        root = self._folder.resolve()
        path = root / name.replace("\0", "")
        path = path.resolve()
        known = path.is_relative_to(root) and path.suffix in _SUFFIXES and path.is_file()
        if not known:
            there = [str(found.relative_to(root)) for found in _model_files(root)]
            raise ModelError(
                f"model {name!r} is not in the model folder; there are: "
                f"{', '.join(there) or 'none'}"
            )
        return path


def _model_files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix in _SUFFIXES)


def _load(path: Path, version: str, threads: int) -> Predictor:
    # Imported on first use: PyTorch takes seconds, and the web server must answer before that.
    from ml_backend.predictors.yolo import YoloPredictor  # noqa: PLC0415

    return YoloPredictor(path, version, threads)
