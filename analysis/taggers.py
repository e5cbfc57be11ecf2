"""The spans that a tagger of tokens believes in: how its predictions become those of spans.

Tokens of all sentences are the rows of one table; ``offsets`` int64 (S + 1,) says where each
sentence begins and ends, so sentences of any length need no padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import probabilities
from analysis.findings import NONE
from analysis.tokens import check_offsets

__all__ = ["TokenSpans", "span_marginals", "span_support"]

_TINY: Final = 1e-30
#: Probabilities looked at in one go: what bounds the memory.
_BLOCK: Final = 1 << 20

_Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TokenSpans:
    """Spans counted in tokens, S rows.

    Attributes:
        first: int64 (S,), row of the first token.
        last: int64 (S,), row of the last token, itself inside.
        label: int32 (S,), place of the class in ``begin`` and ``inside``.
        score: float32 (S,), in [0, 1], probability that this very span is there.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    label: NDArray[np.int32]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


def span_marginals(
    probs: NDArray[np.floating[Any]],
    offsets: NDArray[np.integer[Any]],
    *,
    begin: Sequence[int],
    inside: Sequence[int],
    least: float = 0.01,
) -> TokenSpans:
    """Return every span that a tagger gives some chance, with its probability: predictions.

    Tokens count as independent, tag sequences that BIO forbids (an inside without its begin) as
    impossible; what remains is normalised by the forward-backward recursion, so a span's score is
    the share of all allowed sequences in which just this span stands. Spans that share a token
    are alternatives and their scores add up to 1 at most.

    Args:
        probs: float (N, K), rows sum to 1, tag probabilities of each token.
        offsets: int (S + 1,), sentences, rising from 0 to N.
        begin: column of each class's B tag.
        inside: column of each class's I tag; all other columns together are outside.
        least: spans of a lower probability are left out, in (0, 1).

    Raises:
        ValueError: naming the first row, offset or option that is wrong.
    """
    _check_tagger(probs, offsets, begin, inside)
    if not 0 < least < 1:
        raise ValueError(f"least is {least}, expected between 0 and 1")
    starts, goes_on = np.array(begin, dtype=np.int64), np.array(inside, dtype=np.int64)
    parts = [TokenSpans(*(np.empty(0, dtype=kind) for kind in ("i8", "i8", "i4", "f4")))]
    step = max(_BLOCK // max(probs.shape[1], 1), 1)
    cuts = np.unique(np.searchsorted(offsets, np.arange(0, len(probs), step), side="right") - 1)
    for low, high in pairwise([*cuts.tolist(), len(offsets) - 1]):
        rows = slice(int(offsets[low]), int(offsets[high]))
        block = probs[rows].astype(np.float64)
        parts.append(
            _spans_of(
                block[:, starts], block[:, goes_on], offsets[low : high + 1], rows.start, least
            )
        )
    return TokenSpans(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.last for part in parts]),
        np.concatenate([part.label for part in parts]),
        np.concatenate([part.score for part in parts]),
    )


def span_support(
    probs: NDArray[np.floating[Any]],
    offsets: NDArray[np.integer[Any]],
    *,
    begin: Sequence[int],
    inside: Sequence[int],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    label: NDArray[np.integer[Any]],
) -> NDArray[np.float32]:
    """Return how far a tagger stands behind given spans, whether or not it would list them.

    The least of: that each token is of the class (B or I), that the class begins where it is said
    to, and that it does not go on after. Tags of one span stand and fall together, and the joint
    probability of events that do is their least one (the upper Frechet bound); a product would
    hold its length against a span.

    Args:
        probs: float (N, K), rows sum to 1, tag probabilities of each token.
        offsets: int (S + 1,), sentences, rising from 0 to N.
        begin: column of each class's B tag.
        inside: column of each class's I tag.
        first: int64 (M,), row of each span's first token.
        last: int64 (M,), row of its last token, itself inside.
        label: int (M,), place of its class in ``begin`` and ``inside``.

    Returns:
        float32 (M,), in [0, 1].

    Raises:
        ValueError: naming the first row, offset, span or option that is wrong.
    """
    _check_tagger(probs, offsets, begin, inside)
    sentence = np.searchsorted(offsets, first, side="right")
    wrong = (first < 0) | (last < first) | (last >= offsets[np.minimum(sentence, len(offsets) - 1)])
    wrong |= (label < 0) | (label >= len(begin))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"span {row} is tokens {first[row]} to {last[row]} of class {label[row]}, "
            f"expected tokens of one sentence and a class below {len(begin)}"
        )
    if not len(first):
        return np.empty(0, dtype=np.float32)
    b, i = np.array(begin)[label], np.array(inside)[label]
    length = last - first + 1
    starts = np.cumsum(length) - length
    token = np.arange(length.sum()) + np.repeat(first - starts, length)
    of_class = probs[token, np.repeat(b, length)] + probs[token, np.repeat(i, length)]
    least = np.minimum.reduceat(of_class.astype(np.float64), starts)
    opening = probs[first, b] / np.maximum(of_class[starts], _TINY)
    after = np.minimum(last + 1, len(probs) - 1)
    goes_on = np.where(last + 1 < offsets[sentence], probs[after, i], 0)
    support = np.minimum(np.minimum(least, opening), 1 - goes_on)
    return np.asarray(np.clip(support, 0, 1), dtype=np.float32)


def _check_tagger(
    probs: NDArray[np.floating[Any]],
    offsets: NDArray[np.integer[Any]],
    begin: Sequence[int],
    inside: Sequence[int],
) -> None:
    probabilities.check(np.full(len(probs), NONE), probs)
    probabilities.each_block(probs, lambda rows, block: None)
    check_offsets(offsets, len(probs))
    columns = np.array([*begin, *inside], dtype=np.int64)
    if len(begin) != len(inside) or ((columns < 0) | (columns >= probs.shape[1])).any():
        raise ValueError(
            f"begin {list(begin)} and inside {list(inside)} do not name columns of probs, "
            f"expected as many of each, 0 to {probs.shape[1] - 1}"
        )


def _spans_of(
    starts: _Matrix, goes_on: _Matrix, offsets: NDArray[np.integer[Any]], row: int, least: float
) -> TokenSpans:
    """The spans of some sentences, whose first token is ``row``."""
    norm, after, reach = _recursions(starts, goes_on, offsets - row)
    first, label = (place.ravel() for place in np.indices(starts.shape))
    last, so_far = first, (starts / norm[:, None]).ravel()
    found = []
    # Each step makes the spans that are still likely enough one token longer.
    while len(first):
        score = so_far * after[last]
        sure = score >= least
        found.append((first[sure], last[sure], label[sure], score[sure]))
        alive = so_far * reach[last, label] >= least
        first, label, last, so_far = first[alive], label[alive], last[alive] + 1, so_far[alive]
        so_far = so_far * goes_on[last, label] / norm[last]
    first, last, label, score = (
        (np.concatenate(column) for column in zip(*found, strict=True))
        if found
        else (last, last, label, so_far)
    )
    order = np.lexsort((label, last, first))
    return TokenSpans(
        first[order] + row,
        last[order] + row,
        label[order].astype(np.int32),
        np.clip(score[order], 0, 1).astype(np.float32),
    )


def _recursions(
    starts: _Matrix, goes_on: _Matrix, offsets: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], _Matrix]:
    """Forward and backward, scaled so that nothing underflows (Rabiner, 1989).

    Returns:
        norm (N,), the scale of each token; after (N,), the chance of all that follows when no
        span goes on; reach (N, C), the same when the span of a class goes on.
    """
    outside = np.maximum(1 - starts.sum(1) - goes_on.sum(1), _TINY)
    norm, after = np.ones(len(starts)), np.ones(len(starts))
    reach = np.zeros(starts.shape)
    longest = np.argsort(-np.diff(offsets), kind="stable")
    begin, end = offsets[:-1][longest], offsets[1:][longest]
    length = end - begin
    within = np.zeros((len(length), starts.shape[1]))
    for place in range(int(length.max(initial=0))):
        active = int(np.searchsorted(-length, -place, side="left"))
        rows = begin[:active] + place
        within = starts[rows] + within[:active] * goes_on[rows]
        norm[rows] = within.sum(1) + outside[rows]
        within /= norm[rows, None]
    for place in range(1, int(length.max(initial=0))):
        active = int(np.searchsorted(-length, -place, side="left"))
        rows = end[:active] - 1 - place
        then = rows + 1
        inner = (after[then, None] + reach[then]) / norm[then, None]
        after[rows] = outside[then] * after[then] / norm[then] + (starts[then] * inner).sum(1)
        reach[rows] = goes_on[then] * inner
    return norm, after, reach
