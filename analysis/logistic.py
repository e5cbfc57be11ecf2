"""Logistic regression whose coefficients may be bounded in sign, by projected Newton steps."""

from __future__ import annotations

from typing import Final

import numpy as np
import scipy.linalg
import scipy.special
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

__all__ = ["fit_logistic"]

_STEPS: Final = 25
_CLOSE: Final = 1e-5
_SHORTEST: Final = 1e-3

Doubles = NDArray[np.float64]


def fit_logistic(
    features: NDArray[np.floating],
    target: NDArray[np.bool_],
    weight: Doubles,
    sign: NDArray[np.int8],
    *,
    penalty: float = 1.0,
    start: Doubles | None = None,
) -> Doubles:
    """Fit log odds that are linear in the features.

    A bounded sign makes the odds monotone in a feature, whatever the data say.

    Args:
        features: float (N, F), of similar scale.
        target: bool (N,).
        weight: float64 (N,), how often each row counts, at least 0.
        sign: int8 (F,), +1 for coefficients of at least 0, -1 for at most 0, 0 for any.
        penalty: weight of the squared coefficients; the intercept is free.
        start: float64 (F + 1,), coefficients to begin from.

    Returns:
        float64 (F + 1,): coefficients, intercept last.
    """
    design = np.column_stack([features, np.ones(len(features))]).astype(np.float64)
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 1e-6
    lower = np.append(np.where(sign > 0, 0.0, -np.inf), -np.inf)
    upper = np.append(np.where(sign < 0, 0.0, np.inf), np.inf)
    at = np.zeros(design.shape[1]) if start is None else np.clip(start, lower, upper)
    loss = _loss(design, target, weight, ridge, at)
    for _ in range(_STEPS):
        slope, bend = _slope(design, target, weight, ridge, at)
        way = _newton(bend, bend @ at - slope, lower, upper) - at
        step = 1.0
        while (tried := _loss(design, target, weight, ridge, at + step * way)) > loss:
            step /= 2
            if step < _SHORTEST:
                return at
        at = at + step * way
        if loss - tried < _CLOSE * max(abs(loss), 1.0):
            return at
        loss = tried
    return at


def _loss(
    design: Doubles, target: NDArray[np.bool_], weight: Doubles, ridge: Doubles, at: Doubles
) -> float:
    odds = design @ at
    return float(weight @ np.logaddexp(0, np.where(target, -odds, odds)) + 0.5 * ridge @ at**2)


def _slope(
    design: Doubles, target: NDArray[np.bool_], weight: Doubles, ridge: Doubles, at: Doubles
) -> tuple[Doubles, Doubles]:
    """Gradient and Hessian of the penalised loss."""
    p = scipy.special.expit(design @ at)
    slope = design.T @ (weight * (p - target)) + ridge * at
    bend = design.T @ (design * (weight * p * (1 - p))[:, None])
    bend[np.diag_indices_from(bend)] += ridge
    return slope, bend


def _newton(bend: Doubles, pull: Doubles, lower: Doubles, upper: Doubles) -> Doubles:
    """Minimise x'Bx/2 - pull'x within bounds."""
    root = np.linalg.cholesky(bend)
    free: Doubles = scipy.linalg.cho_solve((root, True), pull)
    if ((free >= lower) & (free <= upper)).all():
        return free
    right = scipy.linalg.solve_triangular(root, pull, lower=True)
    found: Doubles = lsq_linear(root.T, right, (lower, upper), method="bvls").x
    return found
