"""Embeddings on a plane, near rows near each other: UMAP over neighbours that are already known."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.blas import threads_kept
from analysis.findings import NONE
from analysis.neighbors import Neighbors, knn, nearest

__all__ = ["place", "project", "warm"]

#: UMAP's own default is 15 with the row itself.
_NEIGHBORS: Final = 14
#: More rows than this are placed by those of a sample, so memory and time stay bounded.
_MOST: Final = 100_000
#: Of fewer rows the main components show all there is, and umap-learn compiles for half a minute.
_FEW: Final = 64
#: A row is placed among this many of its neighbours.
_ANCHORS: Final = 5
_BLOCK: Final = 1 << 18
#: UMAP's curve for spread 1 and min_dist 0.1, its defaults.
_A, _B = 1.5769434601962196, 0.8950608779914887

_Embeddings = NDArray[np.floating[Any]]


def project(
    embeddings: ArrayLike,
    neighbors: Neighbors | None = None,
    *,
    seed: int | None = None,
    metric: str = "cosine",
    epochs: int | None = None,
    most: int = _MOST,
) -> NDArray[np.float32]:
    """Lay embeddings out on a plane (UMAP: McInnes, Healy and Melville, 2018).

    Starts from the two main components, which are all there is of it below 64 rows, and lays out
    with umap-learn, which compiles itself once a process: see ``warm``. Above ``most`` rows, that
    many are laid out and the others placed among their neighbours in that sample, a block at a
    time.

    Args:
        embeddings: float (N, D).
        neighbors: of all rows, from ``analysis.neighbors.knn``; None searches. Above ``most`` rows
            not read: what is laid out then is a sample, whose neighbours are searched anew.
        seed: makes the result repeatable, and uses one core; None uses all, and differs a little
            from run to run.
        metric: "cosine" or "euclidean", for searching neighbours.
        epochs: rounds of the layout; None takes umap-learn's 500 up to 10,000 rows, then 200.
        most: rows that are laid out.

    Returns:
        float32 (N, 2), finite.

    Raises:
        ValueError: naming the first row that is not finite, or when lengths differ.
    """
    embeddings = np.asarray(embeddings)
    if neighbors is not None and len(neighbors) != len(embeddings):
        raise ValueError(f"embeddings {embeddings.shape} and {len(neighbors)} neighbors differ")
    random = np.random.default_rng(seed)
    if len(embeddings) > most:
        chosen = np.sort(random.permutation(len(embeddings))[:most])
        anchors = embeddings[chosen]
        laid = project(anchors, seed=seed, metric=metric, epochs=epochs, most=most)
        return _placed(embeddings, chosen, anchors, laid, metric)
    if neighbors is None:
        neighbors = knn(embeddings, _NEIGHBORS, metric=metric)
    start = _main_components(embeddings, random)
    if len(embeddings) < _FEW:
        return start
    with threads_kept():
        return _laid_out(start, neighbors, seed, epochs)


def place(positions: NDArray[np.float32], neighbors: Neighbors) -> NDArray[np.float32]:
    """Place new rows on an existing plane, each among its neighbours there.

    A row goes to the mean of its five nearest, a neighbour at distance d weighing exp(-d / m), m
    their mean distance; those that lie farther from the nearest one than twice the median do are
    left out, so that nothing lands in the void between two clusters.

    Args:
        positions: float32 (N, 2), from ``project``.
        neighbors: M rows, indices of ``positions``, from ``analysis.neighbors.nearest``.

    Returns:
        float32 (M, 2); the middle of all positions for a row without neighbours, 0 without any.

    Raises:
        ValueError: when an index has no position.
    """
    if neighbors.indices.max(initial=NONE) >= len(positions):
        row = int(np.flatnonzero((neighbors.indices >= len(positions)).any(axis=1))[0])
        raise ValueError(f"neighbors row {row} names a row beyond the {len(positions)} positions")
    index, distance = neighbors.indices[:, :_ANCHORS], neighbors.distances[:, :_ANCHORS]
    if not len(positions) or not index.shape[1]:
        return np.zeros((len(index), 2), dtype=np.float32)
    there = index != NONE
    distance = np.where(there, distance, 0)
    mean = distance.sum(axis=1, keepdims=True) / np.maximum(there.sum(axis=1, keepdims=True), 1)
    at = positions[index]
    off = np.linalg.norm(at - at[:, :1], axis=2)
    near = there & (off <= 2 * np.median(off, axis=1, keepdims=True))
    weight = np.exp(-distance / np.where(mean > 0, mean, 1)) * near
    total = weight.sum(axis=1, keepdims=True)
    placed = np.einsum("mk,mkd->md", weight / np.where(total > 0, total, 1), at)
    placed[total[:, 0] == 0] = positions.mean(axis=0)
    return np.asarray(placed, dtype=np.float32)


def warm() -> None:
    """Compile umap-learn's loops, about half a minute in a fresh process, so that no user waits.

    A worker calls it once when it starts. What Numba can keep on disk it keeps beside the package,
    or in ``NUMBA_CACHE_DIR``; the layout's own loop is compiled in every process.
    """
    rows = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    for seed in (0, None):
        project(rows, seed=seed, epochs=2)


def _placed(
    embeddings: _Embeddings,
    chosen: NDArray[np.int64],
    anchors: _Embeddings,
    laid: NDArray[np.float32],
    metric: str,
) -> NDArray[np.float32]:
    positions = np.empty((len(embeddings), 2), dtype=np.float32)
    for start in range(0, len(embeddings), _BLOCK):
        block = embeddings[start : start + _BLOCK]
        near = nearest(block, anchors, _ANCHORS, metric=metric)
        positions[start : start + len(block)] = place(laid, near)
    positions[chosen] = laid
    return positions


def _main_components(embeddings: _Embeddings, random: np.random.Generator) -> NDArray[np.float32]:
    """First two principal components, longest side 10, and a little noise to part equal rows."""
    if not len(embeddings):
        return np.empty((0, 2), dtype=np.float32)
    sample = embeddings[np.sort(random.permutation(len(embeddings))[:5_000])].astype(np.float32)
    middle = sample.mean(axis=0)
    sample -= middle
    axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1][:, :2]
    axes = axes * np.where(axes.sum(axis=0) < 0, -1, 1).astype(np.float32)
    places = np.zeros((len(embeddings), 2), dtype=np.float32)
    for start in range(0, len(embeddings), 1 << 14):
        block = embeddings[start : start + (1 << 14)].astype(np.float32) - middle
        places[start : start + len(block), : axes.shape[1]] = block @ axes
    widest = float(np.ptp(places, axis=0).max())
    if widest > 0:
        places *= 10 / widest
    if len(places) > 1:
        places += random.normal(scale=1e-4, size=places.shape).astype(np.float32)
    return places


def _laid_out(
    start: NDArray[np.float32], neighbors: Neighbors, seed: int | None, epochs: int | None
) -> NDArray[np.float32]:
    from umap.umap_ import fuzzy_simplicial_set, simplicial_set_embedding  # noqa: PLC0415, slow

    count = len(start)
    k = min(_NEIGHBORS, neighbors.indices.shape[1], count - 1)
    # UMAP's lists begin with the row itself.
    index = np.column_stack([np.arange(count, dtype=np.int32), neighbors.indices[:, :k]])
    distance = np.column_stack([np.zeros(count, np.float32), neighbors.distances[:, :k]])
    state = np.random.RandomState(seed)
    graph = fuzzy_simplicial_set(
        start, k + 1, state, "precomputed", knn_indices=index, knn_dists=distance
    )[0]
    places, _ = simplicial_set_embedding(
        start,
        graph,
        n_components=2,
        initial_alpha=1.0,
        a=_A,
        b=_B,
        gamma=1.0,
        negative_sample_rate=5,
        n_epochs=epochs,
        init=start,
        random_state=state,
        metric="euclidean",
        metric_kwds={},
        densmap=False,
        densmap_kwds={},
        output_dens=False,
        parallel=seed is None,
    )
    return np.asarray(places, dtype=np.float32)
