"""ObjectLab's scores of boxes and images, lower is more likely wrong.

Definitions: Tkachenko, Thyagarajan and Mueller, "ObjectLab: Automated Diagnosis of Mislabeled
Images in Object Detection Data" (2023), as in ``cleanlab.object_detection`` 2.9: the numbers are
the same. Two of its properties to know: the similarity falls with the distance in pixels, so it
depends on resolution; and the smallest similarity of the whole data set stands in where there is
nothing to compare with, so one image changes the scores of others, unless ``smallest`` is given.
The cost grows with the pairs of boxes in an image, overlapping or not, as the definition has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.reference.objectlab_boxes import BoxScores, Constants, score_boxes
from analysis.reference.precision import average_precision
from analysis.reference.tasks import places
from analysis.regions import Regions

__all__ = [
    "BoxScores",
    "Constants",
    "ImageScores",
    "Issues",
    "find_label_issues",
    "score_boxes",
    "score_images",
]

_NEVER_ZERO: Final = 1e-100
_IOU_STEPS: Final = np.linspace(0.5, 0.95, 10, dtype=np.float64)

_Scores = NDArray[np.float64]
_Rows = NDArray[np.int64]
_Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ImageScores:
    """Quality of T images, in [0, 1], lower is more likely to hold an error.

    Attributes:
        task: int64 (T,).
        overlooked: float64 (T,), softmin of the image's boxes, 1 where there is none.
        badloc: float64 (T,), the same.
        swap: float64 (T,), the same.
        total: float64 (T,), their weighted geometric mean.
    """

    task: _Rows
    overlooked: _Scores
    badloc: _Scores
    swap: _Scores
    total: _Scores


@dataclass(frozen=True, slots=True)
class Issues:
    """What ObjectLab calls wrong.

    Attributes:
        overlooked: bool (P,), the prediction shows an object that has no box.
        badloc: bool (A,), the box is badly drawn.
        swap: bool (A,), the box has another object's class.
        image: bool (T,), the image has any of these.
        scores: the T images' scores; worst first is ``argsort(scores.total)``.
    """

    overlooked: _Mask
    badloc: _Mask
    swap: _Mask
    image: _Mask
    scores: ImageScores


def score_images(
    annotations: Regions,
    predictions: Regions,
    *,
    tasks: _Rows | None = None,
    constants: Constants | None = None,
    boxes: BoxScores | None = None,
) -> ImageScores:
    """Score every image: cleanlab's ``get_label_quality_scores``.

    Args:
        annotations: A human boxes.
        predictions: P boxes with a score.
        tasks: int64 (T,), each once, with every task that has a box; None takes those that have.
        constants: None takes ObjectLab's.
        boxes: what ``score_boxes`` gave, where it is known already.

    Raises:
        ValueError: when predictions have no score, weights do not sum to 1, or naming the first
            box whose task is not among ``tasks``.
    """
    use = constants or Constants()
    if min(use.weights) < 0 or abs(sum(use.weights) - 1) > 1e-6:
        raise ValueError(f"weights are {use.weights}, expected none below 0 and a sum of 1")
    each = boxes or score_boxes(annotations, predictions, use)
    if tasks is None:
        tasks = np.union1d(annotations.task, predictions.task)
    mine = places("annotations", annotations, tasks)
    theirs = places("predictions", predictions, tasks)
    count = len(tasks)
    pooled = (
        _softmin(each.overlooked, theirs, count, use.temperature),
        _softmin(each.badloc, mine, count, use.temperature),
        _softmin(each.swap, mine, count, use.temperature),
    )
    logs = sum(
        weight * np.log(_NEVER_ZERO + part)
        for weight, part in zip(use.weights, pooled, strict=True)
    )
    return ImageScores(tasks, *pooled, np.exp(logs))


def find_label_issues(
    annotations: Regions,
    predictions: Regions,
    *,
    num_classes: int,
    tasks: _Rows | None = None,
    constants: Constants | None = None,
) -> Issues:
    """Find wrong boxes: those whose score is low for how well the model knows their class.

    Args:
        annotations: A human boxes.
        predictions: P boxes with a score.
        num_classes: number of labels.
        tasks: int64 (T,), each once, with every task that has a box; None takes those that have.
        constants: None takes ObjectLab's.

    Raises:
        ValueError: when predictions have no score, or naming the first label that is not below
            ``num_classes`` or box whose task is not among ``tasks``.
    """
    use = constants or Constants()
    each = score_boxes(annotations, predictions, use)
    images = score_images(annotations, predictions, tasks=tasks, constants=use, boxes=each)
    precision = average_precision(annotations, predictions, num_classes, _IOU_STEPS).mean(axis=0)
    # One place more, for a label of -1: nothing is below it.
    bar = np.append(precision * use.ap_scale, -1.0)
    overlooked, badloc, swap = use.factors
    issues = (
        each.overlooked <= bar[predictions.label] * overlooked,
        each.badloc <= bar[annotations.label] * badloc,
        each.swap <= bar[annotations.label] * swap,
    )
    mine = places("annotations", annotations, images.task)
    theirs = places("predictions", predictions, images.task)
    image = np.zeros(len(images.task), dtype=np.bool_)
    for at, found in zip((theirs, mine, mine), issues, strict=True):
        image[at[found]] = True
    return Issues(*issues, image, images)


def _softmin(score: _Scores, at: _Rows, count: int, temperature: float) -> _Scores:
    """Per image the mean of its scores, each weighed by exp(-score / temperature)."""
    told = ~np.isnan(score)
    score, at = score[told], at[told]
    least = np.full(count, np.inf)
    np.minimum.at(least, at, score)
    weight = np.exp((least[at] - score) / temperature)
    total = np.bincount(at, weights=weight, minlength=count)
    mean = np.ones(count)
    np.divide(
        np.bincount(at, weights=weight * score, minlength=count), total, out=mean, where=total > 0
    )
    return mean
