"""The suggested fix: a person's regions with what the model would change, as a prediction."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.regions.results import Result, encode, encode_choices
from ml_backend.outlines import Outlines

__all__ = ["SUGGESTION_VERSION", "Fix", "suggest"]

#: The model version that suggestions are stored under.
SUGGESTION_VERSION = "relook-suggestion"


@dataclass(frozen=True, slots=True)
class Fix:
    """One change to one annotation.

    Attributes:
        control: the control tag it is about.
        action: "relabel", "add", "remove" or "redraw".
        item: place of the person's region in the annotation; -1 to add one.
        label: label index for "relabel" and "add", and the one of several choices to "remove".
        outline: where the region should be, for "add" and "redraw", one row in pixels or
            characters; None for choices.
        score: the model's confidence.
        size: width and height of the image, pixels.
        text: the text that a span is of.
    """

    control: Control
    action: str
    item: int
    label: int
    outline: Outlines | None
    score: float
    size: tuple[int, int]
    text: str | None = None


def suggest(result: Result, fixes: Sequence[Fix]) -> Result:
    """Return a person's regions with the fixes made; all else in them stays as it is."""
    changed = copy.deepcopy(result)
    removed: set[int] = set()
    added: Result = []
    for fix in fixes:
        if fix.control.multiple and fix.item >= 0:
            if not _choose(changed[fix.item]["value"], fix):
                removed.add(fix.item)
        elif fix.action == "add":
            added += _region(fix)
        elif fix.action == "remove":
            removed |= _with_what_hangs_on(changed, fix.item)
        elif fix.action == "relabel":
            changed[fix.item]["value"][fix.control.kind] = [fix.control.labels[fix.label]]
        elif fix.action == "redraw":
            _redraw(changed[fix.item], fix)
    return [item for place, item in enumerate(changed) if place not in removed] + added


def _redraw(item: dict[str, Any], fix: Fix) -> None:
    """Move a region; its label stays. What would lie outside the image is not moved there."""
    for drawn in _region(fix):
        drawn["value"].pop(fix.control.kind, None)
        item["value"] |= drawn["value"]
        if fix.control.geometry == "mask":
            # Its runs are counted on the image that it states.
            item |= {key: drawn[key] for key in ("original_width", "original_height")}


def _choose(value: dict[str, list[str]], fix: Fix) -> list[str]:
    """Change one of several choices; return those that are left."""
    label, chosen = fix.control.labels[fix.label], value[fix.control.kind]
    kept = [name for name in chosen if name != label]
    value[fix.control.kind] = [*kept, label] if fix.action == "add" else kept
    return value[fix.control.kind]


def _with_what_hangs_on(result: Result, place: int) -> set[int]:
    """A region's place with those of what shares its id: a per-region choice, say."""
    name = result[place].get("id")
    return {place} | {n for n, item in enumerate(result) if name and item.get("id") == name}


def _region(fix: Fix) -> Result:
    if fix.outline is None:
        return encode_choices(fix.control, [fix.label], fix.score)
    label = np.array([max(fix.label, 0)], dtype=np.int32)
    score = np.array([fix.score], dtype=np.float32)
    return encode(fix.control, label, score, fix.outline, fix.size, text=fix.text)
