"""Human boxes with errors put in on purpose: what the evidence against an error looks like.

No project says which of its labels are wrong. Most are right, though, so a copy of them spoilt in a
known way shows what a detector's evidence is worth on this very project.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.geometry.matching import pair_blocks
from analysis.geometry.polygons import Polygons
from analysis.regions import Regions

__all__ = ["misplaced", "redrawn", "relabelled"]

#: A badly drawn box: how far its middle moves and how much its sides change, in shares of a side.
_MOST_MOVE: Final = 0.4
_MOST_STRETCH: Final = 0.4
#: Share of wrong labels that are drawn from the project's own labels, the rest from all classes.
_COMMON: Final = 0.5
#: IoU with a human box of its class from which a place is taken.
_TAKEN: Final = 0.3


def relabelled(regions: Regions, num_classes: int, random: np.random.Generator) -> Regions:
    """Return the same boxes, each with another label than its own; none if there is one class."""
    label = _other_labels(regions.label, num_classes, random)
    return replace(regions, label=label).take(label != regions.label)


def redrawn(regions: Regions, random: np.random.Generator) -> Regions:
    """Return the same boxes, moved and stretched by up to two fifths of their sides.

    Polygons go with their boxes; of masks the boxes are left.
    """
    n = len(regions)
    side = (regions.box[:, 2:] - regions.box[:, :2]).astype(np.float64)
    middle = (regions.box[:, 2:] + regions.box[:, :2]) / 2
    middle = middle + random.uniform(-_MOST_MOVE, _MOST_MOVE, (n, 2)) * side
    half = side * np.exp(random.uniform(-_MOST_STRETCH, _MOST_STRETCH, (n, 2))) / 2
    box = np.concatenate([middle - half, middle + half], axis=1)
    shape = regions.shape.fitted(box) if isinstance(regions.shape, Polygons) else None
    return replace(regions, box=box, shape=shape)


def misplaced(regions: Regions, num_classes: int, random: np.random.Generator) -> Regions:
    """Return boxes where there is no such object: boxes of other tasks, half of them relabelled."""
    task = random.permutation(regions.task)
    label = np.where(
        random.random(len(regions)) < _COMMON,
        regions.label,
        _other_labels(regions.label, num_classes, random),
    )
    moved = replace(regions, task=task, label=label)
    free = task != regions.task
    # Layouts repeat: where the other task has such an object at the very place, the box is right.
    for pairs in pair_blocks(moved, regions, _TAKEN):
        free[pairs.first[moved.label[pairs.first] == regions.label[pairs.second]]] = False
    return moved.take(free)


def _other_labels(
    label: NDArray[np.int32], num_classes: int, random: np.random.Generator
) -> NDArray[np.int32]:
    if num_classes < 2:
        return label
    uniform = (label + random.integers(1, num_classes, len(label))) % num_classes
    common = random.permutation(label)
    take_common = (random.random(len(label)) < _COMMON) & (common != label)
    return np.where(take_common, common, uniform).astype(np.int32)
