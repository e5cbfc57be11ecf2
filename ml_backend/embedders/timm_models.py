"""timm models: the pooled features before the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from timm.data import resolve_data_config

from ml_backend.embedders.images import ImageEmbedder, Look, loading
from ml_backend.errors import ModelError
from ml_backend.predictors import files
from ml_backend.predictors.checkpoints import read_checkpoint
from ml_backend.predictors.image_networks import build, is_official, official_digest

__all__ = ["load"]


def load(name: str, folder: Path, *, downloads: bool) -> ImageEmbedder:
    """Load a timm model.

    Args:
        name: below the model folder, a folder with ``config.json`` and ``model.safetensors``, as
            timm saves it, or a checkpoint of a classifier (see ``checkpoints.read_checkpoint``);
            or else timm's own name of pretrained weights.
        folder: the model folder.
        downloads: whether pretrained weights may be fetched.

    Raises:
        ModelError: when it is not there or cannot be loaded.
    """
    path = _find(name, folder, downloads=downloads)
    called = f"timm:{name}"
    with loading(name):
        if path is None:
            version = f"{called}@{official_digest('timm', name)[:8]}"
            network: Any = timm.create_model(name, pretrained=True, num_classes=0)
        else:
            version = files.version(called, path)
            network = _from_folder(path) if path.is_dir() else _from_file(path)
        config = resolve_data_config({}, model=network)
        _, height, width = config["input_size"]
        look = Look(height, width, tuple(config["mean"]), tuple(config["std"]))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = network.eval().requires_grad_(requires_grad=False).to(device)

        def run(batch: NDArray[np.float32]) -> NDArray[np.floating]:
            with torch.inference_mode():
                features: torch.Tensor = network(torch.from_numpy(batch).to(device))
            return features.float().cpu().numpy()

        return ImageEmbedder(version, look, run)


def _find(name: str, folder: Path, *, downloads: bool) -> Path | None:
    try:
        return files.locate(folder, name)
    except ModelError as error:
        if not name or not is_official("timm", name):
            raise
        if not downloads:
            raise ModelError(
                f"{error}; timm offers {name!r} for download, which the machine's owner has not "
                "allowed"
            ) from error
        return None


def _from_folder(path: Path) -> Any:
    # Weights are read by safetensors, or by PyTorch with weights_only: timm's own default.
    return timm.create_model(f"local-dir:{path}", pretrained=True, num_classes=0)


def _from_file(path: Path) -> Any:
    network: Any = build("timm", read_checkpoint(path)).module
    network.reset_classifier(0)
    return network
