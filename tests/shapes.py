"""Scenes of bright shapes whose truth is known to the pixel, in every geometry of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.outlines import Outlines

__all__ = ["CLASSES", "JOINTS", "KINDS", "SIZE", "Scene", "draw_scene", "draw_scenes"]

#: Width and height of a scene where nothing else is asked for, pixels.
SIZE: Final = (128, 128)
#: What is drawn, with the classes of each. Plates are turned rectangles; a needle has a red head,
#: a green middle that one in four lacks, and a blue tail.
CLASSES: Final[dict[str, tuple[str, ...]]] = {
    "plates": ("red", "blue"),
    "rounds": ("disk", "ring"),
    "needles": ("needle",),
}
KINDS: Final = tuple(CLASSES)
#: Key points of a needle: head, middle, tail.
JOINTS: Final = 3

_RED, _GREEN, _BLUE = (225, 60, 50), (60, 210, 80), (50, 90, 230)
_YELLOW, _WHITE = (225, 205, 60), (235, 235, 235)
_TRIES: Final = 40
_GAP_PX: Final = 4.0
_HIDDEN: Final = 0.25
#: Radius of a needle's shaft and of the dots on it, pixels.
_SHAFT, _DOT = 3.0, 5.0

Points = NDArray[np.float64]
_Distance = Callable[[Points], Points]


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and the N shapes in it.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        label: int32 (N,), rows of the kind's ``CLASSES``.
        box: float64 (N, 5), x y width height angle, as the geometry "box" has them.
        mask: bool (N, H, W), the pixels whose centre a shape covers.
        joints: float64 (N, K, 3), x y and 1 where it can be seen; K is 0 but for needles.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.int32]
    box: NDArray[np.float64]
    mask: NDArray[np.bool_]
    joints: NDArray[np.float64]

    @property
    def points(self) -> tuple[Outlines, NDArray[np.int32]]:
        """The key points that can be seen, as the geometry "point" has them, and their labels."""
        shape, joint = np.nonzero(self.joints[..., 2])
        table = np.column_stack([self.joints[shape, joint, :2], shape])
        return Outlines.of_table(table), joint.astype(np.int32)


@dataclass(frozen=True, slots=True)
class _Shape:
    """One shape: its class, its parts (each a signed distance and a colour), where it is."""

    label: int
    parts: tuple[tuple[_Distance, tuple[int, int, int]], ...]
    box: tuple[float, float, float, float, float]
    joints: NDArray[np.float64]


def draw_scenes(
    kind: str, count: int, seed: int, size: tuple[int, int] = SIZE, wanted: tuple[int, int] = (1, 4)
) -> list[Scene]:
    """Draw several scenes; the same seed draws the same ones."""
    random = np.random.default_rng(seed)
    return [draw_scene(kind, random, size, wanted) for _ in range(count)]


def draw_scene(
    kind: str,
    random: np.random.Generator,
    size: tuple[int, int] = SIZE,
    wanted: tuple[int, int] = (1, 4),
) -> Scene:
    """Draw shapes of one of ``KINDS``, none over another, on a noisy dark ground.

    Args:
        kind: "plates", "rounds" or "needles".
        random: what decides everything.
        size: width and height, pixels; at least 64.
        wanted: fewest and most shapes; fewer where no more find room.
    """
    width, height = size
    centre = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    canvas = np.full((height, width, 3), random.uniform(20, 70, 3))
    shapes: list[_Shape] = []
    masks: list[NDArray[np.bool_]] = []
    taken = np.zeros((height, width), dtype=np.bool_)
    number = int(random.integers(wanted[0], wanted[1] + 1))
    for _ in range(_TRIES):
        if len(shapes) == number:
            break
        shape = _MAKERS[kind](random, np.array(size, dtype=np.float64))
        distance = shape.parts[0][0](centre)
        if (taken & (distance < _GAP_PX)).any():
            continue
        taken |= distance < 0
        shapes.append(shape)
        masks.append(distance < 0)
        for part, colour in shape.parts:
            # A pixel at the edge is covered in part.
            cover = np.clip(0.5 - part(centre), 0, 1)[..., None]
            canvas = canvas * (1 - cover) + np.array(colour) * cover
    noisy = canvas + random.normal(0, random.uniform(0, 8), canvas.shape)
    return Scene(
        np.clip(noisy, 0, 255).astype(np.uint8),
        np.array([shape.label for shape in shapes], dtype=np.int32),
        np.array([shape.box for shape in shapes]).reshape(-1, 5),
        np.stack(masks),
        np.stack([shape.joints for shape in shapes]),
    )


def _plate(random: np.random.Generator, size: Points) -> _Shape:
    label = int(random.integers(2))
    side = np.array([random.uniform(34, 52), random.uniform(14, 22)])
    turn = random.uniform(0, np.pi)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    reach = np.abs(axes.T) @ (side / 2)
    middle = random.uniform(reach + 1, np.maximum(size - reach - 1, reach + 1))
    corner = middle - axes.T @ (side / 2)

    def distance(at: Points) -> Points:
        return (np.abs((at - middle) @ axes.T) - side / 2).max(axis=-1)

    box = (*corner.tolist(), *side.tolist(), float(np.rad2deg(turn)))
    return _Shape(label, ((distance, (_RED, _BLUE)[label]),), box, np.empty((0, 3)))


def _round(random: np.random.Generator, size: Points) -> _Shape:
    label = int(random.integers(2))
    outer = random.uniform(19, 26) if label else random.uniform(12, 24)
    hole = outer * random.uniform(0.42, 0.52) if label else -1.0
    middle = random.uniform(outer + 1, size - outer - 1)

    def distance(at: Points) -> Points:
        away = np.linalg.norm(at - middle, axis=-1)
        return np.maximum(away - outer, hole - away)

    box = (*(middle - outer).tolist(), 2 * outer, 2 * outer, 0.0)
    return _Shape(label, ((distance, (_YELLOW, _GREEN)[label]),), box, np.empty((0, 3)))


def _needle(random: np.random.Generator, size: Points) -> _Shape:
    turn, half = random.uniform(0, 2 * np.pi), random.uniform(17, 28)
    along = half * np.array([np.cos(turn), np.sin(turn)])
    reach = np.abs(along) + _DOT
    middle = random.uniform(reach + 1, size - reach - 1)
    spots = np.stack([middle + along, middle, middle - along])
    seen = np.array([1.0, float(random.random() >= _HIDDEN), 1.0])

    def shaft(at: Points) -> Points:
        place = np.clip((at - middle) @ along / half**2, -1, 1)
        return np.linalg.norm(at - middle - place[..., None] * along, axis=-1) - _SHAFT

    def dot(row: int) -> _Distance:
        return lambda at: np.linalg.norm(at - spots[row], axis=-1) - _DOT

    def whole(at: Points) -> Points:
        return np.minimum.reduce([shaft(at), *(dot(row)(at) for row in np.flatnonzero(seen))])

    dots = tuple(
        (dot(row), colour) for row, colour in enumerate((_RED, _GREEN, _BLUE)) if seen[row]
    )
    low, high = spots.min(axis=0) - _DOT, spots.max(axis=0) + _DOT
    box = (*low.tolist(), *(high - low).tolist(), 0.0)
    return _Shape(0, ((whole, _WHITE), *dots), box, np.column_stack([spots, seen]))


_MAKERS: Final = {"plates": _plate, "rounds": _round, "needles": _needle}
