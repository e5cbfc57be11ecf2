"""The queue of a project, and where the tasks are that were sent out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.tasks.bodies import identity, number
from ml_backend.labelstudio.tasks.filters import condition
from ml_backend.labelstudio.tasks.listing import list_tasks
from ml_backend.review.batch import Waiting
from ml_backend.review.decide import NEEDS_REVIEW

__all__ = ["read_batch", "read_out", "read_waiting"]


def read_waiting(client: LabelStudio, project: int, prefix: str) -> Waiting:
    """Read the queue of a project.

    Raises:
        LabelStudioError: when it cannot be read.
    """
    flagged = condition(f"data.{prefix}_flag", "String", NEEDS_REVIEW)
    with explained(f"reading the queue of project {project}"):
        tasks = list_tasks(client, project, "id,data", flagged)
        # Page by page: of a text, the data can be many times as large.
        found = [(int(task.id), *_place(task.data, prefix)) for task in tasks]
    return Waiting(
        np.array([task for task, *_ in found], dtype=np.int64),
        np.array([priority for _, priority, *_ in found], dtype=np.float64),
        np.array([kind for *_, kind, _ in found], dtype=np.str_),
        np.array([mark for *_, mark in found], dtype=np.str_),
    )


def read_out(client: LabelStudio, target: int, source: int) -> tuple[set[int], dict[int, int]]:
    """Return where the tasks of a source project are that were sent to a relabel project.

    Returns:
        the source tasks that wait there for an answer; those that were skipped do not;
        each copy that is answered, with its source task.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    nothing = condition("total_annotations", "Number", 0)
    skipped = condition("cancelled_annotations", "Number", 0)
    answered = condition("total_annotations", "Number", 0, "greater")
    waiting = _copies(client, target, source, nothing, skipped)
    return set(waiting.values()), _copies(client, target, source, answered)


def read_batch(client: LabelStudio, target: int, source: int, batch: str) -> set[int]:
    """Return the tasks of a source project that went to a relabel project in one batch.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    sent = condition("data.relook_sent_batch", "String", batch)
    return set(_copies(client, target, source, sent).values())


def _copies(
    client: LabelStudio, target: int, source: int, *conditions: dict[str, Any]
) -> dict[int, int]:
    with explained(f"listing tasks of relabel project {target}"):
        found = {
            int(copy.id): identity(copy.data.get("relook_source_task"))
            for copy in list_tasks(client, target, "id,data", *conditions)
            if copy.data.get("relook_source_project") == source
        }
    return {copy: task for copy, task in found.items() if task > 0}


def _place(data: dict[str, Any], prefix: str) -> tuple[float, str, str]:
    kind, mark = (str(data.get(f"{prefix}_{name}") or "") for name in ("kind", "seen"))
    return number(data.get(f"{prefix}_priority")), kind, mark
