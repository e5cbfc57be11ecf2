"""Which class is mistaken for which, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE, Findings

__all__ = ["ClassPairs", "from_findings", "from_joint", "joint"]

#: Findings that say what the class should have been.
_KINDS: Final = ("mislabelled", "missing", "spurious")


@dataclass(frozen=True, slots=True)
class ClassPairs:
    """Mistaken pairs of classes as columns, M rows, those with most errors first.

    Attributes:
        given: int32 (M,), the annotated class; -1 is background (missing annotations).
        true: int32 (M,), the class it should have; -1 is background (spurious annotations).
        count: int64 (M,), findings, or rows, that say so.
        expected: float64 (M,), estimated number of errors.
        rate: float64 (M,), expected, as a share of the labels of the given class; for background
            as a share of all labels. NaN where there are none.
    """

    given: NDArray[np.int32]
    true: NDArray[np.int32]
    count: NDArray[np.int64]
    expected: NDArray[np.float64]
    rate: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.given)


def from_findings(
    findings: Findings,
    labels: NDArray[np.integer[Any]],
    *,
    num_classes: int,
    probability: NDArray[np.floating[Any]] | None = None,
) -> ClassPairs:
    """Count findings by (annotated class, suggested class).

    A finding counts as the probability that it is one: the expected number of errors is the sum.
    Findings of kinds that name no other class (badly drawn, duplicate...) are left out.

    Args:
        findings: of one project.
        labels: int (A,), the class of each annotation; -1 for one that is not a class.
        num_classes: number of labels, K.
        probability: float (F,), calibrated probability of each finding; None takes its score.

    Raises:
        ValueError: naming the first finding whose annotation or class is unknown.
    """
    weight = findings.score if probability is None else probability
    if len(weight) != len(findings):
        raise ValueError(f"probability has {len(weight)} rows, expected {len(findings)}")
    kept = np.flatnonzero(np.isin(findings.kind, _KINDS))
    rows = findings.annotation[kept]
    bad = (rows >= len(labels)) | (findings.label[kept] >= num_classes)
    if bad.any():
        row = int(kept[np.flatnonzero(bad)[0]])
        raise ValueError(
            f"findings row {row} is of annotation {findings.annotation[row]} and label "
            f"{findings.label[row]}, expected below {len(labels)} and {num_classes}"
        )
    given = np.full(len(kept), NONE, dtype=np.int64)
    given[rows != NONE] = labels[rows[rows != NONE]]
    side = num_classes + 1
    cell = (given + 1) * side + findings.label[kept] + 1
    count = np.bincount(cell, minlength=side * side)
    expected = np.bincount(cell, weights=weight[kept], minlength=side * side).astype(np.float64)
    per_class = np.bincount(labels[labels != NONE], minlength=num_classes)
    whole = np.concatenate([[len(labels)], per_class])
    return _pairs(count.reshape(side, side), expected.reshape(side, side), whole, background=1)


def joint(counts: NDArray[np.number[Any]], labels: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return the estimated joint distribution of given and true classes.

    Each row of the counts is scaled to how many labels of that class there are (confident
    learning, Northcutt et al., 2021, eq. 3; cleanlab ``count.estimate_joint`` but for its
    rounding to whole labels). A class that was never counted is taken to be right.

    Args:
        counts: (K, K), how many labels of class i look like class j, such as the confident joint.
        labels: int (K,), how many labels of each class there are.

    Returns:
        float64 (K, K), rows the given class, columns the true one; sums to 1, or 0 without
        labels. The share of wrong labels is 1 less its trace.

    Raises:
        ValueError: when shapes do not match, naming the first row that holds a negative count.
    """
    classes = len(labels)
    if counts.shape != (classes, classes):
        raise ValueError(f"counts {counts.shape} and labels ({classes},) do not match")
    bad = ~((counts >= 0).all(axis=1) & (labels >= 0))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"counts row {row} or its labels are negative or not a number")
    table = counts.astype(np.float64)
    unseen = table.sum(axis=1) == 0
    table[unseen, unseen.nonzero()[0]] = 1
    table *= (labels / table.sum(axis=1))[:, None]
    scaled: NDArray[np.float64] = table / max(table.sum(), 1)
    return scaled


def from_joint(counts: NDArray[np.number[Any]], labels: NDArray[np.integer[Any]]) -> ClassPairs:
    """Return the mistaken pairs of ``joint``, with as many errors as it expects.

    Args:
        counts: (K, K), see ``joint``.
        labels: int (K,), see ``joint``.

    Raises:
        ValueError: see ``joint``.
    """
    expected = joint(counts, labels) * labels.sum()
    np.fill_diagonal(expected, 0)
    return _pairs(counts, expected, labels, background=0)


def _pairs(
    count: NDArray[np.number[Any]],
    expected: NDArray[np.float64],
    whole: NDArray[np.integer[Any]],
    *,
    background: int,
) -> ClassPairs:
    """The cells with errors; class c is row and column c + ``background``."""
    given, true = np.nonzero(expected > 0)
    order = np.argsort(-expected[given, true], kind="stable")
    given, true = given[order], true[order]
    errors = expected[given, true]
    rate = np.full(len(errors), np.nan)
    np.divide(errors, whole[given], out=rate, where=whole[given] > 0)
    return ClassPairs(
        (given - background).astype(np.int32),
        (true - background).astype(np.int32),
        count[given, true].astype(np.int64),
        errors,
        rate,
    )
