"""Models by name: loaded once per process, kept while used, the least recent dropped for room."""

from __future__ import annotations

import gc
import importlib
import logging
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final
from weakref import WeakValueDictionary

import joblib

from ml_backend.errors import ModelError
from ml_backend.predictors import files
from ml_backend.predictors.base import Predictor
from ml_backend.predictors.batching import BatchingPredictor
from ml_backend.predictors.fetching import Fetching
from ml_backend.settings import ServiceSettings

__all__ = ["SCHEMES", "ModelRegistry", "warm_up"]

_log = logging.getLogger(__name__)

_MIB: Final = 1 << 20
_FILES: Final = (".pt", ".onnx")
#: Objects within objects in which a predictor's networks are looked for.
_DEPTH: Final = 5
#: What stands before a name's colon, and the class that loads it: made from (name, model folder,
#: threads, downloads), with ``version_of(name, folder, downloads)`` beside.
SCHEMES: Final = {
    "timm": ("ml_backend.predictors.image_classifier", "ImageClassifier"),
    "torchvision": ("ml_backend.predictors.image_classifier", "ImageClassifier"),
    "transformers": ("ml_backend.predictors.text", "TextPredictor"),
}

_Key = tuple[str, str]


class ModelRegistry:
    """The models of one process; any number of threads may ask it.

    A model is loaded once, however many ask for it at the same time, and loading one holds back
    nobody who uses another. What ``get`` returns may be called by many threads at once (see
    ``BatchingPredictor``). A file that is replaced is a new model; the old one is let go.

    Args:
        settings: ``model_dir``, the only folder that model files are loaded from (a checkpoint can
            hold code, so what a project's admin names must be something that the machine's owner
            put there), but official ones that ``downloads`` allows, which are fetched into
            ``data_dir``: the model folder may be read-only; ``threads``, of one model; and
            ``model_memory_mb``. For more room those models go that were not used for longest, but
            none that is at work, and the newest stays, however large it is.
        patient: whether who asks can wait for a download.
    """

    def __init__(self, settings: ServiceSettings, patient: bool = True) -> None:
        self._folder = settings.model_dir
        self._threads = settings.threads
        self._downloads = settings.downloads
        self._limit = settings.model_memory_mb * _MIB
        self._lock = threading.Lock()
        self._fetched = settings.data_dir / "models"
        self._fetching = Fetching(self._fetched, patient)
        #: Least recently used first.
        self._kept: OrderedDict[_Key, BatchingPredictor] = OrderedDict()
        #: Also those let go that somebody still holds: asked for again, none is loaded twice.
        self._alive: WeakValueDictionary[_Key, BatchingPredictor] = WeakValueDictionary()
        self._turns: WeakValueDictionary[_Key, threading.Lock] = WeakValueDictionary()
        self._key_of: dict[str, _Key] = {}

    def version(self, name: str) -> str:
        """Return the version of a model without loading it.

        Raises:
            ModelError: when there is no such model.
        """
        scheme = _scheme(name)
        if scheme:
            return str(_loader(scheme).version_of(name, self._folder, self._downloads))
        path = self._file(name)
        return files.version(path.stem, path)

    def versions(self) -> list[str]:
        """Return the versions of all model files in the folder that need no scheme."""
        names = files.models(self._folder)
        return [self.version(name) for name in names if Path(name).suffix in _FILES]

    def get(self, name: str) -> Predictor:
        """Return a model, loaded if it is not yet.

        Raises:
            ModelError: when it is not there, cannot be loaded, or is of an unknown kind.
        """
        key = (_scheme(name), self.version(name))
        model = self._have(name, key)
        if model is None:
            with self._lock:
                turn = self._turns.setdefault(key, threading.Lock())
            with turn:
                model = self._have(name, key) or self._load(name, key)
        return model

    def _file(self, name: str) -> Path:
        try:
            path = files.locate(self._folder, name)
        except ModelError:
            if not (self._downloads and self._fetching.fetch(name)):
                raise
            path = files.locate(self._fetched, name)
        if path.suffix not in _FILES:
            kinds = ", ".join(f"{known}:" for known in SCHEMES)
            raise ModelError(
                f"model {name[:120]!r} is neither {' nor '.join(_FILES)}; say what it is by one of "
                f"{kinds} before its name"
            )
        return path

    def _have(self, name: str, key: _Key) -> BatchingPredictor | None:
        with self._lock:
            model = self._alive.get(key)
            if model is not None:
                self._keep(name, key, model)
            return model

    def _keep(self, name: str, key: _Key, model: BatchingPredictor) -> bool:
        """Keep a model; return whether it took the place of another, which is let go."""
        self._alive[key] = self._kept[key] = model
        self._kept.move_to_end(key)
        before = self._key_of.get(name, key)
        self._key_of[name] = key
        if before in self._key_of.values():
            return False
        return self._kept.pop(before, None) is not None

    def _load(self, name: str, key: _Key) -> BatchingPredictor:
        scheme, version = key
        threads = self._threads or joblib.cpu_count(only_physical_cores=True)
        size = 0
        if scheme:
            predictor = _loader(scheme)(name, self._folder, threads, self._downloads)
        else:
            path = self._file(name)
            size = path.stat().st_size
            self._make_room(size)
            predictor = _loader(scheme)(path, version, threads)
        if self.version(name) != version:
            raise ModelError(f"model {name!r} was replaced while it was loaded; try again")
        model = BatchingPredictor(predictor, _network_bytes(predictor) or size)
        with self._lock:
            let_go = self._keep(name, key, model)
        if let_go:
            _free()
        self._make_room(0)
        _log.info("loaded %s, %.0f MiB", version, model.memory / _MIB)
        return model

    def _make_room(self, wanted: int) -> None:
        """Let models go until ``wanted`` bytes more fit; with nothing wanted, not the newest."""
        dropped = []
        with self._lock:
            taken = wanted + sum(model.memory for model in self._alive.values())
            oldest = list(self._kept) if wanted else list(self._kept)[:-1]
            for key in oldest:
                if taken > self._limit and not self._kept[key].in_use:
                    dropped.append(key)
                    taken -= self._kept.pop(key).memory
        if dropped:
            _free()
            _log.info("let go %s", ", ".join(version for _, version in dropped))


def warm_up() -> None:
    """Have all in memory that loading a model without a scheme needs, but the model.

    It takes seconds, more on a busy machine, and holds up all threads for parts of them.
    """
    _loader("").warm_up()


def _scheme(name: str) -> str:
    scheme, colon, _ = name.partition(":")
    return scheme if colon and scheme in SCHEMES else ""


def _loader(scheme: str) -> Any:
    # Imported on first use: most services need one or two of them.
    module, name = SCHEMES.get(scheme, ("ml_backend.predictors.yolo", "YoloPredictor"))
    return getattr(importlib.import_module(module), name)


def _network_bytes(predictor: Predictor) -> int:
    """Return the bytes of a predictor's PyTorch networks; 0 where it has none."""
    torch = sys.modules.get("torch")
    if torch is None:
        return 0
    # A predictor holds its network itself, in one object with what belongs to it, or (Ultralytics)
    # once as it was loaded and once, fused, deep inside what runs it.
    held: dict[int, object] = {id(predictor): predictor}
    level: list[object] = [predictor]
    for _ in range(_DEPTH):
        inner = {id(value): value for one in level for value in _attributes(one)}
        level = [value for key, value in inner.items() if key not in held]
        held |= inner
    networks = [value for value in held.values() if isinstance(value, torch.nn.Module)]
    tensors = {
        id(tensor): tensor
        for network in networks
        for tensor in (*network.parameters(), *network.buffers())
    }
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _attributes(held: object) -> list[object]:
    if isinstance(held, type | ModuleType | FunctionType):
        # What a program is made of holds no weights, and leads everywhere.
        return []
    names = (*getattr(held, "__dict__", ()), *getattr(type(held), "__slots__", ()))
    return [getattr(held, name, None) for name in names]


def _free() -> None:
    """Give back the memory of models that nobody holds any more."""
    # Model objects refer to each other in circles: counting references frees nothing.
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        # PyTorch keeps what it once had, and other processes of the machine lack it.
        torch.cuda.empty_cache()
