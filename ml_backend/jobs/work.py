"""The jobs. Each is idempotent: run again, it finds nothing left to do.

A run over a project: plan -> predict (shards) -> fit -> score (shards) -> finish.
A change of single tasks: look_at_pending, on the queue that goes first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache, wraps
from typing import Concatenate, ParamSpec

import numpy as np
from numpy.typing import NDArray
from rq import get_current_job
from rq.job import Dependency, Job

from ml_backend.errors import (
    LabelStudioError,
    ProjectGoneError,
    RelookError,
    TokenRefusedError,
)
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.queue import retry
from ml_backend.jobs.runs import Run
from ml_backend.labelstudio.reader import read_task_ids
from ml_backend.services import Services
from ml_backend.settings import service_settings

__all__ = ["finish", "fit", "look_at_pending", "plan", "predict", "score"]

_log = logging.getLogger(__name__)

#: Task ids that one lock and one shard cover.
_BUCKET = 128

_P = ParamSpec("_P")


@cache
def services() -> Services:
    """Return this worker's parts; models stay loaded from job to job."""
    return Services(service_settings())


def look_at_pending(project: int) -> None:
    """Predict and score tasks that events have named, as they stand by now: one bucket of them.

    The bucket of the newest event goes first, so a reviewer's fix does not wait for an import.
    """
    mailbox = services().mailbox
    pending = mailbox.pending(project)
    deleted = mailbox.deleted(project)
    if not pending and not deleted:
        return
    try:
        work = ProjectWork.open(services(), project)
    except ProjectGoneError as error:
        _log.warning("project %s is gone, its events are dropped: %s", project, error)
        mailbox.forget(project, pending)
        mailbox.forget_deleted(project, deleted)
        return
    if deleted:
        mailbox.add_tasks(project, work.tasks_of_annotations(deleted))
        mailbox.forget_deleted(project, deleted)
        pending = mailbox.pending(project)
    if pending:
        _look_at_one_bucket(work, pending)


def _look_at_one_bucket(work: ProjectWork, pending: dict[int, str]) -> None:
    mailbox, project = services().mailbox, work.project.id
    newest = max(pending, key=lambda task: int(pending[task])) // _BUCKET
    tasks = sorted(task for task in pending if task // _BUCKET == newest)
    with mailbox.lock(project, newest):
        outcome = work.score(np.array(tasks, dtype=np.int64))
    for said in outcome.errors.values():
        _log.warning("project %s: %s", project, said)
    if outcome.flagged:
        work.keep_tab()
    mailbox.forget(project, {task: pending[task] for task in tasks})
    if len(tasks) < len(pending):
        mailbox.wake(project)


def _of_current_run(
    job: Callable[Concatenate[Run, _P], None],
) -> Callable[Concatenate[str, _P], None]:
    """Skip a job whose run was superseded or has ended, and write down why one failed."""

    @wraps(job)
    def guarded(run_id: str, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        runs = services().runs
        run = runs.read(run_id)
        if not runs.is_current(run):
            return
        try:
            job(run, *args, **kwargs)
        except Exception as error:
            _log.warning("run %s: %s", run.id, error, exc_info=not isinstance(error, RelookError))
            hopeless = _needs_a_person(error)
            one_shard = job.__name__ in ("predict", "score")
            runs.note_errors(run.id, {_about(args, one_shard and not hopeless): str(error)})
            if not hopeless and _tries_left():
                raise
            # A shard that is given up must not hold back the rest of the project.
            if hopeless or not one_shard:
                runs.close(run.id, "failed")

    return guarded


def _about(args: tuple[object, ...], one_shard: bool) -> str:
    tasks = args[0] if one_shard and args else None
    return f"tasks {tasks[0]} to {tasks[-1]}" if isinstance(tasks, list) else "run"


def _needs_a_person(error: Exception) -> bool:
    if isinstance(error, LabelStudioError):
        return isinstance(error, ProjectGoneError | TokenRefusedError)
    return isinstance(error, RelookError)


def _tries_left() -> bool:
    job = get_current_job()
    return job is not None and bool(job.retries_left)


@_of_current_run
def plan(run: Run) -> None:
    """List the project's tasks and enqueue the run's other jobs."""
    # Opened first: what is wrong with settings or config is said once, not by every shard.
    ProjectWork.open(services(), run.project)
    tasks = read_task_ids(services().client, run.project)
    services().runs.stage(run.id, "predicting", len(tasks))
    queue = services().mailbox.runs
    shards = [shard.tolist() for _, shard in _buckets(tasks)]
    predicted = [queue.enqueue(predict, run.id, shard, retry=retry()) for shard in shards]
    fitted = queue.enqueue(fit, run.id, len(tasks), depends_on=_after(predicted), retry=retry())
    scored = [
        queue.enqueue(score, run.id, shard, depends_on=_after([fitted]), retry=retry())
        for shard in shards
    ]
    queue.enqueue(finish, run.id, depends_on=_after([fitted, *scored]), retry=retry())
    _log.info("project %s: run %s over %s tasks", run.project, run.id, len(tasks))


@_of_current_run
def predict(run: Run, tasks: list[int]) -> None:
    """Predict one shard and give its tasks their pre-labels."""
    chosen = np.array(tasks, dtype=np.int64)
    work = ProjectWork.open(services(), run.project)
    with services().mailbox.lock(run.project, tasks[0] // _BUCKET):
        errors = work.predict(chosen)
    services().runs.note_errors(run.id, errors)
    services().runs.advance(run.id, len(tasks))


@_of_current_run
def fit(run: Run, total: int) -> None:
    """Learn from the whole project how far its model can be trusted."""
    services().runs.stage(run.id, "fitting", total)
    ProjectWork.open(services(), run.project).fit(read_task_ids(services().client, run.project))
    services().runs.stage(run.id, "scoring", total)


@_of_current_run
def score(run: Run, tasks: list[int]) -> None:
    """Score one shard and write what changed into Label Studio."""
    work = ProjectWork.open(services(), run.project)
    with services().mailbox.lock(run.project, tasks[0] // _BUCKET):
        outcome = work.score(np.array(tasks, dtype=np.int64))
    services().runs.note_errors(run.id, outcome.errors)
    services().runs.advance(run.id, len(tasks), outcome.flagged)


@_of_current_run
def finish(run: Run) -> None:
    """Put the queue's tab and the project's model version in place and end the run."""
    work = ProjectWork.open(services(), run.project)
    work.keep_tab()
    work.keep_model_version()
    services().store.compact(run.project)
    services().runs.close(run.id, "done")


def _after(jobs: Sequence[Job]) -> Dependency:
    # A shard that was given up must not hold back the rest of the project.
    return Dependency(jobs=list(jobs), allow_failure=True)


def _buckets(tasks: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Split ascending task ids into the ranges that one lock covers."""
    bucket = tasks // _BUCKET
    for number in np.unique(bucket).tolist():
        yield number, tasks[bucket == number]
