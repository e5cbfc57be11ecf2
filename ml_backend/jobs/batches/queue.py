"""The queue of a project, and what of it is out in relabel batches."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.batches.here import fates_here, tabs_here
from ml_backend.jobs.batches.take_back import read_originals
from ml_backend.labelstudio.relabel.corrections import read_relabelled
from ml_backend.labelstudio.relabel.sent_tasks import read_out, read_waiting
from ml_backend.labelstudio.tasks.reader import Project, TaskPage, read_tasks
from ml_backend.marks import Mark
from ml_backend.review.batch import Fate, Waiting, fates
from ml_backend.review.decide import NEEDS_REVIEW
from ml_backend.services import Services

__all__ = ["read_queue"]


def read_queue(
    services: Services,
    source: Project,
    prefix: str,
    targets: Iterable[int],
    chosen: Collection[int] = (),
) -> tuple[Waiting, set[int]]:
    """Return the queue, and which of it and of chosen tasks are out.

    A task is out from when it is sent until its answer is written back and scored; one in a batch
    that stayed in the project is so until it is answered or its flag is cleared, or until the
    batch's tab is gone.

    Args:
        services: this process' parts.
        source: the project.
        prefix: what the names of Relook's own fields begin with.
        targets: its relabel projects.
        chosen: tasks beside the queue's.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    client = services.client
    waiting, out = read_waiting(client, source.id, prefix), set[int]()
    for tab in tabs_here(services, source.id, prefix):
        stand = fates_here(services, source, prefix, tab.batch)
        out |= {task for task, fate in stand.items() if fate == Fate.OPEN}
    asked = {*waiting.task.tolist(), *chosen}
    for target in targets:
        unanswered, answered = read_out(client, target, source.id)
        copies = [copy for copy, task in answered.items() if task in asked]
        out |= unanswered | _on_the_way(services, source, prefix, target, copies)
    return waiting, out


def _on_the_way(
    services: Services, source: Project, prefix: str, target: int, copies: list[int]
) -> set[int]:
    """Return the sources of those answered copies that are not yet written back and scored."""
    client, found = services.client, set[int]()
    for table in read_relabelled(client, target, copies):
        if table.source != source.id:
            continue
        pages = list(read_tasks(client, source, prefix, table.sources))
        now = read_originals(services.mailbox, target, table, pages)
        fate = fates(table.sent, table.answers, now)
        found |= set(table.sent.source[fate == Fate.READY].tolist())
        done = table.sent.source[fate == Fate.DONE]
        found |= {task for page in pages for task in _unscored(page, done)}
    return found


def _unscored(page: TaskPage, tasks: NDArray[np.int64]) -> list[int]:
    """Return which of these tasks are flagged for labels that have been answered since."""
    seen = np.array([Mark.parse(mark).labelled_at for mark in page.said("seen").tolist()])
    flagged = page.said("flag") == NEEDS_REVIEW
    found = page.id[flagged & (page.labelled_at > seen) & np.isin(page.id, tasks)]
    return [int(task) for task in found]
