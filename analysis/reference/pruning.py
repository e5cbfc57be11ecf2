"""Which rows confident learning prunes once it knows how many of each pair of classes are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["by_class", "by_noise_rate", "quota"]

#: Margins held at once.
_BLOCK: Final = 1 << 21
_THREADS: Final = 2

_Labels = NDArray[np.integer[Any]]
_Floats = NDArray[np.floating[Any]]
_Counts = NDArray[np.int64]
_Mask = NDArray[np.bool_]


def quota(joint: _Counts, frac_noise: float, least: int) -> _Counts:
    """Return how many rows stay (diagonal) or go, label by row and true class by column.

    Args:
        joint: int (K, K), calibrated.
        frac_noise: share of the wrong labels that go, in [0, 1].
        least: rows of each class that stay.
    """
    keep = np.maximum(joint.diagonal(), least)
    raised = keep - joint.diagonal()
    others = np.maximum(np.count_nonzero(joint, axis=1) - 1.0, 1.0)
    rates = np.maximum(joint - (raised / others)[:, None], 0)
    np.fill_diagonal(rates, keep)
    fewer = rates * frac_noise
    np.fill_diagonal(fewer, rates.diagonal())
    np.fill_diagonal(fewer, rates.diagonal() + (rates - fewer).sum(axis=1))
    counts: _Counts = fewer.astype(np.int64)
    return counts


def by_class(labels: _Labels, probs: _Floats, counts: _Counts, quota: _Counts) -> _Mask:
    """Take from each class the rows with the least self-confidence, as many as may not stay.

    Args:
        labels: int (N,), -1 where nothing is labelled.
        probs: float (N, K).
        counts: int64 (K,), rows with each label.
        quota: int64 (K, K), from ``quota``; a row of zeros is a class to leave alone.
    """
    mask = np.zeros(len(labels), dtype=np.bool_)
    for label, rows in _by_label(labels, counts, quota):
        wrong = int(counts[label] - quota[label, label])
        if wrong > 0:
            lowest = np.argpartition(probs[rows, label], wrong - 1)[:wrong]
            mask[rows[lowest]] = True
    return mask


def by_noise_rate(labels: _Labels, probs: _Floats, counts: _Counts, quota: _Counts) -> _Mask:
    """Take for each pair of classes the rows that most look like the other, as many as counted.

    Args:
        labels: int (N,), -1 where nothing is labelled.
        probs: float (N, K).
        counts: int64 (K,), rows with each label.
        quota: int64 (K, K), from ``quota``; a row of zeros is a class to leave alone.
    """
    mask = np.zeros(len(labels), dtype=np.bool_)

    def prune(part: tuple[int, NDArray[np.int64]]) -> None:
        label, rows = part
        others = np.flatnonzero(quota[label] > 0)
        others = others[others != label]
        _take_pairs(mask, probs, rows, label, others, quota[label, others])

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(prune, _by_label(labels, counts, quota)))
    return mask


def _by_label(
    labels: _Labels, counts: _Counts, quota: _Counts
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Each class that may lose rows, and its rows."""
    # A short integer is sorted in linear time.
    narrow = np.int16 if len(counts) < np.iinfo(np.int16).max else np.int64
    order = np.argsort(labels.astype(narrow), kind="stable")
    ends = np.cumsum(counts) + (len(labels) - counts.sum())
    for label in np.flatnonzero(quota.any(axis=1)).tolist():
        yield label, order[ends[label] - counts[label] : ends[label]]


def _take_pairs(
    mask: _Mask,
    probs: _Floats,
    rows: NDArray[np.int64],
    label: int,
    others: NDArray[np.int64],
    quota: _Counts,
) -> None:
    """Set the rows of one label that most look like each of the other classes."""
    step = max(_BLOCK // len(rows), 1)
    own = probs[rows, label]
    for start in range(0, len(others), step):
        some = others[start : start + step]
        behind = np.empty((len(some), len(rows)), dtype=own.dtype)
        for part in _parts(len(rows), probs.shape[1]):
            np.subtract(own[part], _rows(probs, rows[part]).T[some], out=behind[:, part])
        wanted = np.minimum(quota[start : start + step], len(rows))
        first = np.argpartition(behind, np.unique(wanted) - 1, axis=1)
        taken = first[np.arange(len(rows)) < wanted[:, None]]
        mask[rows[taken]] = True


def _rows(probs: _Floats, rows: NDArray[np.int64]) -> _Floats:
    # take is several times as fast, but copies an array whole that is not in C order.
    return probs.take(rows, axis=0) if probs.flags.c_contiguous else probs[rows]


def _parts(count: int, classes: int) -> Iterator[slice]:
    size = max(_BLOCK // (8 * classes), 1)
    for start in range(0, count, size):
        yield slice(start, start + size)
