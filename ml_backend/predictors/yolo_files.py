"""Ultralytics' files: opened, or fetched by an official name."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ultralytics import YOLO
from ultralytics.nn.backends.base import BaseBackend
from ultralytics.nn.tasks import torch_safe_load
from ultralytics.utils import ROOT, SAFE_LOAD, env_bool
from ultralytics.utils.checks import check_yolov5u_filename
from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

from ml_backend.errors import ModelError

__all__ = [
    "Opened",
    "fetch",
    "is_official",
    "make_network",
    "open_model",
    "reason",
    "use_threads",
]

#: By its place, or one of this name in the working folder would be taken.
_SMALL: Final = ROOT / "cfg" / "models" / "11" / "yolo11n.yaml"
_LONGEST_REASON: Final = 300
#: No network is fed larger images than so many pixels a side; what a file asks for is not trusted.
_LARGEST_SIDE: Final = 8192


@dataclass(frozen=True, slots=True)
class Opened:
    """A model whose file could be read; whether it runs is another question.

    Attributes:
        model: the ``ultralytics.YOLO``.
        task: what it is made for, as Ultralytics calls it.
        classes: class names.
        batch: how many images an export takes at a time; 0: any number.
    """

    model: Any
    task: str
    classes: tuple[str, ...]
    batch: int


def open_model(path: Path) -> Opened:
    """Open a checkpoint (.pt) or an ONNX export (.onnx).

    A checkpoint's pickle may build the classes that Ultralytics' models are made of and nothing
    else, unless the machine's owner sets ``ULTRALYTICS_SAFE_LOAD=false``.

    Raises:
        ModelError: when it is broken, or no Ultralytics model.
    """
    if not path.is_file():
        raise ModelError(f"model {path.name!r} is no file; put the model itself there")
    # Ultralytics would look for another file, find none, and ask the network for it.
    if check_yolov5u_filename(str(path).strip().replace("'", ""), verbose=False) != str(path):
        raise ModelError(
            f"model {path.name!r} has a name or folder that Ultralytics reads as another one; "
            "rename it, without apostrophes and without spaces at its ends"
        )
    try:
        return _open_export(path) if path.suffix == ".onnx" else _open_checkpoint(path)
    except ModelError:
        raise
    except Exception as error:
        # Whatever a broken file makes the readers of pickles, archives and graphs raise.
        raise ModelError(
            f"model {path.name!r} cannot be loaded: {reason(error, path)}; put a checkpoint (.pt) "
            "or ONNX export of an Ultralytics model there"
        ) from error


def make_network() -> Any:
    """Return a small ``ultralytics.YOLO`` of random weights, made without a file or the network."""
    return YOLO(str(_SMALL), task="detect", verbose=False)


def use_threads(opened: Opened, threads: int) -> None:
    """Bound the CPU threads of an ONNX export that has run once; a checkpoint follows PyTorch's.

    A session that computes elsewhere than on the CPU is left alone.
    """
    loaded = opened.model.predictor.model
    if loaded.format != "onnx":
        return
    providers = loaded.backend.session.get_providers()
    if providers != ["CPUExecutionProvider"]:
        # On a GPU Ultralytics has bound the outputs' memory to this very session.
        return
    # Imported here: needed for exports alone.
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Ultralytics makes the session and offers no way to its options.
    loaded.backend.session = onnxruntime.InferenceSession(
        str(opened.model.model), options, providers=providers
    )


def is_official(name: str) -> bool:
    """Whether Ultralytics publishes a checkpoint of that very name, such as "yolo11n.pt"."""
    return name.endswith(".pt") and name in GITHUB_ASSETS_NAMES


def fetch(name: str, folder: Path) -> Path:
    """Fetch an official checkpoint into a folder, where it stays.

    Only for machines whose owner allows downloads: the caller checks.

    Args:
        name: a name that ``is_official``.
        folder: where to; made if need be.

    Raises:
        ModelError: when it is no official name, or cannot be fetched.
    """
    if not is_official(name):
        raise ModelError(f"model {name!r} is not one that Ultralytics publishes")
    path = folder / name
    try:
        attempt_download_asset(path, progress=False)
    except Exception as error:
        raise ModelError(
            f"model {name!r} cannot be fetched ({reason(error, path)}); put the file into the "
            "model folder"
        ) from error
    if not path.is_file():
        raise ModelError(f"model {name!r} cannot be fetched; put the file into the model folder")
    return path


def _open_checkpoint(path: Path) -> Opened:
    # Ultralytics reads the setting when it is imported, which may have been before it was set.
    if env_bool("ULTRALYTICS_SAFE_LOAD") and not SAFE_LOAD:
        torch_safe_load(str(path), safe_only=True)
    model = YOLO(str(path), verbose=False)
    _check_sides(model.overrides.get("imgsz"))
    return Opened(model, str(model.task), _classes(model.names), 0)


def _open_export(path: Path) -> Opened:
    said: dict[str, Any] = BaseBackend.read_metadata(path)
    if not {"task", "names", "batch", "imgsz"} <= said.keys():
        raise ModelError(
            f"model {path.name!r} is broken or no ONNX export of Ultralytics (it names no task and "
            "classes): export the checkpoint with `yolo export format=onnx`"
        )
    _check_sides(ast.literal_eval(said["imgsz"]))
    dynamic = ast.literal_eval(said.get("args", "{}")).get("dynamic", False)
    return Opened(
        YOLO(str(path), task=said["task"], verbose=False),
        said["task"],
        _classes(ast.literal_eval(said["names"])),
        0 if dynamic else max(1, int(said["batch"])),
    )


def _check_sides(asked: Any) -> None:
    sides = asked if isinstance(asked, list | tuple) else [asked or 1]
    if not all(isinstance(side, int) and 0 < side <= _LARGEST_SIDE for side in sides):
        raise ValueError(f"it asks for images of {asked} pixels a side")


def _classes(names: dict[int, str]) -> tuple[str, ...]:
    return tuple(str(names[index]) for index in range(len(names)))


def reason(error: Exception, path: Path) -> str:
    """Return an error's first line, without Ultralytics' ornaments and this machine's folders."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    plain = re.sub(r"[^\x20-\x7e]+", " ", first).replace(str(path), "it")
    return re.sub(r"\s+", " ", plain.removeprefix("ERROR").strip())[:_LONGEST_REASON]
