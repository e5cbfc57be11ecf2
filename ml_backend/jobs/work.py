"""The jobs. Each is idempotent: run again, it finds nothing left to do.

A run over a project: plan -> predict (shards) -> fit -> score (shards) -> finish -> lay_out.
A change of single tasks: look_at_pending, on the queue that goes first. A change whose event was
lost: reconcile.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from functools import cache, wraps

import numpy as np
import redis
from numpy.typing import NDArray
from rq import get_current_job

from ml_backend.errors import (
    ConfigError,
    LabelStudioError,
    ModelAwayError,
    ProjectGoneError,
    RelookError,
    SettingsError,
    TokenRefusedError,
)
from ml_backend.jobs.batches import Batches
from ml_backend.jobs.graph import step_name
from ml_backend.jobs.pages import Pager
from ml_backend.jobs.project import ProjectWork
from ml_backend.jobs.reconcile import find_lost_events
from ml_backend.jobs.runs import Run
from ml_backend.jobs.schedule import begin_if_due
from ml_backend.jobs.take_back import is_relabel_project, relay, take_back
from ml_backend.labelstudio.changes import read_states
from ml_backend.labelstudio.webhooks import put_key
from ml_backend.services import Services
from ml_backend.settings import service_settings

__all__ = [
    "finish",
    "fit",
    "lay_out",
    "look_at_pending",
    "plan",
    "predict",
    "put_webhook_key",
    "reconcile",
    "score",
]

_log = logging.getLogger(__name__)

#: Task ids that one lock and one shard cover.
_BUCKET = 128
#: Tasks that are compared at once, from columns.
_COMPARED = 8192


class _EndedMeanwhile(Exception):  # noqa: N818 - not an error
    """The run was cancelled, or a newer one took its place."""


@cache
def _pager() -> Pager:
    return Pager(_BUCKET)


@cache
def services() -> Services:
    """Return this worker's parts; models stay loaded from job to job."""
    return Services(service_settings())


def look_at_pending(project: int) -> None:
    """Predict and score tasks that events have named, as they stand by now: one bucket of them.

    The bucket of the newest event goes first, so a reviewer's fix does not wait for an import.
    """
    mailbox = services().mailbox
    if is_relabel_project(mailbox, project) and not mailbox.setup_of(project)[0]:
        relay(services(), project)
        return
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
    if is_relabel_project(mailbox, project):
        take_back(services(), project, tasks)
    flagged, errors = _score(work, newest, np.array(tasks, dtype=np.int64))
    for said in errors.values():
        _log.warning("project %s: %s", project, said)
    if flagged:
        work.keep_tab()
    mailbox.forget(project, {task: pending[task] for task in tasks})
    if len(tasks) < len(pending):
        mailbox.wake(project)


def reconcile(project: int) -> None:
    """Find what changed without an event that reached us, and see to it that it is looked at."""
    try:
        find_lost_events(services().client, services().mailbox, project)
    except ProjectGoneError:
        # Should only our access have gone: Label Studio names the project again when it is opened.
        services().mailbox.forget_setup(project)
        return
    put_webhook_key(project)
    tend_batches(project)
    begin_if_due(services().mailbox, project)


def put_webhook_key(project: int) -> None:
    """See to it that a project's events carry the key that lets them in."""
    settings = services().settings
    if settings.basic_auth_pass is None:
        return
    try:
        secret = settings.basic_auth_pass.get_secret_value()
        if put_key(services().client, project, settings.basic_auth_user, secret):
            # What was refused meanwhile is found again.
            find_lost_events(services().client, services().mailbox, project)
    except ProjectGoneError:
        services().mailbox.forget_setup(project)


def tend_batches(project: int) -> None:
    """Find lost answers of a project's relabel batches, and send the next batch if it is time."""
    try:
        batches = Batches(services(), project)
        batches.tend()
        batches.send_when_full(secrets.token_hex(3))
    except (ConfigError, SettingsError, ProjectGoneError) as error:
        _log.warning("project %s: its relabel batches are not looked after: %s", project, error)


def _of_current_run(job: Callable[[Run, int], None]) -> Callable[..., None]:
    """Skip a job whose run has ended or gone on, and write down why one failed."""

    @wraps(job)
    def guarded(run_id: str, shard: int = 0) -> None:
        run, stage = services().runs.read(run_id), _STAGES[job.__name__]
        # A run that is taken up again is queued at the stage where it stopped; plan leads there.
        if not services().runs.is_current(run) or stage != _at(run):
            return
        if services().graph.checkpoints(run).is_done(stage, shard):
            # Its worker died between the check mark and what follows from it.
            services().graph.go_on_if_complete(run, stage)
            return
        try:
            job(run, shard)
        except _EndedMeanwhile:
            return
        except redis.RedisError:
            # There is nowhere to write it; the job is found unfinished when Redis is back.
            raise
        except Exception as error:
            _log.warning("run %s: %s", run.id, error, exc_info=not isinstance(error, RelookError))
            _note_failure(run, stage, shard, error)

    return guarded


def _at(run: Run) -> str:
    return "listing" if run.state == "queued" else run.stage


def _note_failure(run: Run, stage: str, shard: int, error: Exception) -> None:
    graph = services().graph
    if _needs_a_person(error):
        graph.fail(run, str(error))
    elif _tries_left():
        services().runs.log(run.id, f"{stage}: {error} Tried again.")
        raise error
    elif stage in ("predicting", "scoring"):
        tasks = graph.checkpoints(run).tasks(stage, shard)
        named = f"tasks {tasks[0]} to {tasks[-1]}"
        services().runs.note_errors(run.id, {named: f"{named} are given up: {error}"})
        graph.shard_given_up(run, stage, shard)
    else:
        graph.fail(run, str(error))


def _needs_a_person(error: Exception) -> bool:
    if isinstance(error, LabelStudioError):
        return isinstance(error, ProjectGoneError | TokenRefusedError)
    return isinstance(error, RelookError) and not isinstance(error, ModelAwayError)


def _tries_left() -> bool:
    job = get_current_job()
    return job is not None and bool(job.retries_left)


@_of_current_run
def plan(run: Run, _: int) -> None:
    """Find what has changed, once the project's other runs have let go of its tasks."""
    graph, shards = services().graph, services().graph.checkpoints(run)
    job = get_current_job()
    graph.wait_for_others(run, job.id if job is not None else "")
    with services().crashes.step(step_name(run, "listing")):
        # Opened first: what is wrong with settings or config is said once, not by every shard.
        work = ProjectWork.open(services(), run.project)
        work.neighborhood.check()
        for said in services().choice.unmapped(work.project.config, work.settings).values():
            services().runs.log(run.id, said)
        if run.stage == "listing":
            states = read_states(services().client, run.project)
            shards.keep_all(states.task)
            shards.keep("predicting", _buckets(states.task[work.changed(states)]))
    if services().runs.is_current(services().runs.read(run.id)):
        graph.begin(run, "predicting" if run.stage == "listing" else run.stage)


@_of_current_run
def predict(run: Run, shard: int) -> None:
    """Predict one shard and give its tasks their pre-labels."""
    graph = services().graph
    tasks = graph.checkpoints(run).tasks("predicting", shard)
    work = ProjectWork.open(services(), run.project, in_bulk=True)
    errors: dict[str, str] = {}
    for page in _pages(run, tasks):
        with services().mailbox.lock(run.project, shard):
            given_up = services().crashes.each(
                run.project, page, lambda some: errors.update(work.predict(some))
            )
        errors.update(given_up)
    errors.update(work.send(work.outgoing.enough))
    services().runs.note_errors(run.id, errors)
    graph.shard_done(run, "predicting", shard, len(tasks))


@_of_current_run
def fit(run: Run, _: int) -> None:
    """Learn from the whole project, and find the tasks of which something else is to be said."""
    graph, book = services().graph, services().runs
    with services().crashes.step(step_name(run, "fitting")):
        shards = graph.checkpoints(run)
        work, tasks = ProjectWork.open(services(), run.project), shards.all_tasks()
        book.note_errors(run.id, work.send())
        settled = work.settled(tasks)
        pages = np.split(tasks, range(_COMPARED, len(tasks), _COMPARED))
        if not settled:
            book.note_errors(run.id, work.fit(tasks))
            work.find_cut(pages)
        again: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        flagged = 0
        for page in pages:
            looks, other = work.compare(page, settled)
            again.append(page[other])
            flagged += int(looks.flagged[~other].sum())
            _let_others(run)
        book.note_flagged(run.id, flagged)
        shards.keep("scoring", _buckets(np.concatenate(again)))
    graph.go_on(run, "fitting")


@_of_current_run
def score(run: Run, shard: int) -> None:
    """Score one shard and write what changed into Label Studio."""
    graph = services().graph
    tasks = graph.checkpoints(run).tasks("scoring", shard)
    work = ProjectWork.open(services(), run.project, in_bulk=True)
    flagged, errors = 0, dict[str, str]()
    for page in _pages(run, tasks):
        more, said = _score(work, shard, page)
        flagged += more
        errors.update(said)
    services().runs.note_errors(run.id, errors)
    graph.shard_done(run, "scoring", shard, len(tasks), flagged)


@_of_current_run
def finish(run: Run, _: int) -> None:
    """Put the queue's tab and the project's model version in place."""
    with services().crashes.step(step_name(run, "finishing")):
        work = ProjectWork.open(services(), run.project)
        services().runs.note_errors(run.id, work.send())
        work.keep_tab()
        work.keep_model_version()
        work.compact()
        if not services().runs.read(run.id).errors:
            work.settle(services().graph.checkpoints(run).all_tasks())
        tend_batches(run.project)
    services().graph.go_on(run, "finishing")


@_of_current_run
def lay_out(run: Run, _: int) -> None:
    """Lay the project out on a plane. The queue stands by now: what fails here fails no run."""
    graph = services().graph
    try:
        with services().crashes.step(step_name(run, "projecting")):
            tasks = graph.checkpoints(run).all_tasks()
            ProjectWork.open(services(), run.project).lay_out(tasks)
    except redis.RedisError:
        raise
    except Exception as error:
        _log.warning("run %s: %s", run.id, error, exc_info=not isinstance(error, RelookError))
        services().runs.log(run.id, f"projecting: left as it was: {error}")
    graph.go_on(run, "projecting")


def _pages(run: Run, tasks: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield a shard's tasks while the run goes on; between pages, let events pass."""
    for page in _pager().pages(run.stage, tasks):
        if not services().runs.is_current(services().runs.read(run.id)):
            raise _EndedMeanwhile
        yield page
        _let_others(run)


def _let_others(run: Run) -> None:
    services().runs.touch(run.id)
    for project in services().mailbox.woken():
        _let_pass(project)


def _let_pass(project: int) -> None:
    try:
        look_at_pending(project)
    except redis.RedisError:
        raise
    except Exception as error:
        # The event's own job is still in the queue: it is tried again there.
        _log.warning("project %s: %s", project, error, exc_info=not isinstance(error, RelookError))


def _score(work: ProjectWork, bucket: int, tasks: NDArray[np.int64]) -> tuple[int, dict[str, str]]:
    flagged, errors = 0, dict[str, str]()

    def score_some(some: NDArray[np.int64]) -> None:
        nonlocal flagged
        outcome = work.score(some)
        flagged += outcome.flagged
        errors.update(outcome.errors)

    with services().mailbox.lock(work.project.id, bucket):
        given_up = services().crashes.each(work.project.id, tasks, score_some)
    return flagged, errors | given_up


def _buckets(tasks: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Split ascending task ids into the ranges that one lock covers."""
    numbers, first = np.unique(tasks // _BUCKET, return_index=True)
    pieces = np.split(tasks, first[1:]) if len(tasks) else []
    return dict(zip(numbers.tolist(), pieces, strict=True))


#: Job to the stage that it does.
_STAGES = {
    "plan": "listing",
    "predict": "predicting",
    "fit": "fitting",
    "score": "scoring",
    "finish": "finishing",
    "lay_out": "projecting",
}
