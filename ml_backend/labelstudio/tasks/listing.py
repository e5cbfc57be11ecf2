"""Tasks of a project, by what they must be or by their ids.

Their data is read as it stands: addresses in a cloud storage, which Label Studio would else put a
door of its own in place of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.tasks.filters import condition, every

__all__ = ["list_tasks", "named_tasks", "those_there"]

#: As many tasks as Label Studio sends at once.
_PAGE: Final = 1000
#: Tasks that are named at once: their ids stand in an address, whose length servers limit.
_NAMED: Final = 200


def list_tasks(
    client: LabelStudio,
    project: int,
    fields: str,
    *conditions: dict[str, Any],
    between: Callable[[], None] = lambda: None,
    beyond: int = 0,
) -> Iterator[Any]:
    """Yield tasks by id, each page from the last one's end on.

    Pages by number would move under the reader: once a task is deleted, or is no longer what it
    must be, the first of each later page is on the page before.

    Args:
        client: a signed-in client.
        project: the project.
        fields: names of the fields to read, with commas; ``id`` among them.
        conditions: what each task must be, see ``filters.condition``.
        between: called before each page is read.
        beyond: only tasks of higher ids.
    """
    last = beyond
    while True:
        between()
        higher = condition("id", "Number", last, "greater")
        query = {"filters": every(higher, *conditions), "ordering": ["tasks:id"]}
        page: Any = client.tasks.list(
            project=project,
            fields="task_only",
            include=fields,
            query=json.dumps(query),
            page_size=_PAGE,
            resolve_uri=False,
        )
        found = page.items or []
        yield from found
        if len(found) < _PAGE:
            return
        last = int(found[-1].id)


def named_tasks(
    client: LabelStudio,
    project: int,
    tasks: Sequence[int] | NDArray[np.int64],
    fields: str,
    *,
    whole: bool = False,
    filters: Mapping[str, Any] | None = None,
    between: Callable[[], None] = lambda: None,
) -> Iterator[list[Any]]:
    """Yield tasks by their ids, some hundred at a time; those that are not there are left out.

    Args:
        client: a signed-in client.
        project: the project.
        tasks: the ids.
        fields: names of the fields to read, with commas; ``id`` among them.
        whole: whether annotations and predictions are wanted too, whose fields are then named.
        filters: what they must be besides, as the Data Manager writes it.
        between: called before each page is read.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    for start in range(0, len(tasks), _NAMED):
        between()
        some = [int(task) for task in tasks[start : start + _NAMED]]
        query: dict[str, Any] = {"selectedItems": {"all": False, "included": some}}
        if filters is not None:
            query["filters"] = filters
        with explained(f"reading tasks {some[0]} to {some[-1]} of project {project}"):
            page: Any = client.tasks.list(
                project=project,
                fields="all" if whole else "task_only",
                include=fields,
                query=json.dumps(query),
                page_size=_NAMED,
                resolve_uri=False,
            )
            found = list(page.items or [])
        yield found


def those_there(client: LabelStudio, project: int, tasks: Sequence[int]) -> set[int]:
    """Return which of some tasks are in a project.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    return {int(task.id) for page in named_tasks(client, project, tasks, "id") for task in page}
