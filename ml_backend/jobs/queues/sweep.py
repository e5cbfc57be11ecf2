"""What lost jobs and lost events leave behind is found again: every worker looks, one at a time."""

from __future__ import annotations

import logging
import time
from typing import Final

import redis

from ml_backend.jobs.acting.queueing import enqueue_lost, give_up
from ml_backend.jobs.queues.mailbox import Mailbox, open_redis
from ml_backend.jobs.queues.pulse import SWEEP_S
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.metrics import JobTimes
from ml_backend.settings import ServiceSettings

__all__ = ["sweep", "sweep_for_ever"]

_log = logging.getLogger(__name__)

#: A worker that starts looks for lost events at once, but not each of many workers.
_AT_START_S: Final = 30


def sweep_for_ever(settings: ServiceSettings) -> None:
    """Sweep every few seconds, while this process lives."""
    mailbox = Mailbox(open_redis(settings))
    started = False
    while True:
        try:
            if not started:
                mailbox.reconcile_all(_AT_START_S)
                started = True
            sweep(mailbox, settings.reconcile_s)
        except redis.RedisError as error:
            _log.warning("Redis cannot be reached: %s", error)
        except Exception:
            _log.exception("the sweep failed; it is tried again")
        time.sleep(SWEEP_S)


def sweep(mailbox: Mailbox, reconcile_s: int) -> None:
    """Take up the jobs of dead workers, wake projects, heal runs and actions, reconcile.

    Args:
        mailbox: the service's queues.
        reconcile_s: seconds between two searches for lost events.

    Raises:
        redis.RedisError: when Redis cannot be reached.
    """
    # One worker's is enough, and two at once would enqueue a dead worker's job twice.
    if not mailbox.redis.set("relook:sweeping", 1, nx=True, px=int(SWEEP_S * 900)):
        return
    book, times = RunBook(mailbox.redis), JobTimes(mailbox.redis)
    for queue in (mailbox.events, mailbox.runs):
        registry, now = queue.started_job_registry, int(book.now())
        for job_id in registry.get_expired_job_ids(now):
            job = queue.fetch_job(job_id)
            times.note_abandoned(str(job.func_name) if job is not None else "unknown")
            _log.warning("job %s is taken up again: its worker gave no sign of life", job_id)
            if job is not None and not job.retries_left:
                give_up(mailbox.redis, job)
        registry.cleanup(now)
    mailbox.pending.wake_all()
    RunGraph(mailbox, book).heal()
    enqueue_lost(mailbox)
    mailbox.reconcile_all(reconcile_s)
