"""Tasks and what hangs on them, as Label Studio's client hands them over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from ml_backend.labelstudio.moments import seconds

__all__ = ["IDS", "author", "identity", "is_answer", "number", "overtaken", "parts", "plain"]

#: One more than any id: what browsers count to exactly; far more fits into the store's columns.
IDS: Final = 1 << 53


def plain(item: Any) -> dict[str, Any]:
    """Return a task, annotation or prediction as a dict.

    The SDK types a task by the role it guesses; some parts come as models, others as dicts.
    """
    return item if isinstance(item, dict) else dict(item.__dict__) | (item.model_extra or {})


def parts(task: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a task's annotations, predictions or drafts."""
    return [plain(one) for one in task.get(name) or []]


def author(annotation: Mapping[str, Any]) -> int | None:
    """Return the user who made an annotation, None where none is named.

    Lists name a user by number, single tasks by all that is known of him.
    """
    said = annotation.get("completed_by")
    found = said if said is None or isinstance(said, int) else plain(said).get("id")
    return None if found is None else int(found)


def is_answer(annotation: Mapping[str, Any], beside: Collection[int]) -> bool:
    """Tell whether an annotation came out of a relabel batch.

    Such an answer names where it came from, and the annotation that it answers in its own task.

    Args:
        annotation: the annotation.
        beside: ids of its task's annotations.
    """
    origin = annotation.get("import_id") is not None
    return origin and annotation.get("parent_annotation") in beside


def overtaken(answer: Mapping[str, Any], beside: Mapping[int, Mapping[str, Any]]) -> bool:
    """Tell whether somebody labelled a task while the answer to its label was on the way there.

    The label that an answer names was the newest when Relook last looked.

    Args:
        answer: the answer, an annotation of the task.
        beside: the task's annotations by id.
    """
    label = beside.get(answer.get("parent_annotation") or 0)
    if label is None:
        return False
    looked, came = seconds(label["updated_at"]), seconds(answer["created_at"])
    return any(
        looked < seconds(one["updated_at"]) < came
        for one in beside.values()
        if not one.get("was_cancelled") and one["id"] not in (answer["id"], label["id"])
    )


def number(value: Any) -> float:
    """Return a number out of a task's data; 0 for anything else."""
    return float(value) if isinstance(value, int | float) else 0.0


def identity(value: Any) -> int:
    """Return an id out of a task's data, which people can edit; -1 for anything else."""
    return value if type(value) is int and 0 < value < IDS else -1
