"""timm models: the pooled features before the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from timm.data.config import resolve_data_config

from ml_backend.embedders.images import ImageEmbedder, Look, loading
from ml_backend.embedders.weights import on_device, weights_version

__all__ = ["load"]


def load(name: str, path: Path | None, version: str, margin: float) -> ImageEmbedder:
    """Load a timm model.

    Args:
        name: as the settings have it, for messages; without a path, timm's own name of it.
        path: folder with ``config.json`` and ``model.safetensors``, as timm saves it; without one
            the model is downloaded.
        version: of the folder; a downloaded model gets one from its weights.
        margin: of patches.

    Raises:
        ModelError: when it cannot be loaded.
    """
    with loading(name):
        source = f"local-dir:{path}" if path else name
        # Weights are read by safetensors, or by PyTorch with weights_only: timm's own default.
        network: Any = timm.create_model(source, pretrained=True, num_classes=0)
        network, device = on_device(network)
        config: Any = resolve_data_config({}, model=network)  # type: ignore[no-untyped-call]
        _, height, width = config["input_size"]
        look = Look(height, width, tuple(config["mean"]), tuple(config["std"]))

        def run(batch: NDArray[np.float32]) -> NDArray[np.floating]:
            with torch.inference_mode():
                features: torch.Tensor = network(torch.from_numpy(batch).to(device))
            return features.float().cpu().numpy()

        return ImageEmbedder(version or weights_version(name, network), look, run, margin)
