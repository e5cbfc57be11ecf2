"""The peers' calls, ready to be timed: their input is made in their own format beforehand.

A peer that is not installed gives the reason in its place.
"""

from __future__ import annotations

import functools
import os
import tempfile
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
    # The last of its packages that carries a database, one version behind what it likes.
    os.environ.setdefault("FIFTYONE_DATABASE_VALIDATION", "false")
    os.environ.setdefault("FIFTYONE_DATABASE_DIR", tempfile.mkdtemp(prefix="fiftyone-"))
    os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")
    import fiftyone as fo
    import fiftyone.brain as fob

    fo.config.show_progress_bars = False

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
    """Return FiftyOne's mistakenness of images, as its users call it."""
    if NO_FIFTYONE:
        return NO_FIFTYONE
    samples = [
        fo.Sample(
            filepath=f"{row}.jpg",
            given=fo.Classification(label=str(label)),
            predicted=fo.Classification(label=str(scores.argmax()), logits=scores),
        )
        for row, (label, scores) in enumerate(zip(labels, logits, strict=True))
    ]
    return _mistakenness(samples, use_logits=True)


def box_mistakenness(annotations: Regions, predictions: Regions) -> Side | str:
    """Return FiftyOne's mistakenness of boxes, as its users call it."""
    if NO_FIFTYONE:
        return NO_FIFTYONE
    samples = []
    for task in np.unique(annotations.task).tolist():
        sample = fo.Sample(filepath=f"{task}.jpg")
        sample["given"] = _as_detections(annotations.take(annotations.task == task))
        sample["predicted"] = _as_detections(predictions.take(predictions.task == task))
        samples.append(sample)
    return _mistakenness(samples)


def _mistakenness(samples: list[Any], **options: bool) -> Side | str:
    try:
        dataset = fo.Dataset()
    except Exception as error:  # its database is a program of its own
        return f"skipped: {error}"
    dataset.add_samples(samples)

    def run() -> None:
        fob.compute_mistakenness(dataset, "predicted", label_field="given", **options)

    return Side("FiftyOne", len(samples), run)


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
