"""cleanlab's label quality scores: one number in [0, 1] per label, lower is more likely wrong.

Definitions: Northcutt, Jiang and Chuang, "Confident Learning", JAIR 70 (2021), and
``cleanlab.rank`` 2.9. These are qualities: ``1 - score`` ranks like a mistakenness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import probabilities
from analysis.findings import NONE

__all__ = [
    "Scores",
    "adjust_pred_probs",
    "confidence_weighted_entropy",
    "hardness",
    "normalized_margin",
    "quality_scores",
    "self_confidence",
]

#: cleanlab's CLIPPING_LOWER_BOUND.
_FLOOR: Final = 1e-6

_Labels = NDArray[np.integer[Any]]
_Floats = NDArray[np.floating[Any]]
_Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scores:
    """Three label quality scores, lower is more likely wrong, NaN where nothing is labelled.

    Attributes:
        self_confidence: float32 (N,), p[y], in [0, 1].
        normalized_margin: float32 (N,), (p[y] - the largest other p + 1) / 2, in [0, 1].
        confidence_weighted_entropy: float32 (N,), in [0, 1]; see the function of that name.
    """

    self_confidence: _Scores
    normalized_margin: _Scores
    confidence_weighted_entropy: _Scores


def quality_scores(labels: _Labels, probs: _Floats, *, floor: float = _FLOOR) -> Scores:
    """Return all three scores for the price of reading ``probs`` once.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1.
        floor: as in ``confidence_weighted_entropy``.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    labels, probs = probabilities.check(labels, probs)
    found = Scores(*(np.full(len(labels), np.nan, dtype=np.float32) for _ in range(3)))

    def score(rows: slice, block: _Floats) -> None:
        known, given = _given(labels[rows])
        held = probabilities.scratch(block)
        own = held[np.arange(len(given)), given]
        weighted = _weighted(held, own, floor)
        margin = _margin(held, given, own)
        found.self_confidence[rows] = np.where(known, own, np.nan)
        found.normalized_margin[rows] = np.where(known, margin, np.nan)
        found.confidence_weighted_entropy[rows] = np.where(known, weighted, np.nan)

    probabilities.each_block(probs, score)
    return found


def self_confidence(
    labels: _Labels, probs: _Floats, *, thresholds: NDArray[np.float64] | None = None
) -> _Scores:
    """Return the probability of the given label.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1.
        thresholds: float (K,), ``confident_learning.class_thresholds``: score the probabilities
            of ``adjust_pred_probs`` instead, which makes up for rare classes.

    Returns:
        float32 (N,), in [0, 1], lower is more likely wrong; NaN where nothing is labelled.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    labels, probs = probabilities.check(labels, probs)
    score = np.full(len(labels), np.nan, dtype=np.float32)

    def work(rows: slice, block: _Floats) -> None:
        known, given = _given(labels[rows])
        seen = block if thresholds is None else adjust_pred_probs(block, thresholds)
        score[rows] = np.where(known, seen[np.arange(len(given)), given], np.nan)

    probabilities.each_block(probs, work)
    return score


def normalized_margin(
    labels: _Labels, probs: _Floats, *, thresholds: NDArray[np.float64] | None = None
) -> _Scores:
    """Return (p[y] - the largest other p + 1) / 2; of one class alone (p[y] + 1) / 2.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1.
        thresholds: as in ``self_confidence``.

    Returns:
        float32 (N,), in [0, 1], lower is more likely wrong; NaN where nothing is labelled.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    labels, probs = probabilities.check(labels, probs)
    score = np.full(len(labels), np.nan, dtype=np.float32)

    def work(rows: slice, block: _Floats) -> None:
        known, given = _given(labels[rows])
        if thresholds is None:
            held = probabilities.scratch(block)
        else:
            held = adjust_pred_probs(block, thresholds)
        own = held[np.arange(len(given)), given]
        score[rows] = np.where(known, _margin(held, given, own), np.nan)

    probabilities.each_block(probs, work)
    return score


def confidence_weighted_entropy(
    labels: _Labels, probs: _Floats, *, floor: float = _FLOOR
) -> _Scores:
    """Return log(1 + u) / u where u is the normalized entropy over the label's probability.

    cleanlab divides by u or 1e-6, whichever is larger, so a row on which the model is wholly
    certain (u below 1e-6) falls to 0, the worst score, even if it agrees with the label. That is
    the default here too; ``floor=0`` gives such a row the limit, 1.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K), rows sum to 1.
        floor: the least u that is divided by.

    Returns:
        float32 (N,), in [0, 1], lower is more likely wrong; NaN where nothing is labelled; 1
        where there is but one class (NaN in cleanlab).

    Raises:
        ValueError: naming the first row that is wrong.
    """
    labels, probs = probabilities.check(labels, probs)
    score = np.full(len(labels), np.nan, dtype=np.float32)

    def work(rows: slice, block: _Floats) -> None:
        known, given = _given(labels[rows])
        held = probabilities.scratch(block)
        own = held[np.arange(len(given)), given]
        weighted = _weighted(held, own, floor)
        score[rows] = np.where(known, weighted, np.nan)

    probabilities.each_block(probs, work)
    return score


def adjust_pred_probs(probs: _Floats, thresholds: NDArray[np.float64]) -> _Floats:
    """Return probabilities less their class's threshold, raised to be positive, rows summing to 1.

    Classes of which the model is usually sure lose, the others win (Northcutt et al., 2021,
    section 3.3; ``adjust_pred_probs=True`` in cleanlab). The result is as large as ``probs``:
    give it a block at a time, as the scores here do.

    Args:
        probs: float (N, K), rows sum to 1.
        thresholds: float (K,), ``confident_learning.class_thresholds``.

    Raises:
        ValueError: when there are not K thresholds.
    """
    if thresholds.shape != (probs.shape[1],):
        raise ValueError(f"thresholds are of shape {thresholds.shape}, probs of {probs.shape}")
    held = probabilities.scratch(probs)
    held += (thresholds.max(initial=0) - thresholds).astype(held.dtype)
    held /= held.sum(axis=1, keepdims=True)
    return held


def hardness(values: _Floats, *, logits: bool = False) -> _Scores:
    """Return the entropy of each row's distribution: how hard the model finds the sample.

    FiftyOne's ``compute_hardness``, which takes logits; natural logarithm.

    Args:
        values: float (N, K), probabilities that sum to 1, or logits of any range.
        logits: ``values`` are logits.

    Returns:
        float32 (N,), in [0, log(K)], higher is harder.

    Raises:
        ValueError: naming the first row that is not a distribution or not finite.
    """
    if values.ndim != 2:
        raise ValueError(f"values are of shape {values.shape}, expected (N, K)")
    score = np.zeros(len(values), dtype=np.float32)

    def work(rows: slice, block: _Floats) -> None:
        held = probabilities.scratch(block)
        if logits:
            bad = ~np.isfinite(held.sum(axis=1))
            if bad.any():
                row = rows.start + int(np.flatnonzero(bad)[0])
                raise ValueError(f"logits row {row} is {values[row].tolist()}, expected finite")
            held -= held.max(axis=1, keepdims=True, initial=-np.inf)
            np.exp(held, out=held)
            held /= held.sum(axis=1, keepdims=True)
        score[rows] = _entropy(held)

    probabilities.each_block(values, work, checked=logits)
    return score


def _given(labels: _Labels) -> tuple[NDArray[np.bool_], _Labels]:
    known = labels != NONE
    return known, np.where(known, labels, 0)


def _margin(held: _Floats, given: _Labels, own: _Floats) -> _Floats:
    """Overwrites ``held``."""
    held[np.arange(len(given)), given] = -np.inf
    rival = held.max(axis=1, initial=-np.inf) if held.shape[1] > 1 else np.zeros_like(own)
    margin: _Floats = (own - rival + 1) / 2
    return margin


def _entropy(held: _Floats) -> _Floats:
    # The logarithm of 0 must not spoil the product; what is added is lost in any larger number.
    logs = held + np.finfo(held.dtype).tiny
    np.log(logs, out=logs)
    logs *= held
    total: _Floats = np.maximum(-logs.sum(axis=1), 0)
    return total


def _weighted(held: _Floats, own: _Floats, floor: float) -> _Floats:
    if held.shape[1] < 2:
        return np.ones_like(own)
    ratio = _entropy(held) / (np.log(held.shape[1]) * np.maximum(own, _FLOOR))
    divisor = np.maximum(ratio, floor)
    score: _Floats = np.ones_like(ratio)
    np.divide(np.log1p(ratio), divisor, out=score, where=divisor > 0)
    return score
