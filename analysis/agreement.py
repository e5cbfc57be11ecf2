"""How well annotators agree on class labels, beyond chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from analysis.crowd.grouping import pairs_within
from analysis.crowd.votes import Votes, check_classes, tally

__all__ = ["Kappas", "cohen_kappa", "fleiss_kappa", "krippendorff_alpha"]


@dataclass(frozen=True, slots=True)
class Kappas:
    """Agreement of each two annotators who share an item, P pairs in order of their numbers.

    Attributes:
        first: int64 (P,), annotator.
        second: int64 (P,), annotator with a larger number.
        items: int64 (P,), items that both labelled.
        agreement: float64 (P,), share of them with equal labels.
        kappa: float64 (P,), at most 1, 0 as by chance; NaN where both used one and the same class
            throughout.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    items: NDArray[np.int64]
    agreement: NDArray[np.float64]
    kappa: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)


def cohen_kappa(votes: Votes, num_classes: int) -> Kappas:
    """Compare each two annotators on the items that both labelled.

    Cohen's kappa ("A Coefficient of Agreement for Nominal Scales", 1960), equal to
    ``sklearn.metrics.cohen_kappa_score`` on those items. The cost grows with the pairs of votes on
    an item, in blocks.

    Args:
        votes: V votes.
        num_classes: number of classes, K.

    Raises:
        ValueError: when a label is not below K.
    """
    check_classes(votes, num_classes)
    people = max(votes.annotators, 1)
    keys, count = _coincidences(votes, num_classes)
    pair, labels = np.divmod(keys, max(num_classes, 1) ** 2)
    pairs, row = np.unique(pair, return_inverse=True)
    mine, theirs = np.divmod(labels, max(num_classes, 1))
    shape = (len(pairs), max(num_classes, 1))
    given = scipy.sparse.csr_matrix((count, (row, mine)), shape=shape)
    taken = scipy.sparse.csr_matrix((count, (row, theirs)), shape=shape)
    items = np.bincount(row, count, minlength=len(pairs))
    same = np.bincount(row, count * (mine == theirs), minlength=len(pairs))
    by_chance = np.asarray(given.multiply(taken).sum(axis=1)).ravel()
    # In whole numbers, so that agreement by chance alone is told exactly.
    kappa = _ratio(same * items - by_chance, items**2 - by_chance)
    first, second = np.divmod(pairs, people)
    return Kappas(first, second, items.astype(np.int64), _ratio(same, items), kappa)


def fleiss_kappa(votes: Votes, num_classes: int) -> float:
    """Compare any number of annotators where each item has equally many labels.

    Fleiss, "Measuring nominal scale agreement among many raters", 1971. Items without a label are
    left out; annotators may differ from item to item.

    Args:
        votes: V votes.
        num_classes: number of classes, K.

    Returns:
        at most 1, 0 as by chance; NaN where items have one label each, only one class was used,
        or there is no vote.

    Raises:
        ValueError: when a label is not below K, naming the first item with another number of
            labels; ``krippendorff_alpha`` takes any.
    """
    counts = tally(votes, num_classes)
    items = np.flatnonzero(counts.total)
    if not len(items):
        return float("nan")
    each = counts.total[items]
    other = np.flatnonzero(each != each[0])
    if len(other):
        raise ValueError(
            f"item {items[other[0]]} has {each[other[0]]} labels, expected {each[0]} as item "
            f"{items[0]} has"
        )
    n, share = int(each[0]), np.bincount(counts.label, counts.count) / each.sum()
    if n < 2:
        return float("nan")
    same = float((counts.count * (counts.count - 1)).sum()) / (len(items) * n * (n - 1))
    by_chance = float((share**2).sum())
    return (same - by_chance) / (1 - by_chance) if len(np.unique(counts.label)) > 1 else np.nan


def krippendorff_alpha(votes: Votes, num_classes: int) -> float:
    """Compare any number of annotators who label any of the items.

    Nominal alpha (Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011); items with
    one label say nothing of agreement and are left out.

    Args:
        votes: V votes.
        num_classes: number of classes, K.

    Returns:
        at most 1, 0 as by chance; NaN where no item has two labels or only one class was used.

    Raises:
        ValueError: when a label is not below K.
    """
    counts = tally(votes, num_classes)
    rows = np.flatnonzero(counts.total[counts.item] > 1)
    count = counts.count[rows].astype(np.float64)
    total = counts.total[counts.item[rows]]
    of_class = np.bincount(counts.label[rows], count)
    n = count.sum()
    expected = float(n**2 - (of_class**2).sum())
    if not expected:
        return float("nan")
    observed = float((count * (total - count) / (total - 1)).sum())
    return 1 - float(n - 1) * observed / expected


def _coincidences(votes: Votes, num_classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often two annotators gave an item these two labels, as sorted keys and counts."""
    rows = votes.cast
    rows = rows[np.lexsort((votes.annotator[rows], votes.item[rows]))]
    who, label = votes.annotator[rows], votes.label[rows].astype(np.int64)
    keys: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    counts = keys
    for i, j in pairs_within(votes.item[rows]):
        key = who[i] * votes.annotators + who[j]
        key = (key * num_classes + label[i]) * num_classes + label[j]
        some, count = np.unique(key, return_counts=True)
        keys, place = np.unique(np.concatenate([keys, some]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts, count])).astype(np.int64)
    return keys, counts


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    nothing = np.full(len(below), np.nan)
    ratio: NDArray[np.float64] = np.divide(above, below, out=nothing, where=below > 0)
    return ratio
