"""Confident learning: which labels are wrong, and how often each class is taken for another.

Definitions: Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", JAIR 70 (2021), as ``cleanlab`` 2.9 computes them: the numbers are the same. Only where
equal probabilities straddle a cut may another of the tied rows be taken. Rows without a label (-1)
are left out of every estimate and are never an issue; cleanlab does not take them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from analysis import probabilities
from analysis.findings import NONE
from analysis.reference import pruning
from analysis.reference.quality import (
    Scores,
    adjust_pred_probs,
    confidence_weighted_entropy,
    hardness,
    normalized_margin,
    quality_scores,
    self_confidence,
)

__all__ = [
    "Method",
    "Noise",
    "Scores",
    "adjust_pred_probs",
    "calibrate_joint",
    "class_thresholds",
    "confidence_weighted_entropy",
    "confident_joint",
    "find_label_issues",
    "hardness",
    "noise",
    "normalized_margin",
    "quality_scores",
    "self_confidence",
]

Method = Literal[
    "prune_by_noise_rate",
    "prune_by_class",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_self_confidence",
    "low_normalized_margin",
]

#: cleanlab's FLOATING_POINT_COMPARISON: probabilities this close count as equal.
_CLOSE: Final = 1e-6
#: The threshold of a class that no label names: no probability reaches it.
_ABSENT: Final = 2.0
_NEVER_ZERO: Final = 1e-100
_MOST_NOISE: Final = 0.9999

_Labels = NDArray[np.integer[Any]]
_Floats = NDArray[np.floating[Any]]
_Matrix = NDArray[np.float64]
_Counts = NDArray[np.int64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Noise:
    """How often labels of each class are wrong, and what they should have been.

    Attributes:
        prior: float64 (K,), estimated share of each true class, sums to 1.
        label_given_true: float64 (K, K), p(label = row | true class = column), columns sum to 1:
            cleanlab's noise matrix.
        true_given_label: float64 (K, K), p(true class = row | label = column), columns sum to 1:
            cleanlab's inverse noise matrix.
        wrong: float64 (K,), share of the labels of each class that are wrong: 1 - cleanlab's
            label quality score of the class.
        missed: float64 (K,), share of each true class that is labelled as something else.
        share: float, estimated share of wrong labels overall.
    """

    prior: _Matrix
    label_given_true: _Matrix
    true_given_label: _Matrix
    wrong: _Matrix
    missed: _Matrix
    share: float


def class_thresholds(labels: _Labels, probs: _Floats) -> _Matrix:
    """Return how sure the model usually is of each class: mean p[k] over the labels that say k.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1, from a model that has not seen the row's label.

    Returns:
        float64 (K,), at least 2e-6; 2 for a class that no label names.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    labels, probs = probabilities.check(labels, probs)
    classes = probs.shape[1]

    def add(rows: slice, block: _Floats) -> tuple[_Matrix, _Counts]:
        known = np.flatnonzero(labels[rows] != NONE)
        given = labels[rows][known]
        own = block[known, given]
        total = np.asarray(np.bincount(given, weights=own, minlength=classes), dtype=np.float64)
        return total, np.bincount(given, minlength=classes).astype(np.int64)

    parts = probabilities.each_block(probs, add)
    total = sum((part[0] for part in parts), np.zeros(classes))
    count = sum((part[1] for part in parts), np.zeros(classes, dtype=np.int64))
    mean = np.divide(total, count, out=np.full(classes, _ABSENT), where=count > 0)
    thresholds: _Matrix = np.maximum(mean, 2 * _CLOSE)
    return thresholds


def confident_joint(
    labels: _Labels,
    probs: _Floats,
    *,
    thresholds: _Matrix | None = None,
    calibrate: bool = True,
) -> _Counts:
    """Count the rows with each label of which the model says confidently what they are.

    A row counts as the class whose threshold it reaches, as the most likely class where it
    reaches several, and not at all where it reaches none.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1, from a model that has not seen the row's label.
        thresholds: float (K,), None takes ``class_thresholds``.
        calibrate: scale with ``calibrate_joint``.

    Returns:
        int64 (K, K), label by row and true class by column, diagonal at least 1 before it is
        calibrated.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    given = thresholds is not None
    if thresholds is None:
        thresholds = class_thresholds(labels, probs)
    labels, probs = probabilities.check(labels, probs)
    if thresholds.shape != (probs.shape[1],):
        raise ValueError(f"thresholds are of shape {thresholds.shape}, probs of {probs.shape}")
    guess, _ = _guess(labels, probs, thresholds, checked=not given)
    return _joint(labels, guess, probs.shape[1], calibrate=calibrate)


def calibrate_joint(joint: NDArray[Any], counts: _Counts) -> _Counts:
    """Scale a joint so that its rows sum to how many labels there are of each class.

    Args:
        joint: (K, K), label by row and true class by column.
        counts: int64 (K,), labels of each class.
    """
    # The last bit decides which way a half is rounded, so the order of each sum is cleanlab's.
    held = np.asfortranarray(joint)
    scaled = held / np.maximum(held.sum(axis=1), _NEVER_ZERO)[:, None] * counts[:, None]
    return _rounded(scaled / max(scaled.sum(), _NEVER_ZERO) * counts.sum())


def noise(joint: _Counts) -> Noise:
    """Return the noise that a calibrated joint tells of.

    The prior is cleanlab's ``py_method="cnt"``, the matrices are its ``estimate_latent``.

    Args:
        joint: int (K, K), from ``confident_joint``.
    """
    given, true = joint.sum(axis=1), joint.sum(axis=0)
    total = max(int(given.sum()), 1)
    forward = joint / np.maximum(true, _NEVER_ZERO)
    backward = joint.T / np.maximum(given, _NEVER_ZERO)
    prior = backward.diagonal() / np.maximum(forward.diagonal(), _NEVER_ZERO) * (given / total)
    prior = np.clip(prior, _CLOSE, 1)
    right = joint.diagonal()
    return Noise(
        prior=prior / max(prior.sum(), _NEVER_ZERO),
        label_given_true=_clipped(forward),
        true_given_label=_clipped(backward),
        wrong=(given - right) / np.maximum(given, 1),
        missed=(true - right) / np.maximum(true, 1),
        share=float(given.sum() - right.sum()) / total,
    )


def find_label_issues(
    labels: _Labels,
    probs: _Floats,
    *,
    method: Method = "prune_by_noise_rate",
    joint: _Counts | None = None,
    frac_noise: float = 1.0,
    min_examples_per_class: int = 1,
) -> _Mask:
    """Return which labels are wrong, by cleanlab's filter of that name.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1, from a model that has not seen the row's label.
        method: ``prune_by_noise_rate``: for each pair of classes as many rows as the joint counts,
            largest margin first; ``prune_by_class``: for each class as many as the joint counts,
            least self-confidence first; ``both``: what both take; ``confident_learning``: the rows
            counted off the diagonal of the joint; ``predicted_neq_given``: the model says another
            class; ``low_self_confidence`` and ``low_normalized_margin``: the lowest scores, as
            many as ``confident_learning`` finds. All but the last two spare a row whose label is
            within 1e-6 of the most likely class.
        joint: a calibrated joint to prune by; None takes ``confident_joint``.
        frac_noise: share of the estimated wrong labels that pruning takes, in [0, 1].
        min_examples_per_class: classes with no more labels than this are not pruned.

    Returns:
        bool (N,), False where nothing is labelled.

    Raises:
        ValueError: naming the first row that is wrong, or an unknown method.
    """
    if method not in Method.__args__:  # type: ignore[attr-defined]
        raise ValueError(f"method is {method!r}, expected one of {Method.__args__}")  # type: ignore[attr-defined]
    guess, spared = _guess(labels, probs, class_thresholds(labels, probs), checked=True)
    known = labels != NONE
    spared |= ~known
    confident: _Mask = (guess != NONE) & (guess != labels)
    if method == "confident_learning":
        confident &= ~spared
        return confident
    if method == "predicted_neq_given":
        return ~spared
    if method in ("low_self_confidence", "low_normalized_margin"):
        score = self_confidence if method == "low_self_confidence" else normalized_margin
        return _lowest(score(labels, probs), int((confident & ~spared).sum()))
    classes = probs.shape[1]
    counts = np.bincount(labels[known], minlength=classes)
    if joint is not None and joint.shape != (classes, classes):
        raise ValueError(f"joint is of shape {joint.shape}, expected ({classes}, {classes})")
    if joint is None:
        joint = _joint(labels, guess, classes, calibrate=True)
    quota = pruning.quota(joint, frac_noise, min_examples_per_class)
    quota[counts <= max(min_examples_per_class, 1)] = 0
    issues = ~spared
    if method != "prune_by_class":
        issues &= pruning.by_noise_rate(labels, probs, counts, quota)
    if method != "prune_by_noise_rate":
        issues &= pruning.by_class(labels, probs, counts, quota)
    return issues


def _guess(
    labels: _Labels, probs: _Floats, thresholds: _Matrix, *, checked: bool
) -> tuple[NDArray[np.int32], _Mask]:
    """What the model confidently says of each row, and whose label no class outdoes."""
    guess = np.full(len(labels), NONE, dtype=np.int32)
    spared = np.zeros(len(labels), dtype=np.bool_)
    least = (thresholds - _CLOSE).astype(np.result_type(probs.dtype, np.float32))

    def work(rows: slice, block: _Floats) -> None:
        every = np.arange(len(block))
        top = block.argmax(axis=1)
        most = block[every, top]
        mine = np.where(most >= least[top], top, NONE)
        # The most likely class decides wherever it is confident: look further only elsewhere.
        unsure = np.flatnonzero(mine == NONE)
        reached = block[unsure] >= least
        several = reached.sum(axis=1)
        other = np.where(several > 1, top[unsure], reached.argmax(axis=1))
        mine[unsure] = np.where(several > 0, other, NONE)
        guess[rows] = mine
        given = np.where(labels[rows] != NONE, labels[rows], 0)
        own = block[every, given].astype(least.dtype) + least.dtype.type(_CLOSE)
        spared[rows] = (given == top) | (own > most) | ((own == most) & (given < top))

    if probs.shape[1]:
        probabilities.each_block(probs, work, checked=checked)
    return guess, spared


def _joint(labels: _Labels, guess: NDArray[np.int32], classes: int, *, calibrate: bool) -> _Counts:
    known = labels != NONE
    told = known & (guess != NONE)
    pair = labels[told].astype(np.int64) * classes + guess[told]
    joint = np.bincount(pair, minlength=classes * classes).reshape(classes, classes)
    np.fill_diagonal(joint, np.maximum(joint.diagonal(), 1))
    if not calibrate:
        return joint
    return calibrate_joint(joint, np.bincount(labels[known], minlength=classes))


def _lowest(score: NDArray[np.float32], count: int) -> _Mask:
    mask = np.zeros(len(score), dtype=np.bool_)
    mask[np.argsort(score, kind="stable")[:count]] = True
    return mask


def _rounded(values: _Matrix) -> _Counts:
    """Round so that each row keeps its sum, as cleanlab does, its breaking of ties included."""
    whole = values.round()
    short = np.rint(values.sum(axis=1).round() - whole.sum(axis=1)).astype(np.int64)
    for row in np.flatnonzero(short):
        while (left := int(np.rint(values[row].sum().round() - whole[row].sum()))) != 0:
            step = 1 if left > 0 else -1
            order = np.argsort(values[row] - whole[row])[::-step]
            whole[row, order[: abs(left)]] += step
    counts: _Counts = whole.astype(np.int64)
    return counts


def _clipped(rates: _Matrix) -> _Matrix:
    clipped = np.clip(rates, 0, _MOST_NOISE)
    np.fill_diagonal(clipped, rates.diagonal())
    normed: _Matrix = clipped / np.maximum(clipped.sum(axis=0), _NEVER_ZERO)
    return normed
