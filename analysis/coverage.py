"""How much each row adds to the data, and how much of the data it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans

from analysis.findings import NONE
from analysis.neighbors import Neighbors

__all__ = ["centrality", "representativeness", "uniqueness"]

_WEIGHTS: Final = (0.6, 0.3, 0.1)


def uniqueness(neighbors: Neighbors, *, weights: Sequence[float] = _WEIGHTS) -> NDArray[np.float32]:
    """Return how unlike its nearest neighbours each row is (FiftyOne's ``compute_uniqueness``).

    The mean of the weighted distances to the nearest neighbours, divided by the greatest. FiftyOne
    has k = 3 and these weights, fixed; the two agree on cosine distances.

    Args:
        neighbors: N rows, at least as many columns as weights.
        weights: one for each neighbour, nearest first; k is their number.

    Returns:
        float32 (N,), in [0, 1], the most unique row is 1; all 0 where all rows are equal, all 1
        where there are fewer other rows than weights.

    Raises:
        ValueError: when there are fewer columns than weights, or weights are negative or all 0.
    """
    share = np.asarray(weights, dtype=np.float64)
    if not len(share) or (share < 0).any() or not share.any():
        raise ValueError(f"weights are {list(weights)}, expected at least one above 0, none below")
    if neighbors.indices.shape[1] < len(share):
        raise ValueError(f"{neighbors.indices.shape[1]} neighbors a row for {len(share)} weights")
    there = (neighbors.indices[:, : len(share)] != NONE).all(axis=1)
    score = np.where(there[:, None], neighbors.distances[:, : len(share)], 0) @ share
    most = score.max(initial=0)
    score = score / most if most > 0 else score
    score[~there] = 1
    return score.astype(np.float32)


def representativeness(neighbors: Neighbors) -> NDArray[np.float32]:
    """Return how many rows each row stands for: those that have it among their neighbours.

    A row gives each neighbour exp(-d / m), m its own mean distance, shares that sum to 1; what a
    row is given, s, is 1 on average and becomes s / (1 + s). Rows in the middle of a dense region
    are given most, outliers nothing; relative to the row's own surroundings, so that a thin region
    has representatives too.

    Args:
        neighbors: N rows.

    Returns:
        float32 (N,), in [0, 1), higher stands for more; 0.5 stands for one row.
    """
    there = neighbors.indices != NONE
    distance = np.where(there, neighbors.distances, 0)
    mean = distance.sum(axis=1, keepdims=True) / np.maximum(there.sum(axis=1, keepdims=True), 1)
    share = np.exp(-distance / np.where(mean > 0, mean, 1)) * there
    total = share.sum(axis=1, keepdims=True)
    share /= np.where(total > 0, total, 1)
    given = np.bincount(neighbors.indices[there], share[there], minlength=len(neighbors))
    return (given / (1 + given)).astype(np.float32)


def centrality(
    embeddings: ArrayLike, *, clusters: int = 20, seed: int = 1234
) -> NDArray[np.float32]:
    """Return how near the centre of its cluster each row is (FiftyOne's definition, as documented).

    FiftyOne's ``compute_representativeness`` clusters with k-means and documents nearness to the
    centre, but returns the distance divided by the greatest of the cluster (fiftyone-brain
    7238036), which is highest for the least representative row. This is 1 minus that.

    Args:
        embeddings: float (N, D).
        clusters: how many; FiftyOne has 20.
        seed: of k-means.

    Returns:
        float32 (N,), in [0, 1], higher is nearer; 1 where all rows of a cluster are equal.
    """
    rows = np.asarray(embeddings)
    if not len(rows):
        return np.empty(0, dtype=np.float32)
    model = KMeans(min(clusters, len(rows)), n_init=1, random_state=seed).fit(rows)
    middle = model.cluster_centers_[model.labels_]
    distance = np.linalg.norm(rows - middle, axis=1)
    most = np.zeros(len(model.cluster_centers_))
    np.maximum.at(most, model.labels_, distance)
    far = most[model.labels_]
    share = np.divide(distance, far, out=np.zeros_like(far), where=far > 0)
    return np.asarray(1 - share, dtype=np.float32)
