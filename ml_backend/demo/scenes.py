"""Scenes of real handwritten digits, drawn from scikit-learn's bundled scans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

__all__ = [
    "DIGIT_SIZE",
    "SCENE_SIZE",
    "Digits",
    "Scene",
    "draw_digit",
    "draw_scene",
    "split_digits",
]

#: Side of a scene and of a single digit's image, pixels.
SCENE_SIZE: Final = 160
DIGIT_SIZE: Final = 64

# Half-open ranges for the side of a digit's own square of paper, pixels; the ink takes about two
# thirds of it. On smaller digits the pixel of jitter that every person has spoils the box.
_IN_SCENE: Final = (30, 54)
_ALONE: Final = (36, 54)
_STRETCH: Final = 0.12
_SLANT_DEGREES: Final = 12.0
_MARGIN: Final = 2  # Scan pixels, so that a slanted digit keeps its corners.
_INK: Final = 0.25
_GAP_PX: Final = 2.0
_TRIES: Final = 40


@dataclass(frozen=True, slots=True)
class Digits:
    """Digit scans.

    Attributes:
        scan: float32 (N, 8, 8), in [0, 1], ink is 1.
        label: int32 (N,), 0 to 9.
    """

    scan: NDArray[np.float32]
    label: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and what is truly in it.

    Attributes:
        image: uint8 (H, W, 3), RGB, all channels alike.
        label: int32 (N,), the digits.
        box: float32 (N, 4), x0 y0 x1 y1, pixels, tight around the ink.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.int32]
    box: NDArray[np.float32]


@cache
def split_digits() -> tuple[Digits, Digits]:
    """Return the scans to train on and those held out; no scan is in both."""
    bunch = load_digits()
    scan = (bunch.images / 16).astype(np.float32)
    label = bunch.target.astype(np.int32)
    rows = np.arange(len(label))
    train, held_out = train_test_split(rows, test_size=0.3, random_state=0, stratify=label)
    return Digits(scan[train], label[train]), Digits(scan[held_out], label[held_out])


def draw_scene(digits: Digits, random: np.random.Generator) -> Scene:
    """Draw three to seven digits of varied size and slant, none over another."""
    paper = _paper(random, SCENE_SIZE)
    boxes: list[NDArray[np.float32]] = []
    labels: list[int] = []
    wanted = int(random.integers(3, 8))
    for _ in range(_TRIES):
        if len(labels) == wanted:
            break
        pick = int(random.integers(len(digits.label)))
        ink, tight = _ink(digits.scan[pick], int(random.integers(*_IN_SCENE)), random)
        corner = random.integers(0, SCENE_SIZE - np.array(ink.shape[::-1]) + 1)
        box = (tight + np.tile(corner, 2)).astype(np.float32)
        if any(_touch(box, other) for other in boxes):
            continue
        _press(paper, ink, corner, random)
        boxes.append(box)
        labels.append(int(digits.label[pick]))
    return Scene(_finish(paper, random), np.array(labels, dtype=np.int32), np.stack(boxes))


def draw_digit(digits: Digits, row: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw one digit alone.

    Returns:
        uint8 (64, 64, 3), RGB, all channels alike.
    """
    paper = _paper(random, DIGIT_SIZE)
    ink, _ = _ink(digits.scan[row], int(random.integers(*_ALONE)), random)
    corner = random.integers(0, DIGIT_SIZE - np.array(ink.shape[::-1]) + 1)
    _press(paper, ink, corner, random)
    return _finish(paper, random)


def _ink(
    scan: NDArray[np.float32], size: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return a digit's ink, float32 (h, w) in [0, 1], and its tight box, float32 (4,)."""
    padded = Image.fromarray(np.pad(scan, _MARGIN))
    width, height = (size * random.uniform(1 - _STRETCH, 1 + _STRETCH, 2)).round().astype(int)
    grown = padded.resize((int(width), int(height)), Image.Resampling.BICUBIC)
    slant = float(random.uniform(-_SLANT_DEGREES, _SLANT_DEGREES))
    turned = grown.rotate(slant, Image.Resampling.BICUBIC)
    ink = np.clip(np.asarray(turned, dtype=np.float32), 0, 1)
    rows, columns = np.flatnonzero((ink > _INK).any(1)), np.flatnonzero((ink > _INK).any(0))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float32)
    return ink, box


def _paper(random: np.random.Generator, size: int) -> NDArray[np.float32]:
    slope = random.uniform(-0.12, 0.12, 2) / size
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    shade: NDArray[np.float32] = (
        random.uniform(0.72, 0.95) + slope[0] * across + slope[1] * down
    ).astype(np.float32)
    return shade


def _press(
    paper: NDArray[np.float32],
    ink: NDArray[np.float32],
    corner: NDArray[np.int64],
    random: np.random.Generator,
) -> None:
    x, y = corner.tolist()
    spot = paper[y : y + ink.shape[0], x : x + ink.shape[1]]
    dark = float(random.uniform(0.05, 0.35))
    spot[:] = spot * (1 - ink) + dark * ink


def _finish(paper: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.uint8]:
    noisy = paper + random.normal(0, 0.02, paper.shape)
    grey = (np.clip(noisy, 0, 1) * 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _touch(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    return bool((a[:2] < b[2:] + _GAP_PX).all() and (b[:2] < a[2:] + _GAP_PX).all())
