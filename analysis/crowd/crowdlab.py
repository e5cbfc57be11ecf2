"""Several annotators and a model weighed together: CROWDLAB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import probabilities
from analysis.crowd.consensus import majority_vote
from analysis.crowd.votes import Tally, Votes, check_probs, tally

__all__ = ["Crowdlab", "crowdlab"]

#: No voice weighs less, and no class is expected to err less.
_LEAST: Final = 1e-6
_SAME: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Crowdlab:
    """What CROWDLAB makes of the votes.

    Attributes:
        consensus: int32 (N,), best label of each item; -1 where nobody voted.
        consensus_quality: float32 (N,), in [0, 1], higher is more likely right; NaN without votes.
        annotator_quality: float32 (A,), in [0, 1], higher is better; NaN for who never voted.
        vote_quality: float32 (V,), in [0, 1], higher is more likely right; NaN without a label.
        model_weight: weight of the model in the average.
        annotator_weight: float32 (A,), weight of each annotator in the average.
    """

    consensus: NDArray[np.int32]
    consensus_quality: NDArray[np.float32]
    annotator_quality: NDArray[np.float32]
    vote_quality: NDArray[np.float32]
    model_weight: float
    annotator_weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Crowd:
    """What does not change with the consensus; rows of votes are those with a label."""

    item: NDArray[np.int64]
    who: NDArray[np.int64]
    label: NDArray[np.int64]
    counts: Tally
    guess: NDArray[np.int64]
    agreement: NDArray[np.float64]
    probs: NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class _Weights:
    """How much each voice says: an average of the voices, in these weights, is the posterior."""

    hit: float
    miss: float
    model: float
    annotator: NDArray[np.float64]


def crowdlab(votes: Votes, probs: NDArray[np.floating[Any]]) -> Crowdlab:
    """Weigh annotators and model together by how well they agree.

    CROWDLAB (Goh, Tkachenko and Mueller, "CROWDLAB: Supervised learning to infer consensus labels
    and quality scores for data with multiple annotators", 2022), equal to cleanlab's
    ``get_label_quality_multiannotator`` with its defaults where cleanlab answers. Where it does
    not: when no item has two votes, the model's top class stands in for the second annotator; an
    annotator who shares no item with others gets the mean quality of the own votes.

    Args:
        votes: V votes on N items of A annotators.
        probs: float (N, K), rows sum to 1, from a model that has not seen the item's votes.

    Raises:
        ValueError: when ``probs`` does not match or a row of it is not a distribution.
    """
    votes = check_probs(votes, probs)
    crowd = _crowd(votes, probs)
    first = majority_vote(votes, probs.shape[1], probs)
    consensus = _best_quality(crowd, first, _weigh(crowd, first))
    weights = _weigh(crowd, consensus)
    counts, voted = crowd.counts, crowd.counts.total > 0
    mass = _mass(crowd, weights)
    of_tally = _quality(crowd, weights, mass, counts.item, counts.label)
    vote_quality = np.full(len(votes), np.nan, dtype=np.float32)
    vote_quality[votes.cast] = of_tally[counts.of_vote]
    quality = np.full(votes.items, np.nan, dtype=np.float32)
    items = np.flatnonzero(voted)
    quality[items] = _quality(crowd, weights, mass, items, consensus[items].astype(np.int64))
    return Crowdlab(
        consensus,
        quality,
        _annotators(crowd, consensus, weights, of_tally[counts.of_vote]),
        vote_quality,
        weights.model,
        weights.annotator.astype(np.float32),
    )


def _crowd(votes: Votes, probs: NDArray[np.floating[Any]]) -> _Crowd:
    counts = tally(votes, probs.shape[1])
    rows = votes.cast
    item, who = votes.item[rows], votes.annotator[rows]
    tops = probabilities.each_block(probs, lambda _, block: block.argmax(axis=1))
    guess = np.concatenate([np.empty(0, dtype=np.int64), *tops])
    others = (counts.total[item] - 1).astype(np.float64)
    like = (counts.count[counts.of_vote] - 1).astype(np.float64)
    if not others.any():
        others = np.ones(len(item))
        like = (guess[item] == votes.label[rows]).astype(np.float64)
    met = np.bincount(who, others, minlength=votes.annotators)
    agreed = np.bincount(who, like, minlength=votes.annotators)
    agreement = np.divide(agreed, met, out=np.zeros(len(met)), where=met > 0)
    agreement[met == 0] = agreement[met > 0].mean() if (met > 0).any() else 1
    return _Crowd(item, who, votes.label[rows].astype(np.int64), counts, guess, agreement, probs)


def _weigh(crowd: _Crowd, consensus: NDArray[np.int32]) -> _Weights:
    total = crowd.counts.total
    items = np.flatnonzero(total > 1)
    agrees = consensus[crowd.item] == crowd.label
    hits = np.bincount(crowd.item, agrees, minlength=len(total)) / np.maximum(total, 1)
    if not len(items):
        items = np.flatnonzero(total > 0)
        hits = (hits + (crowd.guess == consensus)) / 2
    if not len(items):
        return _Weights(1, 0, 1, np.ones(len(crowd.agreement)))
    hit = float(hits[items].mean())
    classes = crowd.probs.shape[1]
    chosen = consensus[items]
    usual = np.bincount(chosen, minlength=classes).argmax()
    error = max(float((chosen != usual).mean()), _LEAST)
    model = max(1 - float((crowd.guess[items] != chosen).mean()) / error, _LEAST)
    return _Weights(
        hit,
        (1 - hit) / max(classes - 1, 1),
        model * float(np.sqrt(total[total > 0].mean())),
        np.maximum(1 - (1 - crowd.agreement) / error, _LEAST),
    )


def _mass(crowd: _Crowd, weights: _Weights) -> NDArray[np.float64]:
    """Weight of the votes per row of the tally."""
    mine = weights.annotator[crowd.who]
    mass = np.bincount(crowd.counts.of_vote, mine, minlength=len(crowd.counts.item))
    return mass.astype(np.float64)


def _best_quality(crowd: _Crowd, first: NDArray[np.int32], weights: _Weights) -> NDArray[np.int32]:
    """The class with the largest posterior; where two share it, the first consensus."""
    counts, best = crowd.counts, first.copy()
    mass = _mass(crowd, weights)
    gain = mass * (weights.hit - weights.miss)

    def choose(rows: slice, block: NDArray[np.floating[Any]]) -> None:
        odds = block.astype(np.float64) * weights.model
        some = slice(*np.searchsorted(counts.item, (rows.start, rows.stop)))
        odds[counts.item[some] - rows.start, counts.label[some]] += gain[some]
        top = odds.max(axis=1, keepdims=True)
        alone = (odds >= top - _SAME).sum(axis=1) == 1
        change = alone & (counts.total[rows] > 0)
        best[rows] = np.where(change, odds.argmax(axis=1), first[rows])

    probabilities.each_block(crowd.probs, choose)
    return best


def _quality(
    crowd: _Crowd,
    weights: _Weights,
    mass: NDArray[np.float64],
    item: NDArray[np.int64],
    label: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Posterior of a label of an item; ``mass`` is the weight of the votes per row of the tally."""
    counts, classes = crowd.counts, crowd.probs.shape[1]
    all_mass = np.bincount(counts.item, mass, minlength=len(counts.total))[item]
    keys, wanted = counts.item * classes + counts.label, item * classes + label
    place = np.searchsorted(keys, wanted).clip(max=max(len(keys) - 1, 0))
    for_it = np.where(keys[place] == wanted, mass[place], 0) if len(keys) else np.zeros(len(item))
    voices = for_it * weights.hit + (all_mass - for_it) * weights.miss
    own: NDArray[np.float64] = crowd.probs[item, label].astype(np.float64)
    return (own * weights.model + voices) / (weights.model + all_mass)


def _annotators(
    crowd: _Crowd,
    consensus: NDArray[np.int32],
    weights: _Weights,
    quality: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Mean quality of an annotator's votes, averaged with the agreement with the consensus."""
    people = len(crowd.agreement)
    total = crowd.counts.total
    cast = np.bincount(crowd.who, minlength=people)
    own = np.bincount(crowd.who, quality, minlength=people) / np.maximum(cast, 1)
    shared = total[crowd.item] > 1
    met = np.bincount(crowd.who, shared, minlength=people)
    agrees = shared & (consensus[crowd.item] == crowd.label)
    agreed = np.bincount(crowd.who, agrees, minlength=people)
    voted, busy = total > 0, cast > 0
    if not busy.any():
        return np.full(people, np.nan, dtype=np.float32)
    crowd_weight = weights.annotator[busy].sum() * total[voted].mean() / busy.sum()
    trust = weights.model / (weights.model + crowd_weight)
    mixed = trust * own + (1 - trust) * agreed / np.maximum(met, 1)
    result = np.where(met > 0, mixed, own)
    result[~busy] = np.nan
    return result.astype(np.float32)
