"""How long a job may take, by how many tasks it is about, and how often it is tried.

What hangs ends all the same.
"""

from __future__ import annotations

import signal
from typing import Final

from rq import Retry, get_current_job

__all__ = ["SHARD_S", "allow", "retry", "seconds_for", "tries_left"]

#: A job is about one shard of tasks, unless it says otherwise; one that takes longer hangs.
SHARD_S: Final = 900
#: Of a step over a whole project. Each was seen to do fifteen times as many on a busy laptop.
_TASKS_PER_S: Final = 50
#: Label Studio may be down for a while: about half an hour of tries before a job is given up.
_RETRY_SECONDS: Final = [2, 10, 30, 120, 600, 1200]


def seconds_for(tasks: int) -> int:
    """Return how many seconds a step over so many tasks may take."""
    return SHARD_S + tasks // _TASKS_PER_S


def allow(tasks: int = 0) -> None:
    """Let the job at hand take, from now on, as long as a step over so many tasks may take."""
    if get_current_job() is not None:
        # RQ's own limit is this alarm: set when the job begins, switched off when it ends.
        signal.alarm(seconds_for(tasks))


def retry() -> Retry:
    """Return how often and when a failed job is tried again."""
    return Retry(max=len(_RETRY_SECONDS), interval=_RETRY_SECONDS)


def tries_left() -> bool:
    """Whether the job at hand is tried again if it fails."""
    job = get_current_job()
    return job is not None and bool(job.retries_left)
