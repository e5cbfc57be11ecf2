"""The sample projects: real digits, human labels, and errors that only the checker knows of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ml_backend.demo.planted import Planted, plant_boxes, plant_classes
from ml_backend.demo.projects import SampleTask
from ml_backend.demo.scenes import draw_digit, draw_scene, split_digits

__all__ = ["SAMPLES", "Sample"]

_SEED = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample project.

    Attributes:
        kind: "detection" or "classification".
        title: of the project.
        model: file in the demo's model folder.
        make: returns its tasks and what was planted in them.
    """

    kind: str
    title: str
    model: str
    make: Callable[[], tuple[list[SampleTask], list[Planted]]]


def _detection() -> tuple[list[SampleTask], list[Planted]]:
    random = np.random.default_rng(_SEED)
    scenes = [draw_scene(split_digits()[1], random) for _ in range(240)]
    said, planted = plant_boxes(scenes, 0.2, random)
    tasks = [
        SampleTask(scene.image, label, box)
        for scene, (label, box) in zip(scenes, said, strict=True)
    ]
    return tasks, planted


def _classification() -> tuple[list[SampleTask], list[Planted]]:
    random = np.random.default_rng(_SEED)
    _, held_out = split_digits()
    rows = random.permutation(len(held_out.label))[:400]
    said, planted = plant_classes(held_out.label[rows], 0.1, random)
    tasks = [
        SampleTask(draw_digit(held_out, int(row), random), [int(label)], None)
        for row, label in zip(rows, said, strict=True)
    ]
    return tasks, planted


#: The sample projects, in the order in which the demo shows them.
SAMPLES = (
    Sample("detection", "Relook demo: digits in scenes", "digits-detect.pt", _detection),
    Sample("classification", "Relook demo: single digits", "digits-classify.pt", _classification),
)
