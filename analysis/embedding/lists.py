"""Nearest rows without comparing all: rows in lists, of which a query looks into the nearest."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.embedding.search import (
    BLOCK,
    NOTHING,
    Keys,
    Points,
    best,
    in_threads,
    keys_of,
    rows_of,
    scan,
    scores_of,
    slices,
)

__all__ = ["Lists"]

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
            [centres.scores(points.rows[part]).argmax(axis=0) for part in slices(len(points), 4096)]
        )
        home, of = _cut(first, len(centres))
        members = np.split(np.argsort(home, kind="stable"), np.cumsum(np.bincount(home))[:-1])
        centres = centres.take(of)
        probes = _probes(points, centres, home, k, random)
        if probes > _HARD * len(members):
            return None
        return cls(points, centres, home, members, probes)

    def search(self, k: int, queries: NDArray[np.float32] | None = None) -> Keys:
        """Return int64 (Q, k), as ``search.scan``; None asks for each point, itself left out."""
        total = len(self.points) if queries is None else len(queries)
        parts = [self._chunk(k, queries, part) for part in slices(total, _CHUNK)]
        return np.concatenate([*parts, np.empty((0, k), np.int64)])

    def _chunk(self, k: int, queries: NDArray[np.float32] | None, part: slice) -> Keys:
        asked = (self.points.rows if queries is None else queries)[part]
        probes = self._nearest_lists(asked)
        at_home = self.home[part] if queries is None else probes[:, 0].copy()
        probes[probes == at_home[:, None]] = len(self.members)
        found = np.full((len(asked), k), NOTHING)

        def look_home(visit: tuple[int, NDArray[np.int64]]) -> None:
            number, who = visit
            rows = self.members[number]
            points = self.points.take(rows)
            for some in slices(len(who), max(BLOCK // max(len(rows), 1), 1)):
                scores = points.scores(asked[who[some]])
                if queries is None:
                    place = np.searchsorted(rows, who[some] + part.start)
                    scores[place, np.arange(len(place))] = -np.inf
                found[who[some]] = best(scores, k, rows)

        in_threads(look_home, _visits(at_home[:, None], len(self.members)))
        least = scores_of(found[:, -1])

        def look(visit: tuple[int, NDArray[np.int64]]) -> list[tuple[NDArray[np.int64], Keys]]:
            number, who = visit
            rows = self.members[number]
            points = self.points.take(rows)
            better: list[tuple[NDArray[np.int64], Keys]] = []
            for some in slices(len(who), max(BLOCK // max(len(rows), 1), 1)):
                scores = points.scores(asked[who[some]])
                hits = np.flatnonzero(scores > least[who[some]])
                if len(hits) > k * scores.shape[1]:
                    # Few rows at home, so nearly all are better: only the best can matter.
                    better.append((np.repeat(who[some], k), best(scores, k, rows).ravel()))
                    continue
                row, query = np.divmod(hits, scores.shape[1])
                better.append((who[some][query], keys_of(scores.ravel()[hits], rows[row])))
            return better

        hits = in_threads(look, _visits(probes, len(self.members)))
        return _merged(found, [hit for some in hits for hit in some])

    def _nearest_lists(self, queries: NDArray[np.float32]) -> NDArray[np.int64]:
        """Int64 (Q, probes), nearest list first."""

        def one(part: slice) -> NDArray[np.int64]:
            keys = best(self.centres.scores(queries[part]), self.probes)
            return rows_of(keys).astype(np.int64)

        return np.concatenate(in_threads(one, slices(len(queries), 2048)))


def _centres(rows: NDArray[np.float32], random: np.random.Generator) -> Points:
    from sklearn.cluster import KMeans  # noqa: PLC0415, slow
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415, slow

    count = max(int(np.sqrt(len(rows))), 1)
    sample = rows[np.sort(random.permutation(len(rows))[: _TRAIN * count])]
    with warnings.catch_warnings():
        # Fewer distinct rows than centres.
        warnings.simplefilter("ignore", ConvergenceWarning)
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


def _merged(found: Keys, hits: list[tuple[NDArray[np.int64], Keys]]) -> Keys:
    """Put hits among what was found already, best first."""
    count, k = found.shape
    query = np.concatenate([np.repeat(np.arange(count), k), *(hit[0] for hit in hits)])
    keys = np.concatenate([found.ravel(), *(hit[1] for hit in hits)])
    order = np.argsort(keys)
    # Sorted by one number, by query and then by place among the keys: much faster than lexsort.
    order = order[np.sort(query[order] << 32 | np.arange(len(order))) & 0xFFFFFFFF]
    begin = np.searchsorted(query[order], np.arange(count))
    nearest: Keys = keys[order[begin[:, None] + np.arange(k)]]
    return nearest
