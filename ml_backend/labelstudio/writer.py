"""What Relook writes into Label Studio: predictions and its own fields, nothing else."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from label_studio_sdk import LabelStudio

from ml_backend.errors import LabelStudioError, ProjectGoneError
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.results import Result

__all__ = ["create_predictions", "delete_predictions", "set_model_version", "write_field"]

_log = logging.getLogger(__name__)

_BULK = 500
_PARALLEL = 4


def create_predictions(
    client: LabelStudio,
    project: int,
    version: str,
    predictions: Mapping[int, tuple[Result, float]],
) -> list[int]:
    """Write predictions in bulk: task id to result and score.

    Returns:
        the tasks that Label Studio did not take: its bulk import drops what it finds invalid
        without a word, so what was dropped is offered again one by one to learn which.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses a whole request.
    """
    refused: list[int] = []
    tasks = list(predictions)
    for start in range(0, len(tasks), _BULK):
        bulk = tasks[start : start + _BULK]
        if _import(client, project, version, predictions, bulk) == len(bulk):
            continue
        stand = _tasks_with(client, project, version)
        missing = [task for task in bulk if task not in stand]
        refused += [
            task for task in missing if not _import(client, project, version, predictions, [task])
        ]
    return refused


def delete_predictions(client: LabelStudio, ids: Sequence[int]) -> None:
    """Delete predictions of ours by id; those already gone are fine.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """

    def delete(prediction: int) -> None:
        try:
            with explained(f"deleting prediction {prediction}"):
                client.predictions.delete(id=prediction)
        except ProjectGoneError:
            _log.debug("prediction %s was already gone", prediction)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(delete, ids))


def write_field(
    client: LabelStudio, project: int, field: str, values: Mapping[int, str | float]
) -> None:
    """Write one of Relook's own fields: task id to value, one call per distinct value.

    The bulk action merges this one key into the task's data and leaves all others alone; a PATCH
    of the task would replace the data as a whole and is fifty times slower.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    by_value: dict[str | float, list[int]] = defaultdict(list)
    for task, value in values.items():
        by_value[value].append(task)

    def write(value: str | float, tasks: list[int]) -> None:
        body = {
            "value_name": field,
            "value_type": "String" if isinstance(value, str) else "Number",
            "value": str(value),
        }
        with explained(f"writing {field} of {len(tasks)} tasks of project {project}"):
            client.actions.create(
                id=cast(Any, "add_data_field"),
                project=project,
                selected_items=cast(Any, {"all": False, "included": tasks}),
                request_options={"additional_body_parameters": body},
            )

    for value, tasks in by_value.items():
        write(value, tasks)


def set_model_version(client: LabelStudio, project: int, version: str) -> bool:
    """Name the version whose predictions pre-label and whose score the Data Manager shows.

    Returns:
        false where no prediction of that version stands: Label Studio then takes no such name.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    try:
        with explained(f"setting the model version of project {project}"):
            client.projects.update(id=project, model_version=version)
    except LabelStudioError as error:
        body = getattr(error.__cause__, "body", None)
        wrong = body.get("validation_errors") if isinstance(body, dict) else None
        if not isinstance(wrong, dict) or set(wrong) != {"model_version"}:
            raise
        _log.info("project %s: no prediction of %s stands yet", project, version)
        return False
    return True


def _import(
    client: LabelStudio,
    project: int,
    version: str,
    predictions: Mapping[int, tuple[Result, float]],
    tasks: Sequence[int],
) -> int:
    body = [
        {"task": task, "result": result, "score": round(score, 4), "model_version": version}
        for task in tasks
        for result, score in [predictions[task]]
    ]
    with explained(f"writing predictions of {len(tasks)} tasks of project {project}"):
        answer = client.projects.import_predictions(id=project, request=cast(Any, body))
    return int(answer.created or 0)


def _tasks_with(client: LabelStudio, project: int, version: str) -> set[int]:
    with explained(f"listing the predictions of project {project}"):
        found = client.predictions.list(project=project)
    return {int(one.task) for one in found if one.model_version == version and one.task is not None}
