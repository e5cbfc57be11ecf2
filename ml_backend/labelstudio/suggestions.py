"""The suggested fix: a person's regions with what the model would change, as a prediction."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.results import Result, box_value, encode_boxes, encode_choice

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
        label: label index for "relabel" and "add".
        box: float32 (4,), x0 y0 x1 y1, pixels, for "add" and "redraw"; None for choices.
        score: the model's confidence.
        size: width and height of the image, pixels.
    """

    control: Control
    action: str
    item: int
    label: int
    box: NDArray[np.float32] | None
    score: float
    size: tuple[int, int]


def suggest(result: Result, fixes: Sequence[Fix]) -> Result:
    """Return a person's regions with the fixes made; all else in them stays as it is."""
    changed = copy.deepcopy(result)
    removed: set[int] = set()
    added: Result = []
    for fix in fixes:
        if fix.action == "add":
            added += _added(fix)
        elif fix.action == "remove":
            removed |= _with_what_hangs_on(changed, fix.item)
        elif fix.action == "relabel":
            changed[fix.item]["value"][fix.control.kind] = [fix.control.labels[fix.label]]
        elif fix.action == "redraw" and fix.box is not None:
            changed[fix.item]["value"] |= box_value(fix.box, fix.size)
    return [item for place, item in enumerate(changed) if place not in removed] + added


def _with_what_hangs_on(result: Result, place: int) -> set[int]:
    """A region's place with those of what shares its id: a per-region choice, say."""
    name = result[place].get("id")
    return {place} | {n for n, item in enumerate(result) if name and item.get("id") == name}


def _added(fix: Fix) -> Result:
    if fix.box is None:
        return encode_choice(fix.control, fix.label, fix.score)
    label = np.array([fix.label], dtype=np.int32)
    score = np.array([fix.score], dtype=np.float32)
    return encode_boxes(fix.control, label, fix.box[None], score, fix.size)
