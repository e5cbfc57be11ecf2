"""Label errors as a hurried person makes them, and the record that only the checker reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from analysis.geometry.matching import box_iou
from ml_backend.demo.scenes import SCENE_SIZE, Scene

__all__ = ["BOX_KINDS", "Labels", "Planted", "plant_boxes", "plant_classes"]

#: Kinds of planted errors on boxes, planted in turn.
BOX_KINDS: Final = ("mislabelled", "missing", "spurious", "badly_drawn")

# Steady hands still miss the ink's edge by about a pixel, hardly ever by more than two.
_JITTER_PX: Final = 0.8
_MOST_JITTER_PX: Final = 2.0
_BAD_IOU: Final = (0.35, 0.6)
_SPURIOUS_PX: Final = (18.0, 34.0)
_TRIES: Final = 900

#: Labels of one scene: label int32 (N,) and box float32 (N, 4), x0 y0 x1 y1, pixels.
Labels = tuple[NDArray[np.int32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Planted:
    """One planted error.

    Attributes:
        index: which image of the sample.
        kind: one of ``BOX_KINDS``.
        true_row: the object's row in the true labels, ``NONE`` for a spurious box.
        said_row: its row in the human labels, ``NONE`` for a missing box.
    """

    index: int
    kind: str
    true_row: int
    said_row: int


def plant_boxes(
    scenes: list[Scene], share: float, random: np.random.Generator
) -> tuple[list[Labels], list[Planted]]:
    """Label scenes as people would, with one error in a share of them, evenly over the kinds.

    Args:
        scenes: what is truly there.
        share: of the scenes that get an error, in [0, 1].
        random: decides everything left to chance.

    Returns:
        per scene the human label int32 (N,) and box float32 (N, 4), pixels; and what was planted,
        by index.
    """
    kinds = {
        row: BOX_KINDS[n % len(BOX_KINDS)] for n, row in enumerate(_some(scenes, share, random))
    }
    said: list[Labels] = []
    planted = []
    for index, scene in enumerate(scenes):
        labels = scene.label.copy(), _jitter(scene.box, random)
        if index in kinds:
            labels, one = _err(index, kinds[index], scene, labels, random)
            planted.append(one)
        said.append(labels)
    return said, planted


def plant_classes(
    label: NDArray[np.int32], share: float, random: np.random.Generator
) -> tuple[NDArray[np.int32], list[Planted]]:
    """Give a share of single digits another label than the true one.

    Args:
        label: int32 (N,), the true digits.
        share: of the digits that get a wrong label, in [0, 1].
        random: decides everything left to chance.

    Returns:
        the human labels, int32 (N,); and what was planted, by index.
    """
    said = label.copy()
    rows = _some(label, share, random)
    said[rows] = _others(label[rows], random)
    return said, [Planted(row, "mislabelled", 0, 0) for row in rows]


def _some(
    items: list[Scene] | NDArray[np.int32], share: float, random: np.random.Generator
) -> list[int]:
    picked = random.choice(len(items), round(share * len(items)), replace=False)
    return sorted(int(row) for row in picked)


def _err(
    index: int, kind: str, scene: Scene, labels: Labels, random: np.random.Generator
) -> tuple[Labels, Planted]:
    label, box = labels
    row = int(random.integers(len(label)))
    if kind == "mislabelled":
        label[row] = _others(label[row : row + 1], random)[0]
    elif kind == "missing":
        labels = np.delete(label, row), np.delete(box, row, axis=0)
        return labels, Planted(index, kind, row, NONE)
    elif kind == "spurious":
        labels = (
            np.append(label, random.integers(10)).astype(np.int32),
            np.concatenate([box, _empty_spot(scene.box, random)[None]]),
        )
        return labels, Planted(index, kind, NONE, len(label))
    else:
        box[row] = _bad(scene.box[row], random)
    return (label, box), Planted(index, kind, row, row)


def _others(label: NDArray[np.int32], random: np.random.Generator) -> NDArray[np.int32]:
    return ((label + random.integers(1, 10, len(label))) % 10).astype(np.int32)


def _jitter(box: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    moved = random.normal(0, _JITTER_PX, box.shape).clip(-_MOST_JITTER_PX, _MOST_JITTER_PX)
    drawn: NDArray[np.float32] = np.clip(box + moved, 0, SCENE_SIZE).astype(np.float32)
    return drawn


def _empty_spot(box: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Return a box of a digit's size that touches no other, or the least touching one tried."""
    size = random.uniform(*_SPURIOUS_PX, (_TRIES, 2))
    corner = random.uniform(0, SCENE_SIZE - size)
    tried = np.concatenate([corner, corner + size], axis=1)
    best: NDArray[np.float32] = tried[_shared(tried, box).max(axis=1).argmin()].astype(np.float32)
    return best


def _bad(box: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Shift, grow or cut a box so far that it is plainly not where the digit is."""
    width, height = box[2:] - box[:2]
    side = np.array([width, height, width, height])
    part = random.uniform(0, 0.7, (3, _TRIES // 3, 4))
    way = random.choice([-1.0, 1.0], (_TRIES // 3, 2))
    shifted = np.tile(part[0, :, :2] * way, 2)
    grown = part[1] * (-1, -1, 1, 1)
    cut = part[2] * (1, 1, -1, -1) * np.eye(4)[random.integers(4, size=_TRIES // 3)]
    tried = np.clip(box + np.concatenate([shifted, grown, cut]) * side, 0, SCENE_SIZE)
    tried = tried.astype(np.float32)
    iou = box_iou(tried, np.broadcast_to(box, tried.shape))
    low, high = _BAD_IOU
    good = np.flatnonzero((iou > low) & (iou < high))
    bad: NDArray[np.float32] = tried[random.choice(good)]
    return bad


def _shared(a: NDArray[np.float64], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the area that boxes (N, 4) and (M, 4) share, pixels, (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    area: NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=2)
    return area
