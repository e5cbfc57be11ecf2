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
        region: id of the person's region; "" to add one.
        label: label index for "relabel" and "add".
        box: float32 (4,), x0 y0 x1 y1, pixels, for "add" and "redraw"; None for choices.
        score: the model's confidence.
        size: width and height of the image, pixels.
    """

    control: Control
    action: str
    region: str
    label: int
    box: NDArray[np.float32] | None
    score: float
    size: tuple[int, int]


def suggest(result: Result, fixes: Sequence[Fix]) -> Result:
    """Return a person's regions with the fixes made; all else in them stays as it is."""
    changed = copy.deepcopy(result)
    for fix in fixes:
        ours = [item for item in changed if item.get("from_name") == fix.control.name]
        found = [item for item in ours if str(item.get("id", "")) == fix.region]
        if fix.action == "add":
            changed += _added(fix)
        elif fix.action == "remove":
            # What else hangs on the region (a per-region choice, say) goes with it.
            changed = [item for item in changed if str(item.get("id", "")) != fix.region]
        for item in found:
            if fix.action == "relabel":
                item["value"][fix.control.kind] = [fix.control.labels[fix.label]]
            elif fix.action == "redraw" and fix.box is not None:
                item["value"] |= box_value(fix.box, fix.size)
    return changed


def _added(fix: Fix) -> Result:
    if fix.box is None:
        return encode_choice(fix.control, fix.label, fix.score)
    label = np.array([fix.label], dtype=np.int32)
    score = np.array([fix.score], dtype=np.float32)
    return encode_boxes(fix.control, label, fix.box[None], score, fix.size)
