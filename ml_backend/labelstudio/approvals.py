"""Approvals in Label Studio: made in bulk, found again, and taken back one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import defusedxml.ElementTree
import numpy as np
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError
from numpy.typing import NDArray

from ml_backend.errors import ConfigError
from ml_backend.labelstudio.approval_marks import APPROVED, Approvals, batch_of
from ml_backend.labelstudio.bulk import run_action
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.config import SERVED
from ml_backend.labelstudio.regions.results import Result
from ml_backend.labelstudio.tasks.filters import condition, understood
from ml_backend.labelstudio.tasks.listing import list_tasks, named_tasks
from ml_backend.labelstudio.tasks.reader import TaskPage, read_project
from ml_backend.labelstudio.writer import create_predictions, delete_each, delete_predictions

__all__ = [
    "approve",
    "batches",
    "begun_tasks",
    "clear_begun",
    "forget_batch",
    "half_done",
    "require_whole",
    "take_back",
    "tasks_of_batch",
    "unlabelled_among",
    "unlabelled_tasks",
]

_PAGE: Final = 1000
_COUNTS: Final = "id,total_annotations,cancelled_annotations"


def unlabelled_tasks(
    client: LabelStudio, project: int, filters: Mapping[str, Any]
) -> NDArray[np.int64]:
    """Read the ids of the tasks that hold no annotation, skipped ones neither, ascending.

    Args:
        client: a signed-in client.
        project: the project.
        filters: a filter as the Data Manager writes it.

    Raises:
        SettingsError: when Label Studio does not understand the filter.
        LabelStudioError: when the tasks cannot be read.
    """
    with understood(filters, f"listing the tasks of project {project}"):
        listed: Any = client.tasks.list(
            project=project,
            fields="task_only",
            include=_COUNTS,
            query=json.dumps({"filters": dict(filters)}),
            page_size=_PAGE,
        )
        return _unlabelled(listed)


def unlabelled_among(
    client: LabelStudio, project: int, tasks: Sequence[int]
) -> tuple[NDArray[np.int64], int]:
    """Read which of some tasks hold no annotation, and how many are not in the project.

    Returns:
        ids as ``unlabelled_tasks`` has them; how many tasks are gone.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    free: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
    gone = len(tasks)
    for page in named_tasks(client, project, tasks, _COUNTS):
        free.append(_unlabelled(page))
        gone -= len(page)
    return np.unique(np.concatenate(free)), gone


def begun_tasks(client: LabelStudio, project: int) -> NDArray[np.int64]:
    """Read the ids of the tasks that hold a draft or were skipped: somebody was at work on them.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    drafted = condition("draft_exists", "Boolean", value=True)
    skipped = condition("cancelled_annotations", "Number", 0, "greater")
    with explained(f"listing the tasks of project {project} that somebody has begun"):
        found = [
            task.id for one in (drafted, skipped) for task in list_tasks(client, project, "id", one)
        ]
        return np.unique(np.array(found, dtype=np.int64))


def _unlabelled(tasks: Iterable[Any]) -> NDArray[np.int64]:
    found = [
        task.id for task in tasks if not task.total_annotations and not task.cancelled_annotations
    ]
    return np.unique(np.array(found, dtype=np.int64))


def require_whole(client: LabelStudio, project: int, answered: set[str]) -> None:
    """Make sure that an approval is a whole label.

    Args:
        client: a signed-in client.
        project: the project.
        answered: names of the control tags that a model answers for.

    Raises:
        ConfigError: when a tag that a label needs is left to people.
        LabelStudioError: when the project cannot be read.
    """
    config = read_project(client, project).config
    needed = {control.name for control in config.controls} | set(config.skipped)
    for tag in defusedxml.ElementTree.fromstring(config.xml).iter():
        required = tag.get("required", "false").lower() == "true"
        if tag.get("toName") and (required or tag.tag in SERVED):
            needed.add(tag.get("name", ""))
    left = sorted(needed - answered)
    if left:
        raise ConfigError(
            f"project {project}: no model answers for {', '.join(map(repr, left))}, so that an "
            "approval would be half a label; name a model for it, or take it out of the config"
        )


def approve(
    client: LabelStudio,
    project: int,
    version: str,
    predictions: Mapping[int, tuple[Result, float]],
    size: int = 0,
) -> list[int]:
    """Make predictions the annotations of their tasks, in bulk.

    Done twice, it does nothing more: Label Studio takes no prediction twice.

    Args:
        client: a signed-in client; its user is who completed them.
        project: the project.
        version: as ``approval_version`` has it.
        predictions: task id to result and score.
        size: how many tasks the project has.

    Returns:
        the tasks whose prediction Label Studio refused.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses a whole request.
    """
    refused = create_predictions(client, project, version, predictions, size)
    taken = [task for task in predictions if task not in refused]
    if taken:
        with explained(f"approving {len(taken)} tasks of project {project}"):
            body = {"model_version": version}
            run_action(client, project, "predictions_to_annotations", taken, body=body)
    return refused


def half_done(page: TaskPage) -> list[int]:
    """Return the tasks with a prediction that an approval, cut short, made no annotation of."""
    return [int(task) for task in page.id[page.standing.task[_left(page)]]]


def clear_begun(client: LabelStudio, page: TaskPage) -> None:
    """Delete what an approval that was cut short has left behind.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    delete_predictions(client, page.standing.id[_left(page)].tolist())


def _left(page: TaskPage) -> NDArray[np.bool_]:
    """Which standing predictions were to become annotations."""
    begun = [bool(batch_of(version)) for version in page.standing.version.tolist()]
    return np.array(begun, dtype=np.bool_) & ~page.begun[page.standing.task]


def take_back(client: LabelStudio, approvals: Approvals) -> None:
    """Delete approvals: the one place where Relook deletes annotations. Those gone are fine.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    delete_each("annotation", lambda one: client.annotations.delete(id=one), approvals.id.tolist())


def batches(client: LabelStudio, project: int) -> dict[str, list[str]]:
    """Return the project's batches of approvals, newest first, with the versions of each.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    with explained(f"listing the model versions of project {project}"):
        versions = _ask(client, "GET", project)
    found: dict[str, list[str]] = {}
    for version in sorted(versions, reverse=True):
        if batch := batch_of(version):
            found.setdefault(batch, []).append(version)
    return found


def tasks_of_batch(client: LabelStudio, project: int, batch: str) -> NDArray[np.int64]:
    """Read the ids of the tasks that a batch has approved, ascending.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    named = [f"{APPROVED}@{batch}@"]
    said = condition("predictions_model_versions", "List", named, "contains")
    with explained(f"listing batch {batch} of project {project}"):
        tasks = list_tasks(client, project, "id", said)
        return np.array([task.id for task in tasks], dtype=np.int64)


def forget_batch(client: LabelStudio, project: int, versions: Sequence[str]) -> None:
    """Delete the predictions that a batch's approvals were made of.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    for version in versions:
        with explained(f"deleting the predictions of {version} in project {project}"):
            _ask(client, "DELETE", project, {"model_version": version})


def _ask(client: LabelStudio, method: str, project: int, body: Any = None) -> Any:
    """Model versions are not in the SDK."""
    answer = client._client_wrapper.httpx_client.request(
        f"api/projects/{project}/model-versions/", method=method, json=body
    )
    if answer.is_error:
        said = answer.json() if "json" in answer.headers.get("Content-Type", "") else answer.text
        raise ApiError(status_code=answer.status_code, body=said)
    return answer.json()
