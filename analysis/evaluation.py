"""How well predictions and human labels agree: precision, recall, F1, AP and confusions.

Regions labelled -1 are of no known class: they are not counted, on either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import probabilities
from analysis.findings import NONE
from analysis.geometry.assignment import Matches, by_confidence, match, match_at
from analysis.rates import curves
from analysis.rates.outcomes import (
    Confused,
    Counts,
    Flags,
    confused,
    confusion,
    cross_table,
    flags,
    task_counts,
)
from analysis.regions import Regions, check_labels

__all__ = [
    "Confused",
    "Counts",
    "Evaluation",
    "Flags",
    "Matches",
    "classes",
    "confused",
    "confused_classes",
    "confusion",
    "flags",
    "match",
    "regions",
    "task_counts",
]

#: IoUs over which COCO averages.
_RANGE: Final = np.linspace(0.5, 0.95, 10)
#: Predictions per task and class that COCO takes.
_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Agreement by class and overall; NaN where there was nothing to count.

    Attributes:
        counts: true positives, false positives and false negatives of each class.
        precision: float64 (K,), tp / (tp + fp).
        recall: float64 (K,), tp / (tp + fn).
        f1: float64 (K,), 2 tp / (2 tp + fp + fn).
        ap: float64 (K,), average precision over all confidences, COCO's 101 points; for
            ``classes`` that of scikit-learn.
        ap_area: float64 (K,), the area under the precision-recall curve; for ``classes`` as ap.
        ap_range: float64 (K,), ap averaged over IoUs 0.50 to 0.95; for ``classes`` as ap.
        confusion: int64 (K + 1, K + 1), see ``confusion`` and ``classes``.
        overall: precision, recall and f1 of all counts together, and the means over the classes
            that have annotations of ap, ap_area and ap_range.
    """

    counts: Counts
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    ap: NDArray[np.float64]
    ap_area: NDArray[np.float64]
    ap_range: NDArray[np.float64]
    confusion: NDArray[np.int64]
    overall: dict[str, float]


def regions(
    annotations: Regions,
    predictions: Regions,
    *,
    num_classes: int,
    iou: float = 0.5,
    confidence: float = 0.0,
    classwise: bool = True,
    most: int | None = _MOST,
) -> Evaluation:
    """Evaluate predicted regions against annotated ones.

    Average precision looks at all confidences, the rest at predictions of ``confidence`` or more.
    With the defaults ap and ap_range are those of pycocotools.

    Args:
        annotations: human regions.
        predictions: the model's regions; ``score`` is needed.
        num_classes: number of labels, K.
        iou: least IoU of a match, in (0, 1].
        confidence: least confidence, in [0, 1].
        classwise: match equal labels only; else a match of two classes is a false positive and a
            false negative.
        most: predictions per task (and class) that take part.

    Raises:
        ValueError: when predictions have no score or a label is not below ``num_classes``.
    """
    check_labels(annotations, predictions, num_classes)
    positives = _by_class(annotations.label, num_classes)
    order = by_confidence(predictions)
    chosen, *spread = match_at(
        annotations, predictions, (iou, *_RANGE), classwise=classwise, most=most
    )
    ap, area = _ap(annotations, predictions, chosen, order, positives)
    every = [_ap(annotations, predictions, each, order, positives)[0] for each in spread]
    flagged = flags(annotations, predictions, chosen, confidence=confidence)
    counts = Counts(
        _by_class(predictions.label[flagged.true_positive], num_classes),
        _by_class(predictions.label[flagged.false_positive], num_classes),
        _by_class(annotations.label[flagged.false_negative], num_classes),
    )
    table = confusion(
        annotations, predictions, num_classes=num_classes, iou=iou, confidence=confidence
    )
    return _evaluation(counts, ap, area, np.mean(every, axis=0), table)


def classes(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    *,
    confidence: float = 0.0,
) -> Evaluation:
    """Evaluate predicted classes against labels.

    The prediction is the most probable class, if its probability reaches ``confidence``.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled: such a row shows in the
            confusion's last row and nowhere else.
        probs: float (N, K), rows sum to 1.
        confidence: least probability of a prediction; rows below are in the last column.

    Raises:
        ValueError: naming the first row that is wrong.
    """
    labels, probs = probabilities.check(labels, probs)
    number = probs.shape[1]
    table = cross_table(*_confused(labels, probs, confidence), number)
    inside = table[:number]
    hit = inside.diagonal().copy()
    counts = Counts(hit, inside[:, :number].sum(axis=0) - hit, inside.sum(axis=1) - hit)
    known = labels != NONE
    judged = slice(None) if known.all() else known
    ap = np.array(
        [curves.ranking_precision(probs[judged, k], labels[judged] == k) for k in range(number)],
        dtype=np.float64,
    )
    return _evaluation(counts, ap, ap, ap, table)


def confused_classes(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    *,
    confidence: float = 0.0,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Name the cell of the confusion in which ``classes`` counts each row; see there.

    Returns:
        int64 (N,) twice: the labelled and the predicted class of each row, K for none.
    """
    return _confused(*probabilities.check(labels, probs), confidence)


def _confused(
    labels: NDArray[np.integer[Any]], probs: NDArray[np.floating[Any]], confidence: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    number = probs.shape[1]
    said = np.full(len(labels), number, dtype=np.int64)

    def decide(rows: slice, block: NDArray[np.floating[Any]]) -> None:
        if number:
            said[rows] = np.where(block.max(axis=1) >= confidence, block.argmax(axis=1), number)

    probabilities.each_block(probs, decide)
    return np.where(labels == NONE, number, labels).astype(np.int64), said


def _evaluation(
    counts: Counts,
    ap: NDArray[np.float64],
    area: NDArray[np.float64],
    spread: NDArray[np.float64],
    table: NDArray[np.int64],
) -> Evaluation:
    each = (counts.true_positive, counts.false_positive, counts.false_negative)
    precision, recall, f1 = curves.rates(*each)
    together = curves.rates(*(np.asarray(column.sum()) for column in each))
    overall = dict(zip(("precision", "recall", "f1"), map(float, together), strict=True))
    for name, column in (("ap", ap), ("ap_area", area), ("ap_range", spread)):
        overall[name] = curves.mean_known(column)
    return Evaluation(counts, precision, recall, f1, ap, area, spread, table, overall)


def _ap(
    annotations: Regions,
    predictions: Regions,
    matches: Matches,
    order: NDArray[np.int64],
    positives: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    hits = flags(annotations, predictions, matches).true_positive
    rows = order[matches.counted[order]]
    return curves.ap_by_class(hits[rows], predictions.label[rows], positives)


def _by_class(label: NDArray[np.integer[Any]], num_classes: int) -> NDArray[np.int64]:
    return np.bincount(label[label != NONE], minlength=num_classes)
