"""What the PyTorch models have in common."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

__all__ = ["on_device", "weights_version"]


def on_device(network: nn.Module) -> tuple[nn.Module, torch.device]:
    """Return a network ready to run, on the GPU if there is one, and where it is."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return network.eval().requires_grad_(requires_grad=False).to(device), device


def weights_version(name: str, network: nn.Module) -> str:
    """Return the version of a model that has no file of ours: its name and its weights' digest."""
    total = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        total.update(key.encode())
        total.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return f"{name}@{total.hexdigest()[:8]}"
