"""Batches of approvals: how much of one still stands, and its undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.errors import SettingsError
from ml_backend.jobs.approvals.work import Tally
from ml_backend.labelstudio import approvals
from ml_backend.labelstudio.tasks.reader import Project, read_project, read_tasks
from ml_backend.labelstudio.writer import delete_predictions
from ml_backend.services import Services

__all__ = ["count", "undo"]

#: Small, because a person may edit what a page has found before it is deleted.
_UNDO_PAGE: Final = 32


def count(services: Services, project: int, batch: str) -> int:
    """Return how many tasks hold an approval of a batch that nobody has edited since.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    versions = approvals.batches(services.client, project).get(batch, [])
    if not versions:
        return 0
    opened = read_project(services.client, project)
    tasks = approvals.tasks_of_batch(services.client, project, batch)
    pages = read_tasks(services.client, opened, "", tasks)
    return sum(int(np.isin(page.approvals.version, versions).sum()) for page in pages)


def undo(
    services: Services,
    project: int,
    batch: str,
    *,
    again: bool,
    before: Callable[[Tally], None] = lambda _: None,
) -> tuple[str, int, Iterator[Tally]]:
    """Take back one batch of approvals, all of it that nobody has edited since.

    A task with a draft keeps its approval, and the batch that one: Label Studio deletes a draft
    with the annotation that it changes.

    Args:
        services: this process's parts.
        project: Label Studio's project id.
        batch: its name; "" for the newest.
        again: whether it was there once: Label Studio may have finished an undo whose answer was
            lost, and nothing is left to be taken back.
        before: is told what will come of each page, before any of it is taken back.

    Returns:
        its name;
        how many tasks it had;
        what came of each page: ``approved`` counts what was taken back.

    Raises:
        SettingsError: when there is no such batch, nor was one.
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    opened = read_project(services.client, project)
    found = approvals.batches(services.client, project)
    name = batch or next(iter(found), "")
    if name not in found:
        if again:
            return name, 0, iter(())
        there = ", ".join(found) or "none"
        raise SettingsError(f"project {project} has no batch {name!r}; there are: {there}")
    tasks = approvals.tasks_of_batch(services.client, project, name)
    return name, len(tasks), _undo(services.client, opened, tasks, found[name], before)


def _undo(
    client: LabelStudio,
    project: Project,
    tasks: NDArray[np.int64],
    versions: Sequence[str],
    before: Callable[[Tally], None],
) -> Iterator[Tally]:
    obsolete, kept = list[int](), False
    for start in range(0, len(tasks), _UNDO_PAGE):
        for page in read_tasks(client, project, "", tasks[start : start + _UNDO_PAGE]):
            ours = page.approvals.take(np.isin(page.approvals.version, versions))
            drafted = page.drafted[ours.task]
            stays = np.isin(page.standing.task, ours.task[drafted])
            obsolete += page.standing.id[np.isin(page.standing.version, versions) & ~stays].tolist()
            kept |= bool(drafted.any())
            free = ours.take(~drafted)
            tally = Tally(looked_at=len(page), approved=len(free.id))
            before(tally)
            approvals.take_back(client, free)
            yield tally
    if kept:
        # Without its prediction, what stays would count as a person's word.
        delete_predictions(client, obsolete)
    else:
        approvals.forget_batch(client, project.id, versions)
