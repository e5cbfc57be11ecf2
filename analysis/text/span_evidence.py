"""What a model's spans say of human ones: the evidence that findings are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import columns
from analysis.findings import NONE
from analysis.geometry.matching import Pairs
from analysis.text.span_matching import Spans, span_pair_blocks, task_lines

__all__ = ["FAINT", "Seen", "cover", "look", "same_place", "scores", "strongest"]

#: Scores below this say no more than that the model lists all candidates.
FAINT: Final = 1e-3
#: Sums of scores no further over 1 than this are those of alternatives.
_ROUNDING: Final = 1e-6
#: Scores are added as whole multiples of this share.
_UNIT: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Seen:
    """What the model says of each human span, and which predictions people have dealt with.

    Attributes:
        predictions: Spans, the model's, sorted, each place and label once.
        row: int64, where each of them stands in the caller's table.
        exact: float64 (A,), score of the very human span, 0 where it is not listed.
        rest: float64 (A, 3), the remaining chance: same label with other borders, another label,
            nothing; ``exact`` and these add up to 1.
        rival: int64 (A, 2), strongest prediction of the first two, or ``NONE``.
        drawn: bool, whether people drew something where the prediction is.
    """

    predictions: Spans
    row: NDArray[np.int64]
    exact: NDArray[np.float64]
    rest: NDArray[np.float64]
    rival: NDArray[np.int64]
    drawn: NDArray[np.bool_]

    @property
    def contested(self) -> NDArray[np.bool_]:
        """Whether the model lists other spans over each human one that count for anything, (A,)."""
        return np.asarray((self.rest[:, :2] >= FAINT).any(axis=1))


def look(annotations: Spans, predictions: Spans, num_classes: int) -> Seen:
    """Hold human spans against the model's.

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    _check(annotations, predictions, num_classes)
    row = _each_once(predictions)
    table = predictions.take(row)
    score = scores(table)
    count = len(annotations)
    exact, mass = np.zeros(count), np.zeros((count, 2))
    rival = np.full((count, 2), NONE, dtype=np.int64)
    drawn = np.zeros(len(table), dtype=np.bool_)
    for pairs in span_pair_blocks(annotations, table):
        a, p = pairs.first, pairs.second
        place = same_place(annotations, table, pairs)
        label = annotations.label[a] == table.label[p]
        exact[a[place & label]] = score[p[place & label]]
        some = slice(a[0], a[-1] + 1) if len(a) else slice(0, 0)
        for column, chosen in enumerate((label & ~place, ~label)):
            mass[some, column] = np.bincount(
                a[chosen] - some.start, score[p[chosen]], minlength=some.stop - some.start
            )
            _strongest(rival[:, column], a[chosen], p[chosen], score)
        drawn[p[~_both(annotations, table, pairs, exact[a], score[p])]] = True
    both = mass.sum(axis=1)
    room = np.divide(1 - exact, both, out=np.ones(count), where=both > 1 - exact)
    rest = np.column_stack([mass * room[:, None], np.zeros(count)])
    rest[:, 2] = np.maximum(1 - exact - rest.sum(axis=1), 0)
    return Seen(table, row, exact, rest, rival, drawn)


def same_place(first: Spans, second: Spans, pairs: Pairs) -> NDArray[np.bool_]:
    """Whether the two spans of each pair have the same borders."""
    a, b = pairs.first, pairs.second
    return np.asarray((first.start[a] == second.start[b]) & (first.end[a] == second.end[b]))


def _both(
    first: Spans,
    second: Spans,
    pairs: Pairs,
    mine: NDArray[np.floating[Any]],
    theirs: NDArray[np.floating[Any]],
) -> NDArray[np.bool_]:
    """Whether both spans of a pair can be there: nested entities, too likely to be alternatives."""
    a, b = pairs.first, pairs.second
    other = (first.label[a] != second.label[b]) & (first.label[a] != NONE)
    return np.asarray(other & ~same_place(first, second, pairs) & (mine + theirs > 1 + _ROUNDING))


def _strongest(
    best: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    score: NDArray[np.float64],
) -> None:
    order = np.lexsort((-second, score[second]))
    best[first[order]] = second[order]


def strongest(table: Spans) -> NDArray[np.int64]:
    """Return the rows that no stronger alternative overlaps; ``table`` is sorted as in ``Seen``."""
    score = scores(table)
    beaten = np.zeros(len(table), dtype=np.bool_)
    for pairs in span_pair_blocks(table, table):
        a, b = pairs.first, pairs.second
        stronger = (score[b] > score[a]) | ((score[b] == score[a]) & (b < a))
        beaten[a[stronger & ~_both(table, table, pairs, score[a], score[b])]] = True
    return np.flatnonzero(~beaten)


def cover(table: Spans, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sum of the scores of all spans over the middle of some, at most 1."""
    line = task_lines(table.task)
    # Whole numbers add up to the same in any order, so a task alone gives the very same sum.
    units = np.rint(scores(table) * _UNIT).astype(np.int64)
    middle = line[rows] + (table.start[rows] + table.end[rows] - 1) // 2
    total = np.zeros(len(rows), dtype=np.int64)
    for place, sign in ((table.start, 1), (table.end, -1)):
        order = np.argsort(line + place)
        sums = np.concatenate([[0], np.cumsum(units[order])])
        total += sign * sums[np.searchsorted((line + place)[order], middle, side="right")]
    return np.minimum(total / _UNIT, 1)


def _each_once(predictions: Spans) -> NDArray[np.int64]:
    """Rows sorted by task, start, end and label, the strongest of equals, without label -1."""
    score = scores(predictions)
    keys = (predictions.label, predictions.end, predictions.start, predictions.task)
    order = np.lexsort((-score, *keys))
    again = np.ones(len(order), dtype=np.bool_)
    again[:1] = False
    for key in keys:
        again[1:] &= key[order][1:] == key[order][:-1]
    kept: NDArray[np.int64] = order[~again & (predictions.label[order] != NONE)]
    return kept


def scores(predictions: Spans) -> NDArray[np.float64]:
    """Return the model's confidences.

    Raises:
        ValueError: when there are none.
    """
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per span")
    return predictions.score.astype(np.float64)


def _check(annotations: Spans, predictions: Spans, num_classes: int) -> None:
    for name, table in (("annotations", annotations), ("predictions", predictions)):
        columns.indices(f"{name}.label", table.label, num_classes, table.task)
    scores(predictions)
