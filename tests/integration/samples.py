"""Small samples of digits with known labels, for tests that need one error at a known place."""

from __future__ import annotations

import numpy as np

from ml_backend.demo.projects import SampleTask
from ml_backend.demo.scenes import Scene, draw_digit, draw_scene, split_digits


def scenes(count: int, seed: int = 7) -> list[Scene]:
    random = np.random.default_rng(seed)
    return [draw_scene(split_digits()[1], random) for _ in range(count)]


def right(scene: Scene) -> SampleTask:
    return SampleTask(scene.image, scene.label, scene.box)


def wrong_class(scene: Scene, row: int = 0) -> SampleTask:
    label = scene.label.copy()
    label[row] = (label[row] + 5) % 10
    return SampleTask(scene.image, label, scene.box)


def one_missing(scene: Scene, row: int = 0) -> SampleTask:
    return SampleTask(scene.image, np.delete(scene.label, row), np.delete(scene.box, row, axis=0))


def digit(row: int, seed: int = 3) -> tuple[np.ndarray, int]:
    held_out = split_digits()[1]
    image = draw_digit(held_out, row, np.random.default_rng(seed + row))
    return image, int(held_out.label[row])
