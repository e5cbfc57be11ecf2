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
_CLOSE: Final = 1e-4

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
    # A feature that only ever is 0 has no coefficient; bounds that meet are not allowed below.
    at = np.zeros(design.shape[1]) if start is None else np.clip(start, lower, upper)
    loss, slope, bend = _expand(design, target, weight, ridge, at)
    for _ in range(_STEPS):
        wanted = _newton(bend, bend @ at - slope, lower, upper)
        step = 1.0
        while True:
            tried = at + step * (wanted - at)
            found = _expand(design, target, weight, ridge, tried)
            if found[0] <= loss or step < 1e-3:
                break
            step /= 2
        gain = loss - found[0]
        if gain > 0:
            at = tried
            loss, slope, bend = found
        if gain < _CLOSE:
            break
    return at


def _expand(
    design: Doubles, target: NDArray[np.bool_], weight: Doubles, ridge: Doubles, at: Doubles
) -> tuple[float, Doubles, Doubles]:
    """Penalised loss at a point, its gradient and its Hessian."""
    odds = design @ at
    p = scipy.special.expit(odds)
    loss = weight @ (np.logaddexp(0, odds) - target * odds) + 0.5 * ridge @ at**2
    slope = design.T @ (weight * (p - target)) + ridge * at
    bend = design.T @ (design * (weight * p * (1 - p))[:, None])
    bend[np.diag_indices_from(bend)] += ridge
    return float(loss), slope, bend


def _newton(bend: Doubles, pull: Doubles, lower: Doubles, upper: Doubles) -> Doubles:
    """Minimise x'Bx/2 - pull'x within bounds."""
    root = np.linalg.cholesky(bend)
    free: Doubles = scipy.linalg.cho_solve((root, True), pull)
    if ((free >= lower) & (free <= upper)).all():
        return free
    right = scipy.linalg.solve_triangular(root, pull, lower=True)
    found: Doubles = lsq_linear(root.T, right, (lower, upper), method="bvls").x
    return found
