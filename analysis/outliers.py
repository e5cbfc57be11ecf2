"""Rows that are unlike all others, by the distance to their nearest neighbours."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from analysis.findings import NONE, Findings
from analysis.neighbors import Neighbors, integers

__all__ = ["find", "mean_distance", "outlier_scores"]

#: A row this many robust standard deviations out scores one half.
_USUAL: Final = 3.0
#: Turns a median absolute deviation into a standard deviation, were the distances log-normal.
_NORMAL: Final = 1.4826
#: Distances that hardly vary do not make outliers of rows a little farther off.
_LEAST_SPREAD: Final = 0.1


def mean_distance(neighbors: Neighbors) -> NDArray[np.float32]:
    """Return each row's mean distance to its neighbours, float32 (N,); infinite without any."""
    there = neighbors.indices != NONE
    total = np.where(there, neighbors.distances, 0).sum(axis=1, dtype=np.float64)
    count = there.sum(axis=1)
    mean = np.divide(total, count, out=np.full(len(total), np.inf), where=count > 0)
    return np.asarray(mean, dtype=np.float32)


def outlier_scores(neighbors: Neighbors) -> NDArray[np.float32]:
    """Return how far out each row lies.

    The logarithm of the mean distance to the neighbours (as cleanlab's OutOfDistribution, Kuan and
    Mueller, 2022, which orders rows alike), in robust standard deviations above its median, through
    a sigmoid: 0.5 is three of them. Multiplying all distances by one number changes nothing. The
    median is of rows that are some way from their neighbours, so that duplicates, even if most,
    make no outliers of the rest. Where only a few such rows, R, are left beside Z rows all of whose
    neighbours are equal to them, their median tells little: what a score lacks to 1 is then
    multiplied by R^2 / (R^2 + Z), which raises one odd row beside 50 equal ones to 0.98, and
    hardly changes anything once R is well above the root of Z. A ratio to the neighbours' own
    distances (LOF) was tried and found fewer outliers on real embeddings.

    Args:
        neighbors: N rows.

    Returns:
        float32 (N,), in [0, 1], higher is farther out; 0 for rows without any neighbour.
    """
    distance = mean_distance(neighbors).astype(np.float64)
    known = np.isfinite(distance) & (distance > 0)
    scores = np.zeros(len(distance), dtype=np.float32)
    if not known.any():
        return scores
    far = np.log(distance[known])
    middle = np.median(far)
    spread = max(_NORMAL * float(np.median(np.abs(far - middle))), _LEAST_SPREAD)
    equal = int((distance == 0).sum())
    usual = len(far) ** 2 / (len(far) ** 2 + equal)
    scores[known] = 1 - usual * expit(_USUAL - (far - middle) / spread)
    return scores


def find(
    neighbors: Neighbors,
    *,
    tasks: ArrayLike,
    floor: float = 0.5,
) -> Findings:
    """Find outliers.

    Args:
        neighbors: N rows.
        tasks: int64 (N,), the task of each row.
        floor: findings with a lower score are left out.

    Returns:
        rows of kind ``outlier``, farthest out first; annotation is the row.

    Raises:
        ValueError: when lengths differ, or tasks are no integers.
    """
    tasks = integers(tasks, "tasks")
    if tasks.shape != (len(neighbors),):
        raise ValueError(f"tasks {tasks.shape} and {len(neighbors)} neighbors do not match")
    scores = outlier_scores(neighbors)
    rows = np.flatnonzero(scores >= floor)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    nothing = np.full(len(rows), NONE)
    return Findings(
        tasks[rows].astype(np.int64),
        np.full(len(rows), "outlier"),
        rows,
        nothing,
        scores[rows],
        nothing.astype(np.int32),
    )
