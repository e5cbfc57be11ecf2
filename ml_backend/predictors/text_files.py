"""Folders of text models: looked at before anything is loaded, so that each fault has its words."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ml_backend.errors import ModelError, short

# Before the import: what is loaded lies in a folder, so nothing has to be asked or told.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from transformers import (
    CONFIG_MAPPING,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)
from transformers.utils import logging

__all__ = ["TextModel", "load"]

Kind = Literal["span", "choice"]

_KINDS: Final[dict[str, tuple[Kind, Any]]] = {
    "ForTokenClassification": ("span", AutoModelForTokenClassification),
    "ForSequenceClassification": ("choice", AutoModelForSequenceClassification),
}
#: Any one of them makes a tokenizer; without, transformers makes one up that knows no word.
_VOCABULARIES: Final = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.tiktoken")
#: Most pieces that are read at once, however many the model could: more costs its square.
_LONGEST: Final[dict[Kind, int]] = {"span": 512, "choice": 4096}
#: A window has to hold more than the special pieces.
_SHORTEST: Final = 8

# Its warnings are said by our errors; its progress bars have no one to look at them.
logging.set_verbosity_error()  # type: ignore[no-untyped-call]
logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class TextModel:
    """A model of texts and what belongs to it.

    Attributes:
        network: the PyTorch module, on its device, in evaluation mode.
        tokenizer: a fast one with a pad piece, that neither cuts nor pads.
        kind: whether it tags pieces or classifies texts.
        labels: its tags or classes, by index.
        multiple: whether several classes of a text can hold at once.
        window: most pieces that it reads at once, special ones included.
    """

    network: Any
    tokenizer: Any
    kind: Kind
    labels: tuple[str, ...]
    multiple: bool
    window: int


def load(path: Path, device: torch.device) -> TextModel:
    """Load the folder of a token or sequence classifier. No connection is opened, no code run.

    On a GPU the weights are float16, else float32.

    Raises:
        ModelError: naming what is wrong with the folder.
    """
    config = _config(path)
    kind, maker = _kind(path, config)
    if not any(any(path.glob(pattern)) for pattern in _VOCABULARIES):
        raise ModelError(
            f"model {path.name!r} has no tokenizer; save it there too "
            "(tokenizer.save_pretrained), tokenizer.json at least"
        )
    offline: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **offline)
        network, report = maker.from_pretrained(
            path,
            dtype=torch.float16 if device.type == "cuda" else torch.float32,
            weights_only=True,
            output_loading_info=True,
            **offline,
        )
        network = network.to(device).eval()
    except Exception as error:
        # Configs, vocabularies and weights that are broken raise almost anything.
        raise ModelError(
            f"model {path.name!r} cannot be loaded ({short(error)}); save it again with "
            "save_pretrained, model and tokenizer"
        ) from error
    if report["missing_keys"]:
        raise ModelError(
            f"model {path.name!r} lacks weights ({', '.join(sorted(report['missing_keys'])[:3])}); "
            "they would be random: save the trained model"
        )
    _check_tokenizer(path, tokenizer, network)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return TextModel(
        network,
        tokenizer,
        kind,
        _labels(path, network.config),
        network.config.problem_type == "multi_label_classification",
        _window(path, kind, tokenizer, network),
    )


def _config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"model {path.name!r} is no folder with a config.json, as transformers' "
            "save_pretrained makes it"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"config.json of model {path.name!r} is not JSON ({error})") from error
    if not isinstance(config, dict):
        raise ModelError(f"config.json of model {path.name!r} holds no JSON object")
    if (path / "adapter_config.json").exists():
        raise ModelError(
            f"model {path.name!r} is an adapter of another model; merge the two "
            "(merge_and_unload) and save the result"
        )
    return config


def _kind(path: Path, config: dict[str, Any]) -> tuple[Kind, Any]:
    family = config.get("model_type")
    if family not in CONFIG_MAPPING:
        if "auto_map" in config:
            raise ModelError(
                f"model {path.name!r} comes with code of its own, which Relook never runs; use a "
                "model of a family that transformers knows"
            )
        raise ModelError(
            f"model {path.name!r} is of the family {family!r}, which this version of "
            "transformers does not know"
        )
    architectures = config.get("architectures")
    names = [str(name) for name in architectures] if isinstance(architectures, list) else []
    for name in names:
        for ending, found in _KINDS.items():
            if name.endswith(ending):
                return found
    raise ModelError(
        f"model {path.name!r} is a {', '.join(names) or 'model of no named architecture'}; of text "
        f"models Relook serves {' and '.join(f'*{ending}' for ending in _KINDS)}"
    )


def _check_tokenizer(path: Path, tokenizer: Any, network: Any) -> None:
    if not tokenizer.is_fast:
        raise ModelError(
            f"model {path.name!r} has a slow tokenizer, which does not say where pieces lie; "
            "save a fast one (tokenizer.json)"
        )
    size, known = len(tokenizer), network.get_input_embeddings().num_embeddings
    if not len(tokenizer.all_special_ids) < size <= known:
        raise ModelError(
            f"the tokenizer of model {path.name!r} knows {size} pieces and the model {known}; "
            "save the tokenizer that it was trained with"
        )
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ModelError(f"the tokenizer of model {path.name!r} has no pad token; add one")
        tokenizer.pad_token = tokenizer.eos_token
    if getattr(network.config, "pad_token_id", None) is None:
        network.config.pad_token_id = tokenizer.pad_token_id


def _labels(path: Path, config: Any) -> tuple[str, ...]:
    names: dict[int, Any] = config.id2label
    if sorted(names) != list(range(len(names))):
        raise ModelError(
            f"id2label of model {path.name!r} numbers its labels {str(sorted(names))[:80]}, "
            f"expected 0 to {len(names) - 1}"
        )
    regression = config.problem_type == "regression" or (
        len(names) == 1 and config.problem_type != "multi_label_classification"
    )
    if regression:
        raise ModelError(
            f"model {path.name!r} gives one number, not classes; Relook serves classifiers"
        )
    return tuple(str(names[index]) for index in range(len(names)))


def _window(path: Path, kind: Kind, tokenizer: Any, network: Any) -> int:
    limits = [_LONGEST[kind], tokenizer.model_max_length]
    limits.append(getattr(network.config, "max_position_embeddings", None))
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # Some families number positions from behind their padding's.
            behind = 0 if module.padding_idx is None else module.padding_idx + 1
            limits.append(module.num_embeddings - behind)
    window = min(int(limit) for limit in _numbers(limits) if limit > 0)
    if window < _SHORTEST:
        raise ModelError(
            f"model {path.name!r} reads {window} pieces at once, too few; check model_max_length "
            "in tokenizer_config.json"
        )
    return window


def _numbers(values: Sequence[Any]) -> list[float]:
    return [value for value in values if isinstance(value, int | float)]
