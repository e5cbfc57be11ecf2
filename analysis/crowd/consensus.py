"""One label per item from several annotators' votes, without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from analysis.crowd.votes import Tally, Votes, check_probs, tally
from analysis.findings import NONE

__all__ = ["DawidSkene", "dawid_skene", "majority_vote"]

#: Sums of the same numbers in another order differ by less than this.
_DECIMALS: Final = 12


def majority_vote(
    votes: Votes, num_classes: int, probs: NDArray[np.floating[Any]] | None = None
) -> NDArray[np.int32]:
    """Return the label that most annotators gave each item.

    Ties go, as in cleanlab's ``get_majority_vote_label``, to the class that the model gives more,
    then to the class with fewer votes over all items (the rarer one), then to the label of the
    annotators who agree more with the majority on items without a tie. What is still tied goes to
    the lower class, where cleanlab draws at random.

    Args:
        votes: V votes on N items.
        num_classes: number of classes, K.
        probs: float (N, K), rows sum to 1, or None.

    Returns:
        int32 (N,), -1 where nobody voted.

    Raises:
        ValueError: when a label is not below K or ``probs`` does not match.
    """
    if probs is not None:
        votes = check_probs(votes, probs)
    counts = tally(votes, num_classes)
    rows = _largest(counts.item, counts.count, np.arange(len(counts.item)))
    consensus = np.full(votes.items, NONE, dtype=np.int32)
    sole = rows[np.bincount(counts.item[rows], minlength=votes.items)[counts.item[rows]] == 1]
    consensus[counts.item[sole]] = counts.label[sole]
    rows = rows[consensus[counts.item[rows]] == NONE]
    if not len(rows):
        return consensus
    if probs is not None:
        rows = _largest(counts.item, probs[counts.item[rows], counts.label[rows]], rows)
    rarity = -np.bincount(counts.label, counts.count, minlength=num_classes)
    rows = _largest(counts.item, rarity[counts.label[rows]], rows)
    rows = _largest(counts.item, _standing(votes, counts, consensus)[rows], rows)
    # The lowest class of an item comes first and is written last.
    consensus[counts.item[rows[::-1]]] = counts.label[rows[::-1]]
    return consensus


def _largest(
    item: NDArray[np.int64], value: NDArray[Any], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Those rows whose value is the largest of their item."""
    best = np.full(int(item.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(best, item[rows], value)
    kept: NDArray[np.int64] = rows[value == best[item[rows]]]
    return kept


def _standing(
    votes: Votes, counts: Tally, consensus: NDArray[np.int32]
) -> NDArray[np.floating[Any]]:
    """Per row of the tally, how well its voters agree with the majority where none is tied."""
    rows = votes.cast
    item, who = votes.item[rows], votes.annotator[rows]
    clear = consensus[item] != NONE
    agrees = clear & (consensus[item] == votes.label[rows])
    seen = np.bincount(who, clear, minlength=votes.annotators)
    hits = np.bincount(who, agrees, minlength=votes.annotators)
    share = np.divide(hits, seen, out=np.full(len(seen), np.nan), where=seen > 0)
    share[seen == 0] = share[seen > 0].mean() if (seen > 0).any() else 0
    standing = np.bincount(counts.of_vote, share[who], minlength=len(counts.item)) / counts.count
    rounded: NDArray[np.floating[Any]] = standing.round(_DECIMALS)
    return rounded


@dataclass(frozen=True, slots=True)
class DawidSkene:
    """What Dawid and Skene's model makes of the votes.

    Attributes:
        posterior: float64 (N, K), probability of each true class, rows sum to 1; the prior where
            nobody voted.
        confusion: float64 (A, K, K), probability that the annotator gives a label (last axis) to
            an item of a true class (middle axis); a class that the annotator never met has 1 / K.
        prior: float64 (K,), share of each true class.
        iterations: how many it took.
    """

    posterior: NDArray[np.float64]
    confusion: NDArray[np.float64]
    prior: NDArray[np.float64]
    iterations: int


def dawid_skene(
    votes: Votes,
    num_classes: int,
    *,
    smoothing: float = 0.01,
    tolerance: float = 1e-4,
    most_iterations: int = 100,
) -> DawidSkene:
    """Learn true classes and each annotator's confusions from the votes alone.

    Expectation maximisation from the shares of the votes (Dawid and Skene, "Maximum Likelihood
    Estimation of Observer Error-Rates Using the EM Algorithm", 1979). An annotator's confusions
    fill K x K numbers, so A x K x K has to fit in memory; the rest is linear in the votes.

    Args:
        votes: V votes on N items of A annotators.
        num_classes: number of classes, K.
        smoothing: votes added to each cell of a confusion; 0 is the paper's estimate.
        tolerance: stop when no posterior moves by more than this.
        most_iterations: stop after this many, at least 1.

    Raises:
        ValueError: when a label is not below K.
    """
    counts = tally(votes, num_classes)
    rows = votes.cast
    shares = np.zeros((votes.items, num_classes))
    shares[counts.item, counts.label] = counts.count / counts.total[counts.item]
    column = votes.annotator[rows] * num_classes + votes.label[rows]
    # One row per item, one column per annotator and label: both steps are products with it.
    given = scipy.sparse.csr_matrix(
        (np.ones(len(rows)), (votes.item[rows], column)),
        shape=(votes.items, votes.annotators * num_classes),
    )
    posterior: NDArray[np.float64] = shares
    voted = counts.total > 0
    confusion, prior = _maximise(given, posterior, voted, smoothing)
    iterations, moved = 0, np.inf
    while iterations < most_iterations and moved > tolerance:
        before, posterior = posterior, _expect(given, confusion, prior)
        confusion, prior = _maximise(given, posterior, voted, smoothing)
        moved = float(np.abs(posterior - before)[voted].max(initial=0))
        iterations += 1
    posterior[~voted] = prior
    return DawidSkene(posterior, confusion.swapaxes(1, 2), prior, iterations)


def _maximise(
    given: scipy.sparse.csr_matrix,
    posterior: NDArray[np.float64],
    voted: NDArray[np.bool_],
    smoothing: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Confusions (A, K labels, K classes) and prior (K,) from the posterior."""
    classes = posterior.shape[1]
    counts = (given.T @ posterior).reshape(-1, classes, classes) + smoothing
    total = counts.sum(axis=1, keepdims=True)
    even = np.full_like(counts, 1 / max(classes, 1))
    confusion = np.divide(counts, total, out=even, where=total > 0)
    some = max(int(voted.sum()), 1)
    prior = posterior[voted].sum(axis=0) / some
    return confusion, prior if voted.any() else np.full(classes, 1 / max(classes, 1))


def _expect(
    given: scipy.sparse.csr_matrix, confusion: NDArray[np.float64], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Posterior (N, K) from confusions and prior."""
    tiny = np.finfo(np.float64).tiny
    logs = np.log(np.maximum(confusion, tiny)).reshape(-1, len(prior))
    odds: NDArray[np.float64] = given @ logs
    odds += np.log(np.maximum(prior, tiny))
    odds -= odds.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(odds, out=odds)
    odds /= odds.sum(axis=1, keepdims=True)
    return odds
