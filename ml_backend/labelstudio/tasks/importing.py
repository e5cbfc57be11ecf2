"""Tasks come into a project with all that they bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from label_studio_sdk import LabelStudio

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.bulk import run_action
from ml_backend.labelstudio.tasks.filters import condition, every

__all__ = ["UNTOUCHED", "import_tasks"]

#: What is true of tasks that hold no work of anybody. The counts alone do not say it: Label Studio
#: counts no annotation that is saved while it deletes a project. Nor do the annotators: a user who
#: is deleted leaves annotations of nobody's.
UNTOUCHED: Final = (
    condition("total_annotations", "Number", 0),
    condition("cancelled_annotations", "Number", 0),
    condition("annotators", "List", value=True, operator="empty"),
    condition("draft_exists", "Boolean", False),
)
_TRIES: Final = 3


def import_tasks(
    client: LabelStudio, project: int, tasks: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Add tasks to a project, with their annotations and predictions.

    Where its SQLite is locked, Label Studio 1.23 tries again with bare tasks and says 201. These
    are deleted, and all are imported once more.

    Returns:
        the tasks' ids, in the order of ``tasks``.

    Raises:
        ApiError: when Label Studio refuses.
        LabelStudioError: when it has lost what the tasks bring each time.
    """
    for _ in range(_TRIES):
        made: Any = client.projects.import_tasks(
            id=project, request=cast(Any, list(tasks)), return_task_ids=True
        )
        ids = [int(task) for task in made.task_ids or []]
        if not (
            _lost(made.annotation_count, tasks, "annotations")
            or _lost(made.prediction_count, tasks, "predictions")
        ):
            return ids
        run_action(client, project, "delete_tasks", ids, filters=every(*UNTOUCHED))
    raise LabelStudioError(
        f"Label Studio took {len(tasks)} tasks into project {project} {_TRIES} times without their "
        "labels and predictions, as it does where its SQLite is locked. They were taken out; try "
        "again when less is written to it, or move it to PostgreSQL."
    )


def _lost(count: int | None, tasks: Sequence[Mapping[str, Any]], kind: str) -> bool:
    """Whether none came in of what some brought; None: it is still at it, and does not know."""
    return count == 0 and any(task.get(kind) for task in tasks)
