"""How many of a project's labels are wrong: a share with an interval.

Three sources, each with its own assumption: calibrated probabilities alone
(``from_probabilities``), reviewers' verdicts on a sample (``from_sample``, ``from_weighted``), and
both together when reviewers looked at the top of the queue (``from_queue``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from analysis.findings import NONE
from analysis.geometry import ragged

__all__ = ["Estimate", "from_probabilities", "from_queue", "from_sample", "from_weighted"]

_CONFIDENCE: Final = 0.95
#: Verdicts that a probability weighs as much as, where reviewers have looked (as in ``priority``).
_BELIEF: Final = 10.0
#: Strata of about equally many verdicts; fewer where that leaves fewer than so many in one.
_STRATA: Final = 10
_LEAST_VERDICTS: Final = 10


@dataclass(frozen=True, slots=True)
class Estimate:
    """The share of wrong labels among some rows.

    Attributes:
        share: in [0, 1], the best guess; NaN without rows.
        low: lower end of the interval.
        high: upper end of the interval.
        rows: how many rows it is about.
        verdicts: how many of them reviewers judged.
        covered: share of the rows for which verdicts on rows of like probability speak; the
            others rest on their probabilities alone.
    """

    share: float
    low: float
    high: float
    rows: int
    verdicts: int = 0
    covered: float = 0.0


def from_probabilities(
    probability: NDArray[np.floating[Any]], *, confidence: float = _CONFIDENCE
) -> Estimate:
    """Estimate the share of wrong rows as the mean probability of an error.

    If probabilities are calibrated and errors independent, the number of wrong rows is
    Poisson-binomial: its mean is the sum of p and its variance the sum of p (1 - p). The interval
    is Wilson's with as many rows as give that variance, so it stays in [0, 1] and needs no
    resampling. It tells how far chance may move the share; it knows nothing of probabilities that
    are off, for which there are verdicts.

    Args:
        probability: float (N,), in [0, 1]; NaN rows are left out.
        confidence: of the interval, in (0, 1).

    Raises:
        ValueError: naming the first row that is out of range.
    """
    _check("probability", probability, confidence)
    p = probability[~np.isnan(probability)].astype(np.float64)
    if not len(p):
        return _unknown()
    variance = float((p * (1 - p)).sum()) / len(p) ** 2
    low, high = _around(float(p.mean()), variance, confidence)
    return Estimate(float(p.mean()), low, high, len(p))


def from_sample(
    wrong: NDArray[np.bool_], *, population: int | None = None, confidence: float = _CONFIDENCE
) -> Estimate:
    """Estimate the share of wrong rows from verdicts on rows drawn at random.

    The interval is Wilson's (1927). With ``population`` it is that of a draw without replacement:
    the more of the rows are judged, the narrower, and exact when all are.

    Args:
        wrong: bool (V,), the verdicts.
        population: rows that the sample was drawn from; None for many more than V.
        confidence: of the interval, in (0, 1).

    Returns:
        without verdicts a share of NaN, anywhere from 0 to 1.

    Raises:
        ValueError: when there are more verdicts than rows.
    """
    _check_confidence(confidence)
    verdicts = len(wrong)
    rows = verdicts if population is None else population
    if rows < verdicts:
        raise ValueError(f"population is {rows}, fewer than the {verdicts} verdicts")
    if not verdicts:
        return _unknown(rows)
    share = float(np.mean(wrong))
    size = float(verdicts)
    if population is not None:
        if population == verdicts:
            return Estimate(share, share, share, rows, verdicts, 1.0)
        size *= (population - 1) / (population - verdicts)
    low, high = _wilson(share, size, confidence)
    return Estimate(share, low, high, rows, verdicts, 1.0)


def from_weighted(
    wrong: NDArray[np.bool_],
    inclusion: NDArray[np.floating[Any]],
    *,
    confidence: float = _CONFIDENCE,
) -> Estimate:
    """Estimate the share of wrong rows from verdicts on rows drawn with unequal chances.

    Each verdict weighs the inverse of its row's chance (Hajek's estimator); the interval is
    Wilson's for as many verdicts as equal weights would need (Kish, 1965).

    Args:
        wrong: bool (V,), the verdicts.
        inclusion: float (V,), in (0, 1], the chance with which each row was drawn. Every row of
            the project must have had one.
        confidence: of the interval, in (0, 1).

    Raises:
        ValueError: naming the first row whose chance is out of range.
    """
    _check_confidence(confidence)
    if wrong.shape != inclusion.shape:
        raise ValueError(f"wrong {wrong.shape} and inclusion {inclusion.shape} do not match")
    bad = ~((inclusion > 0) & (inclusion <= 1))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"inclusion row {row} is {inclusion[row]}, expected above 0 to 1")
    if not len(wrong):
        return _unknown()
    weight = 1 / inclusion.astype(np.float64)
    share = float(weight @ wrong / weight.sum())
    size = float(weight.sum() ** 2 / (weight @ weight))
    low, high = _wilson(share, size, confidence)
    rows = max(round(float(weight.sum())), len(wrong))
    return Estimate(share, low, high, rows, len(wrong), 1.0)


def from_queue(
    probability: NDArray[np.floating[Any]],
    verdict: NDArray[np.integer[Any]],
    *,
    confidence: float = _CONFIDENCE,
    belief: float = _BELIEF,
) -> Estimate:
    """Estimate the share of wrong rows when reviewers judged some of them, mostly the worst.

    Rows are put into strata of like probability, with about equally many verdicts in each; those
    less probable than any that was judged are a stratum of their own. In a stratum of U unjudged
    rows with mean probability q, of which k among m judged ones were wrong, an unjudged row is
    wrong with probability p = (k + belief q) / (m + belief): verdicts where there are some, else
    the probabilities. The share is (wrong verdicts + sum of U p) / N. Its variance is that of the
    Beta posteriors, U^2 p (1 - p) / (m + belief + 1), and of the errors among the unjudged,
    U p (1 - p); the interval is Wilson's with that variance, and never contradicts a verdict.

    Verdicts on a random sample are a special case.

    Args:
        probability: float (N,), in [0, 1], of an error in each row, as calibrated as can be
            (``priority.Calibrator`` learns it from the same verdicts): below what reviewers
            looked at there is nothing else to go by.
        verdict: int (N,), 1 where a reviewer found the row wrong, 0 where right, -1 where nobody
            looked.
        confidence: of the interval, in (0, 1).
        belief: verdicts that a stratum's mean probability weighs as much as; above 0.

    Raises:
        ValueError: naming the first row that is out of range.
    """
    _check("probability", probability, confidence)
    _check_verdicts(probability, verdict)
    if not belief > 0:
        raise ValueError(f"belief is {belief}, expected above 0")
    total = len(probability)
    if not total:
        return _unknown()
    order = np.argsort(probability, kind="stable")
    p, judged = probability[order].astype(np.float64), verdict[order] != NONE
    wrong = verdict[order] == 1
    edges = _strata(p, judged)
    rows, m, k, unjudged = (
        np.diff(ragged.starts(column)[edges])
        for column in (np.ones(total, dtype=np.int64), judged, wrong, ~judged)
    )
    mean = np.add.reduceat(p, edges[:-1]) / rows
    rate = (k + belief * mean) / (m + belief)
    spread = rate * (1 - rate)
    variance = float((unjudged**2 * spread / (m + belief + 1) + unjudged * spread).sum())
    share = float(wrong.sum() + unjudged @ rate) / total
    low, high = _around(share, variance / total**2, confidence)
    known, right = int(wrong.sum()), int((judged & ~wrong).sum())
    return Estimate(
        share,
        min(max(low, known / total), share),
        max(min(high, 1 - right / total), share),
        total,
        known + right,
        float(rows[m > 0].sum() / total),
    )


def _strata(p: NDArray[np.float64], judged: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Where strata of the sorted rows begin, and their end; equal probabilities stay together."""
    at = np.flatnonzero(judged)
    count = min(_STRATA, len(at) // _LEAST_VERDICTS) or min(len(at), 1)
    first = at[np.arange(count) * len(at) // max(count, 1)]
    begin = np.searchsorted(p, p[first], side="left")
    edges: NDArray[np.int64] = np.unique(np.concatenate([[0], begin, [len(p)]]))
    return edges


def _around(share: float, variance: float, confidence: float) -> tuple[float, float]:
    if variance <= 0:
        return share, share
    return _wilson(share, share * (1 - share) / variance, confidence)


def _wilson(share: float, size: float, confidence: float) -> tuple[float, float]:
    """Wilson's score interval of a share seen in ``size`` rows."""
    z = float(ndtri((1 + confidence) / 2))
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * np.sqrt(share * (1 - share) / size + (z / (2 * size)) ** 2) / (1 + z**2 / size)
    return max(float(middle - half), 0.0), min(float(middle + half), 1.0)


def _unknown(rows: int = 0) -> Estimate:
    return Estimate(np.nan, 0.0, 1.0, rows)


def _check(name: str, values: NDArray[np.floating[Any]], confidence: float) -> None:
    _check_confidence(confidence)
    wrong = (values < 0) | (values > 1)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{name} row {row} is {values[row]}, expected 0 to 1")


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, expected between 0 and 1")


def _check_verdicts(
    probability: NDArray[np.floating[Any]], verdict: NDArray[np.integer[Any]]
) -> None:
    if probability.shape != verdict.shape or probability.ndim != 1:
        raise ValueError(f"probability {probability.shape} and verdict {verdict.shape} differ")
    for name, column, bad in (
        ("probability", probability, np.isnan(probability)),
        ("verdict", verdict, (verdict < NONE) | (verdict > 1)),
    ):
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ValueError(f"{name} row {row} is {column[row]}")
