"""The nearest neighbours of every embedding: one graph, shared by all that looks at neighbours."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from analysis.embedding import search
from analysis.embedding.lists import Lists
from analysis.findings import NONE

__all__ = ["METRICS", "Neighbors", "integers", "knn", "nearest", "neighbor_agreement"]

METRICS: Final = ("cosine", "euclidean")
#: From this many rows on, lists are about ten times as fast as the scan on clustered data.
_MANY: Final = 40_000
#: Distances are float32.
_FARTHEST: Final = float(np.finfo(np.float32).max)
#: Elements of a block of embeddings.
_BLOCK: Final = 1 << 20

_Embeddings = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The nearest rows of each row, itself left out, nearest first.

    Attributes:
        indices: int32 (N, k), rows; -1 where there are fewer than k others.
        distances: float32 (N, k), in the metric asked for; infinite where there is no neighbour.

    Raises:
        ValueError: when the two differ in shape.
    """

    indices: NDArray[np.int32]
    distances: NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", np.asarray(self.indices, dtype=np.int32))
        object.__setattr__(self, "distances", np.asarray(self.distances, dtype=np.float32))
        if self.indices.ndim != 2 or self.indices.shape != self.distances.shape:
            raise ValueError(
                f"Neighbors: indices {self.indices.shape} and distances {self.distances.shape} "
                "do not match, expected (N, k)"
            )

    def __len__(self) -> int:
        return len(self.indices)


def knn(
    embeddings: ArrayLike, k: int, *, metric: str = "cosine", exact: bool | None = None
) -> Neighbors:
    """Find the nearest other rows of every row.

    Below 40,000 rows all pairs are compared. Above, rows are put into lists and a row looks into
    the nearest lists only; a sample compared with all rows tells how many, so that at least 0.98
    of the true neighbours are found, and where that would be most of the lists, all pairs are
    compared after all. Memory: one float32 copy of the embeddings, and blocks. While it runs, the
    process's BLAS is held to one thread a core.

    Args:
        embeddings: float16, float32 or float64 (N, D); lists and integers are made such.
        k: how many neighbours, at least 1.
        metric: "cosine", 1 - cosine of the angle, in [0, 2]; a row of zeros is 0 from another
            such row and 1 from any other; or "euclidean".
        exact: True compares all pairs at any size, False tries lists at any size.

    Returns:
        N rows. Distances are computed from the rows' differences, so equal rows are exactly 0
        apart; equally near rows come in order of their number. Which of them are found, where
        there are more than k, the processor's rounding decides.

    Raises:
        ValueError: naming the first row that is not finite, or so far off that a distance would
            leave float32; or a wrong shape, type, k or metric.
    """
    rows = _table(embeddings, "embeddings")
    space = _Space.of(k, metric, rows)
    points = space.points(rows, "embeddings")
    keys = _keys(points, k, None, exact=len(points) < _MANY if exact is None else exact)
    return space.measured(search.rows_of(keys), points.rows, points.rows)


def nearest(
    queries: ArrayLike,
    embeddings: ArrayLike,
    k: int,
    *,
    metric: str = "cosine",
    exact: bool | None = None,
) -> Neighbors:
    """Find, among the embeddings, the nearest of each of some other rows.

    Args:
        queries: float (Q, D).
        embeddings: float (N, D).
        k: how many neighbours, at least 1.
        metric: as in ``knn``.
        exact: as in ``knn``.

    Returns:
        Q rows; indices are rows of ``embeddings``, of which none is left out.

    Raises:
        ValueError: as ``knn``.
    """
    rows, others = _table(embeddings, "embeddings"), _table(queries, "queries")
    space = _Space.of(k, metric, rows, others)
    points, asked = space.points(rows, "embeddings"), space.points(others, "queries")
    few = min(len(points), len(asked)) < _MANY // 2
    keys = _keys(points, k, asked.rows, exact=few if exact is None else exact)
    return space.measured(search.rows_of(keys), asked.rows, points.rows)


def neighbor_agreement(
    labels: ArrayLike, neighbors: Neighbors, num_classes: int
) -> sparse.csr_array:
    """Return each class's share among a row's neighbours, the nearer counting more.

    A neighbour at distance d weighs exp(-d / m), m the row's mean distance to its neighbours: the
    weights do not depend on the scale of the distances and span a factor of about e. A neighbour
    without a label does not vote.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        neighbors: N rows.
        num_classes: K.

    Returns:
        float32 (N, K), sparse, at most k entries a row; rows sum to 1, or to 0 where no neighbour
        has a label. ``[rows].toarray()`` gives a block as plain array.

    Raises:
        ValueError: when lengths differ, naming the first row whose label is unknown.
    """
    labels = integers(labels, "labels")
    if labels.shape != (len(neighbors),):
        raise ValueError(f"labels {labels.shape} and {len(neighbors)} neighbors do not match")
    wrong = (labels < NONE) | (labels >= num_classes)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"labels row {row} is {labels[row]}, expected -1 to {num_classes - 1}")
    there = neighbors.indices != NONE
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    distance = np.where(there, neighbors.distances, 0)
    mean = distance.sum(axis=1, keepdims=True) / count
    vote: NDArray[np.integer[Any]] = labels[neighbors.indices] if len(labels) else labels[:, None]
    weight = np.exp(-distance / np.where(mean > 0, mean, 1)) * (there & (vote != NONE))
    total = weight.sum(axis=1, keepdims=True)
    weight /= np.where(total > 0, total, 1)
    voter, place = np.nonzero(weight)
    return sparse.csr_array(
        (weight[voter, place].astype(np.float32), (voter, vote[voter, place])),
        shape=(len(labels), num_classes),
    )


def integers(values: ArrayLike, name: str) -> NDArray[np.integer[Any]]:
    """Return a column of whole numbers as an array.

    Raises:
        ValueError: when they are of another type, naming the column.
    """
    column = np.asarray(values)
    if not column.size:
        return column.astype(np.int64)
    if not np.issubdtype(column.dtype, np.integer):
        raise ValueError(f"{name} are of type {column.dtype}, expected integers")
    return column


def _table(embeddings: ArrayLike, name: str) -> _Embeddings:
    rows = np.asarray(embeddings)
    if rows.dtype.kind not in "fiub":
        raise ValueError(f"{name} are of type {rows.dtype}, expected numbers")
    return rows


def _keys(
    points: search.Points, k: int, queries: NDArray[np.float32] | None, *, exact: bool
) -> search.Keys:
    """Keys (Q, k) of the nearest; without queries, of each point, itself left out."""
    lists = None if exact or len(points) <= k else Lists.fit(points, k)
    if lists is not None:
        return lists.search(k, queries)
    if queries is not None:
        return search.scan(points, queries, k)
    return search.scan(points, points.rows, k, np.arange(len(points)))


@dataclass(frozen=True, slots=True)
class _Space:
    """How embeddings become rows whose inner product orders them by distance.

    Attributes:
        metric: one of ``METRICS``.
        middle: of the embeddings, moved to the origin; None where nothing is moved.
        scale: of distances, over those of the rows.
        blanks: whether a last column tells rows of zeros, which have no direction of their own.
    """

    metric: str
    middle: NDArray[np.float64] | None = None
    scale: float = 1.0
    blanks: bool = False

    @classmethod
    def of(
        cls, k: int, metric: str, embeddings: _Embeddings, queries: _Embeddings | None = None
    ) -> _Space:
        if metric not in METRICS:
            raise ValueError(f"metric is {metric!r}, expected one of {METRICS}")
        if not hasattr(k, "__index__") or operator.index(k) < 1:
            raise ValueError(f"k is {k}, expected a whole number of at least 1")
        if embeddings.ndim != 2 or embeddings.shape[1] == 0:
            raise ValueError(f"embeddings {embeddings.shape}, expected (N, D) with D of at least 1")
        if queries is not None and queries.shape[1:] != embeddings.shape[1:]:
            raise ValueError(
                f"queries {queries.shape} and embeddings {embeddings.shape} differ in columns"
            )
        if metric == "cosine":
            tables = (embeddings,) if queries is None else (embeddings, queries)
            blocks = (block for table in tables for _, block in _blocks(table))
            return cls(metric, blanks=any(not block.any(axis=1).all() for block in blocks))
        if not len(embeddings):
            return cls(metric)
        # Centred and scaled: float32 products then lose nothing to a far-off origin, nor overflow.
        middle = np.zeros(embeddings.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):  # ``points`` tells of it
            for _, block in _blocks(embeddings):
                middle += block.sum(axis=0, dtype=np.float64) / len(embeddings)
            far = max(float(np.abs(block - middle).max()) for _, block in _blocks(embeddings))
        return cls(metric, middle, far if np.isfinite(far) and far > 0 else 1.0)

    def points(self, embeddings: _Embeddings, name: str) -> search.Points:
        columns = embeddings.shape[1]
        rows = np.empty((len(embeddings), columns + self.blanks), dtype=np.float32)
        for start, block in _blocks(embeddings):
            bad = np.flatnonzero(~np.isfinite(block).all(axis=1))
            if len(bad):
                raise ValueError(
                    f"{name} row {start + int(bad[0])} holds a value that is not finite"
                )
            part = rows[start : start + len(block)]
            moved = self._moved(block)
            self._check_reach(moved, name, start)
            part[:, :columns] = moved
            if self.blanks:
                part[:, columns] = ~block.any(axis=1)
        if self.middle is None:
            return search.Points(rows)
        return search.Points(rows, -0.5 * np.einsum("ij,ij->i", rows, rows))

    def _moved(self, block: _Embeddings) -> _Embeddings:
        if self.middle is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                return np.asarray((block - self.middle) / self.scale)
        # Divided by the greatest first: squares of huge or tiny values leave float32.
        greatest = np.abs(block).max(axis=1, keepdims=True)
        block = block / np.where(greatest > 0, greatest, 1)
        length = np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
        return np.asarray(block / np.where(length > 0, length, 1))

    def _check_reach(self, moved: _Embeddings, name: str, start: int) -> None:
        """Refuse rows whose distance to another, or its square, could leave float32."""
        if self.middle is None:
            return
        most = min(_FARTHEST / self.scale, _FARTHEST**0.5) / (2 * moved.shape[1] ** 0.5)
        bad = np.flatnonzero(~(np.abs(moved).max(axis=1) <= most))
        if len(bad):
            raise ValueError(
                f"{name} row {start + int(bad[0])} is too far from the other rows for a float32 "
                "distance"
            )

    def measured(
        self,
        indices: NDArray[np.int32],
        queries: NDArray[np.float32],
        rows: NDArray[np.float32],
    ) -> Neighbors:
        """Measure the distances from differences, and order by them."""
        distances = np.full(indices.shape, np.inf, dtype=np.float32)
        if not len(rows):
            return Neighbors(indices, distances)

        def measure(part: slice) -> None:
            index, query = indices[part], queries[part]
            apart = rows[index]
            apart -= query[:, None]
            squared = np.einsum("nkd,nkd->nk", apart, apart)
            if self.metric == "cosine":
                # |a - b|^2 = 2 - 2 cos of unit rows, without the cancellation of 1 - cos.
                distance = np.minimum(squared / 2, 2)
                if self.blanks:
                    distance[rows[index, -1] != query[:, -1:]] = 1
            else:
                distance = np.sqrt(squared) * self.scale
            distance[index == NONE] = np.inf
            number = np.where(index == NONE, np.iinfo(np.int32).max, index)
            order = np.lexsort((number, distance), axis=1)
            indices[part] = np.take_along_axis(index, order, axis=1)
            distances[part] = np.take_along_axis(distance, order, axis=1)

        step = max(_BLOCK // (indices.shape[1] * rows.shape[1]), 1)
        parts = (slice(at, at + step) for at in range(0, len(indices), step))
        search.in_threads(measure, parts)
        return Neighbors(indices, distances)


def _blocks(embeddings: _Embeddings) -> Iterator[tuple[int, _Embeddings]]:
    """Yield blocks in float32, or float64 where that holds more of what came."""
    step = max(_BLOCK // embeddings.shape[1], 1)
    kind = np.float32 if np.can_cast(embeddings.dtype, np.float32) else np.float64
    for start in range(0, len(embeddings), step):
        yield start, np.asarray(embeddings[start : start + step], dtype=kind)
