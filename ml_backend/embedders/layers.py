"""The layers of an Ultralytics network: how many numbers they say, and what they say."""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

__all__ = ["keep", "keep_mean", "tapped"]

#: Side of the image that tells how long a vector is; any multiple of 32 does.
_PROBE: Final = 64
#: What was found of each network that is loaded: it takes a pass, and every job asks.
_TAPPED: Final = WeakKeyDictionary[nn.Module, tuple[int, int]]()


def keep(last: dict[str, Any], name: str) -> Any:
    """Return a hook that keeps the maps that a module is given, by a name."""

    def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        # A warm-up passes here too: the last one counts. Heads change their list in place.
        last[name] = _maps(inputs)

    return hook


def keep_mean(last: dict[str, Any]) -> Any:
    """Return a hook that keeps the mean of each map that a module makes, as "maps"."""

    def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
        last["maps"] = [output.mean((2, 3))]

    return hook


def _maps(inputs: tuple[Any, ...]) -> list[Tensor]:
    given = inputs[0] if isinstance(inputs[0], (list, tuple)) else [inputs[0]]
    return [part for part in given if isinstance(part, Tensor) and part.ndim in {2, 4}]


def tapped(network: Any) -> tuple[int, int]:
    """Return the layer that features are taken from, -1 for what the head reads, and their size."""
    if network not in _TAPPED:
        classifies = hasattr(network.model[-1], "linear")
        found = _before_last_halving(network) if classifies else (-1, _numbers_read(network))
        _TAPPED[network] = found
    return _TAPPED[network]


def _numbers_read(network: Any) -> int:
    """Return how many numbers the head reads of a place."""
    last: dict[str, Any] = {}
    hook = network.model[-1].register_forward_pre_hook(keep(last, "maps"))
    try:
        _probe(network)
    finally:
        hook.remove()
    return sum(int(part.shape[1]) for part in last["maps"])


def _before_last_halving(network: Any) -> tuple[int, int]:
    """Return the last layer whose maps are larger than those the head reads, and its channels."""
    shapes: dict[int, Any] = {}

    def note(layer: int) -> Any:
        return lambda _module, _inputs, output: shapes.update({layer: output.shape})

    layers = list(network.model)[:-1]
    hooks = [layer.register_forward_hook(note(n)) for n, layer in enumerate(layers)]
    try:
        _probe(network)
    finally:
        for hook in hooks:
            hook.remove()
    final = shapes[len(layers) - 1]
    larger = [n for n, shape in shapes.items() if shape[-1] > final[-1]]
    layer = larger[-1] if larger else len(layers) - 1
    return layer, int(shapes[layer][1])


def _probe(network: Any) -> None:
    """Pass a small empty image through a network."""
    weight = next(network.parameters())
    channels = getattr(network, "yaml", {}).get("channels", 3)
    training = network.training
    try:
        with torch.inference_mode():
            network.eval()(weight.new_zeros(1, channels, _PROBE, _PROBE))
    finally:
        network.train(training)
