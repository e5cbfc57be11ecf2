"""What every predictor is, and the columns it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.geometry import ragged
from ml_backend.outlines import Geometry, Outlines

__all__ = ["SCORE_FLOOR", "Input", "Predictions", "Predictor", "names"]

#: Regions below this confidence are not kept. Far below any pre-label's threshold: a weak
#: prediction over a human box still speaks for that box.
SCORE_FLOOR = 0.02

#: What half precision makes of a sum of 1.
_ROUNDED = 0.02

#: An image, uint8 (H, W, 3) RGB and upright, or a text.
Input = NDArray[np.uint8] | str


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model says of N inputs: R regions, or probabilities of K classes per input.

    Attributes:
        size: int32 (N, 2), width and height of each image, pixels; zeros for texts.
        item: int64 (R,), row of the input each region lies in, ascending.
        label: int32 (R,), model class.
        score: float32 (R,), confidence in [0, 1].
        outline: where each region is, in the geometry that was asked for.
        probs: float32 (N, K), class probabilities; K is 0 for a model of regions. Rows sum to 1
            where the classes exclude each other, else each class is a question of its own; a row
            of zeros says nothing.
    """

    size: NDArray[np.int32]
    item: NDArray[np.int64]
    label: NDArray[np.int32]
    score: NDArray[np.float32]
    outline: Outlines
    probs: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.size)

    def take(self, rows: NDArray[np.integer[Any]]) -> Predictions:
        """Return what is said of the chosen inputs, in that order."""
        begin = np.searchsorted(self.item, rows, side="left")
        count = np.searchsorted(self.item, rows, side="right") - begin
        item, region = ragged.expand(begin, count)
        return Predictions(
            self.size[rows],
            item,
            self.label[region],
            self.score[region],
            self.outline.take(region),
            self.probs[rows],
        )

    def only(self, regions: NDArray[np.bool_]) -> Predictions:
        """Return it with some regions only, bool (R,)."""
        return Predictions(
            self.size,
            self.item[regions],
            self.label[regions],
            self.score[regions],
            self.outline.take(regions),
            self.probs,
        )

    def in_labels(self, mapping: NDArray[np.int32], count: int) -> Predictions:
        """Return it in the labels of a control tag: region label -1 where a class has none.

        Args:
            mapping: int32 (K,), label of each model class, -1 where it has none.
            count: number of labels.
        """
        probs: NDArray[np.float32] = np.zeros((len(self), count), dtype=np.float32)
        if self.probs.size:
            taken = np.flatnonzero(mapping >= 0)
            # Row by row: a task has the same probabilities alone and among others.
            exclusive = np.isclose(self.probs.sum(axis=1), 1, atol=_ROUNDED)
            # Of classes that exclude each other a label has what they have together.
            for join, rows in ((np.add, exclusive), (np.maximum, ~exclusive)):
                joined = np.zeros((count, int(rows.sum())), dtype=np.float32)
                join.at(joined, mapping[taken], self.probs[np.ix_(rows, taken)].T)
                probs[rows] = joined.T.clip(max=1)
        label = mapping[self.label].astype(np.int32)
        return Predictions(self.size, self.item, label, self.score, self.outline, probs)

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """Stack what is said of several lots of inputs, by one model."""
        if not parts:
            return cls.of_classes(np.empty((0, 0), dtype=np.float32))
        before = np.cumsum([0, *(len(part) for part in parts)])
        return cls(
            np.concatenate([part.size for part in parts]),
            np.concatenate([part.item + n for part, n in zip(parts, before, strict=False)]),
            np.concatenate([part.label for part in parts]),
            np.concatenate([part.score for part in parts]),
            Outlines.concatenate([part.outline for part in parts]),
            np.concatenate([part.probs for part in parts if len(part)] or [parts[0].probs]),
        )

    @classmethod
    def of_classes(
        cls, probs: NDArray[np.float32], size: NDArray[np.int32] | None = None
    ) -> Predictions:
        """Build from class probabilities alone."""
        size = np.zeros((len(probs), 2), dtype=np.int32) if size is None else size
        nothing = np.empty(0)
        return cls(
            size.reshape(-1, 2),
            nothing.astype(np.int64),
            nothing.astype(np.int32),
            nothing.astype(np.float32),
            Outlines.of_rows([]),
            probs,
        )


class Predictor(Protocol):
    """A loaded model.

    Attributes:
        version: name and the first 8 hex digits of the file's sha256: a changed file is a new one.
        classes: its class names, in the order of its class indices.
        joints: names of its key points, what the labels of the geometry "point" are; () where it
            has none.
        reads: what it is given.
        serves: the geometries that it can answer in.
    """

    version: str
    classes: tuple[str, ...]
    joints: tuple[str, ...]
    reads: Literal["image", "text"]
    serves: frozenset[Geometry]

    def predict(self, items: Sequence[Input], geometry: Geometry) -> Predictions:
        """Predict images of any sizes, or texts.

        Args:
            items: what ``reads`` says.
            geometry: one of ``serves``.

        Raises:
            ModelError: when the model fails on them.
        """
        ...


def names(model: Predictor, geometry: Geometry) -> tuple[str, ...]:
    """Return what the labels of a model's predictions are in a geometry."""
    return model.joints if geometry == "point" else model.classes
