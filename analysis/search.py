"""Nearest rows by inner product: a scan that is exact, and lists that leave most rows out.

Both spend their time in matrix products of NumPy's BLAS, one product a thread, and keep from each
only what may be among the nearest. Nothing is compiled, so the first call is as fast as the next.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

__all__ = ["NOTHING", "Lists", "Points", "in_threads", "nearest", "rows_of", "scan"]

T = TypeVar("T")
S = TypeVar("S")
_Keys = NDArray[np.int64]

#: Key of a place that no row fills; every real key is smaller.
NOTHING: Final = np.int64(2139095041 << 32)
#: Scores that one thread holds at a time.
_BLOCK: Final = 1 << 23
_MOST_QUERIES: Final = 1024
#: The best of this many neighbouring scores stands for them until the best groups are known.
_GROUP: Final = 64
#: Queries whose probes are held at a time.
_CHUNK: Final = 1 << 17
_SAMPLE: Final = 512
#: Rows that each centre is learnt from, and how often it moves.
_TRAIN: Final = 48
_ROUNDS: Final = 5
#: Aimed at on the sample, so that all rows together stay above 0.98.
_RECALL: Final = 0.988
#: Lists longer than this many times the mean are cut: many equal rows would cost their square.
_LONG: Final = 4
#: Looking into more than this share of the lists costs as much as the scan.
_HARD: Final = 0.4


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
    """Call ``work`` on each part, one thread a core and one BLAS thread each; results in order."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores) as pool:
        return list(pool.map(work, parts))


def nearest(points: Points, k: int, queries: NDArray[np.float32] | None, *, exact: bool) -> _Keys:
    """Return the keys of the k nearest rows of each query, nearest first.

    Args:
        points: N rows.
        k: how many, at least 1.
        queries: float32 (Q, D); None asks for each of the points, itself left out.
        exact: scan all rows; otherwise lists, where the data allows, about 0.98 of the nearest.

    Returns:
        int64 (Q, k), see ``rows_of``; ``NOTHING`` where there are fewer than k.
    """
    if not exact and len(points) > k:
        lists = Lists.fit(points, k)
        if lists is not None:
            return lists.search(k, queries)
    if queries is None:
        return scan(points, points.rows, k, np.arange(len(points)))
    return scan(points, queries, k)


def rows_of(keys: _Keys) -> NDArray[np.int32]:
    """Return the row that each key stands for, -1 where it is ``NOTHING``."""
    return np.where(keys < NOTHING, keys & 0xFFFFFFFF, -1).astype(np.int32)


def scan(
    points: Points, queries: NDArray[np.float32], k: int, own: NDArray[np.int64] | None = None
) -> _Keys:
    """Compare every query with every row, in blocks.

    Args:
        points: N rows.
        queries: float32 (Q, D).
        k: how many.
        own: int64 (Q,), the row that is the query itself and no neighbour of it.

    Returns:
        int64 (Q, k), as ``nearest``.
    """

    def one(part: slice) -> _Keys:
        scores = points.scores(queries[part])
        if own is not None:
            scores[own[part], np.arange(scores.shape[1])] = -np.inf
        return _best(scores, k)

    step = int(np.clip(_BLOCK // max(len(points), 1), 32, _MOST_QUERIES))
    parts = in_threads(one, _slices(len(queries), step))
    return np.concatenate([*parts, np.empty((0, k), np.int64)])


@dataclass(frozen=True, slots=True)
class Lists:
    """Rows in lists by their nearest of some centres; a query looks into the nearest lists only.

    An inverted file (Jégou et al., 2011; FAISS's IVFFlat), turned round: all queries that look
    into a list are multiplied with it at once.

    Attributes:
        points: N rows.
        centres: the middle of each list, L rows.
        home: int64 (N,), the list of each row.
        members: rows of each list, rising.
        probes: how many lists a query looks into.
    """

    points: Points
    centres: Points
    home: NDArray[np.int64]
    members: list[NDArray[np.int64]]
    probes: int

    @classmethod
    def fit(cls, points: Points, k: int) -> Lists | None:
        """Make lists, and try on a sample how many a query has to look into.

        Returns:
            None where so many would be needed that a scan costs no more.
        """
        random = np.random.default_rng(0)
        centres = _centres(points.rows, random)
        first = np.concatenate(
            [
                centres.scores(points.rows[part]).argmax(axis=0)
                for part in _slices(len(points), 4096)
            ]
        )
        home, of = _cut(first, len(centres))
        members = np.split(np.argsort(home, kind="stable"), np.cumsum(np.bincount(home))[:-1])
        centres = centres.take(of)
        probes = _probes(points, centres, home, k, random)
        if probes > _HARD * len(members):
            return None
        return cls(points, centres, home, members, probes)

    def search(self, k: int, queries: NDArray[np.float32] | None = None) -> _Keys:
        """Return int64 (Q, k), as ``nearest``."""
        total = len(self.points) if queries is None else len(queries)
        parts = [self._chunk(k, queries, part) for part in _slices(total, _CHUNK)]
        return np.concatenate([*parts, np.empty((0, k), np.int64)])

    def _chunk(self, k: int, queries: NDArray[np.float32] | None, part: slice) -> _Keys:
        asked = (self.points.rows if queries is None else queries)[part]
        probes = self._nearest_lists(asked)
        at_home = self.home[part] if queries is None else probes[:, 0].copy()
        probes[probes == at_home[:, None]] = len(self.members)
        found = np.full((len(asked), k), NOTHING)

        def look_home(visit: tuple[int, NDArray[np.int64]]) -> None:
            number, who = visit
            rows = self.members[number]
            points = self.points.take(rows)
            for some in _slices(len(who), max(_BLOCK // max(len(rows), 1), 1)):
                scores = points.scores(asked[who[some]])
                if queries is None:
                    place = np.searchsorted(rows, who[some] + part.start)
                    scores[place, np.arange(len(place))] = -np.inf
                found[who[some]] = _best(scores, k, rows)

        in_threads(look_home, _visits(at_home[:, None], len(self.members)))
        least = _scores_of(found[:, -1])

        def look(visit: tuple[int, NDArray[np.int64]]) -> list[tuple[NDArray[Any], _Keys]]:
            number, who = visit
            rows = self.members[number]
            points = self.points.take(rows)
            better = []
            for some in _slices(len(who), max(_BLOCK // max(len(rows), 1), 1)):
                scores = points.scores(asked[who[some]])
                hits = np.flatnonzero(scores > least[who[some]])
                row, query = np.divmod(hits, scores.shape[1])
                better.append((who[some][query], _keys(scores.ravel()[hits], rows[row])))
            return better

        hits = in_threads(look, _visits(probes, len(self.members)))
        return _merged(found, [hit for some in hits for hit in some])

    def _nearest_lists(self, queries: NDArray[np.float32]) -> NDArray[np.int64]:
        """Int64 (Q, probes), nearest list first."""

        def one(part: slice) -> NDArray[np.int64]:
            keys = _best(self.centres.scores(queries[part]), self.probes)
            return rows_of(keys).astype(np.int64)

        return np.concatenate(in_threads(one, _slices(len(queries), 2048)))


def _centres(rows: NDArray[np.float32], random: np.random.Generator) -> Points:
    count = max(int(np.sqrt(len(rows))), 1)
    sample = rows[np.sort(random.permutation(len(rows))[: _TRAIN * count])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than centres
        model = KMeans(count, init="random", n_init=1, max_iter=_ROUNDS, random_state=0).fit(sample)
    middle = np.unique(model.cluster_centers_.astype(np.float32), axis=0)
    return Points(middle, -0.5 * np.einsum("ij,ij->i", middle, middle))


def _cut(home: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number each row's piece of its list, and tell each piece's list."""
    longest = _LONG * -(-len(home) // count)
    order = np.argsort(home, kind="stable")
    begin = np.cumsum(np.bincount(home, minlength=count)) - np.bincount(home, minlength=count)
    piece = np.empty(len(home), dtype=np.int64)
    piece[order] = (np.arange(len(home)) - begin[home[order]]) // longest
    pairs, number = np.unique(home * len(home) + piece, return_inverse=True)
    return number, pairs // len(home)


def _probes(
    points: Points, centres: Points, home: NDArray[np.int64], k: int, random: np.random.Generator
) -> int:
    """How many lists hold the wanted share of a sample's true neighbours."""
    rows = np.sort(random.permutation(len(points))[:_SAMPLE])
    near = rows_of(scan(points, points.rows[rows], k, rows))
    scores = np.ascontiguousarray(centres.scores(points.rows[rows]).T)
    # A list as near as the neighbour's own may hold a row as near: equal rows fill several lists.
    there = np.take_along_axis(scores, home[near], axis=1)
    ahead = np.array(
        [np.searchsorted(np.sort(-line), -at) for line, at in zip(scores, there, strict=True)]
    )
    return int(np.quantile(ahead, _RECALL, method="higher")) + 1


def _visits(lists: NDArray[np.int64], count: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each list below ``count`` with the queries, rows of ``lists``, that look into it."""
    flat = lists.ravel()
    order = np.argsort(flat.astype(np.uint16 if count < 1 << 16 else np.int64), kind="stable")
    ends = np.cumsum(np.bincount(flat, minlength=count + 1))
    for number in range(count):
        who = order[ends[number - 1] if number else 0 : ends[number]] // lists.shape[1]
        if len(who):
            yield number, who


def _merged(found: _Keys, hits: list[tuple[NDArray[np.int64], _Keys]]) -> _Keys:
    """Put hits among what was found already, best first."""
    count, k = found.shape
    query = np.concatenate([np.repeat(np.arange(count), k), *(hit[0] for hit in hits)])
    keys = np.concatenate([found.ravel(), *(hit[1] for hit in hits)])
    order = np.argsort(keys)
    # Sorted by one number, by query and then by place among the keys: much faster than lexsort.
    order = order[np.sort(query[order] << 32 | np.arange(len(order))) & 0xFFFFFFFF]
    begin = np.searchsorted(query[order], np.arange(count))
    best: _Keys = keys[order[begin[:, None] + np.arange(k)]]
    return best


def _best(scores: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None = None) -> _Keys:
    """Keys (Q, k) of the greatest of scores (M, Q), greatest first, equal ones by lower row."""
    count, queries = scores.shape
    groups = count // _GROUP
    if groups > 4 * k:
        head = scores[: groups * _GROUP].reshape(groups, _GROUP, queries)
        # Groups are whole and in order: a row left out has k others before it, ties and all.
        top = _first(_keys(head.max(axis=1).T, np.arange(groups)), k) & 0xFFFFFFFF
        inside = (top[:, :, None] * _GROUP + np.arange(_GROUP)).reshape(queries, -1)
        tail = np.broadcast_to(np.arange(groups * _GROUP, count), (queries, count % _GROUP))
        place = np.concatenate([inside, tail], axis=1)
        keys = _keys(
            scores[place, np.arange(queries)[:, None]], place if rows is None else rows[place]
        )
    else:
        keys = _keys(scores.T, np.arange(count) if rows is None else rows)
    return np.sort(_first(keys, k), axis=1)


def _first(keys: _Keys, k: int) -> _Keys:
    if keys.shape[1] < k:
        return np.pad(keys, ((0, 0), (0, k - keys.shape[1])), constant_values=NOTHING)
    return np.asarray(np.partition(keys, k - 1, axis=1)[:, :k])


def _keys(scores: NDArray[np.float32], rows: NDArray[np.int64]) -> _Keys:
    """One number that sorts by falling score, then by row; ``NOTHING`` or more for -inf."""
    bits = np.ascontiguousarray(scores).view(np.int32)
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return np.asarray((-rising.astype(np.int64) << 32) | rows)


def _scores_of(keys: _Keys) -> NDArray[np.float32]:
    rising = (-(keys >> 32)).astype(np.int32)
    return (rising ^ ((rising >> 31) & 0x7FFFFFFF)).view(np.float32)


def _slices(count: int, step: int) -> Iterator[slice]:
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
