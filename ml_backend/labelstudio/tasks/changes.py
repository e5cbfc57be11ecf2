"""Which tasks changed since when, by Label Studio's own stamps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.moments import LONG_AGO, microseconds, stamp
from ml_backend.labelstudio.tasks.filters import condition
from ml_backend.labelstudio.tasks.listing import list_tasks

__all__ = [
    "TaskStates",
    "last_change",
    "read_changes",
    "read_states",
]

_FIELDS: Final = "id,updated_at"
_STATE_FIELDS: Final = _FIELDS + ",total_predictions"
_STATE: Final = np.dtype([("task", np.int64), ("stamp", np.int64), ("holds", np.int64)])
_EMPTIED: Final = (
    condition("total_predictions", "Number", 0, "greater"),
    condition("predictions_model_versions", "String", value=True, operator="empty"),
)


def last_change(client: LabelStudio, project: int) -> str:
    """Return when a task of a project last changed; long ago where there is none.

    Raises:
        LabelStudioError: when it cannot be read.
    """
    newest_first = json.dumps({"ordering": ["-tasks:updated_at"]})
    with explained(f"looking for changes in project {project}"):
        page: Any = client.tasks.list(
            project=project, fields="task_only", include=_FIELDS, query=newest_first, page_size=1
        )
        newest = [task.updated_at for task in page.items or []]
    return stamp(newest[0]) if newest else LONG_AGO


def read_changes(client: LabelStudio, project: int, since: str) -> dict[int, str]:
    """Return the tasks that changed after a moment, and when each of them last did.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    changed = condition("updated_at", "Datetime", since, "greater")
    with explained(f"looking for changes in project {project}"):
        tasks = list_tasks(client, project, _FIELDS, changed)
        return {int(task.id): stamp(task.updated_at) for task in tasks}


@dataclass(frozen=True, slots=True)
class TaskStates:
    """By what T tasks show that they changed.

    Attributes:
        task: int64 (T,), task ids, ascending.
        stamp: int64 (T,), when Label Studio last saw them change, microseconds since 1970.
        holds: int64 (T,), how many predictions they hold by Label Studio's count: those that are
            deleted or imported many at once leave no stamp.
    """

    task: NDArray[np.int64]
    stamp: NDArray[np.int64]
    holds: NDArray[np.int64]


def read_states(
    client: LabelStudio, project: int, between: Callable[[], None] = lambda: None
) -> TaskStates:
    """List all tasks of a project with the state of each.

    Since it last deleted a project, Label Studio 1.23 may count no prediction that is deleted (its
    signals stay switched off). So it is asked which tasks hold none whatever it counts.

    Args:
        client: a signed-in client.
        project: the project.
        between: called before each page is read.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    with explained(f"listing the tasks of project {project}"):
        rows = np.fromiter(
            (
                (task.id, microseconds(task.updated_at), task.total_predictions or 0)
                for task in list_tasks(client, project, _STATE_FIELDS, between=between)
            ),
            dtype=_STATE,
        )
        found = list_tasks(client, project, "id", *_EMPTIED, between=between)
        emptied = [task.id for task in found]
    rows["holds"][np.isin(rows["task"], emptied)] = 0
    return TaskStates(*(np.ascontiguousarray(rows[name]) for name in ("task", "stamp", "holds")))
