"""Labels that several annotators disagree on, with or without a model.

One item's finding depends on that item and on a ``Calibration`` alone, so an item judged by itself
gets the very score that it gets in a run over the whole project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis import belief
from analysis.consensus import DawidSkene, dawid_skene, majority_vote
from analysis.crowdlab import Crowdlab, crowdlab
from analysis.findings import NONE, Findings
from analysis.votes import Tally, Votes, check_probs, tally

__all__ = [
    "Calibration",
    "Crowdlab",
    "DawidSkene",
    "Votes",
    "crowdlab",
    "dawid_skene",
    "find",
    "fit",
    "majority_vote",
]

#: Before any vote an annotator is taken to be right this often, with the weight of so many votes.
_PRIOR_ACCURACY: Final = 0.9
_PRIOR: Final = 4.0
_BEST_ACCURACY: Final = 0.995
#: Powers of the model's probabilities that are tried; 1 believes the model as it is.
_SHARPNESS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
#: Probabilities that are looked at for it.
_SAMPLE: Final = 2_000_000
_ROUNDS: Final = 50
_STILL: Final = 1e-4
#: Sums of the same numbers in another order differ by less than this.
_DECIMALS: Final = 9


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far annotators and model can be trusted on this project.

    Attributes:
        accuracy: float64 (A,), how often each annotator is right, in (0, 1).
        usual: the same for annotators who are not in ``accuracy``.
        sharpness: power of the model's probabilities that fits the votes best, in (0, 1].
    """

    accuracy: NDArray[np.float64]
    usual: float = _PRIOR_ACCURACY
    sharpness: float = 1.0

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {
            "accuracy": self.accuracy,
            "usual": np.array(self.usual),
            "sharpness": np.array(self.sharpness),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(arrays["accuracy"], float(arrays["usual"]), float(arrays["sharpness"]))


def fit(
    votes: Votes, probs: NDArray[np.floating[Any]] | None = None, *, num_classes: int | None = None
) -> Calibration:
    """Learn from a whole project how far its annotators and its model can be trusted.

    Each annotator has one accuracy, wrong answers being spread evenly over the other classes
    (Dawid and Skene's model with one number for a confusion matrix), learnt by expectation
    maximisation; few votes move it little from the others' accuracy. The model's probabilities
    are flattened as far as the votes ask for (as ``calibrate_probs`` of cleanlab does), never
    sharpened.

    Args:
        votes: V votes on N items of A annotators.
        probs: float (N, K), rows sum to 1, from a model that has not seen the votes, or None.
        num_classes: K; needed only where there is no model and the last classes have no vote.

    Raises:
        ValueError: when ``probs`` or ``num_classes`` does not match, or a row of ``probs`` is not
            a distribution.
    """
    votes, classes = _checked(votes, probs, num_classes)
    counts = tally(votes, classes)
    who = votes.annotator[votes.cast]
    people = votes.annotators
    alone = _accuracies(counts, who, people, belief.even(counts, classes), classes)
    if probs is None or classes < 2:
        return alone
    sharpness = _sharpness(counts, who, alone, probs)
    prior = belief.read(counts, probs, sharpness)
    trust = _accuracies(counts, who, people, prior, classes)
    return Calibration(trust.accuracy, trust.usual, sharpness)


def find(
    votes: Votes,
    probs: NDArray[np.floating[Any]] | None = None,
    *,
    num_classes: int | None = None,
    tasks: NDArray[np.int64] | None = None,
    calibration: Calibration | None = None,
    floor: float = 0.1,
) -> Findings:
    """Find items whose votes are not to be trusted.

    The score is the share of the item's votes that are expected to be wrong: what a vote drawn at
    random from the item is wrong with. With the posterior q of the item it is the mean of 1 - q
    over its votes, so an even split scores at least 0.5 whatever the model says, votes that all
    agree score what speaks against them, and one vote against four about 0.2.

    Args:
        votes: V votes on N items of A annotators.
        probs: float (N, K), rows sum to 1, from a model that has not seen the votes, or None.
        num_classes: K; needed only where there is no model and the last classes have no vote.
        tasks: int64 (N,), the task of each item; None takes the item's number.
        calibration: what ``fit`` learnt; None learns it from these very votes.
        floor: findings with a lower score are left out.

    Returns:
        rows of kind ``disagreement``, worst first; annotation is the row of the vote least in
        agreement (of equals, that of the less accurate annotator), prediction the item's row of
        ``probs``, label the consensus. An item with one vote is found only where a model speaks
        against it.

    Raises:
        ValueError: when ``probs``, ``num_classes`` or ``tasks`` does not match, or a row of
            ``probs`` is not a distribution.
    """
    votes, classes = _checked(votes, probs, num_classes)
    if tasks is None:
        tasks = np.arange(votes.items, dtype=np.int64)
    if tasks.shape != (votes.items,):
        raise ValueError(f"tasks {tasks.shape} and Votes of {votes.items} items do not match")
    trust = calibration or fit(votes, probs, num_classes=classes)
    counts = tally(votes, classes)
    rows = votes.cast
    accuracy = _of(trust, votes.annotator[rows], classes)
    odds = belief.odds(accuracy, classes)
    prior = (
        belief.even(counts, classes)
        if probs is None
        else belief.read(counts, probs, trust.sharpness)
    )
    wrong = 1 - belief.posterior(counts, odds, prior)[counts.of_vote]
    total = np.bincount(votes.item[rows], wrong, minlength=votes.items)
    score = (total / np.maximum(counts.total, 1)).clip(0, 1).astype(np.float32)
    heard = counts.total >= (2 if probs is None else 1)
    items = np.flatnonzero(heard & (score >= floor))
    items = items[np.argsort(-score[items], kind="stable")]
    keys = (votes.annotator[rows], -accuracy, wrong.round(_DECIMALS), votes.item[rows])
    order = rows[np.lexsort(keys)]
    least = np.full(votes.items, NONE)
    # The worst vote of an item comes last and overwrites the others.
    least[votes.item[order]] = order
    return Findings(
        tasks[items],
        np.full(len(items), "disagreement"),
        least[items],
        np.full(len(items), NONE) if probs is None else items,
        score[items],
        belief.consensus(counts, odds, prior)[items],
    )


def _checked(
    votes: Votes, probs: NDArray[np.floating[Any]] | None, num_classes: int | None
) -> tuple[Votes, int]:
    if probs is None:
        return votes, num_classes or int(votes.label.max(initial=0)) + 1
    if num_classes not in {None, probs.shape[-1]}:
        raise ValueError(f"probs {probs.shape} and num_classes {num_classes} do not match")
    return check_probs(votes, probs), probs.shape[1]


def _of(trust: Calibration, who: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Accuracy of the annotator of each vote, never below a guess."""
    known = np.append(trust.accuracy, trust.usual)
    accuracy: NDArray[np.float64] = known[np.minimum(who, len(trust.accuracy))]
    return accuracy.clip(1 / max(classes, 2), _BEST_ACCURACY)


def _accuracies(
    counts: Tally, who: NDArray[np.int64], annotators: int, prior: belief.Prior, classes: int
) -> Calibration:
    """Expectation maximisation over the annotators' accuracies, the prior held fixed."""
    trust = Calibration(np.full(annotators, _PRIOR_ACCURACY))
    cast = np.bincount(who, minlength=annotators)
    for _ in range(_ROUNDS):
        right = _belief(counts, who, trust, prior, classes)[counts.of_vote]
        usual = (right.sum() + _PRIOR * _PRIOR_ACCURACY) / (cast.sum() + _PRIOR)
        mine = np.bincount(who, right, minlength=annotators)
        accuracy = (mine + _PRIOR * usual) / (cast + _PRIOR)
        moved = np.abs(accuracy - trust.accuracy).max(initial=0)
        trust = Calibration(accuracy, float(usual))
        if moved < _STILL:
            break
    return trust


def _belief(
    counts: Tally, who: NDArray[np.int64], trust: Calibration, prior: belief.Prior, classes: int
) -> NDArray[np.float64]:
    return belief.posterior(counts, belief.odds(_of(trust, who, classes), classes), prior)


def _sharpness(
    counts: Tally, who: NDArray[np.int64], trust: Calibration, probs: NDArray[np.floating[Any]]
) -> float:
    """The power whose probabilities are nearest (cross entropy) to what the votes alone say."""
    voted = np.flatnonzero(counts.total > 0)
    classes = probs.shape[1]
    some = voted[:: max(len(voted) * classes // _SAMPLE, 1)]
    if not len(some):
        return 1.0
    share = _belief(counts, who, trust, belief.even(counts, classes), classes)
    place = np.full(len(counts.total), NONE)
    place[some] = np.arange(len(some))
    mine = np.flatnonzero(place[counts.item] != NONE)
    target = np.full((len(some), classes), np.nan)
    target[place[counts.item[mine]], counts.label[mine]] = share[mine]
    rest = np.isnan(target)
    left = np.maximum(1 - np.nansum(target, axis=1), 0) / np.maximum(rest.sum(axis=1), 1)
    target = np.where(rest, left[:, None], target)
    logs = np.log(np.maximum(probs[some], belief.FLOOR, dtype=np.float64))
    said = (target * logs).sum(axis=1)
    loss = [np.mean(logsumexp(power * logs, axis=1) - power * said) for power in _SHARPNESS]
    return _SHARPNESS[int(np.argmin(loss))]
