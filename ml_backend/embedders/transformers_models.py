"""Transformers models of images: CLIP, SigLIP, DINOv2, DINOv3 and what is built like them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoImageProcessor, AutoModel
from transformers.utils import logging

from ml_backend.embedders.images import ImageEmbedder, Look, loading
from ml_backend.errors import ModelError
from ml_backend.predictors import files
from ml_backend.predictors.hub import model_folder

__all__ = ["load"]

# Progress bars have no one to look at them.
logging.disable_progress_bar()  # type: ignore[no-untyped-call]

_DEFAULT_SIDE = 224


def load(name: str, folder: Path, *, downloads: bool) -> ImageEmbedder:
    """Load a Transformers model: its image tower where it has two, its pooled output else.

    Args:
        name: below the model folder, a folder with ``config.json``, ``preprocessor_config.json``
            and ``model.safetensors``; or else a name on the Hugging Face hub.
        folder: the model folder.
        downloads: whether the hub may be asked.

    Raises:
        ModelError: when it cannot be loaded, lacks weights, or reads no images.
    """
    path = model_folder(folder, name, downloads=downloads)
    version = files.version(f"transformers:{name}", path)
    with loading(name):
        source = str(path)
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        config = AutoConfig.from_pretrained(source, **options)
        loader: Any = AutoImageProcessor
        processor = loader.from_pretrained(source, **options)
        network, report = AutoModel.from_pretrained(
            source,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
            **options,
        )
        pooler = _pooler(name, set(report["missing_keys"]))
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = network.eval().requires_grad_(requires_grad=False).to(device)

        def run(batch: NDArray[np.float32]) -> NDArray[np.floating]:
            pixels = torch.from_numpy(batch).to(device)
            with torch.inference_mode():
                features = _features(network, pixels, pooler=pooler)
            return features.float().cpu().numpy()

        look = _look(config, processor)
        return ImageEmbedder(version, look, run)


def _pooler(name: str, missing: set[str]) -> bool:
    """Whether the pooler can be used: a checkpoint without one gets another on every load."""
    pooler = {key for key in missing if "pooler" in key.split(".")}
    if missing - pooler:
        raise ModelError(f"model {name!r} lacks weights: {', '.join(sorted(missing - pooler)[:3])}")
    return not pooler


def _features(network: Any, pixels: torch.Tensor, *, pooler: bool) -> torch.Tensor:
    if hasattr(network, "get_image_features"):
        said = network.get_image_features(pixel_values=pixels)
        return said if isinstance(said, torch.Tensor) else said.pooler_output
    said = network(pixel_values=pixels)
    pooled: torch.Tensor | None = getattr(said, "pooler_output", None)
    if pooler and pooled is not None:
        return pooled.flatten(1)
    hidden: torch.Tensor = said.last_hidden_state
    # (N, tokens, D) begins with the class token; (N, D, H, W) is a map.
    return hidden[:, 0] if hidden.ndim == 3 else hidden.mean(dim=(2, 3))


def _look(config: Any, processor: Any) -> Look:
    side = getattr(getattr(config, "vision_config", config), "image_size", None)
    height, width = side if isinstance(side, (list, tuple)) else (side, side)
    # DINOv2 was trained on larger images than it is used with: what it is given goes first.
    for key in ("crop_size", "size"):
        said = dict(getattr(processor, key, None) or {})
        if said.get("height") and said.get("width"):
            height, width = said["height"], said["width"]
            break
    mean, std = (0.0,) * 3, (1.0,) * 3
    if processor.do_normalize:
        mean, std = tuple(processor.image_mean), tuple(processor.image_std)
    return Look(int(height or _DEFAULT_SIDE), int(width or _DEFAULT_SIDE), mean, std)
