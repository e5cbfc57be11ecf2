"""Nearest rows by inner product, all compared: matrix products, and the best picked out of them.

Nearly all time goes to NumPy's BLAS, one product a thread. Nothing is compiled, so the first call
is as fast as the next.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis.blas import one_thread

__all__ = [
    "BLOCK",
    "NOTHING",
    "Keys",
    "Points",
    "best",
    "in_threads",
    "keys_of",
    "rows_of",
    "scan",
    "scores_of",
    "slices",
]

T = TypeVar("T")
S = TypeVar("S")
Keys = NDArray[np.int64]

_ONE_AT_A_TIME: Final = threading.Lock()
#: Key of a place that no row fills; every real key is smaller.
NOTHING: Final = np.int64(2139095041 << 32)
#: Scores that one thread holds at a time.
BLOCK: Final = 1 << 23
_MOST_QUERIES: Final = 1024
#: The best of this many neighbouring scores stands for them until the best groups are known.
_GROUP: Final = 64


@dataclass(frozen=True, slots=True)
class Points:
    """Rows among which the nearest has the greatest ``rows @ query + bias``.

    Attributes:
        rows: float32 (N, D).
        bias: float32 (N,), or None for zeros.
    """

    rows: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def scores(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 (N, Q), greater is nearer."""
        scores = self.rows @ queries.T
        if self.bias is not None:
            scores += self.bias[:, None]
        return scores

    def take(self, rows: NDArray[np.int64]) -> Points:
        """Return the chosen rows."""
        return Points(self.rows[rows], None if self.bias is None else self.bias[rows])


def in_threads(work: Callable[[S], T], parts: Iterable[S]) -> list[T]:
    """Call ``work`` on each part, one thread a core and one BLAS thread each; results in order.

    Not to be called from within ``work``. One call at a time: BLAS has one setting a process.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with _ONE_AT_A_TIME, one_thread(), ThreadPoolExecutor(cores) as pool:
        return list(pool.map(work, parts))


def rows_of(keys: Keys) -> NDArray[np.int32]:
    """Return the row that each key stands for, -1 where it is ``NOTHING``."""
    return np.where(keys < NOTHING, keys & 0xFFFFFFFF, -1).astype(np.int32)


def scan(
    points: Points, queries: NDArray[np.float32], k: int, own: NDArray[np.int64] | None = None
) -> Keys:
    """Compare every query with every row, in blocks.

    Args:
        points: N rows.
        queries: float32 (Q, D).
        k: how many.
        own: int64 (Q,), the row that is the query itself and no neighbour of it.

    Returns:
        int64 (Q, k), nearest first, see ``rows_of``; ``NOTHING`` or more where fewer are there.
    """

    def one(part: slice) -> Keys:
        scores = points.scores(queries[part])
        if own is not None:
            scores[own[part], np.arange(scores.shape[1])] = -np.inf
        return best(scores, k)

    step = int(np.clip(BLOCK // max(len(points), 1), 32, _MOST_QUERIES))
    parts = in_threads(one, slices(len(queries), step))
    return np.concatenate([*parts, np.empty((0, k), np.int64)])


def best(scores: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None = None) -> Keys:
    """Keys (Q, k) of the greatest of scores (M, Q), greatest first, equal ones by lower row."""
    count, queries = scores.shape
    groups = count // _GROUP
    if groups > 4 * k:
        head = scores[: groups * _GROUP].reshape(groups, _GROUP, queries)
        # Groups are whole and in order: a row left out has k others before it, ties and all.
        top = _first(keys_of(head.max(axis=1).T, np.arange(groups)), k) & 0xFFFFFFFF
        inside = (top[:, :, None] * _GROUP + np.arange(_GROUP)).reshape(queries, -1)
        tail = np.broadcast_to(np.arange(groups * _GROUP, count), (queries, count % _GROUP))
        place = np.concatenate([inside, tail], axis=1)
        keys = keys_of(
            scores[place, np.arange(queries)[:, None]], place if rows is None else rows[place]
        )
    else:
        keys = keys_of(scores.T, np.arange(count) if rows is None else rows)
    return np.sort(_first(keys, k), axis=1)


def _first(keys: Keys, k: int) -> Keys:
    if keys.shape[1] < k:
        return np.pad(keys, ((0, 0), (0, k - keys.shape[1])), constant_values=NOTHING)
    return np.asarray(np.partition(keys, k - 1, axis=1)[:, :k])


def keys_of(scores: NDArray[np.float32], rows: NDArray[np.int64]) -> Keys:
    """One number that sorts by falling score, then by row; ``NOTHING`` or more for -inf."""
    bits = np.ascontiguousarray(scores).view(np.int32)
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return np.asarray((-rising.astype(np.int64) << 32) | rows)


def scores_of(keys: Keys) -> NDArray[np.float32]:
    """Return the score in each key."""
    rising = (-(keys >> 32)).astype(np.int32)
    return (rising ^ ((rising >> 31) & 0x7FFFFFFF)).view(np.float32)


def slices(count: int, step: int) -> Iterator[slice]:
    """Yield slices of ``step`` that cover ``count``."""
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
