"""Relabel batches that stay in their project: a field on the tasks and a tab that shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.tasks.filters import condition
from ml_backend.labelstudio.tasks.listing import list_tasks
from ml_backend.labelstudio.views import Tab, tab_data
from ml_backend.labelstudio.writer import write_field

__all__ = ["BatchTab", "batch_tabs", "open_tab", "put_into", "read_flags", "remove_tab"]

_TITLE: Final = "Relabel "


@dataclass(frozen=True, slots=True)
class BatchTab:
    """One batch's tab.

    Attributes:
        id: the tab.
        batch: the batch.
    """

    id: int
    batch: str


def open_tab(
    client: LabelStudio,
    project: int,
    prefix: str,
    batch: str,
    data_keys: Sequence[str],
    known: Mapping[int, str],
) -> int:
    """Make the tab of a batch, unless it is there already; return its id.

    Args:
        client: a signed-in client.
        project: the project.
        prefix: what the names of Relook's own fields begin with.
        batch: the batch.
        data_keys: keys of the task's data that need no place beside the editor.
        known: tabs of batches, whatever they are called and show by now, and their batches.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    for tab in batch_tabs(client, project, prefix, known):
        if tab.batch == batch:
            return tab.id
    wanted = tab_data(Tab(f"batch {batch}", f"{_TITLE}{batch}", ()), prefix, data_keys)
    # Answered tasks stay in sight: a batch is a piece of work that somebody wants to see done.
    wanted["filters"]["items"] = [_is_in(prefix, batch)]
    with explained(f"making the tab of batch {batch} in project {project}"):
        if not client.views.list(project=project):
            client.views.create(project=project, data=cast(Any, {"title": "Default"}))
        return int(client.views.create(project=project, data=cast(Any, wanted)).id)


def batch_tabs(
    client: LabelStudio, project: int, prefix: str, known: Mapping[int, str]
) -> list[BatchTab]:
    """Return the tabs of batches.

    A tab that shows a batch can be somebody's own. Ours are known, also where somebody has added
    to the filter; should that be lost, the title that we gave tells.

    Args:
        client: a signed-in client.
        project: the project.
        prefix: what the names of Relook's own fields begin with.
        known: tabs of batches, whatever they are called and show by now, and their batches.

    Raises:
        LabelStudioError: when they cannot be listed.
    """
    with explained(f"listing the tabs of project {project}"):
        views = client.views.list(project=project)
    found = []
    for view in views:
        data = view.data if isinstance(view.data, dict) else cast(Any, view.data).model_dump()
        filters = json.loads(json.dumps(data.get("filters") or {}, default=vars))
        batch = known.get(int(view.id)) or _titled(data, filters.get("items") or [], prefix)
        found += [BatchTab(int(view.id), batch)] if batch else []
    return found


def read_flags(client: LabelStudio, project: int, prefix: str, batch: str) -> dict[int, str]:
    """Return the tasks of a batch, each with the flag that stands on it.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    with explained(f"reading batch {batch} of project {project}"):
        tasks = list_tasks(client, project, "id,data", _is_in(prefix, batch))
        return {int(task.id): str(task.data.get(f"{prefix}_flag") or "") for task in tasks}


def put_into(
    client: LabelStudio, project: int, prefix: str, batch: str, tasks: Iterable[int]
) -> None:
    """Put tasks into a batch; into none where its name is empty.

    While nobody else writes them: Label Studio on SQLite writes back a task's data as it read it,
    and what another action wrote in between would be lost.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    write_field(client, project, f"{prefix}_batch", dict.fromkeys(tasks, batch))


def remove_tab(client: LabelStudio, project: int, tab: BatchTab) -> None:
    """Remove the tab of a batch.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    with explained(f"removing the tab of batch {tab.batch} in project {project}"):
        client.views.delete(id=str(tab.id))


def _titled(data: Mapping[str, Any], items: Sequence[Mapping[str, Any]], prefix: str) -> str:
    """Return the batch that a tab is called by and shows; "" of any other tab."""
    title = str(data.get("title") or "")
    batch = title.removeprefix(_TITLE)
    return batch if batch != title and _is_in(prefix, batch) in items else ""


def _is_in(prefix: str, batch: str) -> dict[str, Any]:
    return condition(f"data.{prefix}_batch", "String", batch)
