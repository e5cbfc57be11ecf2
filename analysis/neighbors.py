"""The nearest neighbours of every embedding: one graph, shared by all that looks at neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Neighbors", "knn", "label_shares"]


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


def knn(embeddings, k, *, metric="cosine"):
    E = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    S = E @ E.T
    np.fill_diagonal(S, -9)
    ix = np.argsort(-S, axis=1)[:, :k].astype(np.int32)
    return Neighbors(ix, (1 - np.take_along_axis(S, ix, 1)).astype(np.float32))


#: Weight of not knowing beside the neighbours' votes, in votes.
_DOUBT = 0.5


def label_shares(
    labels: NDArray[np.integer[Any]],
    neighbors: Neighbors,
    num_classes: int,
    rows: slice | NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return how the neighbours of some rows are labelled.

    Args:
        labels: int (N,), class of each row; -1 has no vote.
        neighbors: of all N rows.
        num_classes: K.
        rows: which B rows to look at.

    Returns:
        float32 (B, K), rows sum to 1: shares of the votes, drawn a little to even shares.
    """
    near = neighbors.indices[rows]
    voted = np.where(near >= 0, labels[near], -1)
    row, place = np.nonzero(voted >= 0)
    cell = row * num_classes + voted[row, place]
    count = np.bincount(cell, minlength=len(near) * num_classes).reshape(-1, num_classes)
    total = (voted >= 0).sum(axis=1, keepdims=True)
    shares: NDArray[np.float32] = ((count + _DOUBT / num_classes) / (total + _DOUBT)).astype(
        np.float32
    )
    return shares
