"""The nearest neighbours of every embedding: one graph, shared by all that looks at neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Neighbors"]


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The nearest rows of each row, itself left out, nearest first.

    Attributes:
        indices: int32 (N, k), rows; -1 where there are fewer than k others.
        distances: float32 (N, k), in the metric asked for; infinite where there is no neighbour.
    """

    indices: NDArray[np.int32]
    distances: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.indices)
