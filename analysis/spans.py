"""Label errors in text spans: each human span held against the model's, each finding a row.

Spans are the unit, not tags of tokens, so they may overlap and nest. One task's findings depend
on that task and on a ``Calibration`` alone, so a task scored by itself gets the very scores that
it gets in a run over the whole project.

How a score comes about: around a human span the model's scores are the chances of what is really
there: this very span, the same label with other borders, another label, or nothing. People err
and models err, and ``fit`` counts how often the two part ways for each of these. What the person
drew is wrong with the posterior probability that follows by Bayes' rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.detection import task_scores
from analysis.findings import NONE, Findings
from analysis.text.span_evidence import FAINT, Seen, cover, look, same_place, scores, strongest
from analysis.text.span_matching import Spans, overlapping_spans, span_pair_blocks

__all__ = ["Calibration", "Spans", "find", "fit", "overlapping_spans", "task_scores"]

#: Share of spans that people are taken to leave out before the model is blamed.
_PEOPLE: Final = 0.05
#: Prior odds that people leave a span out, and that they draw this wrong one: there is one way to
#: leave a span out and some ten to draw it wrongly (each border in or out, the other labels).
_LEFT_OUT: Final = 0.2
_DRAWN_WRONG: Final = 0.02
#: What a human span is found to be; the first three in the order of ``Calibration.unlisted``.
_KINDS: Final = ("badly_drawn", "mislabelled", "spurious", "duplicate")
#: Priors of the estimates, and their weight in spans.
_PRIOR_UNLISTED: Final = 0.05
_PRIOR_ABSENT: Final = 0.1
_PRIOR_DOUBT: Final = 0.3
_PRIOR: Final = 20.0
#: Steps of the expectation maximisation; it settles in a few.
_STEPS: Final = 20
#: Share of its predictions that a model has to list weakly before what it does not list counts as
#: weaker still.
_WEAK: Final = 0.1
#: A model's certainty is not believed beyond this much.
_OPEN: Final = 0.1
#: Scores closer to 0 or 1 than this say no more.
_TINY: Final = 1e-7
#: Human spans of one label that overlap this much are one thing drawn twice.
_DUPLICATE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far a model can be trusted on this project.

    Attributes:
        unlisted: float32 (K, 3), share of the human spans of each class that the model does not
            list, where it lists most of all the same label with other borders (how loosely people
            or model draw), another label, or nothing (how much the model misses).
        absent: float32 (K,), of the places where the model is wholly sure of a span of the class
            the share where there is none: where people drew nothing, less what they leave out.
        doubt: float, mean chance that the model leaves open where it lists other spans over a
            human one, but not that one.
        least: float, score down to which the model lists what it considers, at least 0.001.
    """

    unlisted: NDArray[np.float32]
    absent: NDArray[np.float32]
    doubt: float
    least: float

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {
            "unlisted": self.unlisted,
            "absent": self.absent,
            "doubt": np.array(self.doubt),
            "least": np.array(self.least),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(
            arrays["unlisted"].astype(np.float32),
            arrays["absent"].astype(np.float32),
            float(arrays["doubt"]),
            float(arrays["least"]),
        )


def fit(annotations: Spans, predictions: Spans, *, num_classes: int) -> Calibration:
    """Learn from a whole project how far its model can be trusted.

    Few spans move the estimates little from a cautious prior, classes with few spans little from
    what holds for all.

    Args:
        annotations: human spans.
        predictions: the model's spans, low scores included; ``score`` is needed.
        num_classes: number of labels.

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    return _learn(annotations, look(annotations, predictions, num_classes), num_classes)


def _learn(annotations: Spans, seen: Seen, num_classes: int) -> Calibration:
    known = annotations.label != NONE
    rows = np.flatnonzero(known & (seen.exact == 0))
    case = annotations.label[rows] * 3 + seen.rest[rows].argmax(axis=1)
    count = np.bincount(case, minlength=3 * num_classes).reshape(num_classes, 3)
    total = np.bincount(annotations.label[known], minlength=num_classes)
    overall = (count.sum(axis=0) + _PRIOR * _PRIOR_UNLISTED) / (total.sum() + _PRIOR)
    unlisted = (count + _PRIOR * overall) / (total[:, None] + _PRIOR)
    peaks = strongest(seen.predictions)
    open_ = seen.rest[rows, 2][seen.contested[rows]]
    return Calibration(
        unlisted.astype(np.float32),
        _absent(seen, peaks, num_classes),
        float((open_.sum() + _PRIOR * _PRIOR_DOUBT) / (len(open_) + _PRIOR)),
        _least(scores(seen.predictions)[peaks]),
    )


def _least(listed: NDArray[np.float64]) -> float:
    """Score down to which a model lists what it considers; few weak ones alone do not lower it."""
    sure = np.ones(int(_PRIOR))
    return float(np.quantile(np.concatenate([listed[listed >= FAINT], sure]), _WEAK))


def find(
    annotations: Spans,
    predictions: Spans,
    *,
    num_classes: int,
    calibration: Calibration | None = None,
    floor: float = 0.1,
) -> Findings:
    """Find label errors.

    A human span is found wrong at most once, as what the model most of all holds against it.

    Args:
        annotations: human spans; label -1 is a class that the model does not know: such a span
            explains predictions over it and is never itself in doubt.
        predictions: the model's spans, low scores included: a weak prediction of the very human
            span still speaks for it. One place may be predicted several times, with other labels
            or borders and the chance of each; a label of -1 is passed over.
        num_classes: number of labels.
        calibration: what ``fit`` learnt; None learns it from these very spans.
        floor: findings with a lower score are left out.

    Returns:
        one row per finding: mislabelled, missing, spurious, badly_drawn or duplicate, by task and
        then worst first. The score is the chance of an error: above 0.5 is worth a look.

    Raises:
        ValueError: when predictions have no score, a label is not below ``num_classes`` or the
            calibration is of another number of labels.
    """
    seen = look(annotations, predictions, num_classes)
    trust = calibration or _learn(annotations, seen, num_classes)
    if trust.unlisted.shape != (num_classes, 3) or trust.absent.shape != (num_classes,):
        raise ValueError(f"calibration is of {len(trust.absent)} classes, expected {num_classes}")
    found = Findings.concatenate([_drawn_wrong(annotations, seen, trust), _missing(seen, trust)])
    kept = found.take(found.score >= floor)
    return kept.take(np.lexsort((kept.annotation, kept.prediction, -kept.score, kept.task)))


def _drawn_wrong(annotations: Spans, seen: Seen, trust: Calibration) -> Findings:
    rows = np.flatnonzero(annotations.label != NONE)
    rest, listed = seen.rest[rows], seen.exact[rows]
    # What is not listed is less likely than the least that is, and than the model's gaps allow.
    gaps = _gaps(rest, seen.contested[rows], trust.unlisted[annotations.label[rows]], trust.doubt)
    right = np.where(listed > 0, listed, np.minimum(gaps, trust.least)).clip(_TINY, 1)
    odds = _DRAWN_WRONG * (1 - right) / right
    twin = _twins(annotations, seen.exact)[rows]
    case = np.where(twin > 0, _KINDS.index("duplicate"), rest.argmax(axis=1))
    rival = np.column_stack([seen.rival, np.full((len(annotations), 2), NONE)])[rows, case]
    score = np.maximum(odds / (1 + odds), twin)
    return _rows(np.array(_KINDS)[case], annotations.task[rows], rows, rival, score, seen)


def _gaps(
    rest: NDArray[np.float64],
    contested: NDArray[np.bool_],
    unlisted: NDArray[np.float32],
    doubt: float,
) -> NDArray[np.float64]:
    """Chance of human spans that the model does not list, the less the surer it is of others."""
    mean = (rest[:, :2] * unlisted[:, :2]).sum(axis=1) / rest[:, :2].sum(axis=1).clip(min=_TINY)
    return np.where(contested, mean * (rest[:, 2] + _OPEN) / (doubt + _OPEN), unlisted[:, 2])


def _twins(annotations: Spans, exact: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each human span overlaps a better one of its label; 0 where it is not a double."""
    place = np.lexsort((annotations.end, annotations.start, -exact))
    rank = np.empty(len(place), dtype=np.int64)
    rank[place] = np.arange(len(place))
    twin = np.zeros(len(annotations))
    for pairs in span_pair_blocks(annotations, annotations):
        a, b = pairs.first, pairs.second
        alike = (annotations.label[a] == annotations.label[b]) & (pairs.iou >= _DUPLICATE)
        # Where the model sees both, they are nested.
        both = ~same_place(annotations, annotations, pairs) & (exact[a] + exact[b] > 1)
        kept = alike & ~both & (rank[b] < rank[a])
        np.maximum.at(twin, a[kept], pairs.iou[kept])
    return twin


def _missing(seen: Seen, trust: Calibration) -> Findings:
    rows = np.flatnonzero(~seen.drawn)
    free = seen.predictions.take(rows)
    peaks = strongest(free)
    there = cover(free, peaks)
    off = trust.absent[free.label[peaks]]
    odds = _LEFT_OUT * there / np.maximum(1 - there + off * there, _TINY)
    kind, none = np.full(len(peaks), "missing"), np.full(len(peaks), NONE)
    return _rows(kind, free.task[peaks], none, rows[peaks], odds / (1 + odds), seen)


def _absent(seen: Seen, peaks: NDArray[np.int64], num_classes: int) -> NDArray[np.float32]:
    """Of the sure places of each class the share without a human span, by EM."""
    there, label = cover(seen.predictions, peaks), seen.predictions.label[peaks]
    drawn = seen.drawn[peaks]
    present = np.bincount(label[drawn], minlength=num_classes)
    label, there = label[~drawn], there[~drawn]
    share = np.full(num_classes, _PRIOR_ABSENT)
    for _ in range(_STEPS):
        # A place without a human span is either no span at all or one that is missing there.
        missing = share[label] * there / np.maximum(1 - there + share[label] * there, _TINY)
        count = np.bincount(label, missing, minlength=num_classes)
        overall = (count.sum() + _PRIOR * _PRIOR_ABSENT) / (count.sum() + present.sum() + _PRIOR)
        share = (count + _PRIOR * overall) / (count + present + _PRIOR)
    return np.maximum(share - _PEOPLE, 0).astype(np.float32)


def _rows(
    kind: NDArray[np.str_],
    task: NDArray[np.int64],
    annotation: NDArray[np.int64],
    which: NDArray[np.int64],
    score: NDArray[np.float64],
    seen: Seen,
) -> Findings:
    """Findings of sorted predictions ``which``, named by the caller's rows."""
    label = np.append(seen.predictions.label, np.int32(NONE))[which]
    prediction = np.append(seen.row, NONE)[which]
    return Findings(
        task, kind, annotation, prediction, np.clip(score, 0, 1).astype(np.float32), label
    )
