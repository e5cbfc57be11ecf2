"""Relook's own fields of single tasks, read without what people and models said there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.reader import OWN_FIELDS

__all__ = ["OwnFields", "read_own_fields"]

#: Field of ``OWN_FIELDS`` to its value; one that was never written is not there.
OwnFields = dict[str, Any]


def read_own_fields(
    client: LabelStudio, project: int, prefix: str, tasks: Sequence[int]
) -> dict[int, OwnFields]:
    """Return task id to its own fields; ids that the project has not are left out.

    Args:
        client: a signed-in client.
        project: the project.
        prefix: what the names of Relook's own fields begin with.
        tasks: at least one id, and no more than a request can name: a few hundred.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    query = json.dumps({"selectedItems": {"all": False, "included": list(tasks)}})
    with explained(f"reading tasks {tasks[0]} to {tasks[-1]} of project {project}"):
        page: Any = client.tasks.list(
            project=project,
            fields="task_only",
            include="id,data",
            query=query,
            page_size=len(tasks),
        )
        found = {int(task.id): dict(task.data or {}) for task in page.items or []}
    return {
        task: {name: data[f"{prefix}_{name}"] for name in OWN_FIELDS if f"{prefix}_{name}" in data}
        for task, data in found.items()
    }
