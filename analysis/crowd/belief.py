"""What votes and a model together say of each item's label: Bayes' rule on columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import probabilities
from analysis.crowd.votes import Tally
from analysis.findings import NONE

__all__ = ["FLOOR", "Prior", "consensus", "even", "evidence", "odds", "posterior", "read"]

#: No model is sure enough to rule a class out.
FLOOR: Final = 1e-6
#: Sums of the same numbers in another order differ by less than this.
_DECIMALS: Final = 9


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of N items before their votes, in any unit that an item's classes share.

    A class that nobody voted for gains nothing from the votes, so all such classes of an item are
    one number, and the cost of the votes does not grow with the classes.

    Attributes:
        voted: float64 (T,), weight of the class of each row of the tally.
        total: float64 (N,), sum of the weights of all classes.
        top: int64 (N,), the class with the largest weight.
        highest: float64 (N,), its weight.
    """

    voted: NDArray[np.float64]
    total: NDArray[np.float64]
    top: NDArray[np.int64]
    highest: NDArray[np.float64]


def even(counts: Tally, num_classes: int) -> Prior:
    """Return the prior without a model: every class alike."""
    items, share = len(counts.total), 1 / max(num_classes, 1)
    return Prior(
        np.full(len(counts.item), share),
        np.ones(items),
        np.zeros(items, dtype=np.int64),
        np.full(items, share),
    )


def read(counts: Tally, probs: NDArray[np.floating[Any]], sharpness: float) -> Prior:
    """Return the prior that a model gives, read in blocks.

    Args:
        counts: the tally of N items.
        probs: float (N, K), rows sum to 1.
        sharpness: power to which the probabilities are raised.

    Raises:
        ValueError: naming the first row that is not a distribution.
    """

    def flat(block: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        raised: NDArray[np.float64] = np.maximum(block, FLOOR, dtype=np.float64)
        if sharpness != 1:
            raised **= sharpness
        return raised

    def sums(_: slice, block: NDArray[np.floating[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        return flat(block).sum(axis=1), block.argmax(axis=1)

    parts = probabilities.each_block(probs, sums)
    total = np.concatenate([np.empty(0), *(part[0] for part in parts)])
    top = np.concatenate([np.empty(0, dtype=np.int64), *(part[1] for part in parts)])
    voted = flat(probs[counts.item, counts.label])
    return Prior(voted, total, top, flat(probs[np.arange(len(probs)), top]))


def odds(accuracy: NDArray[np.float64], alternatives: float) -> NDArray[np.float64]:
    """Log of how much more likely a vote is where its label is the true one.

    Args:
        accuracy: float64 (C,), in (0, 1), how often the annotator of each vote is right.
        alternatives: over how many classes wrong answers spread, 1 to K - 1: people err alike, so
            two of the same label prove less than they would if errors fell anywhere.
    """
    rated: NDArray[np.float64] = np.log(accuracy * alternatives) - np.log1p(-accuracy)
    return rated


def posterior(counts: Tally, odds: NDArray[np.float64], prior: Prior) -> NDArray[np.float64]:
    """Return how likely each row of the tally names the true class of its item.

    Args:
        counts: the tally, T rows.
        odds: float64 (C,), what ``odds`` gives for each vote with a label.
        prior: of the same tally.

    Returns:
        float64 (T,), in [0, 1].
    """
    weight, every, _ = _weigh(counts, odds, prior)
    share: NDArray[np.float64] = weight / every[counts.item]
    return share


def evidence(counts: Tally, odds: NDArray[np.float64], prior: Prior) -> float:
    """Return the log of how much more likely the votes are than if all were wrong."""
    _, every, most = _weigh(counts, odds, prior)
    return float((np.log(every / prior.total) + most).sum())


def consensus(counts: Tally, odds: NDArray[np.float64], prior: Prior) -> NDArray[np.int32]:
    """Return the most likely class of each item, the lowest of equals; -1 where nobody voted.

    Args:
        counts: the tally of N items.
        odds: float64 (C,), what ``odds`` gives for each vote with a label.
        prior: of the same tally.

    Returns:
        int32 (N,).
    """
    gain = np.bincount(counts.of_vote, odds, minlength=len(counts.item))
    value = (np.log(prior.voted) + gain).round(_DECIMALS)
    order = np.lexsort((-counts.label, value, counts.item))
    best = np.full(len(counts.total), NONE, dtype=np.int32)
    highest = np.zeros(len(counts.total))
    # The best of an item comes last and overwrites the others.
    best[counts.item[order]] = counts.label[order]
    highest[counts.item[order]] = value[order]
    beaten = (best != NONE) & (np.log(prior.highest).round(_DECIMALS) > highest)
    best[beaten] = prior.top[beaten]
    return best


def _weigh(
    counts: Tally, odds: NDArray[np.float64], prior: Prior
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Weight (T,) of each row of the tally, of all classes (N,), and the logs (N,) left out."""
    gain = np.bincount(counts.of_vote, odds, minlength=len(counts.item))
    items = len(counts.total)
    most = np.zeros(items)
    np.maximum.at(most, counts.item, gain)
    weight = prior.voted * np.exp(gain - most[counts.item])
    voted = np.bincount(counts.item, prior.voted, minlength=items)
    rest = np.maximum(prior.total - voted, 0) * np.exp(-most)
    return weight, np.bincount(counts.item, weight, minlength=items) + rest, most
