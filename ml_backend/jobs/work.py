"""The jobs of a run over a project. Each is idempotent: run again, it finds nothing left to do.

plan -> predict (shards) -> fit -> score (shards) -> finish -> lay_out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import cache, partial, wraps
from typing import Final

import numpy as np
import redis
from numpy.typing import NDArray
from redis.exceptions import LockError
from rq import get_current_job

from ml_backend.errors import RelookError, is_lasting
from ml_backend.jobs.events import let_others, tend_batches
from ml_backend.jobs.project.work import ProjectWork
from ml_backend.jobs.queues.crashes import opening
from ml_backend.jobs.queues.limit import OutOfTime, allow, tries_left
from ml_backend.jobs.queues.ranges import SHARD, shards_of
from ml_backend.jobs.runs import unlearnt
from ml_backend.jobs.runs.checkpoints import SHARDED
from ml_backend.jobs.runs.graph import step_name
from ml_backend.jobs.runs.jobs import JOBS
from ml_backend.jobs.runs.pages import Pager
from ml_backend.jobs.runs.run import Run
from ml_backend.jobs.shards import compare_tasks, predict_tasks, score_tasks, services
from ml_backend.labelstudio.tasks.changes import read_states
from ml_backend.labelstudio.tasks.selection import Selection, choose

__all__ = ["finish", "fit", "lay_out", "plan", "predict", "score"]

_log = logging.getLogger(__name__)

#: Shards that are compared at once, from columns, each under its lock.
_COMPARED: Final = 64
#: Job to the stage that it does.
_STAGES: Final = {job: stage for stage, job in JOBS.items()}


class _ChangedMeanwhile(Exception):  # noqa: N818 - not an error
    """The config, the settings or a model are not those that the run began with."""


class _EndedMeanwhile(Exception):  # noqa: N818 - not an error
    """The run was cancelled, or a newer one took its place."""


@cache
def _pager() -> Pager:
    return Pager(SHARD)


def _of_current_run(job: Callable[[Run, int], None]) -> Callable[..., None]:
    """Skip a job whose run has ended or gone on, and write down why one failed."""

    @wraps(job)
    def guarded(run_id: str, shard: int = 0) -> None:
        run, stage = services().runs.read(run_id), _STAGES[job.__name__]
        if not services().runs.is_current(run) or stage != run.at:
            return
        if services().graph.checkpoints(run).is_done(stage, shard):
            # Its worker died between the check mark and what follows from it.
            services().graph.go_on_if_complete(run)
            return
        try:
            job(run, shard)
        except _EndedMeanwhile:
            return
        except _ChangedMeanwhile:
            services().graph.begin_anew(run)
        except LockError as error:
            _note_failure(run, stage, shard, error)
        except redis.RedisError:
            # There is nowhere to write it; the job is found unfinished when Redis is back.
            raise
        except (Exception, OutOfTime) as error:
            _log.warning("run %s: %s", run.id, error, exc_info=not isinstance(error, RelookError))
            _note_failure(run, stage, shard, error)

    return guarded


def _note_failure(run: Run, stage: str, shard: int, error: BaseException) -> None:
    graph = services().graph
    if not services().runs.is_at(run):
        # Of an earlier attempt, or of a run that has ended: a later one does the shard.
        return
    if is_lasting(error):
        graph.fail(run, str(error))
    elif tries_left():
        services().runs.log(run.id, f"{stage}: {error} Tried again.")
        raise error
    elif stage in SHARDED:
        tasks = graph.checkpoints(run).tasks(stage, shard)
        named = f"tasks {tasks[0]} to {tasks[-1]}"
        services().runs.note_failure(run.id, named, f"{named} are given up: {error}")
        graph.shard_given_up(run, shard)
    else:
        graph.fail(run, str(error))


@_of_current_run
def plan(run: Run, _: int) -> None:
    """Find what has changed, once the project's other runs have let go of its tasks."""
    graph, book = services().graph, services().runs
    job = get_current_job()
    job_id = job.id if job is not None else ""
    if not graph.wait_for_others(run, job_id, partial(_let_others, run)):
        raise _EndedMeanwhile
    with services().crashes.step(step_name(run, "listing")):
        # Opened first: what is wrong with settings or config is said once, not by every shard.
        work = ProjectWork.open(services(), run.project)
        opened = work.opened
        # Events had given it up, should it have ended their workers: it is mended.
        services().crashes.forgive(opening(run.project))
        allow(opened.project.size)
        opened.vectors.check()
        for said in services().choice.unmapped(opened.project.config, opened.settings).values():
            book.log(run.id, said)
        for tag in opened.project.config.left:
            book.log(run.id, tag[1])
        if run.stage != "listing" and book.basis(run.id) == opened.basis:
            begin = partial(graph.resume, run)
        else:
            states = read_states(services().client, run.project, partial(_let_others, run))
            changed, chosen = states.task[work.comparison.changed(states)], None
            if over := book.over(run.id):
                chosen = _choose(run, over, states.task)
                changed = np.intersect1d(changed, chosen)
            begin = partial(graph.begin, run, opened.basis, states.task, shards_of(changed), chosen)
    begin()


@_of_current_run
def predict(run: Run, shard: int) -> None:
    """Predict one shard and give its tasks their pre-labels."""
    graph = services().graph
    tasks = graph.checkpoints(run).tasks("predicting", shard)
    work = _open(run, in_bulk=True)
    errors: dict[str, str] = {}
    for page in _pages(run, tasks):
        errors.update(predict_tasks(work, page))
    errors.update(work.prelabelling.send_lot())
    services().runs.note_errors(run.id, errors)
    graph.shard_done(run, shard, len(tasks))


@_of_current_run
def fit(run: Run, _: int) -> None:
    """Learn from the whole project, and find the tasks of which something else is to be said."""
    graph, book = services().graph, services().runs
    with services().crashes.step(step_name(run, "fitting")):
        unlearnt.learning_begins(services().mailbox.redis, run.project)
        work, tasks = _open(run), _all_tasks(run)
        chosen = graph.checkpoints(run).chosen()
        book.note_errors(run.id, work.prelabelling.send())
        settled = work.comparison.settled(tasks)
        shards = list(shards_of(tasks).values())
        starts = range(0, len(shards), _COMPARED)
        pages = [np.concatenate(shards[at : at + _COMPARED]) for at in starts] or [tasks]
        if not settled:
            work.comparison.unsettle()
            book.note_errors(run.id, work.fit(tasks))
            work.comparison.find_cut(pages)
        again: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        flagged = 0
        for page in pages:
            looks, other = compare_tasks(work, page, settled)
            if run.over:
                other &= np.isin(page, chosen)
            again.append(page[other])
            flagged += int(looks.flagged[~other].sum())
            _let_others(run)
    if not graph.begin_scoring(run, flagged, shards_of(np.concatenate(again))):
        # Who went on did so by what was learnt before: that this is other must not be forgotten.
        unlearnt.note(services().mailbox.redis, run.project)
        work.comparison.unsettle()


@_of_current_run
def score(run: Run, shard: int) -> None:
    """Score one shard and write what changed into Label Studio."""
    graph = services().graph
    tasks = graph.checkpoints(run).tasks("scoring", shard)
    work = _open(run, in_bulk=True)
    flagged, errors = 0, dict[str, str]()
    for page in _pages(run, tasks):
        more, said = score_tasks(work, page)
        flagged += more
        errors.update(said)
    errors.update(work.prelabelling.send_lot())
    services().runs.note_errors(run.id, errors)
    graph.shard_done(run, shard, len(tasks), flagged)


@_of_current_run
def finish(run: Run, _: int) -> None:
    """Put the review tabs and the project's model version in place."""
    with services().crashes.step(step_name(run, "finishing")):
        work, tasks = _open(run), _all_tasks(run)
        services().runs.note_errors(run.id, work.prelabelling.send())
        work.keep_tabs(again=True)
        work.keep_model_version()
        work.tidy(tasks)
        # Of what was left out, something may be left to say.
        book = services().runs
        if not run.over and book.is_at(run) and not book.read(run.id).errors:
            work.comparison.settle(tasks)
            # Asked last: a look may come in while they are compared.
            if unlearnt.any_looked(services().mailbox.redis, run.project):
                work.comparison.unsettle()
        tend_batches(run.project, scored=True)
    services().graph.go_on(run)


@_of_current_run
def lay_out(run: Run, _: int) -> None:
    """Lay the project out on a plane. The queue stands by now: what fails here fails no run."""
    graph = services().graph
    try:
        with services().crashes.step(step_name(run, "projecting")):
            ProjectWork.open(services(), run.project).lay_out(_all_tasks(run))
    except (redis.RedisError, _EndedMeanwhile):
        raise
    except (Exception, OutOfTime) as error:
        _log.warning("run %s: %s", run.id, error, exc_info=not isinstance(error, RelookError))
        services().runs.log(run.id, f"projecting: left as it was: {error}")
    graph.go_on(run)


def _open(run: Run, *, in_bulk: bool = False) -> ProjectWork:
    """Open the run's project; all of a run is done on the same ground."""
    work = ProjectWork.open(services(), run.project, in_bulk=in_bulk)
    if work.opened.basis != services().runs.basis(run.id):
        raise _ChangedMeanwhile
    return work


def _all_tasks(run: Run) -> NDArray[np.int64]:
    """Return the ids of all tasks, ascending; a job about them may take as long as they need."""
    tasks = services().graph.checkpoints(run).all_tasks()
    # Those of a run that has ended are forgotten; without them the project would seem empty.
    if not services().runs.goes_on(run):
        raise _EndedMeanwhile
    allow(len(tasks))
    return tasks


def _choose(run: Run, over: Selection, tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find what a run is over; once, because its own work may change what a filter finds."""
    found = choose(services().client, run.project, over, tasks, partial(_let_others, run))
    services().runs.log(run.id, f"over {run.over}: {len(found)} of {len(tasks)} tasks")
    return found


def _pages(run: Run, tasks: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield a shard's tasks while the run goes on; between pages, let events pass."""
    for page in _pager().pages(run.stage, tasks):
        yield page
        _let_others(run)


def _let_others(run: Run) -> None:
    """Let events pass, and end the job where its run has ended."""
    services().runs.touch(run.id)
    let_others()
    if not services().runs.goes_on(run):
        raise _EndedMeanwhile
