"""How long a job may take, by how many tasks it is about, and how often it is tried.

What hangs ends all the same.
"""

from __future__ import annotations

import faulthandler
import signal
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

from rq import Retry, get_current_job
from rq.timeouts import UnixSignalDeathPenalty

__all__ = ["SHARD_S", "JobLimit", "OutOfTime", "allow", "retry", "seconds_for", "tries_left"]

#: A job is about one shard of tasks, unless it says otherwise; one that takes longer hangs.
SHARD_S: Final = 900
#: Of a step over a whole project. Each was seen to do fifteen times as many on a busy laptop.
_TASKS_PER_S: Final = 50
#: Label Studio may be down for a while: about half an hour of tries before a job is given up.
_RETRY_SECONDS: Final = [2, 10, 30, 120, 600, 1200]
#: How long a job that is out of time may take to say so. What hangs where no Python runs never
#: does, and its process' signs of life would go on for ever.
_GRACE_S: Final = 60
_STDERR: Final = 2


class OutOfTime(BaseException):
    """A job took longer than it may. What it was doing must not take that for an error of its own.

    A model that fails is asked image by image, a file that cannot be read is named and left out.
    """


class JobLimit(UnixSignalDeathPenalty):
    """RQ's limit of a job, which nothing that looks after errors swallows."""

    def handle_death_penalty(self, signum: int, frame: FrameType | None) -> NoReturn:
        """End the job."""
        raise OutOfTime("took longer than it may: it hangs, or the machine is far too busy.")

    def setup_death_penalty(self) -> None:
        """Begin to count."""
        super().setup_death_penalty()  # type: ignore[no-untyped-call]  # RQ's
        _end_process_after(self._timeout)

    def cancel_death_penalty(self) -> None:
        """End counting."""
        with suppress(OutOfTime):
            super().cancel_death_penalty()  # type: ignore[no-untyped-call]  # RQ's
        faulthandler.cancel_dump_traceback_later()


def seconds_for(tasks: int) -> int:
    """Return how many seconds a step over so many tasks may take."""
    return SHARD_S + tasks // _TASKS_PER_S


def allow(tasks: int = 0) -> None:
    """Let the job at hand take, from now on, as long as a step over so many tasks may take."""
    if get_current_job() is not None:
        # RQ's own limit is this alarm: set when the job begins, switched off when it ends.
        signal.alarm(seconds_for(tasks))
        _end_process_after(seconds_for(tasks))


def _end_process_after(seconds: int) -> None:
    """End the process where the job that is out of time by then does not end; its log says where.

    As after any death of a worker, what it was at counts as suspect and is done by another one.
    """
    faulthandler.dump_traceback_later(seconds + _GRACE_S, exit=True, file=_STDERR)


def retry() -> Retry:
    """Return how often and when a failed job is tried again."""
    return Retry(max=len(_RETRY_SECONDS), interval=_RETRY_SECONDS)


def tries_left() -> bool:
    """Whether the job at hand is tried again if it fails."""
    job = get_current_job()
    return job is not None and bool(job.retries_left)
