"""Models by folder, or from the Hugging Face hub where the machine's owner allows downloads."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final

from ml_backend.errors import ModelError, short
from ml_backend.predictors.files import locate

__all__ = ["is_name", "model_folder"]

_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
#: Configuration and vocabularies, and weights that hold no code. Nothing of subfolders: those
#: hold the same model in other formats.
_FILES: Final = ["*.json", "*.txt", "*.model", "model*.safetensors"]
_PICKLED: Final = ["pytorch_model*.bin"]


def model_folder(root: Path, name: str, *, downloads: bool) -> Path:
    """Return the file or folder of a model, downloaded first if need be.

    A model in the model folder goes first. One of the hub lands in the hub's own cache
    (``HF_HOME``), once per process, so a model that changes there does not change under a run.

    Args:
        root: the model folder.
        name: path below it, or a name on the hub.
        downloads: whether the hub may be asked. If not, no connection is opened.

    Raises:
        ModelError: when it is not there and may or can not be downloaded.
    """
    try:
        return locate(root, name)
    except ModelError as error:
        if not is_name(name):
            raise
        if not downloads:
            raise ModelError(f"{error}; models of the Hugging Face hub are not allowed") from error
    return _download(name)


def is_name(name: str) -> bool:
    """Tell whether the hub could have a model by this name."""
    return _NAME.fullmatch(name) is not None


@lru_cache(maxsize=64)
def _download(name: str) -> Path:
    # Imported on first use: where downloads are off it is not needed.
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    try:
        folder = Path(snapshot_download(name, allow_patterns=_FILES, ignore_patterns=["*/*"]))
        if not any(folder.glob("model*.safetensors")):
            snapshot_download(name, allow_patterns=_PICKLED, ignore_patterns=["*/*"])
    except Exception as error:
        # The client raises errors of its own, of httpx and of the file system.
        raise ModelError(
            f"model {name!r} is not in the model folder and cannot be downloaded from the Hugging "
            f"Face hub ({short(error)})"
        ) from error
    return folder
