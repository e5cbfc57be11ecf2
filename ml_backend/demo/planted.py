"""Label errors as a hurried person makes them, and the record that only the checker reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.demo.scenes import SCENE_SIZE, Scene

__all__ = ["BOX_KINDS", "Planted", "plant_boxes", "plant_classes"]

#: Kinds of planted errors on boxes, planted in turn.
BOX_KINDS: Final = ("mislabelled", "missing", "spurious", "badly_drawn")

_JITTER_PX = 0.7
_LOW_IOU, _HIGH_IOU = 0.3, 0.55
_TRIES = 1000


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted error: which image of the sample, and its kind."""

    index: int
    kind: str


def plant_boxes(
    scenes: list[Scene], share: float, random: np.random.Generator
) -> tuple[list[tuple[NDArray[np.int32], NDArray[np.float32]]], list[Planted]]:
    """Label scenes as people would, with one error in a share of them.

    Returns:
        per scene label int32 (N,) and box float32 (N, 4), pixels; and what was planted.
    """
    chosen = np.sort(random.choice(len(scenes), round(share * len(scenes)), replace=False))
    planted = [Planted(int(i), BOX_KINDS[n % len(BOX_KINDS)]) for n, i in enumerate(chosen)]
    said = []
    kinds = {one.index: one.kind for one in planted}
    for index, scene in enumerate(scenes):
        box = _jitter(scene.box, random)
        label = scene.label.copy()
        if index in kinds:
            label, box = _err(kinds[index], label, box, random)
        said.append((label, box))
    return said, planted


def plant_classes(
    label: NDArray[np.int32], share: float, random: np.random.Generator
) -> tuple[NDArray[np.int32], list[Planted]]:
    """Give a share of single digits another label than the true one."""
    chosen = np.sort(random.choice(len(label), round(share * len(label)), replace=False))
    said = label.copy()
    said[chosen] = _others(label[chosen], random)
    return said, [Planted(int(index), "mislabelled") for index in chosen]


def _err(
    kind: str,
    label: NDArray[np.int32],
    box: NDArray[np.float32],
    random: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    victim = int(random.integers(len(label)))
    if kind == "mislabelled":
        label[victim] = _others(label[victim : victim + 1], random)[0]
    elif kind == "missing":
        label, box = np.delete(label, victim), np.delete(box, victim, axis=0)
    elif kind == "spurious":
        label = np.append(label, random.integers(10)).astype(np.int32)
        box = np.concatenate([box, _empty_spot(box, random)[None]])
    else:
        box[victim] = _bad(box[victim], random)
    return label, box


def _others(label: NDArray[np.int32], random: np.random.Generator) -> NDArray[np.int32]:
    return ((label + random.integers(1, 10, len(label))) % 10).astype(np.int32)


def _jitter(box: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    moved = box + random.normal(0, _JITTER_PX, box.shape)
    return np.clip(moved, 0, SCENE_SIZE).astype(np.float32)


def _empty_spot(box: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Return a box of a digit's size that touches no other, or the least touching one tried."""
    size = random.uniform(18, 34, (_TRIES, 2))
    corner = random.uniform(0, SCENE_SIZE - size)
    tried = np.concatenate([corner, corner + size], axis=1)
    most = _overlap(tried, box).max(axis=1)
    best: NDArray[np.float32] = tried[int(most.argmin())].astype(np.float32)
    return best


def _bad(box: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Shift, grow or cut a box so far that it is plainly not where the digit is."""
    side = np.tile(box[2:] - box[:2], 2)
    tried = box + random.uniform(-0.6, 0.6, (_TRIES, 4)) * side
    tried = np.clip(tried, 0, SCENE_SIZE)
    iou = _iou(tried, box)
    good = np.flatnonzero((iou > _LOW_IOU) & (iou < _HIGH_IOU))
    bad: NDArray[np.float32] = tried[good[0]].astype(np.float32)
    return bad


def _overlap(a: NDArray[np.float64], b: NDArray[np.float32]) -> NDArray[np.float64]:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared: NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=2)
    return shared


def _iou(a: NDArray[np.float64], b: NDArray[np.float32]) -> NDArray[np.float64]:
    shared = _overlap(a, b[None])[:, 0]
    valid = ((a[:, 2:] - a[:, :2]) > 1).all(axis=1)
    area = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[2:] - b[:2]).prod() - shared
    return np.where(valid, shared / np.maximum(area, 1e-9), 0.0)
