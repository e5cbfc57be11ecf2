"""Networks of image classifiers, built by timm or torchvision, with the preprocessing they need."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import timm
import torch
import torchvision
from PIL import Image
from timm.data import create_transform, resolve_data_config, resolve_model_data_config
from timm.models import split_model_name_tag
from torch import nn

from ml_backend.errors import ModelError, short
from ml_backend.predictors.checkpoints import Checkpoint, imagenet_classes

__all__ = ["LIBRARIES", "Network", "build", "download", "is_official", "official_digest"]

#: Where architectures and official weights come from.
LIBRARIES: Final = ("timm", "torchvision")

_PREPROCESSING: Final = {
    *("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode"),
    "fixed_input_size",
}
_OF_WEIGHTS: Final = {"first_conv", "classifier", "label_offset"}
# Where the shorter side is resized to the model's, only the middle of the longer one is seen; as a
# whole, a hostile image of 2 x 65000 pixels would become one of gigabytes.
_LONGEST: Final = 16

Transform = Callable[[Image.Image], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Network:
    """A classifier ready to be run.

    Attributes:
        module: images, float32 (B, C, H, W), to logits (B, K); in evaluation mode.
        transform: an RGB image to one such image, (C, H, W).
        classes: K names.
        multi_label: each class is a question of its own.
    """

    module: nn.Module
    transform: Transform
    classes: tuple[str, ...]
    multi_label: bool


def build(library: str, checkpoint: Checkpoint) -> Network:
    """Build the network of a checkpoint, all on this machine.

    Args:
        library: one of ``LIBRARIES``; the checkpoint's own word goes first.
        checkpoint: as it was read.

    Raises:
        ModelError: when the architecture is unknown, or the weights are not its own.
    """
    described = checkpoint.described
    prefix, _, name = described.architecture.rpartition(":")
    library = prefix or library
    known = _architectures(library)
    name = split_model_name_tag(name)[0] if library == "timm" else name
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise ModelError(
            f"{described.architecture[:120]!r} is no architecture of {library[:120]}"
            + (f", did you mean {close[0]!r}" if close else "")
        )
    try:
        module, transform = (_of_timm if library == "timm" else _of_torchvision)(name, checkpoint)
    except Exception as error:
        # Architectures raise almost anything on arguments and weights that are not theirs.
        raise ModelError(f"its weights do not fit {library}:{name} ({short(error)})") from error
    return Network(module.eval(), transform, described.classes, described.multi_label)


def is_official(library: str, name: str) -> bool:
    """Return whether a library offers weights by this name."""
    if library == "timm":
        return bool(timm.is_model_pretrained(name))
    return name in _architectures(library)


def official_digest(library: str, name: str) -> str:
    """Return 64 hex digits that stand for official weights, from what the library says of them."""
    if library == "timm":
        told = json.dumps(_config(name), sort_keys=True)
    else:
        told = torchvision.models.get_model_weights(name).DEFAULT.url
    return hashlib.sha256(told.encode()).hexdigest()


def download(library: str, name: str) -> Network:
    """Return an official network; its weights are fetched unless they were before.

    Raises:
        ModelError: when it has no named classes, or cannot be fetched.
    """
    classes = _official_classes(library, name)
    try:
        if library == "timm":
            module = timm.create_model(name, pretrained=True)
            transform = _transform(resolve_model_data_config(module))
        else:
            weights = torchvision.models.get_model_weights(name).DEFAULT
            module = torchvision.models.get_model(name, weights=weights)
            transform = _of_middle(weights.transforms())
    except Exception as error:
        raise ModelError(
            f"the weights of {library}:{name} cannot be fetched ({short(error)}); put a checkpoint "
            "of it into the model folder"
        ) from error
    return Network(module.eval(), transform, classes, multi_label=False)


def _official_classes(library: str, name: str) -> tuple[str, ...]:
    if library == "torchvision":
        return tuple(torchvision.models.get_model_weights(name).DEFAULT.meta["categories"])
    classes = imagenet_classes(_config(name)["num_classes"])
    if classes is None:
        raise ModelError(f"timm:{name} is no classifier of known classes; name another")
    return classes


def _architectures(library: str) -> list[str]:
    if library == "timm":
        return list(timm.list_models())
    if library == "torchvision":
        return list(torchvision.models.list_models(module=torchvision.models))
    return []


def _of_timm(name: str, checkpoint: Checkpoint) -> tuple[nn.Module, Transform]:
    described = checkpoint.described
    own = described.model_dump(include=_PREPROCESSING | _OF_WEIGHTS, exclude_none=True)
    usual = {key: value for key, value in _config(name).items() if key in _PREPROCESSING}
    config = {**usual, **own, "num_classes": len(described.classes)}
    # As pretrained weights they pass timm's own conversion of older names; given by value, they
    # are taken from nowhere else.
    config |= {"architecture": name, "state_dict": checkpoint.weights}
    arguments = {**described.model_args, "num_classes": len(described.classes)}
    module = timm.create_model(name, pretrained=True, pretrained_cfg=config, **arguments)
    module.pretrained_cfg.pop("state_dict")
    return module, _transform(resolve_model_data_config(module))


def _of_torchvision(name: str, checkpoint: Checkpoint) -> tuple[nn.Module, Transform]:
    described = checkpoint.described
    arguments = {**described.model_args, "num_classes": len(described.classes)}
    module = torchvision.models.get_model(name, weights=None, **arguments)
    module.load_state_dict(checkpoint.weights, strict=True)
    own = described.model_dump(include=_PREPROCESSING, exclude_none=True)
    if not own:
        usual = torchvision.models.get_model_weights(name).DEFAULT.transforms()
        return module, _of_middle(usual)
    return module, _transform(resolve_data_config({"interpolation": "bilinear", **own}))


def _transform(config: dict[str, Any]) -> Transform:
    transform: Transform = create_transform(**config, is_training=False)
    if config["crop_mode"] == "center":
        transform = _of_middle(transform)
    if config["input_size"][0] == 1:
        return lambda image: transform(image.convert("L"))
    return transform


def _of_middle(transform: Transform) -> Transform:
    return lambda image: transform(_middle(image))


def _middle(image: Image.Image) -> Image.Image:
    """Cut the ends off an image that is longer than any picture."""
    wide = min(image.width, _LONGEST * image.height)
    tall = min(image.height, _LONGEST * image.width)
    left, top = (image.width - wide) // 2, (image.height - tall) // 2
    return image.crop((left, top, left + wide, top + tall))


def _config(name: str) -> dict[str, Any]:
    config = timm.models.get_pretrained_cfg(name)
    return {} if config is None else config.to_dict()
