"""Quality scores of samples that may have several labels, by cleanlab's and FiftyOne's definitions.

Source: ``cleanlab.multilabel_classification.rank`` 2.9; ``fiftyone.brain`` (set equality).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE

__all__ = [
    "Pool",
    "Score",
    "class_scores",
    "moving_average",
    "pooled_scores",
    "same_set",
    "softmin",
]

Score = Literal["self_confidence", "normalized_margin", "confidence_weighted_entropy"]
Pool = Literal["moving_average", "softmin"]

#: Elements scored in one go.
_BLOCK: Final = 1 << 18
_FLOOR: Final = 1e-6

_Labels = NDArray[np.integer[Any]] | NDArray[np.bool_]
_Floats = NDArray[np.floating[Any]]
_Scores = NDArray[np.float32]


def class_scores(
    labels: _Labels, probs: _Floats, *, score: Score = "self_confidence", floor: float = _FLOOR
) -> _Scores:
    """Return the quality of each yes or no, lower is more likely wrong.

    Each class is a problem of two classes: p against 1 - p. Of two classes the normalized margin
    is the self-confidence.

    Args:
        labels: int (N, K), 1 where the sample has the label, 0 where not, -1 where nobody said.
        probs: float (N, K), each in [0, 1]; rows need not sum to 1.
        score: which of cleanlab's three scores.
        floor: the least ratio that ``confidence_weighted_entropy`` divides by.

    Returns:
        float32 (N, K), in [0, 1]; NaN where nobody said.

    Raises:
        ValueError: naming the first row that is wrong, or an unknown score.
    """
    _check(labels, probs)
    if score not in Score.__args__:  # type: ignore[attr-defined]
        raise ValueError(f"score is {score!r}, expected one of {Score.__args__}")  # type: ignore[attr-defined]
    found = np.empty(labels.shape, dtype=np.float32)
    for rows in _blocks(labels.shape):
        found[rows] = _class_scores(labels[rows], probs[rows], score, floor)
    return found


def pooled_scores(
    labels: _Labels,
    probs: _Floats,
    *,
    score: Score = "self_confidence",
    pool: Pool = "moving_average",
    alpha: float = 0.8,
    temperature: float = 0.1,
    floor: float = _FLOOR,
) -> _Scores:
    """Return one quality per sample, lower is more likely to hold a wrong or missing label.

    Args:
        labels: int (N, K), 1 where the sample has the label, 0 where not, -1 where nobody said.
        probs: float (N, K), each in [0, 1].
        score: as in ``class_scores``.
        pool: ``moving_average`` (cleanlab's default) or ``softmin``.
        alpha: weight of the lower score at each step of the moving average.
        temperature: of the softmin; lower is closer to the minimum.
        floor: as in ``class_scores``.

    Returns:
        float32 (N,), in [0, 1]; NaN where nobody said anything.

    Raises:
        ValueError: naming the first row that is wrong, or an unknown score or pool.
    """
    _check(labels, probs)
    if score not in Score.__args__:  # type: ignore[attr-defined]
        raise ValueError(f"score is {score!r}, expected one of {Score.__args__}")  # type: ignore[attr-defined]
    if pool not in Pool.__args__:  # type: ignore[attr-defined]
        raise ValueError(f"pool is {pool!r}, expected one of {Pool.__args__}")  # type: ignore[attr-defined]
    found = np.empty(len(labels), dtype=np.float32)
    for rows in _blocks(labels.shape):
        each = _class_scores(labels[rows], probs[rows], score, floor)
        found[rows] = (
            softmin(each, temperature) if pool == "softmin" else moving_average(each, alpha)
        )
    return found


def moving_average(scores: _Floats, alpha: float = 0.8) -> _Floats:
    """Return the exponential moving average of each row, from its largest score to its smallest.

    Args:
        scores: float (N, K), NaN where there is none.
        alpha: weight of the next, lower score, in [0, 1].

    Returns:
        (N,), NaN where a row has no score.

    Raises:
        ValueError: when alpha is out of range.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}, expected 0 to 1")
    average: _Floats = np.full(len(scores), np.nan, dtype=scores.dtype)
    # NaN is sorted last, so read backwards it comes before the first score.
    for step in np.sort(scores, axis=1).T[::-1]:
        average = np.where(np.isnan(average), step, alpha * step + (1 - alpha) * average)
    return average


def softmin(scores: _Floats, temperature: float = 0.1) -> _Floats:
    """Return the mean of each row's scores, each weighed by exp(-score / temperature).

    Args:
        scores: float (N, K), NaN where there is none.
        temperature: above 0; lower is closer to the minimum.

    Returns:
        (N,), NaN where a row has no score.
    """
    known = ~np.isnan(scores)
    least = np.where(known, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    least = np.where(np.isfinite(least), least, 0)
    value = np.where(known, scores, 0)
    weight = np.where(known, np.exp((least - value) / temperature), 0)
    total = weight.sum(axis=1)
    mean = np.full(len(scores), np.nan, dtype=scores.dtype)
    np.divide((weight * value).sum(axis=1), total, out=mean, where=total > 0)
    return mean


def same_set(labels: _Labels, predicted: _Labels) -> NDArray[np.bool_]:
    """Return which samples have exactly the predicted labels: FiftyOne's "correct".

    Args:
        labels: (N, K), above 0 where the sample has the label.
        predicted: (N, K), above 0 where the model says so.

    Raises:
        ValueError: when the shapes differ.
    """
    if labels.shape != predicted.shape or labels.ndim != 2:
        raise ValueError(f"labels {labels.shape} and predicted {predicted.shape} do not match")
    return np.asarray(((labels > 0) == (predicted > 0)).all(axis=1))


def _class_scores(labels: _Labels, probs: _Floats, score: Score, floor: float) -> _Floats:
    own = np.where(labels > 0, probs, 1 - probs)
    if score == "confidence_weighted_entropy":
        logs = probs * np.log(np.maximum(probs, np.finfo(probs.dtype).tiny))
        logs += (1 - probs) * np.log1p(-np.minimum(probs, 1 - np.finfo(probs.dtype).epsneg))
        ratio = np.maximum(-logs, 0) / (np.log(2) * np.maximum(own, _FLOOR))
        divisor = np.maximum(ratio, floor)
        own = np.divide(np.log1p(ratio), divisor, out=np.ones_like(ratio), where=divisor > 0)
    return np.where(labels == NONE, np.nan, own)


def _blocks(shape: tuple[int, ...]) -> list[slice]:
    step = max(_BLOCK // max(shape[1], 1), 1)
    return [slice(start, start + step) for start in range(0, shape[0], step)]


def _check(labels: _Labels, probs: _Floats) -> None:
    if labels.ndim != 2 or labels.shape != probs.shape:
        raise ValueError(
            f"labels {labels.shape} and probs {probs.shape} do not match, expected (N, K) both"
        )
    if not np.issubdtype(probs.dtype, np.floating):
        raise ValueError(f"probs are of type {probs.dtype}, expected floats")
    for rows in _blocks(labels.shape):
        block, said = probs[rows], labels[rows]
        for name, values, bad, least in (
            ("labels", said, (said != 0) & (said != 1) & (said != NONE), NONE),
            ("probs", block, ~((block >= 0) & (block <= 1)), 0),
        ):
            if bad.any():
                row, column = (int(at[0]) for at in np.nonzero(bad))
                raise ValueError(
                    f"{name} row {rows.start + row} is {values[row, column]} for class {column}, "
                    f"expected {least} to 1"
                )
