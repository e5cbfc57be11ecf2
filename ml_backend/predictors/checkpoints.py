"""Checkpoints of image classifiers: weights and what they are for. No code in them is ever run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import torch
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from safetensors import safe_open
from safetensors.torch import load_file
from timm.data import ImageNetInfo, infer_imagenet_subset
from timm.models import clean_state_dict

from ml_backend.errors import ModelError, short

__all__ = ["Checkpoint", "Description", "imagenet_classes", "read_checkpoint"]

_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")
_HOW: Final = (
    'save a dict {"arch": ..., "classes": [...], "state_dict": model.state_dict()} with torch.save'
)
_HOW_FOLDER: Final = (
    'save it again with timm.models.save_for_hf(model, folder, {"label_names": [...]})'
)
_LARGEST_SIDE: Final = 4096
_MOST_CLASSES: Final = 100_000
# What would make timm load from elsewhere, or build something that gives no class scores.
_RESERVED: Final = frozenset(
    {"cache_dir", "checkpoint_path", "features_only", "pretrained", "weights"}
    | {"pretrained_cfg", "pretrained_cfg_overlay", "pretrained_model_args", "weights_backbone"}
)

_Name = Annotated[str, Field(min_length=1)]
_Side = Annotated[int, Field(ge=1, le=_LARGEST_SIDE)]


class Description(BaseModel):
    """What a checkpoint says of itself, in timm's words; None where it says nothing.

    Attributes:
        architecture: a name of timm, or one of torchvision after ``torchvision:``.
        classes: distinct names, in the order of the outputs.
        multi_label: each class is a question of its own.
        model_args: further arguments of the architecture.
        input_size: channels (1: grey, or 3), height, width.
        mean: per channel, of values in [0, 1].
        std: per channel, above 0.
        crop_pct: the part of a resized image's shorter side that the model sees.
        label_offset: outputs of the weights before the first class.
    """

    model_config = ConfigDict(
        extra="ignore", frozen=True, coerce_numbers_to_str=True, protected_namespaces=()
    )

    architecture: _Name = Field(validation_alias=AliasChoices("architecture", "arch"))
    classes: tuple[_Name, ...] = Field(min_length=1)
    multi_label: bool = False
    model_args: dict[str, Any] = Field(default_factory=dict)
    input_size: tuple[Literal[1, 3], _Side, _Side] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    interpolation: Literal["bicubic", "bilinear", "lanczos", "nearest"] | None = None
    crop_pct: float | None = Field(None, ge=0.1, le=2)
    crop_mode: Literal["border", "center", "squash"] | None = None
    fixed_input_size: bool | None = None
    first_conv: str | tuple[str, ...] | None = None
    classifier: str | tuple[str, ...] | None = None
    label_offset: int | None = Field(None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _name_classes(cls, said: dict[str, Any]) -> dict[str, Any]:
        names = said.get("classes", said.get("label_names", said.get("labels")))
        return {**said, "classes": _named(names, said.get("num_classes"))}

    @field_validator("classes")
    @classmethod
    def _check_classes(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        twice = [name for name, count in Counter(classes).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} stands there more than once")
        return classes

    @field_validator("input_size", mode="before")
    @classmethod
    def _fill_size(cls, size: Any) -> Any:
        if isinstance(size, int):
            return 3, size, size
        return (3, *size) if isinstance(size, list | tuple) and len(size) == 2 else size

    @field_validator("model_args")
    @classmethod
    def _check_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        if refused := sorted(_RESERVED & arguments.keys()):
            raise ValueError(f"{refused[0]!r} is not allowed here")
        return arguments


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model's description, and its weights by the names of its parameters."""

    described: Description
    weights: dict[str, torch.Tensor]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint: a folder in timm's Hugging Face form, or one file.

    A file is a dict with ``arch``, ``classes`` and ``state_dict``, or a ``.safetensors`` with the
    first two in its metadata, lists as JSON; either may hold further keys of ``Description``.

    Args:
        path: as ``files.locate`` returns it.

    Raises:
        ModelError: when it is broken, holds anything but weights, or does not say what it is.
    """
    said, weights = _read_folder(path) if path.is_dir() else _read_file(path)
    how = _HOW_FOLDER if path.is_dir() else _HOW
    tensors = (
        isinstance(weights, dict)
        and bool(weights)
        and all(isinstance(name, str) for name in weights)
        and all(isinstance(value, torch.Tensor) for value in weights.values())
    )
    if not tensors:
        raise ModelError(f"model {path.name!r} holds no weights by name; {how}")
    try:
        described = Description.model_validate(said)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'][:2]))}: {problem['msg']}"
            for problem in error.errors()[:3]
        )
        raise ModelError(
            f"model {path.name!r} does not say what it is ({problems}); {how}"
        ) from error
    return Checkpoint(described, clean_state_dict(weights))


def imagenet_classes(count: int) -> tuple[str, ...] | None:
    """Return the names of the ImageNet set with so many classes; None where there is none.

    A class goes by its first word, by more where that is not its own: "tench", "goldfish".
    """
    subset = infer_imagenet_subset({"num_classes": count})
    if subset is None:
        return None
    info = ImageNetInfo(subset)
    full = info.label_descriptions()
    first = [name.split(", ")[0] for name in full]
    numbered = [f"{name} ({key})" for name, key in zip(full, info.label_names(), strict=True)]
    often = Counter(first), Counter(full)
    return tuple(
        one if often[0][one] == 1 else two if often[1][two] == 1 else three
        for one, two, three in zip(first, full, numbered, strict=True)
    )


def _read_folder(path: Path) -> tuple[dict[str, Any], Any]:
    config = path / "config.json"
    try:
        said = json.loads(config.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"model {path.name!r} has no readable config.json ({short(error)}); {_HOW_FOLDER}"
        ) from error
    inner = said.get("pretrained_cfg", {}) if isinstance(said, dict) else None
    if not isinstance(inner, dict):
        raise ModelError(
            f"model {path.name!r} has a config.json in another form than timm's; {_HOW_FOLDER}"
        )
    file = next((path / name for name in _WEIGHTS if (path / name).is_file()), None)
    if file is None:
        raise ModelError(f"model {path.name!r} has no {' or '.join(_WEIGHTS)}; put it there")
    weights = _tensors(file)
    # What stands outside goes first, as in timm.
    return {**inner, **said}, weights.get("state_dict", weights)


def _read_file(path: Path) -> tuple[dict[str, Any], Any]:
    if path.suffix != ".safetensors":
        checkpoint = _tensors(path)
        return checkpoint, checkpoint.get("state_dict")
    weights = _tensors(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    return {key: _plain(value) for key, value in metadata.items()}, weights


def _tensors(path: Path) -> dict[Any, Any]:
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A broken file makes the readers raise almost anything; what would run code is refused by
        # weights_only, in words that recommend to switch it off.
        raise ModelError(
            f"model file {path.name!r} cannot be loaded: it is broken, or holds more than tensors, "
            f"numbers and texts; {_HOW}, or as .safetensors"
        ) from error
    if not isinstance(loaded, dict):
        raise ModelError(f"model file {path.name!r} holds no dict; {_HOW}")
    return loaded


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _named(names: Any, count: Any) -> Any:
    """Return one name per output; what is neither list nor dict goes on to the validation."""
    if isinstance(count, int) and count > _MOST_CLASSES:
        raise ValueError(f"it has {count} outputs, more than {_MOST_CLASSES}")
    numbered = isinstance(count, int) and count > 0
    if names is None:
        return (imagenet_classes(count) or map(str, range(count))) if numbered else ()
    if isinstance(names, dict):
        given = {int(index): name for index, name in names.items()}
        total = count if numbered else max(given, default=-1) + 1
        if total > _MOST_CLASSES:
            raise ValueError(f"it has {total} outputs, more than {_MOST_CLASSES}")
        names = [given.pop(index, str(index)) for index in range(total)]
        if given:
            raise ValueError(f"there are {total} outputs, and a name for output {min(given)}")
    elif numbered and isinstance(names, list | tuple) and len(names) != count:
        raise ValueError(f"there are {len(names)} names for {count} outputs")
    return names
