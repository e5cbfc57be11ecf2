"""A model's class probabilities, recalibrated on the project's own labels.

Dirichlet calibration (Kull et al., NeurIPS 2019): multinomial logistic regression on the logarithms
of the probabilities, learnt from the labels that confident learning (Northcutt et al., JAIR 2021)
does not suspect. What a row's neighbours are labelled may stand beside the model's probabilities as
further columns; the regression learns what each of the two is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from analysis import logistic

__all__ = ["Recalibration", "log_probs", "suspected"]

#: Inverse strength of the ridge, as scikit-learn's C.
_RIDGE: Final = 0.03
#: With more classes the matrix is too large to learn, and the probabilities stay as they are.
_MOST_CLASSES: Final = 256
_LEAST_PER_CLASS: Final = 5
_ITERATIONS: Final = 50
#: Share of the labels that the confident joint is smoothed by, spread over all pairs of classes.
_SMOOTHING: Final = 0.2
_TINY: Final = 1e-7


@dataclass(frozen=True, slots=True)
class Recalibration:
    """What was learnt: logits = log evidence @ weight + offset.

    Attributes:
        weight: float32 (M, K); M is K, or 2 K where neighbours' votes were learnt from too.
        offset: float32 (K,).
        learnt: bool (K,), classes that had labels enough; the others keep the model's probability.
        steady: bool (K,), learnt classes that more confidence in never makes less likely.
        rows: how many labels it was learnt from.
    """

    weight: NDArray[np.float32]
    offset: NDArray[np.float32]
    learnt: NDArray[np.bool_]
    steady: NDArray[np.bool_]
    rows: int

    @classmethod
    def none(cls, classes: int) -> Recalibration:
        """Return the one that was learnt from nothing and changes nothing."""
        return cls(
            np.zeros((0, classes), dtype=np.float32),
            np.zeros(classes, dtype=np.float32),
            np.zeros(classes, dtype=np.bool_),
            np.zeros(classes, dtype=np.bool_),
            0,
        )

    @classmethod
    def fit(
        cls,
        labels: NDArray[np.integer[Any]],
        probs: NDArray[np.floating[Any]],
        votes: NDArray[np.floating[Any]] | None = None,
    ) -> Recalibration:
        """Learn it; with too few labels, or too many classes, it changes nothing.

        Args:
            labels: int (N,), class of each row, none of them missing.
            probs: float (N, K), rows sum to 1.
            votes: float (N, K), rows sum to 1: how the neighbours of each row are labelled.
        """
        classes = probs.shape[1]
        if not 2 <= classes <= _MOST_CLASSES or not len(labels):
            return cls.none(classes)
        logs = log_probs(probs)
        good = ~suspected(labels, logs)
        count = np.bincount(labels[good], minlength=classes)
        learnt = count >= _LEAST_PER_CLASS
        if learnt.sum() < 2:
            return cls.none(classes)
        good &= learnt[labels]
        evidence = logs if votes is None else np.hstack([logs, log_probs(votes)])
        logits = logistic.fit(evidence[good], labels[good], C=_RIDGE, max_iter=_ITERATIONS)
        weight = np.zeros((evidence.shape[1], classes), dtype=np.float32)
        offset = np.zeros(classes, dtype=np.float32)
        weight[:, learnt], offset[learnt] = logits
        steady = learnt & _steady(weight[:classes])
        return cls(weight, offset, learnt, steady, int(good.sum()))

    def apply(self, evidence: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return recalibrated logarithms of the class probabilities, float32 (B, K).

        Args:
            evidence: float32 (B, M), ``log_probs`` of the model, and beside it of the votes where
                it was learnt with them.
        """
        logs = evidence[:, : len(self.offset)]
        if not self.rows:
            return logs
        logits = evidence[:, : len(self.weight)] @ self.weight + self.offset
        if self.learnt.all():
            return np.asarray(log_softmax(logits, axis=1), dtype=np.float32)
        mass = logsumexp(logs, axis=1, b=self.learnt, keepdims=True)
        spread = np.where(self.learnt, logits, -np.inf)
        return np.where(self.learnt, log_softmax(spread, axis=1) + mass, logs).astype(np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {
            "weight": self.weight,
            "offset": self.offset,
            "learnt": self.learnt,
            "steady": self.steady,
            "rows": np.array(self.rows),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Recalibration:
        """Return what ``to_arrays`` gave."""
        return cls(
            arrays["weight"],
            arrays["offset"],
            arrays["learnt"],
            arrays["steady"],
            int(arrays["rows"]),
        )


def log_probs(probs: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return natural logarithms, float32 (B, K), of probabilities no smaller than 1e-7."""
    return np.asarray(np.log(np.maximum(probs, _TINY, dtype=np.float32)))


def suspected(labels: NDArray[np.integer[Any]], logs: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which labels are more likely another class than the one given.

    The probabilities, sharpened or softened until they fit the labels best (temperature scaling),
    are taken for those of the true class; how often each true class is given each label comes from
    the confident joint; Bayes' rule joins the two.

    Args:
        labels: int (N,), class of each row.
        logs: float32 (N, K), ``log_probs`` of the model.

    Returns:
        bool (N,).
    """
    rows = np.arange(len(labels))

    def loss(power: float) -> float:
        return -float(log_softmax(power * logs, axis=1)[rows, labels].mean())

    power = minimize_scalar(loss, bounds=(0.1, 3.0), method="bounded").x
    probs = np.exp(log_softmax(power * logs, axis=1))
    given = _given_of_true(labels, np.exp(logs))
    own = given[labels, labels] * probs[rows, labels]
    return np.asarray(2 * own < np.einsum("nk,nk->n", given[labels], probs))


def _steady(weight: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Classes whose logit gains on every other one as probability moves to them, bool (K,).

    Moving probability to class k raises its logarithm and lowers all others by one amount; what
    each does to every difference of logits has to point the same way.
    """
    own = np.diag(weight)
    raised = own[:, None] - weight
    elsewhere = weight.sum(axis=0)
    lowered = (elsewhere - own)[:, None] - (elsewhere[None] - weight)
    return np.asarray((raised >= 0).all(axis=1) & (lowered <= 0).all(axis=1))


def _given_of_true(
    labels: NDArray[np.integer[Any]], probs: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Probability of each given label (rows) where each class (columns) is true, (K, K)."""
    classes = probs.shape[1]
    count = np.bincount(labels, minlength=classes)
    own = np.bincount(labels, probs[np.arange(len(labels)), labels], minlength=classes)
    usual = np.divide(own, count, out=np.ones(classes), where=count > 0)
    confident = np.where(probs >= usual.astype(np.float32), probs, 0)
    sure = confident.max(axis=1) > 0
    pair = labels[sure] * classes + confident[sure].argmax(axis=1)
    joint = np.bincount(pair, minlength=classes**2).reshape(classes, classes).astype(np.float64)
    joint += _SMOOTHING * max(joint.sum(), 1.0) / classes**2
    joint *= (count / joint.sum(axis=1))[:, None]
    return np.asarray(joint / np.maximum(joint.sum(axis=0), _TINY))
