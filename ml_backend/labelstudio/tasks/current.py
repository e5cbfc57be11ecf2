"""Which of a task's annotations count, and which of them may be a reviewer's word."""

from __future__ import annotations

from typing import Any

from ml_backend.labelstudio.approval_marks import unedited
from ml_backend.labelstudio.moments import seconds
from ml_backend.labelstudio.tasks.bodies import is_answer, overtaken, parts

__all__ = ["acted_at", "answered", "current_of"]


def current_of(task: dict[str, Any], approved: set[int]) -> list[dict[str, Any]]:
    """Return a task's current annotations, oldest first; see ``reader.Annotations``.

    Args:
        task: the task.
        approved: ids of annotations that the model gave.
    """
    found = parts(task, "annotations")
    known = {annotation["id"]: annotation for annotation in found}
    found = [
        annotation
        for annotation in found
        if not annotation.get("was_cancelled")
        # Who labelled the task meanwhile did not know of the answer, nor it of his label.
        and not (is_answer(annotation, known) and overtaken(annotation, known))
    ]
    found.sort(key=lambda annotation: seconds(annotation["updated_at"]))
    found = found[_last_relabelled(found) :]
    # What the model gave is no second opinion beside a person's.
    peoples = [annotation for annotation in found if annotation["id"] not in approved]
    found = peoples or found
    return found if len(found) <= int(task.get("overlap") or 1) else found[-1:]


def _last_relabelled(found: list[dict[str, Any]]) -> int:
    """Place of the newest answer out of a relabel batch, which settles all before it."""
    known = {annotation["id"] for annotation in found}
    return max((place for place, one in enumerate(found) if is_answer(one, known)), default=0)


def answered(task: dict[str, Any], current: list[dict[str, Any]]) -> bool:
    """Tell whether its one current annotation answers out of a batch; see ``reader.TaskPage``."""
    if len(current) != 1 or not unedited(current[0]):
        return False
    known = {one["id"]: one for one in parts(task, "annotations")}
    if not is_answer(current[0], known):
        return False
    return not is_answer(known[current[0]["parent_annotation"]], known)


def acted_at(current: list[dict[str, Any]]) -> float:
    """Return when a reviewer may last have written one of them; see ``reader.TaskPage``."""
    acts = [
        seconds(one["updated_at"])
        for one in current
        # A copy, as an answer out of a batch is: who labels a task for himself copies nobody's.
        if len(current) == 1 or not unedited(one) or one.get("parent_annotation")
    ]
    return max(acts, default=0.0)
