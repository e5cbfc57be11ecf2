"""A small imagined project: what is believed of a detector before it has shown anything.

A prior given as data needs no second way of fitting: a project with few labels is scored as if
these had been seen as well, and a project with many hardly notices them.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from analysis.regions import Regions

__all__ = ["NUM_CLASSES", "imagined_project"]

NUM_CLASSES: Final = 10

_TASKS: Final = 100
_OBJECTS: Final = 6
_SIDE: Final = 640.0
#: Share of objects that the detector sees, and of those the share that it takes for another class.
_SEEN: Final = 0.8
_CONFUSED: Final = 0.06
#: How far its boxes and a careful person's differ, in shares of the side.
_LOOSE: Final = 0.06
#: Weak second opinions and weak boxes on nothing, per object.
_SECOND: Final = 0.3
_GHOSTS: Final = 0.5


@cache
def imagined_project() -> tuple[Regions, Regions]:
    """Return right human boxes and a decent detector's, the same at every call."""
    random = np.random.default_rng(0)
    n = _TASKS * _OBJECTS
    task = np.repeat(np.arange(_TASKS), _OBJECTS)
    label = random.integers(NUM_CLASSES, size=n)
    box = _boxes(n, random)
    seen = np.flatnonzero(random.random(n) < _SEEN)
    confused = random.random(len(seen)) < _CONFUSED
    said = np.where(confused, random.integers(NUM_CLASSES, size=len(seen)), label[seen])
    score = np.where(confused, random.beta(2, 3, len(seen)), random.beta(5, 1.5, len(seen)))
    second = seen[random.random(len(seen)) < _SECOND]
    ghosts = round(n * _GHOSTS)
    predictions = Regions(
        np.concatenate([task[seen], task[second], random.integers(_TASKS, size=ghosts)]),
        np.concatenate([said, random.integers(NUM_CLASSES, size=len(second) + ghosts)]).astype(
            np.int32
        ),
        np.concatenate(
            [_redrawn(box[seen], random), _redrawn(box[second], random), _boxes(ghosts, random)]
        ).astype(np.float32),
        np.concatenate([score, random.beta(1, 9, len(second)), random.beta(1, 7, ghosts)]),
    )
    return Regions(task, label.astype(np.int32), box.astype(np.float32)), predictions


def _boxes(count: int, random: np.random.Generator) -> np.typing.NDArray[np.float64]:
    side = _SIDE * np.exp(random.uniform(np.log(0.04), np.log(0.4), (count, 2)))
    corner = random.uniform(0, _SIDE - side)
    return np.concatenate([corner, corner + side], axis=1)


def _redrawn(
    box: np.typing.NDArray[np.float64], random: np.random.Generator
) -> np.typing.NDArray[np.float64]:
    side = np.tile(box[:, 2:] - box[:, :2], 2)
    drawn = box + random.normal(0, _LOOSE, box.shape) * side
    return np.concatenate(
        [np.minimum(drawn[:, :2], drawn[:, 2:]), np.maximum(drawn[:, :2], drawn[:, 2:])], axis=1
    )
