"""Human boxes with errors put in on purpose: what the evidence against an error looks like.

No project says which of its labels are wrong. Most are right, though, so a copy of them spoilt in a
known way shows what a detector's evidence is worth on this very project.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.regions import Regions

__all__ = ["misplaced", "redrawn", "relabelled"]

#: A badly drawn box: how far its middle moves and how much its sides change, in shares of a side.
_MOST_MOVE: Final = 0.4
_MOST_STRETCH: Final = 0.4
#: Share of wrong labels that are drawn from the project's own labels, the rest from all classes.
_COMMON: Final = 0.5


def relabelled(regions: Regions, num_classes: int, random: np.random.Generator) -> Regions:
    """Return the same boxes, each with another label than its own."""
    return replace(regions, label=_other_labels(regions.label, num_classes, random))


def redrawn(regions: Regions, random: np.random.Generator) -> Regions:
    """Return the same boxes, moved and stretched by up to two fifths of their sides."""
    n = len(regions)
    side = (regions.box[:, 2:] - regions.box[:, :2]).astype(np.float64)
    middle = (regions.box[:, 2:] + regions.box[:, :2]) / 2
    middle = middle + random.uniform(-_MOST_MOVE, _MOST_MOVE, (n, 2)) * side
    half = side * np.exp(random.uniform(-_MOST_STRETCH, _MOST_STRETCH, (n, 2))) / 2
    return replace(regions, box=np.concatenate([middle - half, middle + half], axis=1))


def misplaced(regions: Regions, num_classes: int, random: np.random.Generator) -> Regions:
    """Return boxes where there is no such object: boxes of other tasks, half of them relabelled."""
    task = random.permutation(regions.task)
    label = np.where(
        random.random(len(regions)) < _COMMON,
        regions.label,
        _other_labels(regions.label, num_classes, random),
    )
    moved = replace(regions, task=task, label=label)
    return moved.take(task != regions.task)


def _other_labels(
    label: NDArray[np.int32], num_classes: int, random: np.random.Generator
) -> NDArray[np.int32]:
    uniform = (label + random.integers(1, num_classes, len(label))) % num_classes
    common = random.permutation(label)
    take_common = (random.random(len(label)) < _COMMON) & (common != label)
    return np.where(take_common, common, uniform).astype(np.int32)
