"""Rows that are the same thing, or nearly, and those of them whose labels disagree."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from analysis import probabilities
from analysis.findings import NONE, Findings
from analysis.neighbors import Neighbors, integers

__all__ = ["SAME", "find", "groups", "near"]

#: Rows this near are the same but for rounding.
SAME: Final = 1e-6
#: Share of the usual distance to the nearest neighbour (cleanlab's Datalab, near_duplicate).
_NEAR: Final = 0.13


def near(neighbors: Neighbors, share: float = _NEAR) -> float:
    """Return the distance below which two rows of this data are near duplicates.

    Args:
        neighbors: N rows.
        share: of the median distance to the nearest neighbour, over rows that have no equal (over
            all rows, as cleanlab has it, the median is 0 once half of the rows are duplicates).

    Returns:
        a distance, at least ``SAME``.
    """
    first = neighbors.distances[:, :1]
    usual = first[np.isfinite(first) & (first > SAME)]
    return max(share * float(np.median(usual)), SAME) if len(usual) else SAME


def groups(
    neighbors: Neighbors | None = None,
    *,
    within: float = SAME,
    hashes: ArrayLike | None = None,
) -> NDArray[np.int64]:
    """Put duplicates into groups: rows joined by a chain of pairs.

    Args:
        neighbors: N rows, or None to go by hashes alone.
        within: a pair this near is a pair of duplicates: ``SAME`` for exact ones, ``near(...)``
            for near ones.
        hashes: int64 (N,), of the rows' content; equal ones are duplicates too.

    Returns:
        int64 (N,), the lowest row of each row's group: the row itself where it has no duplicate.

    Raises:
        ValueError: when there is neither neighbours nor hashes, lengths differ, or hashes are no
            integers.
    """
    if neighbors is None and hashes is None:
        raise ValueError("groups needs neighbors or hashes")
    content = None if hashes is None else integers(hashes, "hashes")
    count = len(neighbors) if neighbors is not None else len(content)  # type: ignore[arg-type]
    left: list[NDArray[np.int64]] = []
    right: list[NDArray[np.int64]] = []
    if neighbors is not None:
        row, place = np.nonzero((neighbors.distances <= within) & (neighbors.indices != NONE))
        left.append(row.astype(np.int64))
        right.append(neighbors.indices[row, place].astype(np.int64))
    if content is not None:
        if content.shape != (count,):
            raise ValueError(f"hashes {content.shape} and {count} neighbors do not match")
        first, number = np.unique(content, return_index=True, return_inverse=True)[1:]
        left.append(np.arange(count))
        right.append(first[number].astype(np.int64))
    a, b = np.concatenate(left), np.concatenate(right)
    pairs = sparse.coo_array((np.ones(len(a), np.bool_), (a, b)), shape=(count, count))
    _, number = sparse.csgraph.connected_components(pairs, directed=False)
    lowest = np.unique(number, return_index=True)[1]
    return np.asarray(lowest[number], dtype=np.int64)


def find(
    labels: ArrayLike,
    group: ArrayLike,
    *,
    tasks: ArrayLike,
    probs: ArrayLike | None = None,
) -> Findings:
    """Find duplicates whose label is not that of the rest of their group.

    The evidence for a label is its votes in the group, plus the model's mean probability of it
    over the rows that have it. A row is found where another label has as much evidence as its
    own, so that of two equal rows with two labels both are found, or the one that the model does
    not believe.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled: no vote, never found.
        group: int64 (N,), what ``groups`` returned.
        tasks: int64 (N,), the task of each row.
        probs: float (N, K), the model's probabilities, or None.

    Returns:
        rows of kind ``duplicate``, worst first: annotation is the row, prediction the lowest row
        of its group, label the group's label. The score, in [0.5, 1], is the other label's share
        of the evidence for the two.

    Raises:
        ValueError: when lengths differ, or naming the first row that is wrong.
    """
    labels, group, tasks = (
        integers(column, name)
        for column, name in ((labels, "labels"), (group, "group"), (tasks, "tasks"))
    )
    probs = None if probs is None else np.asarray(probs)
    if not labels.shape == group.shape == tasks.shape:
        raise ValueError(
            f"labels {labels.shape}, group {group.shape} and tasks {tasks.shape} do not match"
        )
    if probs is not None:
        probabilities.check(labels, probs)
    low = labels < NONE
    if low.any():
        row = int(np.flatnonzero(low)[0])
        raise ValueError(f"labels row {row} is {labels[row]}, expected -1 or a class")
    rows = np.flatnonzero(labels != NONE)
    if not len(rows):
        return Findings()
    given = labels[rows].astype(np.int64)
    believed = None if probs is None else probs[rows, given].astype(np.float64)
    other, score = _contest(group[rows].astype(np.int64), given, believed)
    worst = np.flatnonzero((other != NONE) & (score >= 0.5))
    worst = worst[np.argsort(-score[worst], kind="stable")]
    found = rows[worst]
    return Findings(
        tasks[found].astype(np.int64),
        np.full(len(found), "duplicate"),
        found,
        group[found].astype(np.int64),
        score[worst].astype(np.float32),
        other[worst].astype(np.int32),
    )


def _contest(
    group: NDArray[np.int64], given: NDArray[np.int64], believed: NDArray[np.float64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Each row's strongest other label in its group, and that one's share against the row's own."""
    classes = int(given.max()) + 1
    number = np.unique(group, return_inverse=True)[1]
    pairs, pair = np.unique(number * classes + given, return_inverse=True)
    votes = np.bincount(pair).astype(np.float64)
    evidence = votes if believed is None else votes + np.bincount(pair, believed) / votes
    where, label = np.divmod(pairs, classes)
    order = np.lexsort((label, -evidence, where))
    begin = np.searchsorted(where[order], np.arange(number.max() + 1))
    several = np.bincount(where) > 1
    first = order[begin]
    second = order[np.where(several, begin + 1, begin)]
    rival = np.where(first[number] == pair, second[number], first[number])
    share = evidence[rival] / (evidence[rival] + evidence[pair])
    return np.where(several[number], label[rival], NONE), share
