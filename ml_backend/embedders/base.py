"""What every embedder is, and how patches of images are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ml_backend.predictors.base import Input

__all__ = ["Embedder", "Patches", "unit"]


@dataclass(frozen=True, slots=True)
class Patches:
    """R rectangles of N images.

    Attributes:
        image_row: int64 (R,), row of the image each lies in, in any order.
        box: float32 (R, 4), x0 y0 x1 y1, pixels of the upright image.
    """

    image_row: NDArray[np.int64]
    box: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.image_row)


class Embedder(Protocol):
    """A loaded model that turns what it reads into vectors of length 1.

    The cosine of two is their dot product, and their Euclidean distance ranks alike. What a model
    says nothing about (all its features are 0, or not finite) is a row of zeros.

    Attributes:
        version: changes whenever the vectors would: with the file, and with how patches are cut.
        size: D, numbers of a vector.
        reads: what it is given.
    """

    version: str
    size: int
    reads: Literal["image", "text"]

    def embed(self, items: Sequence[Input]) -> NDArray[np.float32]:
        """Embed whole images of any sizes, or texts.

        Returns:
            float32 (N, D), rows of length 1.

        Raises:
            ModelError: when the model fails on them.
        """
        ...

    def embed_patches(
        self,
        images: Sequence[NDArray[np.uint8]],
        image_row: NDArray[np.int64],
        box: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Embed rectangles of images; see ``Patches``.

        Returns:
            float32 (R, D), rows of length 1.

        Raises:
            ModelError: when the model fails on them, or reads texts.
        """
        ...


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return rows scaled to length 1; rows that cannot be are zeros.

    Args:
        vectors: float (N, D).
    """
    wide = np.asarray(vectors, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.linalg.norm(wide, axis=1, keepdims=True)
    usable = np.isfinite(length) & (length > 0)
    scaled: NDArray[np.float32] = np.zeros(wide.shape, dtype=np.float32)
    np.divide(wide, length, out=scaled, where=usable, casting="same_kind")
    return scaled
