"""Label errors in boxes: each human box held against the model's, each finding a row.

One task's findings depend on that task and on a ``Calibration`` alone, so a task scored by itself
gets the very scores that it gets in a run over the whole project.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.evidence import (
    AnnotationEvidence,
    annotation_evidence,
    prediction_evidence,
)
from analysis.findings import NONE, Findings
from analysis.matching import pair_blocks
from analysis.regions import Regions
from analysis.reliability import (
    Calibration,
    fit_evidence,
    judge_annotations,
    judge_predictions,
)

__all__ = ["Calibration", "find", "fit", "task_scores"]

#: Boxes of one class that overlap more than this may be one object drawn twice.
_DUPLICATE_IOU: Final = 0.7
#: Below every floor: what cannot be an error at all is no finding.
_LEAST: Final = 1e-6

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


def fit(annotations: Regions, predictions: Regions, *, num_classes: int) -> Calibration:
    """Learn from a whole project how far its detector can be trusted.

    Few boxes move the estimates little from those of a decent detector. The cost is that of the
    matching: no more than some thousand boxes are looked at closely.

    Args:
        annotations: human boxes.
        predictions: the model's boxes, low scores included; ``score`` is needed.
        num_classes: number of labels.

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    _check(annotations, predictions, num_classes)
    return fit_evidence(
        annotation_evidence(annotations, predictions),
        annotations,
        prediction_evidence(predictions, annotations),
        predictions,
        num_classes,
    )


def find(
    annotations: Regions,
    predictions: Regions,
    *,
    num_classes: int,
    calibration: Calibration | None = None,
    floor: float = 0.02,
) -> Findings:
    """Find label errors.

    A finding's score is the probability of the error given what the model says there, as far as
    the project shows what its model's word is worth (see ``analysis.reliability``).

    Args:
        annotations: human boxes; label -1 is a class that the model does not know: such a box
            explains predictions over it and is never itself in doubt.
        predictions: the model's boxes, low scores included: a weak prediction over a human box
            still speaks for it.
        num_classes: number of labels.
        calibration: what ``fit`` learnt; None learns it from these very boxes.
        floor: findings with a lower score are left out.

    Returns:
        one row per finding: mislabelled, missing, spurious, badly_drawn or duplicate; by task, the
        likeliest first.

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    _check(annotations, predictions, num_classes)
    people = annotation_evidence(annotations, predictions)
    model = prediction_evidence(predictions, annotations)
    trust = calibration or fit_evidence(people, annotations, model, predictions, num_classes)
    wrong = judge_annotations(people, annotations, trust)
    overlooked = judge_predictions(model, predictions, trust)
    # A box that is really the one beside it, badly drawn or of a wrong class, is not missing.
    for partner, explained in ((people.rival, wrong[:, 0]), (people.twin, wrong[:, 1])):
        rows = np.flatnonzero(partner != NONE)
        np.multiply.at(overlooked, partner[rows], 1 - explained[rows])
    twice = _drawn_twice(annotations, people)
    found = Findings.concatenate(
        [
            _on_annotations("mislabelled", annotations, wrong[:, 0], people.rival, floor),
            _missing(predictions, overlooked, floor),
            _on_annotations("spurious", annotations, wrong[:, 2], None, floor),
            _on_annotations("badly_drawn", annotations, wrong[:, 1], people.twin, floor),
            _on_annotations("duplicate", annotations, twice, None, floor),
        ]
    )
    relabelled = np.flatnonzero(found.kind == "mislabelled")
    found.label[relabelled] = predictions.label[found.prediction[relabelled]]
    return found.take(np.lexsort((-found.score, found.task)))


def task_scores(findings: Findings, tasks: NDArray[np.int64]) -> Floats:
    """Return one number per task: the probability that at least one of its findings is right.

    Args:
        findings: of any tasks.
        tasks: int64 (T,), each once.

    Returns:
        float32 (T,), in [0, 1]; 0 for a task without findings.
    """
    scores = np.zeros(len(tasks), dtype=np.float32)
    if not len(tasks) or not len(findings):
        return scores
    order = np.argsort(tasks)
    row = order[np.searchsorted(tasks, findings.task, sorter=order).clip(max=len(tasks) - 1)]
    known = tasks[row] == findings.task
    # Certain findings would make the logarithm infinite.
    doubt = np.log1p(-findings.score[known].clip(max=1 - 1e-6).astype(np.float64))
    scores[:] = -np.expm1(np.bincount(row[known], weights=doubt, minlength=len(tasks)))
    return scores


def _check(annotations: Regions, predictions: Regions, num_classes: int) -> None:
    for name, table in (("annotations", annotations), ("predictions", predictions)):
        wrong = (table.label >= num_classes) | (table.label < NONE)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"{name}.label row {row} (task {table.task[row]}) is {table.label[row]}, "
                f"expected -1 to {num_classes - 1}"
            )
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per box")


def _on_annotations(
    kind: str, annotations: Regions, score: Floats, against: Rows | None, floor: float
) -> Findings:
    rows = np.flatnonzero(score >= max(floor, _LEAST))
    none = np.full(len(rows), NONE)
    return Findings(
        annotations.task[rows],
        np.full(len(rows), kind),
        rows,
        none if against is None else against[rows],
        score[rows],
        annotations.label[rows] if kind == "badly_drawn" else none,
    )


def _missing(predictions: Regions, score: Floats, floor: float) -> Findings:
    rows = np.flatnonzero(score >= max(floor, _LEAST))
    return Findings(
        predictions.task[rows],
        np.full(len(rows), "missing"),
        np.full(len(rows), NONE),
        rows,
        score[rows],
        predictions.label[rows],
    )


def _drawn_twice(annotations: Regions, people: AnnotationEvidence) -> Floats:
    """How likely each human box draws an object that another one draws already, in [0, 1]."""
    twice = np.zeros(len(annotations), dtype=np.float32)
    fit_to_model = people.twin_score * people.twin_iou
    for pairs in pair_blocks(annotations, annotations, _DUPLICATE_IOU):
        mine, theirs = pairs.first, pairs.second
        gap = fit_to_model[mine] - fit_to_model[theirs]
        # Of two equal boxes the later one is the copy.
        copy = (gap < 0) | ((gap == 0) & (mine > theirs))
        copy &= annotations.label[mine] == annotations.label[theirs]
        copy &= annotations.label[mine] != NONE
        # Two predictions for two boxes: the model, too, sees two objects there.
        two = np.minimum(people.twin_score[mine], people.twin_score[theirs])
        two = np.where(people.twin[mine] != people.twin[theirs], two, 0)
        close = (pairs.iou - _DUPLICATE_IOU) / (1 - _DUPLICATE_IOU)
        score = (0.5 + 0.5 * close) * (1 - two)
        np.maximum.at(twice, mine[copy], score[copy].astype(np.float32))
    return twice
