"""What jobs do their work with: this worker's parts, and tasks under their locks."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.project.work import ProjectWork
from ml_backend.jobs.queues.ranges import held
from ml_backend.services import Services
from ml_backend.settings import service_settings
from ml_backend.storage.looks import Looks

__all__ = ["compare_tasks", "predict_tasks", "score_tasks", "services"]


@cache
def services() -> Services:
    """Return this worker's parts; models stay loaded from job to job."""
    return Services(service_settings())


def predict_tasks(work: ProjectWork, tasks: NDArray[np.int64]) -> dict[str, str]:
    """Predict tasks, ascending ids, while nobody else writes them; return what is wrong."""
    errors: dict[str, str] = {}
    project = work.opened.project.id
    with held(services().mailbox, project, tasks) as require:
        given_up = services().crashes.each(
            project, tasks, lambda some: errors.update(work.predict(some, require))
        )
    return errors | given_up


def compare_tasks(
    work: ProjectWork, tasks: NDArray[np.int64], settled: bool
) -> tuple[Looks, NDArray[np.bool_]]:
    """Compare tasks, ascending ids, while nobody else writes them; see ``Comparison.compare``."""
    # Of what is settled nothing is noted.
    noted = tasks[:0] if settled else tasks
    with held(services().mailbox, work.opened.project.id, noted):
        return work.comparison.compare(tasks, settled)


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
