"""Relook's own fields of single tasks, read without what people and models said there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.tasks.listing import named_tasks
from ml_backend.labelstudio.tasks.reader import OWN_FIELDS

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
        tasks: ids.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    own = {f"{prefix}_{name}": name for name in OWN_FIELDS}
    return {
        int(task.id): {own[key]: value for key, value in (task.data or {}).items() if key in own}
        for page in named_tasks(client, project, tasks, "id,data")
        for task in page
    }
