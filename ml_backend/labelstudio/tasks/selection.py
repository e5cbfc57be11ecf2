"""Some of a project's tasks, as people choose them: by a filter, by a tab, by their ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any, Final

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.errors import SettingsError
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.tasks.filters import every, understood
from ml_backend.labelstudio.tasks.listing import named_tasks

__all__ = ["Selection", "choose", "select"]

_MOST_SAID: Final = 200


@dataclass(frozen=True, slots=True)
class Selection:
    """Some tasks of a project.

    Attributes:
        said: what people are told they are.
        filters: a filter as the Data Manager writes it, None where tasks are named.
        tasks: ids of the tasks, None where a filter finds them.
    """

    said: str
    filters: Mapping[str, Any] | None = None
    tasks: Sequence[int] | None = None


def select(
    client: LabelStudio,
    project: int,
    filters: Mapping[str, Any] | None = None,
    tab: int | None = None,
    tasks: Sequence[int] | None = None,
) -> Selection | None:
    """Return what is chosen of a project by one of three, or None: all of it.

    Args:
        client: a signed-in client.
        project: the project.
        filters: a filter as the Data Manager writes it.
        tab: the id of a tab; its filter counts as it is now.
        tasks: ids of tasks.

    Raises:
        SettingsError: when it is not one of three, the project has no such tab, or Label Studio
            does not understand the filter.
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    given = [one for one in (filters, tab, tasks) if one is not None]
    if len(given) > 1:
        raise SettingsError("filter, tab and task exclude each other: give one of them")
    if tasks is not None:
        return Selection(shorten(f"tasks {', '.join(map(str, tasks))}", _MOST_SAID), tasks=tasks)
    if tab is not None:
        filters = _filter_of_tab(client, project, tab)
    if filters is None:
        return None
    with understood(filters, f"trying a filter in project {project}"):
        query = json.dumps({"filters": filters})
        client.tasks.list(
            project=project, fields="task_only", include="id", query=query, page_size=1
        )
    said = f"filter {json.dumps(filters)}" if tab is None else f"tab {tab}"
    return Selection(shorten(said, _MOST_SAID), filters)


def choose(
    client: LabelStudio,
    project: int,
    selection: Selection,
    tasks: NDArray[np.int64],
    between: Callable[[], None] = lambda: None,
) -> NDArray[np.int64]:
    """Return which tasks of a project are chosen, ascending.

    A filter is asked about some ids after the others: pages by number would move under the
    reader each time a task leaves the filter.

    Args:
        client: a signed-in client.
        project: the project.
        selection: what is chosen.
        tasks: int64 (T,), ids of all tasks of the project, ascending.
        between: called before each page is read.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    if selection.tasks is not None:
        return np.intersect1d(tasks, np.array(selection.tasks, dtype=np.int64))
    pages = named_tasks(client, project, tasks, "id", filters=selection.filters, between=between)
    return np.unique(np.array([task.id for page in pages for task in page], dtype=np.int64))


def _filter_of_tab(client: LabelStudio, project: int, tab: int) -> Any:
    with explained(f"listing the tabs of project {project}"):
        tabs = {int(view.id): view.data for view in client.views.list(project=project)}
    if tab not in tabs:
        there = ", ".join(map(str, sorted(tabs))) or "none"
        raise SettingsError(f"project {project} has no tab {tab}; there are: {there}")
    return (tabs[tab] or {}).get("filters") or every()
