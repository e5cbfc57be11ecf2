"""How actions reach the workers, and how those that got lost on the way are found again."""

from __future__ import annotations

import logging
from typing import Final, Literal

import redis
from rq.job import Job

from ml_backend.jobs.acting.book import ActionBook
from ml_backend.jobs.queues.limit import retry
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.queues.pulse import LAPSE_S

__all__ = ["enqueue", "enqueue_lost", "give_up"]

_log = logging.getLogger(__name__)

_JOBS: Final = "ml_backend.jobs.actions."
_TIMEOUT_S: Final = 6 * 3600


def enqueue(mailbox: Mailbox, job: Literal["act", "undo"], action: str) -> None:
    """Give an action to the workers: somebody waits, so before a run's shards.

    Args:
        mailbox: the service's Redis.
        job: name of a job of ``jobs/actions.py``; the web server does not load what it works with.
        action: the action.
    """
    mailbox.events.enqueue(
        f"{_JOBS}{job}",
        action,
        job_id=_job_id(job, action),
        retry=retry(),
        job_timeout=_TIMEOUT_S,
    )


def enqueue_lost(mailbox: Mailbox, after_s: float = LAPSE_S) -> None:
    """Enqueue again what is under way and has no job: it vanished on its way, or was never there.

    A worker can be killed, and a web server too, between one exchange with Redis and the next.

    Args:
        mailbox: the service's Redis.
        after_s: seconds since somebody asked for it, or since it was last enqueued again.
    """
    book, events = ActionBook(mailbox.redis), mailbox.events
    if waiting := book.waiting(after_s):
        later, started = events.scheduled_job_registry, events.started_job_registry
        alive = {*events.job_ids, *later.get_job_ids(), *started.get_job_ids(cleanup=False)}
        for action in waiting:
            job: Literal["act", "undo"] = "undo" if action.state == "undoing" else "act"
            if _job_id(job, action.id) not in alive:
                _log.warning("action %s was lost; it is enqueued again", action.id)
                book.note_waiting(action.id)
                enqueue(mailbox, job, action.id)


def give_up(connection: redis.Redis, job: Job) -> None:
    """Note that an action has failed, if it is an action's job of which no worker saw the end."""
    if str(job.func_name).startswith(_JOBS):
        why = "the workers died of it; their logs, or the machine's, say why"
        ActionBook(connection).fail(str(job.args[0]), why)


def _job_id(job: str, action: str) -> str:
    return f"{job}-{action}"
