"""What Relook writes into Label Studio: predictions and its own fields, nothing else."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError

from ml_backend.errors import LabelStudioError, ProjectGoneError
from ml_backend.labelstudio.bulk import run_action
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.regions.results import Result
from ml_backend.labelstudio.tasks.listing import named_tasks

__all__ = [
    "create_predictions",
    "delete_each",
    "delete_predictions",
    "read_standing",
    "set_model_version",
    "write_field",
]

_log = logging.getLogger(__name__)

#: Tasks of one bulk import, at most: in a small project, and as a share of a large one.
_BULK: Final = 500
_BULK_SHARE: Final = 1 / 20
_PARALLEL: Final = 4
#: Label Studio 1.23 counts all tasks of the project anew at each bulk import (0.5 ms each, seen on
#: SQLite), so of a large project a few predictions are sooner written one by one (25 ms each).
_LARGE: Final = 1000
_ONE_BY_ONE: Final = 1 / 50
#: For the same reason a bulk import into a project of a million tasks takes minutes; a slow machine
#: counts a twentieth of the tasks that were seen.
_IMPORT_S: Final = 900
_COUNTED_PER_S: Final = 100


def create_predictions(
    client: LabelStudio,
    project: int,
    version: str,
    predictions: Mapping[int, tuple[Result, float]],
    size: int = 0,
) -> list[int]:
    """Write predictions, few into a large project one by one, else in bulk.

    Args:
        client: a signed-in client.
        project: the project.
        version: their model version.
        predictions: task id to result and score.
        size: how many tasks the project has.

    Returns:
        the tasks that Label Studio did not take: its bulk import drops what it finds invalid
        without a word, so where it took fewer than it was sent, they are read back.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses a whole request.
    """
    tasks = list(predictions)
    if size > _LARGE and len(tasks) <= size * _ONE_BY_ONE:
        with ThreadPoolExecutor(_PARALLEL) as pool:
            taken = pool.map(lambda task: _create(client, version, task, predictions[task]), tasks)
            return [task for task, done in zip(tasks, taken, strict=True) if not done]
    refused: list[int] = []
    most = max(_BULK, int(size * _BULK_SHARE))
    wait_s = _IMPORT_S + size // _COUNTED_PER_S
    for start in range(0, len(tasks), most):
        bulk = tasks[start : start + most]
        if _import(client, project, version, predictions, wait_s, bulk) == len(bulk):
            continue
        sent = {task: predictions[task] for task in bulk}
        _, stand = read_standing(client, project, version, sent)
        refused += [task for task in bulk if task not in stand]
    return refused


def delete_predictions(client: LabelStudio, ids: Sequence[int]) -> None:
    """Delete predictions of ours by id; those already gone are fine.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    delete_each("prediction", lambda one: client.predictions.delete(id=one), ids)


def delete_each(what: str, delete: Callable[[int], None], ids: Sequence[int]) -> None:
    """Delete by id, several at once; those already gone are fine.

    Args:
        what: what they are called when one cannot be deleted.
        delete: deletes one.
        ids: which.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """

    def delete_one(one: int) -> None:
        try:
            with explained(f"deleting {what} {one}"):
                delete(one)
        except ProjectGoneError:
            _log.debug("%s %s was already gone", what, one)

    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(delete_one, ids))


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
            run_action(client, project, "add_data_field", tasks, body=body)

    # Several at once: each value has tasks of its own.
    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(write, by_value, by_value.values()))


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


def _create(client: LabelStudio, version: str, task: int, made: tuple[Result, float]) -> bool:
    result, score = made
    with explained(f"writing a prediction of task {task}"):
        try:
            client.predictions.create(
                task=task,
                result=cast(Any, result),
                score=round(score, 4),
                model_version=version,
            )
        except ApiError as error:
            if error.status_code != httpx.codes.BAD_REQUEST:
                raise
            return False
    return True


def _import(
    client: LabelStudio,
    project: int,
    version: str,
    predictions: Mapping[int, tuple[Result, float]],
    wait_s: int,
    tasks: Sequence[int],
) -> int:
    body = [
        {"task": task, "result": result, "score": round(score, 4), "model_version": version}
        for task in tasks
        for result, score in [predictions[task]]
    ]
    with explained(f"writing predictions of {len(tasks)} tasks of project {project}"):
        answer = client.projects.import_predictions(
            id=project,
            request=cast(Any, body),
            request_options={"timeout_in_seconds": wait_s},
        )
    return int(answer.created or 0)


def read_standing(
    client: LabelStudio,
    project: int,
    version: str,
    predictions: Mapping[int, tuple[Result, float]],
) -> tuple[set[int], set[int]]:
    """Tell what became of predictions that were sent, or may have been.

    Args:
        client: a signed-in client.
        project: the project.
        version: their model version.
        predictions: task id to result and score.

    Returns:
        the tasks that are there, and those of them on which just these predictions stand.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    there, found = set[int](), set[int]()
    for page in named_tasks(client, project, list(predictions), "id,predictions", whole=True):
        there.update(int(task.id) for task in page)
        found.update(
            int(task.id)
            for task in page
            for one in task.predictions or []
            if one.model_version == version and one.result == predictions[int(task.id)][0]
        )
    return there, found
