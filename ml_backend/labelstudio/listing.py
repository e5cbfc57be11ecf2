"""Tasks of a project listed by what they must be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.filters import condition, every

__all__ = ["list_tasks"]

#: As many tasks as Label Studio sends at once.
_PAGE: Final = 1000


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
        )
        found = page.items or []
        yield from found
        if len(found) < _PAGE:
            return
        last = int(found[-1].id)
