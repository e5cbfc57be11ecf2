"""FiftyOne's mistakenness, for images and boxes, higher is more likely wrong.

Formulas: ``fiftyone.brain.internal.core.mistakenness`` 1.22.1. One difference, on purpose: where
a sample has a prediction and no label, FiftyOne reads the missing label as agreement and ranks
the sample last (0.05 for a confidence of 0.9). Here it is read as disagreement, (1 + c) / 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from analysis.geometry.assignment import match
from analysis.reference.multilabel import same_set
from analysis.reference.quality import hardness
from analysis.reference.tasks import places
from analysis.regions import Regions

__all__ = [
    "BoxScores",
    "TaskScores",
    "boxes",
    "certainty",
    "mistakenness",
    "multilabel_mistakenness",
    "task_scores",
]

_Labels = NDArray[np.integer[Any]]
_Floats = NDArray[np.floating[Any]]
_Scores = NDArray[np.float32]


def certainty(logits: _Floats) -> _Scores:
    """Return exp(-entropy(softmax(logits))), which stands in for a confidence.

    Args:
        logits: float (N, K), of any range.

    Returns:
        float32 (N,), in [1 / K, 1].

    Raises:
        ValueError: naming the first row that is not finite.
    """
    return np.exp(-hardness(logits, logits=True))


def mistakenness(labels: _Labels, predicted: _Labels, confidence: _Floats) -> _Scores:
    """Return (1 + c) / 2 where label and prediction differ, (1 - c) / 2 where they agree.

    Args:
        labels: int (N,), -1 where nothing is labelled.
        predicted: int (N,), -1 where nothing is predicted.
        confidence: float (N,), in [0, 1]: the model's confidence, or ``certainty`` of its logits
            (FiftyOne's ``use_logits``); not read where nothing is predicted.

    Returns:
        float32 (N,), in [0, 1]; 1 where there is a label and no prediction, (1 + c) / 2 where
        there is a prediction and no label, NaN where there is neither.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    if not labels.shape == predicted.shape == confidence.shape or labels.ndim != 1:
        raise ValueError(
            f"labels {labels.shape}, predicted {predicted.shape} and confidence "
            f"{confidence.shape} do not match"
        )
    given = predicted != NONE
    _check(confidence, given)
    score = _score(labels == predicted, np.where(given, confidence, 1))
    return np.where((labels == NONE) & ~given, np.float32(np.nan), score)


def multilabel_mistakenness(
    labels: _Labels | NDArray[np.bool_],
    predicted: _Labels | NDArray[np.bool_],
    confidence: _Floats,
) -> _Scores:
    """Return the same for samples with several labels, right where the two sets are equal.

    Args:
        labels: (N, K), above 0 where the sample has the label.
        predicted: (N, K), above 0 where the model says so.
        confidence: float (N,), in [0, 1]. FiftyOne has ``certainty`` of logits only here.

    Returns:
        float32 (N,), in [0, 1].

    Raises:
        ValueError: when shapes do not match, or naming the first confidence out of range.
    """
    same = same_set(labels, predicted)
    if confidence.shape != same.shape:
        raise ValueError(f"confidence {confidence.shape} and labels {labels.shape} do not match")
    _check(confidence, np.ones_like(same))
    return _score(same, confidence)


@dataclass(frozen=True, slots=True)
class BoxScores:
    """What FiftyOne says of A annotations and P predictions.

    Attributes:
        prediction: int64 (A,), the prediction matched to each annotation, or ``NONE``.
        iou: float32 (A,), their overlap, 0 where there is none.
        mistakenness: float32 (A,), of the class, in [0, 1]; NaN where nothing is matched.
        mistakenness_loc: float32 (A,), of the box, in [0, 1]; NaN where nothing is matched.
        possible_spurious: bool (A,), no prediction is matched to the annotation.
        possible_missing: bool (P,), a sure prediction is matched to no annotation.
    """

    prediction: NDArray[np.int64]
    iou: _Scores
    mistakenness: _Scores
    mistakenness_loc: _Scores
    possible_spurious: NDArray[np.bool_]
    possible_missing: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TaskScores:
    """What FiftyOne says of T images.

    Attributes:
        mistakenness: float32 (T,), the largest of the image's boxes, -1 where none is matched.
        possible_missing: int64 (T,), how many predictions.
        possible_spurious: int64 (T,), how many annotations.
    """

    mistakenness: _Scores
    possible_missing: NDArray[np.int64]
    possible_spurious: NDArray[np.int64]


def boxes(
    annotations: Regions,
    predictions: Regions,
    *,
    iou: float = 0.5,
    confidence: float = 0.95,
    certainty: _Floats | None = None,
) -> BoxScores:
    """Match boxes whatever their class, as COCO does, and score what was matched and what not.

    Args:
        annotations: A human boxes; a label of -1 is a class of its own.
        predictions: P boxes with a score.
        iou: overlap that a match needs, in (0, 1); FiftyOne has 0.5 built in.
        confidence: an unmatched prediction above this is possibly missing; there 0.95.
        certainty: float (P,), ``certainty`` of the predictions' logits; None takes their score.

    Raises:
        ValueError: when predictions have no score or a parameter is out of range.
    """
    if not 0 < iou < 1:
        raise ValueError(f"iou is {iou}, expected above 0 and below 1")
    rows, overlap = _matched(annotations, predictions, iou)
    score = predictions.score
    sure = score if certainty is None else certainty
    if sure is None or score is None or sure.shape != (len(predictions),):
        raise ValueError(f"certainty is not of shape ({len(predictions)},)")
    _check(sure, np.ones(len(predictions), dtype=np.bool_))
    matched = rows != NONE
    at = rows[matched]
    wrong = np.full(len(annotations), np.nan, dtype=np.float32)
    loose = wrong.copy()
    wrong[matched] = _score(annotations.label[matched] == predictions.label[at], sure[at])
    # At most 1, though a match may miss ``iou`` by a rounding.
    slack = np.minimum(2 * (1 - overlap[matched]) / (1 - iou) - 1, 1)
    loose[matched] = (sure[at] * slack + 1) / 2
    missing = score > np.float32(confidence)
    missing[at] = False
    return BoxScores(rows, overlap, wrong, loose, ~matched, missing)


def task_scores(
    annotations: Regions, predictions: Regions, scores: BoxScores, tasks: NDArray[np.int64]
) -> TaskScores:
    """Pool boxes to images as FiftyOne does.

    Args:
        annotations: A human boxes.
        predictions: P boxes.
        scores: what ``boxes`` gave for them.
        tasks: int64 (T,), each once, with every task that has a box.

    Raises:
        ValueError: naming the first box whose task is not among ``tasks``.
    """
    mine = places("annotations", annotations, tasks)
    theirs = places("predictions", predictions, tasks)
    worst = np.full(len(tasks), -1, dtype=np.float32)
    matched = ~scores.possible_spurious
    np.maximum.at(worst, mine[matched], scores.mistakenness[matched])
    return TaskScores(
        worst,
        np.bincount(theirs[scores.possible_missing], minlength=len(tasks)).astype(np.int64),
        np.bincount(mine[scores.possible_spurious], minlength=len(tasks)).astype(np.int64),
    )


def _matched(
    annotations: Regions, predictions: Regions, iou: float
) -> tuple[NDArray[np.int64], _Scores]:
    """Each annotation's prediction and their IoU, whatever their classes."""
    # To ``match`` a label of -1 is no label, to FiftyOne a class like any other.
    people, model = (
        replace(table, label=np.zeros(len(table), dtype=np.int32))
        for table in (annotations, predictions)
    )
    found = match(people, model, iou=iou, classwise=False)
    rows = found.prediction.copy()
    # FiftyOne has an IoU of 0 for boxes without area, even equal ones.
    rows[(annotations.box[:, 2:] <= annotations.box[:, :2]).any(axis=1)] = NONE
    overlap = np.zeros(len(rows), dtype=np.float32)
    overlap[rows != NONE] = found.iou[rows[rows != NONE]]
    return rows, overlap


def _score(right: NDArray[np.bool_], confidence: _Floats) -> _Scores:
    score: _Scores = (np.where(right, 1 - confidence, 1 + confidence) / 2).astype(np.float32)
    return score


def _check(confidence: _Floats, read: NDArray[np.bool_]) -> None:
    bad = read & ~((confidence >= 0) & (confidence <= 1))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"confidence row {row} is {confidence[row]}, expected 0 to 1")
