"""Label errors in boxes: each human box held against the model's, each finding a row.

One task's findings depend on that task and on a ``Calibration`` alone, so a task scored by itself
gets the very scores that it gets in a run over the whole project.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.special
from numpy.typing import NDArray

from analysis.findings import NONE, Findings
from analysis.matching import Pairs, overlapping_pairs
from analysis.regions import Regions

__all__ = ["Calibration", "find", "fit", "task_scores"]

#: Boxes that overlap this much are about the same object.
_SAME_OBJECT: Final = 0.5
#: Boxes that overlap this much may be about the same object, one of them badly drawn.
_NEAR: Final = 0.2
_CONFIDENT: Final = 0.5
#: Weight of the prior in the estimates, in matched boxes.
_PRIOR: Final = 10.0
_PRIOR_RECALL: Final = 0.7
_PRIOR_LOW_IOU: Final = 0.6
_SOFTNESS: Final = 0.05
_MARGIN: Final = 0.1
_DUPLICATE_IOU: Final = 0.7


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far a detector can be trusted on this project.

    Attributes:
        recall: float, share of human boxes that a confident prediction of the class covers.
        low_iou: float, IoU that 95 % of those pairs exceed: how loosely people or model draw.
    """

    recall: float = _PRIOR_RECALL
    low_iou: float = _PRIOR_LOW_IOU

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {"recall": np.array(self.recall), "low_iou": np.array(self.low_iou)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(float(arrays["recall"]), float(arrays["low_iou"]))


def fit(annotations: Regions, predictions: Regions, *, num_classes: int) -> Calibration:
    """Learn from a whole project how far its detector can be trusted.

    Few boxes move the estimates little from a cautious prior.

    Args:
        annotations: human boxes.
        predictions: the model's boxes, low scores included; ``score`` is needed.
        num_classes: number of labels.

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    score = _scores(annotations, predictions, num_classes)
    pairs = overlapping_pairs(annotations, predictions, _SAME_OBJECT)
    good = annotations.label[pairs.first] == predictions.label[pairs.second]
    best = pairs.take(good & (score[pairs.second] >= _CONFIDENT))
    iou = np.zeros(len(annotations), dtype=np.float32)
    np.maximum.at(iou, best.first, best.iou)
    covered = iou[iou > 0]
    judged = int((annotations.label != NONE).sum())
    recall = (len(covered) + _PRIOR * _PRIOR_RECALL) / (judged + _PRIOR)
    low = float(np.quantile(covered, 0.05)) if len(covered) else _PRIOR_LOW_IOU
    weight = len(covered) / (len(covered) + _PRIOR)
    return Calibration(float(recall), weight * low + (1 - weight) * _PRIOR_LOW_IOU)


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
        one row per finding: mislabelled, missing, spurious, badly_drawn or duplicate.

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    score = _scores(annotations, predictions, num_classes)
    trust = calibration or fit(annotations, predictions, num_classes=num_classes)
    pairs = overlapping_pairs(annotations, predictions, 0.0)
    parts = [
        _mislabelled(annotations, predictions, score, pairs),
        _missing(annotations, predictions, score, pairs),
        _spurious(annotations, score, pairs, trust),
        _badly_drawn(annotations, predictions, score, pairs, trust),
        _duplicates(annotations, score, pairs),
    ]
    found = Findings.concatenate(parts)
    keep = found.score >= floor
    judged = found.annotation != NONE
    keep[judged] &= annotations.label[found.annotation[judged]] != NONE
    kept = found.take(keep)
    return kept.take(np.lexsort((-kept.score, kept.task)))


def task_scores(findings: Findings, tasks: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return one number per task: the score of its worst finding, 0 where it has none.

    Args:
        findings: of any tasks.
        tasks: int64 (T,), each once.

    Returns:
        float32 (T,), in [0, 1].
    """
    order = np.argsort(tasks)
    worst = np.zeros(len(tasks), dtype=np.float32)
    if not len(tasks):
        return worst
    place = np.searchsorted(tasks, findings.task, sorter=order).clip(max=len(tasks) - 1)
    row = order[place]
    known = tasks[row] == findings.task
    np.maximum.at(worst, row[known], findings.score[known])
    return worst


def _scores(annotations: Regions, predictions: Regions, num_classes: int) -> NDArray[np.float32]:
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
    return predictions.score


def _best(
    count: int, pairs: Pairs, value: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Per row of the first table its largest value and the second table's row that has it."""
    order = np.lexsort((value, pairs.first))
    rows, last = np.unique(pairs.first[order][::-1], return_index=True)
    at = order[::-1][last]
    best = np.zeros(count, dtype=np.float32)
    which = np.full(count, NONE, dtype=np.int64)
    best[rows], which[rows] = value[at], pairs.second[at]
    return best, which


def _mislabelled(
    annotations: Regions, predictions: Regions, score: NDArray[np.float32], pairs: Pairs
) -> Findings:
    near = pairs.take(pairs.iou >= _SAME_OBJECT)
    alike = annotations.label[near.first] == predictions.label[near.second]
    same, _ = _best(len(annotations), near.take(alike), score[near.second[alike]])
    other, which = _best(len(annotations), near.take(~alike), score[near.second[~alike]])
    rows = np.flatnonzero((which != NONE) & (other > same))
    return _rows(
        "mislabelled",
        annotations.task[rows],
        rows,
        which[rows],
        other[rows] * (1 - same[rows]),
        predictions.label[which[rows]],
    )


def _missing(
    annotations: Regions, predictions: Regions, score: NDArray[np.float32], pairs: Pairs
) -> Findings:
    covered = np.zeros(len(predictions), dtype=np.float32)
    np.maximum.at(covered, pairs.second, pairs.iou)
    # Of several predictions on one spot only the strongest tells of an object.
    rivals = overlapping_pairs(predictions, predictions, _SAME_OBJECT)
    stronger = (score[rivals.second] > score[rivals.first]) | (
        (score[rivals.second] == score[rivals.first]) & (rivals.second < rivals.first)
    )
    beaten = np.zeros(len(predictions), dtype=np.bool_)
    beaten[rivals.first[stronger]] = True
    rows = np.flatnonzero((covered < _NEAR) & ~beaten & (predictions.label != NONE))
    return _rows(
        "missing",
        predictions.task[rows],
        np.full(len(rows), NONE),
        rows,
        score[rows] * (1 - covered[rows] / _NEAR),
        predictions.label[rows],
    )


def _spurious(
    annotations: Regions, score: NDArray[np.float32], pairs: Pairs, trust: Calibration
) -> Findings:
    near = pairs.take(pairs.iou >= _NEAR)
    support, _ = _best(len(annotations), near, score[near.second])
    rows = np.arange(len(annotations))
    none = np.full(len(rows), NONE)
    return _rows("spurious", annotations.task, rows, none, trust.recall * (1 - support), none)


def _badly_drawn(
    annotations: Regions,
    predictions: Regions,
    score: NDArray[np.float32],
    pairs: Pairs,
    trust: Calibration,
) -> Findings:
    alike = annotations.label[pairs.first] == predictions.label[pairs.second]
    near = pairs.take(alike & (pairs.iou >= _NEAR))
    _, which = _best(len(annotations), near, score[near.second] * near.iou)
    iou = np.zeros(len(annotations), dtype=np.float32)
    chosen = near.take(which[near.first] == near.second)
    iou[chosen.first] = chosen.iou
    rows = np.flatnonzero(which != NONE)
    off = trust.low_iou - _MARGIN - iou[rows]
    loose = scipy.special.expit(off / _SOFTNESS)
    return _rows(
        "badly_drawn",
        annotations.task[rows],
        rows,
        which[rows],
        score[which[rows]] * loose,
        annotations.label[rows],
    )


def _duplicates(annotations: Regions, score: NDArray[np.float32], pairs: Pairs) -> Findings:
    twins = overlapping_pairs(annotations, annotations, _DUPLICATE_IOU)
    fit_to_model, _ = _best(len(annotations), pairs, score[pairs.second] * pairs.iou)
    same = annotations.label[twins.first] == annotations.label[twins.second]
    mine, theirs = fit_to_model[twins.first], fit_to_model[twins.second]
    worse = (mine < theirs) | ((mine == theirs) & (twins.first > twins.second))
    kept = twins.take(same & worse & (twins.first != twins.second))
    best, _ = _best(len(annotations), kept, kept.iou)
    rows = np.flatnonzero(best > 0)
    none = np.full(len(rows), NONE)
    return _rows("duplicate", annotations.task[rows], rows, none, best[rows], none)


def _rows(
    kind: str,
    task: NDArray[np.int64],
    annotation: NDArray[np.int64],
    prediction: NDArray[np.int64],
    score: NDArray[np.floating[Any]],
    label: NDArray[np.integer[Any]],
) -> Findings:
    return Findings(
        task,
        np.full(len(task), kind),
        annotation,
        prediction,
        np.clip(score, 0, 1).astype(np.float32),
        label.astype(np.int32),
    )
