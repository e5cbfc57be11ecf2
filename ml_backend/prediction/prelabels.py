"""Predictions as Label Studio shows them: regions and an overall score per task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_backend.labelstudio.results import Result, encode_choices, encode_each
from ml_backend.prediction.inputs import TaskInputs
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
        threshold = table.control.score_threshold
        threshold = settings.score_threshold if threshold is None else threshold
        rows = np.flatnonzero(table.found)
        if table.control.geometry == "choice":
            results = _choices(table, threshold)
        else:
            texts = inputs.spelt(table.control)
            results = _regions(table, threshold, [texts[row] for row in rows])
        for task, result in zip(inputs.id[rows].tolist(), results, strict=True):
            before, _ = done.get(task, ([], 0.0))
            done[task] = (before + result, 0.0)
    return {
        task: (result, float(np.mean([item["score"] for item in result])) if result else 0.0)
        for task, (result, _) in done.items()
        if task not in predicted.errors
    }


def _choices(table: ControlPredictions, threshold: float) -> list[Result]:
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
    table: ControlPredictions, threshold: float, texts: Sequence[str | None]
) -> list[Result]:
    said = table.predictions
    keep = np.flatnonzero((said.score >= threshold) & (said.label >= 0))
    return encode_each(
        table.control,
        said.item[keep],
        said.label[keep],
        said.score[keep],
        said.outline.take(keep),
        said.size,
        texts,
    )
