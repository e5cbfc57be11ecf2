"""What every predictor is, and the columns it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["SCORE_FLOOR", "Predictions", "Predictor"]

#: Regions below this confidence are not kept. Far below any pre-label's threshold: a weak
#: prediction over a human box still speaks for that box.
SCORE_FLOOR = 0.02


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model says of N images: R regions, or a distribution over K classes per image.

    Attributes:
        size: int32 (N, 2), width and height of each image, pixels.
        image: int64 (R,), row of the image each region lies in, ascending.
        label: int32 (R,), model class.
        box: float32 (R, 4), x0 y0 x1 y1, pixels of the image.
        score: float32 (R,), confidence in [0, 1].
        probs: float32 (N, K), class probabilities; K is 0 for a model of regions.
    """

    size: NDArray[np.int32]
    image: NDArray[np.int64]
    label: NDArray[np.int32]
    box: NDArray[np.float32]
    score: NDArray[np.float32]
    probs: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.size)


class Predictor(Protocol):
    """A loaded model.

    Attributes:
        version: name and the first 8 hex digits of the file's sha256: a changed file is a new one.
        classes: its class names, in the order of its class indices.
        serves: the control tag whose regions it predicts.
    """

    version: str
    classes: tuple[str, ...]
    serves: str

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> Predictions:
        """Predict images, uint8 (H, W, 3) RGB each, of any sizes.

        Raises:
            ModelError: when the model fails on them.
        """
        ...
