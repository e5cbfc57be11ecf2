"""One number per task that says how likely it holds an error, learnt from reviewers' verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from analysis import logistic

__all__ = ["Calibrator", "KindCalibrator", "initial"]

#: Before any verdict half of the tasks at 0.5 are taken to be wrong, and no score is certain.
_LEAST: Final = 0.02
_MOST: Final = 0.95
#: What was believed before the verdicts weighs as much as this many of them.
_BELIEF: Final = 10.0
_GRID: Final = 101
#: Fewer verdicts of the rarer kind than this leave the shape of the curve to Platt's two numbers.
_ENOUGH: Final = 50
_LEAST_SLOPE: Final = 0.5
#: How far the level of all kinds, that of one kind, and the slope are expected to be from where
#: the score itself would have them, in logits: some twenty verdicts outweigh it.
_LEVEL, _SLOPE = 0.7, 0.2

_Curve = NDArray[np.float64]


def initial(scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return the probability of an error that a score stands for while there is no verdict.

    Args:
        scores: float, any shape, in [0, 1]; NaN where nothing was scored.

    Returns:
        float32 of the same shape, in [0.02, 0.95], rising with the score; NaN stays NaN.

    Raises:
        ValueError: naming the first score that is out of range.
    """
    _check("scores", scores)
    return (_LEAST + (_MOST - _LEAST) * scores).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Calibrator:
    """A rising curve from scores to the probability of an error.

    Attributes:
        score: float64 (M,), rising, from 0 to 1.
        probability: float64 (M,), rising, in [0, 1]; straight lines between.
        verdicts: how many verdicts it was learnt from.
    """

    score: NDArray[np.float64]
    probability: NDArray[np.float64]
    verdicts: int = 0

    @classmethod
    def fit(cls, scores: NDArray[np.floating[Any]], wrong: NDArray[np.bool_]) -> Calibrator:
        """Learn the curve; few verdicts move it little from ``initial``.

        Platt's sigmoid (Platt, 1999) while verdicts are few, then isotonic regression, each
        joined to what ``initial`` says as if that were ten more verdicts, so that verdicts of
        one kind only, or on one end of the queue only, never make the curve certain.

        Args:
            scores: float (V,), in [0, 1], what was known when the reviewer looked.
            wrong: bool (V,), the verdict: the task held an error.

        Raises:
            ValueError: when lengths differ, naming the first score that is out of range.
        """
        if scores.shape != wrong.shape or scores.ndim != 1:
            raise ValueError(f"scores {scores.shape} and wrong {wrong.shape} do not match")
        _check("scores", scores)
        known = ~np.isnan(scores)
        score, verdict = scores[known].astype(np.float64), wrong[known].astype(bool)
        grid = np.linspace(0, 1, _GRID, dtype=np.float64)
        believed = initial(grid).astype(np.float64)
        x = np.concatenate([score, grid, grid])
        y = np.concatenate([verdict, np.ones(_GRID), np.zeros(_GRID)])
        weight = np.concatenate(
            [np.ones(len(score)), *(_BELIEF / _GRID * side for side in (believed, 1 - believed))]
        )
        rarer = min(int(verdict.sum()), int((~verdict).sum()))
        curve = _isotonic if rarer >= _ENOUGH else _platt
        return cls(grid, curve(x, y, weight, grid), len(score))

    def predict(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return the probability of an error, float32, same shape; NaN stays NaN.

        Raises:
            ValueError: naming the first score that is out of range.
        """
        _check("scores", scores)
        curve = np.interp(scores, self.score, self.probability)
        return np.asarray(curve, dtype=np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {
            "score": self.score,
            "probability": self.probability,
            "verdicts": np.array(self.verdicts),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibrator:
        """Return what ``to_arrays`` gave."""
        return cls(arrays["score"], arrays["probability"], int(arrays["verdicts"]))


@dataclass(frozen=True, slots=True)
class KindCalibrator:
    """What scores are worth, by kind of finding: some kinds promise more than they keep.

    Attributes:
        level: what all scores are off by, in logits.
        slope: what their logits are multiplied by, above 0.
        of_kind: what each kind is off by besides; none where it has no verdicts.
        shape: what remains to be bent when there are many verdicts, or None.
        verdicts: how many verdicts it was learnt from.
    """

    level: float
    slope: float
    of_kind: Mapping[str, float]
    shape: Calibrator | None
    verdicts: int

    @classmethod
    def fit(
        cls, kind: Sequence[str], scores: NDArray[np.floating[Any]], wrong: NDArray[np.bool_]
    ) -> KindCalibrator:
        """Learn it; few verdicts move it little from the score itself.

        A logistic curve over the score's logit (Platt, 1999) with a level for each kind, all drawn
        towards the score as it is. Once both verdicts are many, a ``Calibrator`` on top.

        Args:
            kind: V kinds, what the task was flagged for.
            scores: float (V,), in [0, 1], what was known when the reviewer looked.
            wrong: bool (V,), the verdict: the task held an error.

        Raises:
            ValueError: when lengths differ, naming the first score that is out of range.
        """
        kinds = np.array(kind, dtype=np.str_)
        if not kinds.shape == scores.shape == wrong.shape:
            raise ValueError(f"kind {kinds.shape}, scores {scores.shape}, wrong {wrong.shape}")
        _check("scores", scores)
        names, place = np.unique(kinds, return_inverse=True)
        level, slope, *levels = _levels(_logits(scores), place, len(names), wrong)
        of_kind = dict(zip(names.tolist(), levels, strict=True))
        straight = cls(level, slope, of_kind, None, len(scores))
        if min(int(wrong.sum()), int((~wrong).sum())) < _ENOUGH:
            return straight
        shape = Calibrator.fit(straight.predict(kind, scores), wrong)
        return cls(level, slope, of_kind, shape, len(scores))

    def predict(
        self, kind: Sequence[str], scores: NDArray[np.floating[Any]]
    ) -> NDArray[np.float32]:
        """Return the probability of an error, float32 (N,); without verdicts the score itself.

        Args:
            kind: N kinds.
            scores: float (N,), in [0, 1]; NaN where nothing was scored, and so is the answer.

        Raises:
            ValueError: naming the first score that is out of range.
        """
        _check("scores", scores)
        if not self.verdicts:
            return scores.astype(np.float32)
        off = np.array([self.of_kind.get(one, 0.0) for one in kind])
        curve = expit(self.level + off + self.slope * _logits(scores))
        # Where the curve ends, the scores still tell the worst of a queue from the next.
        said = ((1 - _LEAST) * curve + _LEAST * scores).astype(np.float32)
        return said if self.shape is None else self.shape.predict(said)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        shape = {} if self.shape is None else self.shape.to_arrays()
        return {
            "line": np.array([self.level, self.slope]),
            "kind": np.array(list(self.of_kind), dtype=np.str_),
            "of_kind": np.array(list(self.of_kind.values()), dtype=np.float64),
            "verdicts": np.array(self.verdicts),
            **{f"shape_{name}": array for name, array in shape.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> KindCalibrator:
        """Return what ``to_arrays`` gave."""
        level, slope = arrays["line"].tolist()
        of_kind = dict(zip(arrays["kind"].tolist(), arrays["of_kind"].tolist(), strict=True))
        shape = {
            name.removeprefix("shape_"): array
            for name, array in arrays.items()
            if name.startswith("shape_")
        }
        bent = Calibrator.from_arrays(shape) if shape else None
        return cls(level, slope, of_kind, bent, int(arrays["verdicts"]))


def _logits(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    # Beyond these no score is taken at its word.
    return np.asarray(logit(np.clip(scores, _LEAST, _MOST)), dtype=np.float64)


def _levels(
    x: NDArray[np.float64], place: NDArray[np.integer[Any]], kinds: int, wrong: NDArray[np.bool_]
) -> list[float]:
    """The most likely level, slope, and level of each kind, drawn towards 0, 1 and 0."""
    start = np.array([0.0, 1.0, *[0.0] * kinds])
    spread = np.array([_LEVEL, _SLOPE, *[_LEVEL] * kinds])

    def loss(at: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = at[0] + at[1] * x + at[2:][place]
        off = expit(z) - wrong
        drawn = (at - start) / spread
        of_kind = np.bincount(place, off, minlength=kinds)
        slope = np.concatenate([[off.sum(), (off * x).sum()], of_kind])
        return float((np.logaddexp(0, z) - wrong * z).sum() + drawn @ drawn / 2), (
            slope + drawn / spread
        )

    bounds = [(None, None), (_SLOPE, None), *[(None, None)] * kinds]
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B")
    return [float(value) for value in found.x]


def _platt(x: _Curve, y: _Curve, weight: _Curve, grid: _Curve) -> _Curve:
    slopes, offsets = logistic.fit(x[:, None], y, weight, C=np.inf)
    slope, offset = float(np.diff(slopes[0])[0]), float(np.diff(offsets)[0])
    if slope < _LEAST_SLOPE:
        # A few unlucky verdicts must not turn the queue over: only its level is learnt from them.
        slope = _LEAST_SLOPE
        level = float(np.average(y, weights=weight))
        offset = float(logit(level) - slope * np.average(x, weights=weight))
    return np.asarray(expit(slope * grid + offset))


def _isotonic(x: _Curve, y: _Curve, weight: _Curve, grid: _Curve) -> _Curve:
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415, slow

    level = IsotonicRegression(out_of_bounds="clip").fit(x, y, sample_weight=weight).predict(grid)
    # Steps would tie tasks that the score tells apart: join the middles of the steps instead.
    edges = np.flatnonzero(np.diff(level)) + 1
    middles = np.array([part.mean() for part in np.split(grid, edges)])
    joined = np.interp(grid, middles, level[np.append(edges, _GRID) - 1])
    return np.asarray((1 - _LEAST) * joined + _LEAST * grid)


def _check(name: str, scores: NDArray[np.floating[Any]]) -> None:
    wrong = (scores < 0) | (scores > 1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name} row {row} is {scores.flat[row]}, expected 0 to 1")
