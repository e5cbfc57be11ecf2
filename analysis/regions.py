"""Regions as typed columns: annotations and predictions travel alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import columns
from analysis.findings import NONE
from analysis.geometry.shapes import Shapes

__all__ = ["Regions", "check_labels"]


@dataclass(frozen=True, slots=True)
class Regions:
    """Labelled regions as columns, R rows, in any order of tasks.

    Columns may be given as lists or as arrays of another type that hold the same values.

    Attributes:
        task: int64 (R,), the task (or the unit the caller numbered) each box belongs to.
        label: int32 (R,), class index; -1 where the label is not one of the classes.
        box: float32 (R, 4), x0 y0 x1 y1, pixels, x0 <= x1 and y0 <= y1.
        score: float32 (R,) in [0, 1], the model's confidence, or None for human regions.
        shape: the exact shapes, R of them, of which ``box`` is the box around each; None where
            the boxes are all there is. Where two tables both have shapes, their overlap is that
            of the shapes.

    Raises:
        ValueError: naming the column and the first row that is wrong.
    """

    task: NDArray[np.int64]
    label: NDArray[np.int32]
    box: NDArray[np.float32]
    score: NDArray[np.float32] | None = None
    shape: Shapes | None = None

    def __post_init__(self) -> None:
        task = columns.whole("Regions.task", self.task, np.int64)
        rows = len(task)
        label = columns.whole("Regions.label", self.label, np.int32, rows, least=NONE, task=task)
        box = columns.numbers("Regions.box", self.box, rows, width=4, task=task)
        upside_down = (box[:, 2] < box[:, 0]) | (box[:, 3] < box[:, 1])
        columns.refuse("Regions.box", box, upside_down, "x0 <= x1 and y0 <= y1", task)
        object.__setattr__(self, "task", task)
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "box", box)
        if self.score is not None:
            score = columns.fractions("Regions.score", self.score, rows, task=task)
            object.__setattr__(self, "score", score)
        if self.shape is not None and len(self.shape) != len(task):
            raise ValueError(f"Regions.shape has {len(self.shape)} rows, expected {len(task)}")

    def __len__(self) -> int:
        return len(self.task)

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Regions:
        """Return the chosen rows (an index or a mask), in that order."""
        score = None if self.score is None else self.score[rows]
        shape = None if self.shape is None else self.shape.take(rows)
        return Regions(self.task[rows], self.label[rows], self.box[rows], score, shape)

    @classmethod
    def from_shapes(
        cls,
        task: NDArray[np.int64],
        label: NDArray[np.int32],
        shape: Shapes,
        score: NDArray[np.float32] | None = None,
    ) -> Regions:
        """Build from exact shapes; the boxes are those around them."""
        return cls(task, label, shape.boxes(), score, shape)


def check_labels(annotations: Regions, predictions: Regions, num_classes: int) -> None:
    """Refuse labels that are not classes.

    Raises:
        ValueError: naming the table, the first row that is wrong and its task.
    """
    for name, table in (("annotations", annotations), ("predictions", predictions)):
        columns.indices(f"{name}.label", table.label, num_classes, table.task)
