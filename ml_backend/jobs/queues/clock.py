"""Jobs for later wait by Redis' clock: the machines' own clocks may be hours apart.

RQ writes down when a retry is due by the clock of the worker that failed, and looks which are due
by that of another. An hour's difference would be an hour's delay, or none where one was meant.
"""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from typing import Any, Final, cast

import redis
from rq.job import Job, Retry
from rq.registry import ScheduledJobRegistry
from rq.scheduler import RQScheduler

from ml_backend.jobs.queues.pulse import LAPSE_S
from ml_backend.jobs.queues.stopping import ToldToStop
from ml_backend.processes import die_with_parent

__all__ = ["SteadyJob", "SteadyScheduler", "after", "now"]

_ENDING: Final = {signal.SIGTERM, signal.SIGINT}


def now(connection: redis.Redis) -> float:
    """Return the time by Redis' clock, seconds since 1970."""
    seconds, micros = connection.time()
    return float(seconds) + float(micros) / 1e6


def after(connection: redis.Redis, seconds: float) -> datetime:
    """Return the moment so many seconds from now by Redis' clock.

    A job for later is enqueued at it: RQ's ``enqueue_in`` counts from this machine's own now.
    """
    return datetime.fromtimestamp(now(connection) + seconds, UTC)


class SteadyJob(Job):
    """A job whose retries are due by Redis' clock, and that a stop of its worker does not end."""

    def perform(self) -> Any:
        """Do the job; enqueue it again where its worker was told to stop in the midst of it."""
        try:
            return super().perform()
        except ToldToStop:
            # However often that happens: it is no failure.
            return Retry(max=(self.number_of_retries or 0) + 1)

    def get_retry_interval(self) -> int:
        """Return seconds from now by this machine's clock, which may be wrong."""
        interval = super().get_retry_interval()
        # RQ adds its own idea of now.
        return interval and cast(int, interval + now(self.connection) - time.time())


class SteadyScheduler(RQScheduler):
    """Enqueues what is due by Redis' clock; missed as soon as a worker is once it has died."""

    def acquire_locks(self, auto_start: bool = False) -> Any:
        """Take the queues that nobody enqueues for, and hold them until the next sign of life."""
        taken = super().acquire_locks(auto_start)  # type: ignore[no-untyped-call]  # RQ's
        self._hold()
        return taken

    def start(self) -> Any:
        """Begin, in a process of its own.

        Told to end before it listens, it would hear it as the worker, and its worker would wait
        for its end for ever. So it hears of it once it listens.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            return super().start()  # type: ignore[no-untyped-call]  # RQ's
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def heartbeat(self) -> None:
        """Give a sign of life."""
        super().heartbeat()  # type: ignore[no-untyped-call]  # RQ's
        self._hold()

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]  # RQ's
        # A worker that is killed tells nobody.
        die_with_parent(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    def _hold(self) -> None:
        # RQ's own minute is a constant.
        for name in self._acquired_locks:
            self.connection.expire(self.get_locking_key(name), LAPSE_S)

    def prepare_registries(self, queue_names: Any = None) -> None:
        """Open the registries of the queues that are ours."""
        self._scheduled_job_registries = [
            _SteadyRegistry(  # type: ignore[no-untyped-call]  # RQ's
                name, connection=self.connection, serializer=self.serializer
            )
            for name in queue_names or self._acquired_locks
        ]


class _SteadyRegistry(ScheduledJobRegistry):
    def get_jobs_to_schedule(
        self, timestamp: int | None = None, chunk_size: int = 1000
    ) -> list[str]:
        return super().get_jobs_to_schedule(int(now(self.connection)), chunk_size)
