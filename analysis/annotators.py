"""Labels that several annotators disagree on, with or without a model.

One item's finding depends on that item and on a ``Calibration`` alone, so an item judged by itself
gets the very score that it gets in a run over the whole project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.crowd import belief
from analysis.crowd.consensus import DawidSkene, dawid_skene, majority_vote
from analysis.crowd.crowdlab import Crowdlab, crowdlab
from analysis.crowd.votes import Tally, Votes, check_probs, tally
from analysis.findings import NONE, Findings

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
#: Pairs of wrong votes that the belief in errors without a pattern weighs.
_PRIOR_PAIRS: Final = 20.0
#: Powers of the model's probabilities that are tried: 0 does not hear it, 1 believes it as it is.
_SHARPNESS: Final = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
#: Log likelihood that each step away from 1 has to be worth: few votes leave the model as it is.
_STEP: Final = 1.0
#: Probabilities that are looked at for it, and the bounds of the items that this makes.
_SAMPLE: Final = 2_000_000
_FEWEST, _MOST = 2_000, 20_000
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
        alternatives: over how many classes wrong votes spread, 1 to K - 1.
        sharpness: power of the model's probabilities that explains the votes best, 0 to 4; at 0
            the model is not heard.
    """

    accuracy: NDArray[np.float64]
    usual: float = _PRIOR_ACCURACY
    alternatives: float = 1.0
    sharpness: float = 1.0

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {
            "accuracy": self.accuracy,
            "usual": np.array(self.usual),
            "alternatives": np.array(self.alternatives),
            "sharpness": np.array(self.sharpness),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(
            arrays["accuracy"],
            float(arrays["usual"]),
            float(arrays["alternatives"]),
            float(arrays["sharpness"]),
        )


def fit(
    votes: Votes, probs: NDArray[np.floating[Any]] | None = None, *, num_classes: int | None = None
) -> Calibration:
    """Learn from a whole project how far its annotators and its model can be trusted.

    Each annotator has one accuracy (Dawid and Skene's model with one number for a confusion
    matrix), learnt by expectation maximisation; few votes move it little from the others'
    accuracy. Wrong answers spread over as many classes as pairs of them say that differ. The
    model's probabilities are raised to the power under which the votes are most likely: a model
    trained on wrong labels is less sure than it should be, another too sure.

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
    if probs is None:
        return _learn(votes, counts, belief.even(counts, classes), classes)
    prior = belief.read(counts, probs, 1.0)
    sharpness = _sharpness(votes, probs)
    if sharpness != 1:
        prior = belief.read(counts, probs, sharpness)
    trust = _learn(votes, counts, prior, classes)
    return replace(trust, sharpness=sharpness)


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

    The score is the share of the item's votes that are expected to be wrong, or how likely one of
    them, drawn at random, is wrong: the mean of 1 - q over the votes, q being the probability of
    the vote's label under Bayes' rule. So an even split scores at least 0.5 whatever the model
    says, votes that all agree score what speaks against them, and one vote against four about 0.2.

    Args:
        votes: V votes on N items of A annotators.
        probs: float (N, K), rows sum to 1, from a model that has not seen the votes, or None.
        num_classes: K; needed only where there is no model and the last classes have no vote.
        tasks: int64 (N,), the task of each item; None takes the item's number.
        calibration: what ``fit`` learnt, of annotators under the same numbers; None learns it from
            these very votes.
        floor: findings with a lower score are left out.

    Returns:
        rows of kind ``disagreement``, worst first; annotation is the row of the vote least in
        agreement (of equals, that of the less accurate annotator), prediction the item's row of
        ``probs``, label the consensus. An item with one vote is found only where a model speaks
        against it. A model that the votes do not bear out counts as none.

    Raises:
        ValueError: when ``probs``, ``num_classes`` or ``tasks`` does not match, or a row of
            ``probs`` is not a distribution.
    """
    votes, classes = _checked(votes, probs, num_classes)
    if tasks is None:
        tasks = np.arange(votes.items, dtype=np.int64)
    if tasks.ndim != 1 or len(tasks) < votes.items:
        raise ValueError(f"tasks {tasks.shape} and Votes of {votes.items} items do not match")
    trust = calibration or fit(votes, probs, num_classes=classes)
    counts = tally(votes, classes)
    rows = votes.cast
    accuracy = _of(trust, votes.annotator[rows])
    odds = belief.odds(accuracy, trust.alternatives)
    prior = (
        belief.even(counts, classes)
        if probs is None
        else belief.read(counts, probs, trust.sharpness)
    )
    wrong = 1 - belief.posterior(counts, odds, prior)[counts.of_vote]
    total = np.bincount(votes.item[rows], wrong, minlength=votes.items)
    score = (total / np.maximum(counts.total, 1)).clip(0, 1).astype(np.float32)
    alone = probs is None or trust.sharpness == 0
    items = np.flatnonzero((counts.total >= (2 if alone else 1)) & (score >= floor))
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
        np.full(len(items), NONE) if alone else items,
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


def _of(trust: Calibration, who: NDArray[np.int64]) -> NDArray[np.float64]:
    """Accuracy of the annotator of each vote, never below a guess."""
    known = np.append(trust.accuracy, trust.usual)
    accuracy: NDArray[np.float64] = known[np.minimum(who, len(trust.accuracy))]
    return accuracy.clip(1 / (trust.alternatives + 1), _BEST_ACCURACY)


def _odds(trust: Calibration, who: NDArray[np.int64]) -> NDArray[np.float64]:
    return belief.odds(_of(trust, who), trust.alternatives)


def _learn(votes: Votes, counts: Tally, prior: belief.Prior, classes: int) -> Calibration:
    """Accuracies, how errors spread, and the accuracies again with that."""
    who = votes.annotator[votes.cast]
    first = _accuracies(counts, who, votes.annotators, prior, max(classes - 1, 1))
    chosen = belief.consensus(counts, _odds(first, who), prior)
    spread = _alternatives(counts, chosen, classes)
    return _accuracies(counts, who, votes.annotators, prior, spread)


def _accuracies(
    counts: Tally, who: NDArray[np.int64], annotators: int, prior: belief.Prior, spread: float
) -> Calibration:
    """Expectation maximisation over the annotators' accuracies, all else held fixed."""
    trust = Calibration(np.full(annotators, _PRIOR_ACCURACY), alternatives=spread)
    cast = np.bincount(who, minlength=annotators)
    for _ in range(_ROUNDS):
        right = belief.posterior(counts, _odds(trust, who), prior)[counts.of_vote]
        usual = (right.sum() + _PRIOR * _PRIOR_ACCURACY) / (cast.sum() + _PRIOR)
        mine = np.bincount(who, right, minlength=annotators)
        accuracy = (mine + _PRIOR * usual) / (cast + _PRIOR)
        moved = np.abs(accuracy - trust.accuracy).max(initial=0)
        trust = Calibration(accuracy, float(usual), spread)
        if moved < _STILL:
            break
    return trust


def _alternatives(counts: Tally, chosen: NDArray[np.int32], classes: int) -> float:
    """One over the chance that two wrong votes for one true class name the same label."""
    truth = chosen[counts.item].astype(np.int64)
    wrong = truth != counts.label
    keys, place = np.unique(truth[wrong] * classes + counts.label[wrong], return_inverse=True)
    given = np.bincount(place, counts.count[wrong], minlength=len(keys))
    of_class = np.bincount(keys // classes, given)
    pairs = float((of_class * (of_class - 1)).sum()) + _PRIOR_PAIRS
    alike = float((given * (given - 1)).sum()) + _PRIOR_PAIRS / max(classes - 1, 1)
    return float(np.clip(pairs / alike, 1, max(classes - 1, 1)))


def _sharpness(votes: Votes, probs: NDArray[np.floating[Any]]) -> float:
    """The power of the probabilities under which a sample of the votes is most likely."""
    classes = probs.shape[1]
    voted = np.unique(votes.item[votes.cast])
    most = int(np.clip(_SAMPLE // max(classes, 1), _FEWEST, _MOST))
    some = voted[:: max(-(-len(voted) // most), 1)]
    if not len(some) or classes < 2:
        return 1.0
    rows = votes.cast[np.isin(votes.item[votes.cast], some)]
    item = np.searchsorted(some, votes.item[rows])
    sample = Votes(item, votes.annotator[rows], votes.label[rows], len(some), votes.annotators)
    counts, said = tally(sample, classes), probs[some]

    def likely(step: int) -> float:
        power = _SHARPNESS[step]
        prior = belief.read(counts, said, power)
        trust = _accuracies(counts, sample.annotator, votes.annotators, prior, classes - 1)
        accuracy = _of(trust, sample.annotator)
        missed = float(np.log((1 - accuracy) / trust.alternatives).sum())
        told = belief.evidence(counts, belief.odds(accuracy, trust.alternatives), prior) + missed
        return told - _STEP * abs(step - _SHARPNESS.index(1.0))

    return _SHARPNESS[max(range(len(_SHARPNESS)), key=likely)]
