"""Predictions as Label Studio shows them: regions and an overall score per task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.regions.results import Result, encode_choices, encode_each
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.prediction.overlaps import surest
from ml_backend.prediction.predicting import ControlPredictions, PredictedTasks
from ml_backend.settings import ProjectSettings

__all__ = ["prelabels"]


def prelabels(
    predicted: PredictedTasks, settings: ProjectSettings, inputs: TaskInputs
) -> dict[int, tuple[Result, float]]:
    """Turn predictions into what Label Studio shows: task id to regions and overall score.

    A task that could not be read has none, and what already stands in Label Studio is not said
    again. The score is the mean of its regions'.
    """
    done: dict[int, tuple[Result, float]] = {}
    for table in predicted.controls:
        if table.stands:
            continue
        threshold = _thresholds(table.control, settings)
        rows = np.flatnonzero(table.found)
        if table.control.geometry == "choice":
            results = _choices(table, threshold)
        else:
            texts = inputs.spelt(table.control)
            shown = _shown(table, threshold, settings.iou_threshold)
            results = _regions(table, shown, [texts[row] for row in rows])
        for task, result in zip(inputs.id[rows].tolist(), results, strict=True):
            before, _ = done.get(task, ([], 0.0))
            done[task] = (before + result, 0.0)
    return {
        task: (result, float(np.mean([item["score"] for item in result])) if result else 0.0)
        for task, (result, _) in done.items()
        if task not in predicted.errors
    }


def _thresholds(control: Control, settings: ProjectSettings) -> NDArray[np.float32]:
    """Return the lowest confidence of a pre-label for each of a control tag's labels."""
    threshold = control.threshold(settings.score_threshold)
    each = [settings.class_thresholds.get(label, threshold) for label in control.labels]
    return np.array(each, dtype=np.float32)


def _shown(
    table: ControlPredictions, threshold: NDArray[np.float32], iou_threshold: float
) -> NDArray[np.int64]:
    """Return which regions are confident enough and are no second ones of the same object."""
    said = table.predictions
    rows = np.flatnonzero((said.score >= threshold[said.label]) & (said.label >= 0))
    if iou_threshold < 1:
        rows = rows[
            surest(
                table.control.geometry,
                said.item[rows],
                said.label[rows],
                said.score[rows],
                said.outline.take(rows),
                iou_threshold,
            )
        ]
    return rows


def _choices(table: ControlPredictions, threshold: NDArray[np.float32]) -> list[Result]:
    probs = table.predictions.probs
    # Where a model says nothing of a task, all are 0.
    kept = (probs >= threshold) & (probs > 0)
    if not table.control.multiple and probs.size:
        kept &= np.arange(probs.shape[1]) == probs.argmax(axis=1)[:, None]
    results: list[Result] = []
    for row, labels in enumerate(kept):
        chosen = np.flatnonzero(labels)
        sure = float(probs[row, chosen].mean()) if len(chosen) else 0.0
        results.append(encode_choices(table.control, chosen.tolist(), sure) if len(chosen) else [])
    return results


def _regions(
    table: ControlPredictions, shown: NDArray[np.int64], texts: Sequence[str | None]
) -> list[Result]:
    said = table.predictions
    return encode_each(
        table.control,
        said.item[shown],
        said.label[shown],
        said.score[shown],
        said.outline.take(shown),
        said.size,
        texts,
    )
