"""Scores of tokens and of the sentences that they make up.

Tokens of all sentences are the rows of one table; ``offsets`` int64 (S + 1,) says where each
sentence begins and ends, so sentences of any length need no padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis import probabilities
from analysis.findings import NONE, Findings
from analysis.spans import Calibration, find
from analysis.text.span_matching import Spans, span_pair_blocks

__all__ = ["check_offsets", "sentence_score", "token_scores", "token_self_confidence"]


def token_self_confidence(
    labels: NDArray[Any], probs: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Return how far the model stands behind each token's label; lower is more likely wrong.

    cleanlab's ``token_classification`` score (Wang and Mueller, 2022, arXiv:2210.03920): the
    probability of the given tag. Where spans overlap a token carries several labels: give one
    column a label, and the least believed of its yes or no answers counts, which for one column is
    cleanlab's ``experimental.span_classification``.

    Args:
        labels: int (N,), tag of each token, -1 where there is none; or bool (N, K), the labels
            that each token carries.
        probs: float (N, K); rows sum to 1 for tags, each column is on its own for bool labels.

    Returns:
        float64 (N,), in [0, 1]; 1 where nothing is labelled: nothing that could be wrong.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    if labels.dtype == np.bool_ and labels.ndim == 2:
        return _own_and_others(labels, probs)
    labels, probs = probabilities.check(labels, probs)
    score = np.ones(len(labels))

    def judge(rows: slice, block: NDArray[np.floating[Any]]) -> None:
        given = labels[rows]
        own = block[np.arange(len(given)), given.clip(min=0)]
        score[rows] = np.where(given == NONE, 1, own)

    probabilities.each_block(probs, judge)
    return score


def sentence_score(
    token_scores: NDArray[np.floating[Any]],
    offsets: NDArray[np.integer[Any]],
    *,
    method: Literal["min", "softmin"] = "min",
    temperature: float = 0.05,
) -> NDArray[np.float64]:
    """Return one quality per sentence from its tokens' qualities; lower is more likely wrong.

    The two ways of cleanlab's ``token_classification.rank``: the worst token, or the mean of the
    tokens weighted by ``softmax((1 - score) / temperature)``.

    Args:
        token_scores: float (N,), in [0, 1], lower is worse.
        offsets: int (S + 1,), rising from 0 to N.
        method: ``min`` or ``softmin``.
        temperature: of ``softmin``; towards 0 it is ``min``, infinite it is the mean.

    Returns:
        float64 (S,), in [0, 1]; 1 for a sentence without tokens.

    Raises:
        ValueError: when offsets do not fit, the method is unknown or a score is not in [0, 1].
    """
    check_offsets(offsets, len(token_scores))
    wrong = ~((token_scores >= 0) & (token_scores <= 1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"token_scores row {row} is {token_scores[row]}, expected 0 to 1")
    if method not in ("min", "softmin"):
        raise ValueError(f"method is {method!r}, expected 'min' or 'softmin'")
    if not temperature >= 0:
        raise ValueError(f"temperature is {temperature}, expected 0 or more")
    score = np.ones(len(offsets) - 1)
    full = np.flatnonzero(np.diff(offsets))
    if not len(full):
        return score
    begin = offsets[full]
    least = np.minimum.reduceat(token_scores.astype(np.float64), begin)
    if method == "softmin" and temperature > 0:
        length = np.diff(offsets)[full]
        weight = np.exp((np.repeat(least, length) - token_scores) / temperature)
        least = np.add.reduceat(weight * token_scores, begin) / np.add.reduceat(weight, begin)
    score[full] = least
    return score


def token_scores(
    annotations: Spans,
    predictions: Spans,
    tokens: Spans,
    *,
    num_classes: int,
    calibration: Calibration | None = None,
) -> NDArray[np.float32]:
    """Return how likely each token is labelled wrongly: where in the text to look.

    A token has the score of the worst finding about it: of a span with wrong borders only the
    tokens between the two borders, else all tokens of the span. Spans may overlap.

    Args:
        annotations: human spans, as for ``analysis.spans.find``.
        predictions: the model's spans.
        tokens: the tokens' places, N rows; their labels and scores are not read.
        num_classes: number of labels.
        calibration: what ``analysis.spans.fit`` learnt; None learns it from these very spans.

    Returns:
        float32 (N,), in [0, 1], higher is more likely wrong.

    Raises:
        ValueError: as ``analysis.spans.find``.
    """
    found = find(
        annotations, predictions, num_classes=num_classes, calibration=calibration, floor=0
    )
    worst = np.zeros(len(tokens), dtype=np.float32)
    for place, score in _disputed(annotations, predictions, found):
        for pairs in span_pair_blocks(tokens, place):
            np.maximum.at(worst, pairs.first, score[pairs.second])
    return worst


def _disputed(
    annotations: Spans, predictions: Spans, found: Findings
) -> Iterator[tuple[Spans, NDArray[np.float32]]]:
    """Places that the findings are about, with their scores."""
    for table, row, chosen in (
        (annotations, found.annotation, ~np.isin(found.kind, ["missing", "badly_drawn"])),
        (predictions, found.prediction, found.kind == "missing"),
    ):
        yield table.take(row[chosen]), found.score[chosen]
    borders = found.take(found.kind == "badly_drawn")
    mine, theirs = annotations.take(borders.annotation), predictions.take(borders.prediction)
    for a, b in ((mine.start, theirs.start), (mine.end, theirs.end)):
        apart = a != b
        low, high = np.minimum(a, b)[apart], np.maximum(a, b)[apart]
        yield Spans(borders.task[apart], low, high, mine.label[apart]), borders.score[apart]


def _own_and_others(
    labels: NDArray[np.bool_], probs: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    if labels.shape != probs.shape:
        raise ValueError(f"labels {labels.shape} and probs {probs.shape} do not match")
    wrong = ~((probs >= 0) & (probs <= 1))
    if wrong.any():
        row, column = (int(place[0]) for place in np.nonzero(wrong))
        raise ValueError(f"probs row {row} holds {probs[row, column]}, expected 0 to 1")
    score = np.ones(len(labels))
    for column in range(labels.shape[1]):
        yes = probs[:, column]
        np.minimum(score, np.where(labels[:, column], yes, 1 - yes), out=score)
    return score


def check_offsets(offsets: NDArray[np.integer[Any]], count: int) -> None:
    """Refuse offsets that do not cut ``count`` tokens into sentences.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    if offsets.ndim != 1 or len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != count:
        raise ValueError(
            f"offsets {offsets.shape} have to run from 0 to {count}, one more than sentences"
        )
    wrong = np.diff(offsets) < 0
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0]) + 1
        raise ValueError(
            f"offsets row {row} is {offsets[row]}, expected {offsets[row - 1]} or more"
        )
