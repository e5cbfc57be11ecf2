"""The peers' calls, ready to be timed: their input is made in their own format beforehand.

A peer that is not installed gives the reason in its place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.regions import Regions

try:
    import cleanlab
    import cleanlab.filter
    import cleanlab.object_detection.filter
    import cleanlab.object_detection.rank
    import cleanlab.rank

    NO_CLEANLAB = ""
except ImportError as error:
    NO_CLEANLAB = f"skipped: {error}"
try:
    import fiftyone as fo
    from fiftyone.brain.internal.core import mistakenness as brain
    from fiftyone.utils.eval import coco

    NO_FIFTYONE = ""
except ImportError as error:
    NO_FIFTYONE = f"skipped: {error}"

__all__ = [
    "Side",
    "as_cleanlab",
    "box_issues",
    "box_mistakenness",
    "box_scores",
    "confident_joint",
    "image_mistakenness",
    "label_issues",
    "three_scores",
]

_SCORES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        name: whose it is.
        size: samples it works on.
        call: the work.
        note: what a reader of the table has to know.
        memory: whether its allocations are measured, in a call of their own.
    """

    name: str
    size: int
    call: Callable[[], object]
    note: str = ""
    memory: bool = False


def three_scores(labels: NDArray[Any], probs: NDArray[Any]) -> Side | str:
    """Return cleanlab's three label quality scores."""
    if NO_CLEANLAB:
        return NO_CLEANLAB

    def run() -> None:
        for name in _SCORES:
            cleanlab.rank.get_label_quality_scores(labels, probs, method=name)

    return Side("cleanlab", len(labels), run, memory=True)


def confident_joint(labels: NDArray[Any], probs: NDArray[Any]) -> Side | str:
    """Return cleanlab's calibrated confident joint."""
    if NO_CLEANLAB:
        return NO_CLEANLAB
    call = functools.partial(cleanlab.count.compute_confident_joint, labels, probs)
    return Side("cleanlab", len(labels), call, memory=True)


def label_issues(labels: NDArray[Any], probs: NDArray[Any]) -> Side | str:
    """Return cleanlab's default filter; its worker processes' memory is not seen."""
    if NO_CLEANLAB:
        return NO_CLEANLAB
    call = functools.partial(cleanlab.filter.find_label_issues, labels, probs)
    return Side("cleanlab", len(labels), call, memory=True)


def box_scores(annotations: Regions, predictions: Regions, classes: int) -> Side | str:
    """Return ObjectLab's scores of images."""
    if NO_CLEANLAB:
        return NO_CLEANLAB
    lists = as_cleanlab(annotations, predictions, classes)
    call = cleanlab.object_detection.rank.get_label_quality_scores
    return Side("cleanlab", len(lists[0]), functools.partial(call, *lists, verbose=False))


def box_issues(annotations: Regions, predictions: Regions, classes: int) -> Side | str:
    """Return ObjectLab's images with issues."""
    if NO_CLEANLAB:
        return NO_CLEANLAB
    lists = as_cleanlab(annotations, predictions, classes)
    call = cleanlab.object_detection.filter.find_label_issues
    return Side("cleanlab", len(lists[0]), functools.partial(call, *lists))


def image_mistakenness(labels: NDArray[Any], logits: NDArray[Any]) -> Side | str:
    """Return FiftyOne's mistakenness of images: its own code, without its database."""
    if NO_FIFTYONE:
        return NO_FIFTYONE
    config = brain.ClassificationMistakennessConfig("predicted", "given", "mistakenness", True)
    method = brain.ClassificationMistakenness(config)
    method.pred_field, method.label_field = "predicted", "given"
    samples = [
        {
            "given": fo.Classification(label=str(label)),
            "predicted": fo.Classification(label=str(row.argmax()), logits=row),
        }
        for label, row in zip(labels, logits, strict=True)
    ]

    def run() -> None:
        for sample in samples:
            method.process_image(sample)

    return Side(
        "FiftyOne", len(samples), run, "without its database; with it 700 /s in an earlier run"
    )


def box_mistakenness(annotations: Regions, predictions: Regions) -> Side | str:
    """Return FiftyOne's mistakenness of boxes: its own code, without its database."""
    if NO_FIFTYONE:
        return NO_FIFTYONE
    evaluation = coco.COCOEvaluation(
        coco.COCOEvaluationConfig("predicted", "given", iou=0.5, classwise=False)
    )
    evaluation.pred_field, evaluation.gt_field = "predicted", "given"
    config = brain.DetectionMistakennessConfig(
        "predicted", "given", "mistakenness", "missing", "spurious", False, False, "eval"
    )
    method = brain.DetectionMistakenness(config)
    method.pred_field, method.label_field, method.label_type = "predicted", "given", fo.Detections
    samples = []
    for task in np.unique(annotations.task).tolist():
        sample = fo.Sample(filepath=f"{task}.jpg")
        sample["given"] = _as_detections(annotations.take(annotations.task == task))
        sample["predicted"] = _as_detections(predictions.take(predictions.task == task))
        samples.append(sample)

    def run() -> None:
        for sample in samples:
            evaluation.evaluate(sample, "eval")
            method.process_image(sample, "eval")

    return Side(
        "FiftyOne", len(samples), run, "without its database; with it 26 /s in an earlier run"
    )


def as_cleanlab(
    annotations: Regions,
    predictions: Regions,
    classes: int,
    tasks: NDArray[np.int64] | None = None,
) -> tuple[list[dict[str, Any]], list[list[NDArray[Any]]]]:
    """Return boxes in cleanlab's form, image by image; None takes those with a human box."""
    labels, found = [], []
    for task in (np.unique(annotations.task) if tasks is None else tasks).tolist():
        mine = annotations.take(annotations.task == task)
        theirs = predictions.take(predictions.task == task)
        labels.append({"bboxes": mine.box.astype(float), "labels": mine.label.astype(int)})
        assert theirs.score is not None
        row = np.hstack([theirs.box, theirs.score[:, None]]).astype(float)
        found.append([row[theirs.label == label] for label in range(classes)])
    return labels, found


def _as_detections(table: Regions) -> Any:
    score = None if table.score is None else table.score.tolist()
    return fo.Detections(
        detections=[
            fo.Detection(
                label=str(table.label[row]),
                bounding_box=[x0, y0, x1 - x0, y1 - y0],
                confidence=None if score is None else score[row],
            )
            for row, (x0, y0, x1, y1) in enumerate((table.box / 1000).tolist())
        ]
    )
