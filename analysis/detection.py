"""Label errors in boxes: each human box held against the model's, each finding a row.

One task's findings depend on that task and on a ``Calibration`` alone, so a task scored by itself
gets the very scores that it gets in a run over the whole project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.boxes.evidence import (
    AnnotationEvidence,
    PredictionEvidence,
    Scale,
    of_annotations,
    of_predictions,
)
from analysis.boxes.rehearsal import WRONG, Judge, rehearse
from analysis.findings import NONE, Findings
from analysis.geometry.matching import overlapping_pairs
from analysis.regions import Regions, check_labels

__all__ = ["Calibration", "find", "fit", "task_scores"]

#: IoU of two boxes of a class at which they may be, and at which they surely are, one object: in
#: a crowd two objects can overlap a lot, but hardly lie within a few pixels of each other.
_DUPLICATE: Final = (0.7, 0.95)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far a detector can be trusted on this project.

    Attributes:
        scale: what the evidence is measured against.
        people: judges human boxes.
        model: judges boxes that only the detector drew.
    """

    scale: Scale
    people: Judge
    model: Judge

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {
            **self.scale.to_arrays(),
            **self.people.to_arrays("people"),
            **self.model.to_arrays("model"),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(
            Scale.from_arrays(arrays),
            Judge.from_arrays("people", arrays),
            Judge.from_arrays("model", arrays),
        )


def fit(annotations: Regions, predictions: Regions, *, num_classes: int) -> Calibration:
    """Learn from a whole project how far its detector can be trusted.

    Errors planted in a copy of the labels teach it (``analysis.boxes.rehearsal``); a project with
    few boxes is judged much as any other.

    Args:
        annotations: human boxes.
        predictions: the model's boxes, low scores included; ``score`` is needed.
        num_classes: number of labels.

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    check_labels(annotations, predictions, num_classes)
    scale = Scale.measure(annotations, predictions, num_classes)
    return Calibration(scale, *rehearse(annotations, predictions, scale, num_classes))


def find(
    annotations: Regions,
    predictions: Regions,
    *,
    num_classes: int,
    calibration: Calibration | None = None,
    floor: float = 0.1,
) -> Findings:
    """Find label errors.

    Args:
        annotations: human boxes; label -1 is a class that the model does not know: such a box
            explains predictions over it and is never itself in doubt.
        predictions: the model's boxes, low scores included: a weak prediction over a human box
            still speaks for it.
        num_classes: number of labels.
        calibration: what ``fit`` learnt; None learns it from these very boxes.
        floor: findings with a lower score are left out.

    Returns:
        one row per finding: mislabelled, missing, spurious, badly_drawn or duplicate. The score
        is the probability of that error, where one box in five is taken to hold one; the errors
        of one human box exclude each other, but for a duplicate.

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    check_labels(annotations, predictions, num_classes)
    trust = calibration or fit(annotations, predictions, num_classes=num_classes)
    if len(trust.scale.recall) != num_classes:
        raise ValueError(
            f"calibration is of {len(trust.scale.recall)} classes, expected {num_classes}"
        )
    pairs = overlapping_pairs(annotations, predictions)
    evidence = of_annotations(annotations, predictions, trust.scale, pairs)
    alone = of_predictions(annotations, predictions, trust.scale, pairs)
    wrong = _wrong(annotations, evidence, trust.people)
    found = Findings.concatenate(
        [
            *_of_people(annotations, predictions, evidence, wrong, floor),
            _missing(predictions, alone, trust.model, evidence, wrong, floor),
            _duplicates(annotations, predictions, evidence, floor),
        ]
    )
    return found.take(np.lexsort((-found.score, found.task)))


def task_scores(findings: Findings, tasks: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return one number per task: how likely its worst box holds an error, 0 where none is found.

    The findings of one human box exclude each other, so their scores add up; but for a duplicate,
    which may be wrong in another way as well.

    Args:
        findings: of any tasks.
        tasks: int64 (T,), each once.

    Returns:
        float32 (T,), in [0, 1].
    """
    worst = np.zeros(len(tasks), dtype=np.float32)
    if not len(tasks) or not len(findings):
        return worst
    twin = findings.kind == "duplicate"
    order = np.lexsort((twin, findings.annotation, findings.task))
    task, about = findings.task[order], findings.annotation[order]
    starts = (task[1:] != task[:-1]) | (about[1:] != about[:-1]) | (about[1:] == NONE)
    starts |= twin[order][1:]
    first = np.flatnonzero(np.append(True, starts))
    score = np.add.reduceat(findings.score[order], first).clip(max=1)
    place = np.argsort(tasks)
    at = np.searchsorted(tasks, task[first], sorter=place).clip(max=len(tasks) - 1)
    row = place[at]
    known = tasks[row] == task[first]
    np.maximum.at(worst, row[known], score[known])
    return worst


def _wrong(
    annotations: Regions, evidence: AnnotationEvidence, judge: Judge
) -> dict[str, NDArray[np.float64]]:
    """How likely each human box is wrong in each way, float64 (A,) each."""
    likely = judge.probabilities(evidence.columns)[:, 1:]
    likely[annotations.label == NONE] = 0
    wrong = dict(zip(WRONG, likely.T, strict=True))
    # Without a prediction that says better, all that can be said is that nothing supports the box.
    for kind, better in (("mislabelled", evidence.other), ("badly_drawn", evidence.near)):
        wrong["spurious"] += np.where(better == NONE, wrong[kind], 0)
        wrong[kind] = np.where(better == NONE, 0, wrong[kind])
    return wrong


def _of_people(
    annotations: Regions,
    predictions: Regions,
    evidence: AnnotationEvidence,
    wrong: dict[str, NDArray[np.float64]],
    floor: float,
) -> list[Findings]:
    rows = np.arange(len(annotations))
    none = np.full(len(rows), NONE)
    labels = np.append(predictions.label, NONE)
    speaks = {
        "mislabelled": (evidence.other, labels[evidence.other]),
        "spurious": (none, none),
        "badly_drawn": (evidence.near, annotations.label),
    }
    return [
        _rows(kind, annotations.task, rows, speaks[kind][0], wrong[kind], speaks[kind][1], floor)
        for kind in WRONG
    ]


def _missing(
    predictions: Regions,
    alone: PredictionEvidence,
    judge: Judge,
    evidence: AnnotationEvidence,
    wrong: dict[str, NDArray[np.float64]],
    floor: float,
) -> Findings:
    score = judge.probabilities(alone.columns)[:, 1]
    # An object that a badly drawn box is meant for is not missing as well.
    meant = np.zeros(len(predictions))
    near = evidence.near != NONE
    np.maximum.at(meant, evidence.near[near], wrong["badly_drawn"][near])
    row = alone.row
    none = np.full(len(row), NONE)
    return _rows(
        "missing",
        predictions.task[row],
        none,
        row,
        score * (1 - meant[row]),
        predictions.label[row],
        floor,
    )


def _duplicates(
    annotations: Regions, predictions: Regions, evidence: AnnotationEvidence, floor: float
) -> Findings:
    twins = overlapping_pairs(annotations, annotations, _DUPLICATE[0])
    fits = evidence.fit
    label = annotations.label
    same = (label[twins.first] == label[twins.second]) & (label[twins.first] != NONE)
    mine, theirs = fits[twins.first], fits[twins.second]
    worse = (mine < theirs) | ((mine == theirs) & (twins.first > twins.second))
    kept = twins.take(same & worse & (twins.first != twins.second))
    best = np.zeros(len(annotations))
    low, high = _DUPLICATE
    close = ((kept.iou - low) / (high - low)).clip(0, 1)
    # Where the model sees a second object too, there are two.
    near = evidence.near
    second = (near[kept.first] != near[kept.second]) & (near[kept.first] != NONE)
    sure = np.append(predictions.score if predictions.score is not None else [], 0)
    np.maximum.at(best, kept.first, close * (1 - second * sure[near[kept.first]]))
    rows = np.flatnonzero(best > 0)
    none = np.full(len(rows), NONE)
    return _rows("duplicate", annotations.task[rows], rows, none, best[rows], none, floor)


def _rows(
    kind: str,
    task: NDArray[np.int64],
    annotation: NDArray[np.int64],
    prediction: NDArray[np.int64],
    score: NDArray[np.floating[Any]],
    label: NDArray[np.integer[Any]],
    floor: float,
) -> Findings:
    kept = np.flatnonzero((score >= floor) & (score > 0))
    return Findings(
        task[kept],
        np.full(len(kept), kind),
        annotation[kept],
        prediction[kept],
        np.clip(score[kept], 0, 1).astype(np.float32),
        label[kept].astype(np.int32),
    )
