"""Quality of the class scores on labels whose errors people have verified.

| data | labels | an error is |
|---|---|---|
| CIFAR-10N | 50,000 human labels of CIFAR-10 | a label other than CIFAR-10's |
| roman numerals | 2,831, with two models' probabilities | marked by hand |
| MNIST | the 100 of 10,000 that five people looked at | kept by fewer than three of them |
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import classification
from analysis.reference import fiftyone
from benchmarks.measures import SHARED, measure, missing

__all__ = ["rows", "skipped"]

_DATA: Final = SHARED / "classification"
_CLEANLAB: Final = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")

#: Name, labels, probabilities, rows whose truth is known, which of those are errors.
_Set = tuple[str, NDArray[np.int64], NDArray[Any], NDArray[np.int64], NDArray[np.bool_]]


def skipped() -> str | None:
    """Why this benchmark cannot run here, or None."""
    return missing(_DATA)


def rows() -> list[dict[str, Any]]:
    """Measure every score; no rows where ``skipped`` says why."""
    if skipped():
        return []
    return [
        {"data": name, "seed": 0, "score": score} | measure(truth, ranked[known])
        for name, labels, probs, known, truth in _sets()
        for score, ranked in _scores(labels, probs)
    ]


def _sets() -> Iterator[_Set]:
    folder = _DATA / "cifar-10n-aggregate"
    labels = np.load(folder / "noisy_labels.npy").astype(np.int64)
    truth = labels != np.load(folder / "true_labels.npy")
    yield (
        "CIFAR-10N aggregate",
        labels,
        np.load(folder / "resnet18.pred_probs.npy"),
        np.arange(len(labels)),
        truth,
    )
    folder = _DATA / "roman-numeral"
    labels = np.load(folder / "labels.npy").astype(np.int64)
    truth = np.load(folder / "label_errors_mask.npy").astype(bool)
    for model in ("swin_base_patch4_window7_224", "resnet18"):
        probs = np.load(folder / f"{model}.pred_probs.npy")
        yield f"roman numerals, {model}", labels, probs, np.arange(len(labels)), truth
    folder = _DATA / "mnist-test"
    votes = json.loads((folder / "mnist_mturk.json").read_text())
    yield (
        "MNIST",
        np.load(folder / "labels.npy").astype(np.int64),
        np.load(folder / "pred_probs.npy"),
        np.array([vote["id"] for vote in votes]),
        np.array([vote["mturk"]["given"] < 3 for vote in votes]),
    )


def _scores(
    labels: NDArray[np.int64], probs: NDArray[Any]
) -> Iterator[tuple[str, NDArray[np.floating[Any]]]]:
    """Each score, higher is more likely wrong."""
    yield "relook", classification.mistakenness(labels, probs)
    rank = import_module("cleanlab.rank").get_label_quality_scores
    for method in _CLEANLAB:
        yield f"cleanlab {method}", 1 - rank(labels, probs, method=method)
        if method != "confidence_weighted_entropy":
            adjusted = rank(labels, probs, method=method, adjust_pred_probs=True)
            yield f"cleanlab {method}, adjusted", 1 - adjusted
    predicted = probs.argmax(axis=1)
    yield (
        "FiftyOne mistakenness, confidence",
        fiftyone.mistakenness(labels, predicted, probs.max(axis=1)),
    )
    logits = np.log(np.maximum(probs, 1e-30))
    yield (
        "FiftyOne mistakenness, logits",
        fiftyone.mistakenness(labels, predicted, fiftyone.certainty(logits)),
    )
