"""A ``LabelStudioMLBase`` subclass, or what looks like one, run in this process."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from cachetools import LRUCache

from ml_backend.errors import ModelError
from ml_backend.upstream.answers import read_replies, version_text
from ml_backend.upstream.base import Reply, UpstreamTask
from ml_backend.upstream.batches import SpoiledError, ask_in_batches, batches

__all__ = ["InProcessUpstream"]

_BATCH: Final = 16
#: Models in memory at once; there is one per project and labelling config.
_KEPT: Final = 4


class InProcessUpstream:
    """A class of the machine's owner. Both generations of label-studio-ml are understood.

    Args:
        name: ``package.module:Class``.
        allowed: the classes that may be run, written the same way.

    Raises:
        ModelError: when the class is not allowed.
    """

    def __init__(self, name: str, allowed: Sequence[str]) -> None:
        if name not in allowed:
            raise ModelError(
                f"model class {name!r} is not allowed: the owner of this machine adds it to "
                f"RELOOK_MODEL_CLASSES, which holds {', '.join(allowed) or 'none'}"
            )
        self.name = name
        self._models = LRUCache[tuple[int, str], Any](_KEPT)
        self._versions: dict[int, str] = {}
        # Such classes are written for one request at a time.
        self._lock = threading.Lock()

    def version(self, project: int, config_xml: str) -> str:
        """Return ``package.module:Class@VERSION``; the first call makes the model.

        The version is the model's own ``model_version``; a class that has none goes by its
        source file.

        Raises:
            ModelError: when the class cannot be imported or made.
        """
        # While it predicts, what it said last is as good as what it says.
        known = self._versions.get(project)
        if known and self._lock.locked():
            return known
        with self._lock:
            model = self._model(project, config_xml)
            with _explained(self.name, "does not say its model_version", ModelError):
                return self._named(project, model)

    def predict(self, project: int, config_xml: str, tasks: Sequence[UpstreamTask]) -> list[Reply]:
        """Return one reply per task, asked for in batches of 16."""
        try:
            with self._lock:
                model = self._model(project, config_xml)
        except ModelError as error:
            return [error] * len(tasks)

        def ask(batch: Sequence[UpstreamTask]) -> list[Reply]:
            with self._lock, _explained(self.name, "fails to predict", SpoiledError):
                # Some classes write into the tasks they are given.
                said = model.predict([deepcopy(task.body) for task in batch], **_extra(model))
                self._named(project, model)
                results, version = _results(said, _said_version(model))
            return read_replies(self.name, batch, results, version)

        return ask_in_batches(batches(tasks, _BATCH, _BATCH, lambda _: 1), ask)

    def _named(self, project: int, model: Any) -> str:
        self._versions[project] = f"{self.name}@{_said_version(model)}"
        return self._versions[project]

    def _model(self, project: int, config_xml: str) -> Any:
        key = (project, config_xml)
        if key not in self._models:
            found = _load(self.name)
            with _explained(self.name, "cannot be made", ModelError):
                self._models[key] = found(**_arguments(found, project, config_xml))
        return self._models[key]


@contextmanager
def _explained(name: str, what: str, kind: type[ModelError]) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:
        raise kind(f"model class {name!r} {what} ({type(error).__name__}: {error})") from error


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        with _explained(name, "cannot be imported", ModelError):
            return getattr(importlib.import_module(module), attribute)
    except ModelError as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and missing.name:
            package = missing.name.partition(".")[0]
            if package == module.partition(".")[0]:
                mend = "install it where Relook runs, or name its folder in PYTHONPATH"
            else:
                mend = f"`pip install {package.replace('_', '-')}` where Relook runs"
            raise ModelError(f"{error}; {mend}") from missing
        raise


def _arguments(found: Any, project: int, config_xml: str) -> dict[str, Any]:
    """What its makers are told, by the names that any class it inherits from asks for.

    label-studio-ml 1.x asks for ``label_config`` and ``train_output``, 2.x for ``project_id`` and
    ``label_config``; subclasses of both tend to take anything and hand it on.
    """
    makers = [vars(base).get("__init__") for base in inspect.getmro(found)]
    asked = {name for maker in makers if maker for name in inspect.signature(maker).parameters}
    offered = {"project_id": str(project), "label_config": config_xml}
    return {name: value for name, value in offered.items() if name in asked}


def _extra(model: Any) -> dict[str, Any]:
    """2.x tells ``predict`` the editor's context, which tasks in bulk have none of."""
    parameters = inspect.signature(model.predict).parameters
    return {"context": None} if "context" in parameters else {}


def _results(said: Any, version: str) -> tuple[Any, str]:
    """Take a list, a ModelResponse, or that as a dict."""
    if isinstance(said, dict):
        return said.get("predictions"), version_text(said.get("model_version"), version)
    if hasattr(said, "predictions"):
        return said.predictions, version_text(getattr(said, "model_version", None), version)
    return said, version


def _said_version(model: Any) -> str:
    said = getattr(model, "model_version", None)
    if said:
        return version_text(str(said))
    file = getattr(sys.modules.get(type(model).__module__), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:8] if file else version_text(None)
