"""What jobs do their work with: this worker's parts, and ranges of tasks under one lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.queue import Mailbox
from ml_backend.services import Services
from ml_backend.settings import service_settings

__all__ = ["SHARD", "held", "predict_tasks", "score_tasks", "services", "shards_of"]

#: Task ids that one lock and one shard cover.
SHARD: Final = 128


@cache
def services() -> Services:
    """Return this worker's parts; models stay loaded from job to job."""
    return Services(service_settings())


def shards_of(tasks: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Split ascending task ids into the ranges that one lock covers."""
    numbers, first = np.unique(tasks // SHARD, return_index=True)
    pieces = np.split(tasks, first[1:]) if len(tasks) else []
    return dict(zip(numbers.tolist(), pieces, strict=True))


def predict_tasks(work: ProjectWork, tasks: NDArray[np.int64]) -> dict[str, str]:
    """Predict tasks, ascending ids, while nobody else writes them; return what is wrong."""
    errors: dict[str, str] = {}
    project = work.opened.project.id
    with held(services().mailbox, project, tasks) as require:
        given_up = services().crashes.each(
            project, tasks, lambda some: errors.update(work.predict(some, require))
        )
    return errors | given_up


def score_tasks(work: ProjectWork, tasks: NDArray[np.int64]) -> tuple[int, dict[str, str]]:
    """Score tasks, ascending ids, while nobody else writes them.

    Returns:
        how many need review, and what is wrong.
    """
    flagged, errors = 0, dict[str, str]()
    project = work.opened.project.id

    def score_some(some: NDArray[np.int64]) -> None:
        nonlocal flagged
        outcome = work.score(some, require)
        flagged += outcome.flagged
        errors.update(outcome.errors)

    with held(services().mailbox, project, tasks) as require:
        given_up = services().crashes.each(project, tasks, score_some)
    return flagged, errors | given_up


@contextmanager
def held(mailbox: Mailbox, project: int, tasks: NDArray[np.int64]) -> Iterator[Callable[[], None]]:
    """Hold the locks of some tasks, ascending ids.

    Yields:
        what makes sure, before something is written, that nobody else has held one meanwhile; see
        ``LivingLock.require``.
    """
    with ExitStack() as stack:
        # Ascending: of two jobs that take several, neither waits for what the other will let go
        # only after it.
        locks = [stack.enter_context(mailbox.lock(project, shard)) for shard in shards_of(tasks)]

        def require() -> None:
            for lock in locks:
                lock.require()

        yield require
