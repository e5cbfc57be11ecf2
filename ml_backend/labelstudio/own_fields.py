"""Relook's own fields of single tasks, read without what people and models said there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.reader import OWN_FIELDS

__all__ = ["OwnFields", "read_own_fields"]

_PAGE: Final = 200

#: Field of ``OWN_FIELDS`` to its value; one that was never written is not there.
OwnFields = dict[str, Any]


def read_own_fields(
    client: LabelStudio, project: int, prefix: str, tasks: Sequence[int]
) -> Iterator[dict[int, OwnFields]]:
    """Yield task id to its own fields, a page at a time; ids that the project has not are left out.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    for start in range(0, len(tasks), _PAGE):
        included = list(tasks[start : start + _PAGE])
        query = json.dumps({"selectedItems": {"all": False, "included": included}})
        with explained(f"reading tasks {included[0]} to {included[-1]} of project {project}"):
            page: Any = client.tasks.list(
                project=project,
                fields="task_only",
                include="id,data",
                query=query,
                page_size=_PAGE,
            )
            found = {int(task.id): dict(task.data or {}) for task in page.items or []}
        yield {
            task: {
                name: data[f"{prefix}_{name}"] for name in OWN_FIELDS if f"{prefix}_{name}" in data
            }
            for task, data in found.items()
        }
