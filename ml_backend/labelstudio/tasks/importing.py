"""Tasks come into a project with all that they bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from label_studio_sdk import LabelStudio

__all__ = ["import_tasks"]


def import_tasks(
    client: LabelStudio, project: int, tasks: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Add tasks to a project, with their annotations and predictions.

    Where its SQLite is locked, Label Studio 1.23 tries again with bare tasks and says 201. What
    it lost is sent once more, by itself.

    Returns:
        the tasks' ids, in the order of ``tasks``.

    Raises:
        ApiError: when Label Studio refuses.
    """
    made: Any = client.projects.import_tasks(
        id=project, request=cast(Any, list(tasks)), return_task_ids=True
    )
    ids = [int(task) for task in made.task_ids or []]
    if made.annotation_count == 0:
        for annotation in _brought(ids, tasks, "annotations"):
            client.annotations.create(id=annotation.pop("task"), **annotation)
    predictions = _brought(ids, tasks, "predictions") if made.prediction_count == 0 else []
    if predictions:
        client.projects.import_predictions(id=project, request=cast(Any, predictions))
    return ids


def _brought(
    ids: Sequence[int], tasks: Sequence[Mapping[str, Any]], kind: str
) -> list[dict[str, Any]]:
    return [
        {"task": task, **one}
        for task, body in zip(ids, tasks, strict=True)
        for one in body.get(kind, ())
    ]
