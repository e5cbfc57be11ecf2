"""Multinomial logistic regression, as scikit-learn fits it, down to its two arrays."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.blas import one_thread

__all__ = ["fit"]


def fit(
    columns: NDArray[np.floating[Any]],
    kind: NDArray[np.number[Any]],
    weight: NDArray[np.float64] | None = None,
    **options: Any,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Learn which kind each row is of.

    Args:
        columns: float (N, D).
        kind: numbers (N,), with C different values, at least two.
        weight: float64 (N,), how much each row counts; None counts all alike.
        options: of scikit-learn's ``LogisticRegression``.

    Returns:
        weight: float64 (D, C), of the kinds in rising order;
        offset: float64 (C,); logits are ``columns @ weight + offset``.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415, slow
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415, slow

    model = LogisticRegression(**options)
    # Small products: threads would wait for each other longer than they work.
    with warnings.catch_warnings(), one_thread():
        # The ridge decides what is learnt, not the last digit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(columns, kind, sample_weight=weight)
    learnt, offset = model.coef_.T, model.intercept_
    if learnt.shape[1] == 1:
        # Of two kinds scikit-learn keeps the second's logit above the first's.
        return np.hstack([-learnt, learnt]) / 2, np.append(-offset, offset) / 2
    return learnt, offset
