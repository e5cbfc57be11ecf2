"""The nearest neighbours of every embedding: one graph, shared by all that looks at neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from analysis import search
from analysis.findings import NONE

__all__ = ["METRICS", "Neighbors", "agreement", "knn", "nearest"]

METRICS: Final = ("cosine", "euclidean")
#: From this many rows on lists are at least ten times as fast as the scan on clustered data.
_MANY: Final = 20_000
#: Elements of a block of embeddings.
_BLOCK: Final = 1 << 20


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


def knn(
    embeddings: NDArray[np.floating[Any]],
    k: int,
    *,
    metric: str = "cosine",
    exact: bool | None = None,
) -> Neighbors:
    """Find the nearest other rows of every row.

    Up to 20,000 rows all pairs are compared. Above, rows are put into lists and a row looks into
    the nearest lists only; a sample compared with all rows tells how many, so that at least 0.98
    of the true neighbours are found, and where that would be most of the lists, all pairs are
    compared after all. Memory: one float32 copy of the embeddings and blocks.

    Args:
        embeddings: float16, float32 or float64 (N, D).
        k: how many neighbours, at least 1.
        metric: "cosine", 1 - cosine of the angle, in [0, 2], and 1 from a vector of zeros to any
            other row; or "euclidean".
        exact: True compares all pairs at any size, False tries lists at any size.

    Returns:
        N rows; equally near ones by lower row. Distances are computed from the rows themselves,
        so that equal rows are exactly 0 apart.

    Raises:
        ValueError: naming the first row that is not finite, or a wrong shape, k or metric.
    """
    points, _ = _prepared(embeddings, k, metric, np.empty((0, embeddings.shape[-1])))
    if exact is None:
        exact = len(points) < _MANY
    keys = search.nearest(points, k, None, exact=exact)
    return _measured(search.rows_of(keys), points.rows, embeddings, embeddings, metric)
