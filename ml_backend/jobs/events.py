"""The jobs of single changes: those that events name, and those whose events were lost.

Each is idempotent: run again, it finds nothing left to do.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import suppress

import numpy as np
import redis
from redis.exceptions import LockError

from ml_backend.errors import (
    BatchError,
    ConfigError,
    NotConnectedError,
    ProjectGoneError,
    RelookError,
    RunError,
    SettingsError,
)
from ml_backend.jobs.batches.take_back import is_relabel_project, relay, take_back_beside
from ml_backend.jobs.batches.work import Batches
from ml_backend.jobs.changes.connections import Connections
from ml_backend.jobs.changes.reconcile import find_lost_events, find_unnamed
from ml_backend.jobs.project.tabs import keep_new_tabs
from ml_backend.jobs.project.work import ProjectWork
from ml_backend.jobs.queues.crashes import opening
from ml_backend.jobs.queues.limit import OutOfTime
from ml_backend.jobs.queues.locks import LOCK_WAIT_S
from ml_backend.jobs.queues.pending import UNNAMED, Pending
from ml_backend.jobs.queues.ranges import SHARD, shard_around
from ml_backend.jobs.queues.stopping import end_if_told
from ml_backend.jobs.runs import unlearnt
from ml_backend.jobs.runs.schedule import begin_if_changed, begin_if_due
from ml_backend.jobs.shards import score_tasks, services
from ml_backend.labelstudio.tasks.reader import read_config
from ml_backend.labelstudio.webhooks import put_key

__all__ = ["let_others", "look_at_pending", "put_webhook_key", "reconcile", "tend_batches"]

_log = logging.getLogger(__name__)

#: Whether events are looked at in the midst of another job.
_passing = False
#: Projects that this process has opened and outlived.
_outlived: set[int] = set()


def look_at_pending(project: int) -> None:
    """Predict and score tasks that events have named, as they stand by now: a shard's number.

    Those of the newest events go first, so a reviewer's fix does not wait for an import. Where
    that fails, shards are looked at one by one for a while; one that fails goes last.
    """
    mailbox = services().mailbox
    _name_the_unnamed(project)
    if is_relabel_project(mailbox, project) and not mailbox.setup_of(project)[0]:
        relay(services(), project, let_others)
        return
    newest = mailbox.pending.newest(project, SHARD)
    deleted = mailbox.pending.deleted(project)
    if not newest and not deleted:
        return
    try:
        work = _open(project)
    except (ProjectGoneError, NotConnectedError) as error:
        _log.warning("the events of project %s are dropped: %s", project, error)
        mailbox.pending.forget_all(project)
        return
    if deleted:
        mailbox.pending.add(project, work.tasks_of_annotations(deleted))
        mailbox.pending.forget_deleted(project, deleted)
        newest = mailbox.pending.newest(project, SHARD)
    if newest:
        _look_at_some(work, newest)


def _name_the_unnamed(project: int) -> None:
    """Find the tasks of events that name none."""
    mailbox = services().mailbox
    if (unnamed := mailbox.pending.unnamed(project)) is not None:
        try:
            find_unnamed(services().client, mailbox, project)
        except ProjectGoneError:
            _log.info("project %s is gone", project)
        mailbox.pending.forget(project, {UNNAMED: unnamed})


def _open(project: int) -> ProjectWork:
    """Open a project; one whose models end the process is given up, as by a run."""
    if project in _outlived:
        return ProjectWork.open(services(), project)
    # One process at a time: else those that open it well would count as dead meanwhile. Nobody
    # waits for that in the midst of another job.
    alone = services().mailbox.lock(project, "opening", 0 if _passing else LOCK_WAIT_S)
    with alone, services().crashes.step(opening(project)):
        work = ProjectWork.open(services(), project)
    _outlived.add(project)
    return work


def _look_at_some(work: ProjectWork, newest: dict[int, float]) -> None:
    mailbox, project = services().mailbox, work.opened.project.id
    chosen = _chosen(mailbox.pending, project, newest)
    tasks, more = sorted(chosen), mailbox.pending.count(project) > len(chosen)
    if is_relabel_project(mailbox, project):
        take_back_beside(services(), project, tasks, let_others)
    try:
        with unlearnt.looking(mailbox.redis, project):
            flagged, errors = score_tasks(work, np.array(tasks, dtype=np.int64))
    except (Exception, OutOfTime):
        if len({task // SHARD for task in tasks}) > 1:
            mailbox.pending.look_singly(project)
        else:
            mailbox.pending.put_last(project, tasks)
        raise
    for said in errors.values():
        _log.warning("project %s: %s", project, said)
    if flagged:
        work.keep_tabs()
    mailbox.pending.forget(project, chosen)
    if more:
        mailbox.pending.wake(project)


def send_predictions(project: int) -> None:
    """Send the predictions that events have left to be sent, unless more of them are to come.

    A run under way sends at its end; should it end without, they are still looked after here.
    """
    mailbox = services().mailbox
    mailbox.sending(project)
    try:
        work = _open(project)
    except (ConfigError, SettingsError, ProjectGoneError) as error:
        _log.warning("project %s: its predictions wait for the next run: %s", project, error)
        return
    more = mailbox.pending.busy(project) or services().runs.under_way(project)
    for said in (work.prelabelling.send_lot() if more else work.prelabelling.send()).values():
        _log.warning("project %s: %s", project, said)
    if more and work.prelabelling.any_waiting():
        mailbox.send_soon(project)


def _chosen(pending: Pending, project: int, newest: dict[int, float]) -> dict[int, float]:
    """Choose what to look at: as many tasks as one page holds, or those of one shard."""
    first = next(iter(newest))
    # One that was put last has failed: it is tried with its own shard alone.
    if pending.looks_singly(project) or newest[first] < 0:
        return {first: newest[first]} | pending.among(project, shard_around(first))
    return {task: at for task, at in newest.items() if at > 0}


def reconcile(project: int) -> None:
    """Find what changed without an event that reached us, and see to it that it is looked at."""
    client, mailbox = services().client, services().mailbox
    mailbox.reconciling(project)
    try:
        if not Connections(mailbox, project).look(client):
            _let_go(project)
            return
        _find_lost_events(project)
        begin_if_changed(mailbox, project, read_config(client, project))
    except ProjectGoneError:
        if not _forget_gone(project):
            raise
        return
    put_webhook_key(project)
    try:
        keep_new_tabs(services(), project)
    except (ConfigError, SettingsError, ProjectGoneError) as error:
        _log.warning("project %s: its tabs are not looked after: %s", project, error)
    tend_batches(project)
    begin_if_due(mailbox, project)


def _find_lost_events(project: int) -> None:
    mailbox = services().mailbox
    # A run reads the copies of a relabel project too, and brings no answer back.
    looks = None if is_relabel_project(mailbox, project) else services().looks
    running = services().runs.under_way(project)
    find_lost_events(services().client, mailbox, project, looks, running=running)


def _let_go(project: int) -> None:
    """Write nothing more into a project that was taken from us; what is known of it stays."""
    _log.warning("project %s has no model connection to Relook any more: it is left alone", project)
    services().mailbox.forget_setup(project)
    for run in services().runs.of_project(project):
        if services().runs.is_current(run):
            services().runs.log(run.id, "the project's model connection was removed")
            with suppress(RunError):
                services().graph.cancel(run.id)


def put_webhook_key(project: int) -> None:
    """See to it that a project's events carry the key that lets them in."""
    settings = services().settings
    if settings.basic_auth_pass is None:
        return
    try:
        secret = settings.basic_auth_pass.get_secret_value()
        if put_key(services().client, project, settings.basic_auth_user, secret):
            # What was refused meanwhile is found again.
            _find_lost_events(project)
    except ProjectGoneError:
        if not _forget_gone(project):
            raise


def _forget_gone(project: int) -> bool:
    """Forget all of a project if it is gone itself, not only something in it."""
    try:
        read_config(services().client, project)
    except ProjectGoneError:
        # Should only our access have gone: Label Studio names the project again when it is
        # opened, and what was kept of it is computed again.
        services().mailbox.forget_setup(project)
        services().store.tables.drop(project)
        return True
    return False


def tend_batches(project: int, *, scored: bool = False) -> None:
    """Find lost answers of a project's relabel batches, and send the next batch if it is time.

    Args:
        project: the source project.
        scored: whether a run has just scored all of it. While one is still at it, the top of the
            queue is not yet the project's: nothing is sent.
    """
    try:
        batches = Batches(services(), project, let_others)
        batches.tend()
        if scored or not services().runs.under_way(project):
            batches.send_when_full(secrets.token_hex(3))
    except (BatchError, ConfigError, SettingsError, ProjectGoneError) as error:
        _log.warning("project %s: its relabel batches are not looked after: %s", project, error)


def let_others(but: int = 0) -> None:
    """Look at what events have named, in all projects, in the midst of another job.

    Not while holding a lock of tasks: it takes the same ones. In the midst of such a look it does
    nothing: where events keep coming, one look would begin within the other without end.

    Args:
        but: the project of that job, where it is such a look itself.

    Raises:
        ToldToStop: when that job is to end here.
    """
    global _passing  # noqa: PLW0603 - a worker does its jobs on one thread
    if _passing:
        return
    end_if_told()
    _passing = True
    try:
        for project in services().mailbox.pending.woken():
            end_if_told()
            if project != but:
                with services().crashes.aside():
                    _let_pass(project)
    finally:
        _passing = False


def _let_pass(project: int) -> None:
    try:
        look_at_pending(project)
    except LockError:
        return  # the event's own job waits for it
    except redis.RedisError:
        raise
    except Exception as error:
        # The event's own job is still in the queue: it is tried again there.
        _log.warning("project %s: %s", project, error, exc_info=not isinstance(error, RelookError))
