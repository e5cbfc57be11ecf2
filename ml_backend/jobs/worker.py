"""A worker: takes jobs one after the other, with its models kept in memory between them."""

from __future__ import annotations

import logging
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Final

import redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.executions import Execution
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry
from rq.utils import now
from rq.worker_registration import clean_worker_registry, register

from ml_backend.jobs.queues import stopping
from ml_backend.jobs.queues.clock import SteadyJob, SteadyScheduler
from ml_backend.jobs.queues.limit import JobLimit
from ml_backend.jobs.queues.mailbox import EVENTS, RUNS, open_redis
from ml_backend.jobs.queues.pulse import LAPSE_S, SWEEP_S, beating
from ml_backend.jobs.queues.sweep import sweep_for_ever
from ml_backend.jobs.runs.book import RunBook
from ml_backend.metrics import JobTimes
from ml_backend.settings import ServiceSettings

__all__ = ["LivingWorker", "work"]

_log = logging.getLogger(__name__)

_AGAIN_S: Final = 1.0
#: Jobs of events and actions before one of a run has its turn. In between, that one lets events
#: pass at each page; without it, labels saved faster than looked at would hold up runs for ever.
_IN_A_ROW: Final = 8


class LivingWorker(SimpleWorker):
    """A worker that is missed a minute after it died, and that ends when it has grown too large.

    The job runs in this very process: RQ's usual child per job would load the model each time,
    and neither PyTorch's nor the store's threads survive a fork. So RQ's parent, which gives the
    child's signs of life, is not there; a thread gives them instead, by Redis' clock.

    Args:
        settings: the service's settings.
        connection: a connection of its own: RQ changes its time-outs.
    """

    death_penalty_class = JobLimit

    def __init__(self, settings: ServiceSettings, connection: redis.Redis) -> None:
        super().__init__(
            [EVENTS, RUNS],
            connection=connection,
            job_class=SteadyJob,
            # How often an idle worker looks whether RQ's scheduler, which enqueues retries, still
            # has a process: it dies with the worker that started it.
            maintenance_interval=SWEEP_S,
            worker_ttl=2 * SWEEP_S,
        )
        shared = open_redis(settings)
        self._largest = settings.worker_max_mb << 20
        self._book = RunBook(shared)
        self._times = JobTimes(shared)
        self._in_a_row = 0

    @property
    def told_to_stop(self) -> bool:
        """Whether somebody asked it to end."""
        return self._shutdown_requested_date is not None

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Note that somebody asked it to end: its job does so at the next page."""
        stopping.tell()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]  # RQ's

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Return how long a job whose worker says nothing more is taken to be under way."""
        return LAPSE_S

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Give a sign of life, by which it is known again where Redis has forgotten it meanwhile.

        Redis forgets a worker that was frozen, and all of them where it lost its data.
        """
        if pipeline is None:
            with self.connection.pipeline() as own:
                self.heartbeat(timeout, own)
                own.execute()
            return
        super().heartbeat(timeout, pipeline)
        pipeline.hset(self.key, mapping=self.serialize())
        register(self, pipeline)

    def reorder_queues(self, reference_queue: Queue) -> None:
        """Look for events first, but not for ever.

        Args:
            reference_queue: where the last job came from.
        """
        self._in_a_row = self._in_a_row + 1 if reference_queue.name == EVENTS else 0
        runs_first = self._in_a_row >= _IN_A_ROW
        self._ordered_queues = self.queues[::-1] if runs_first else self.queues[:]

    def prepare_execution(self, job: Job) -> Execution:
        """Note that a job begins."""
        execution = super().prepare_execution(job)
        self._give_sign_of_life(job, execution)
        return execution

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """Do one job."""
        execution, began = self.execution, time.perf_counter()
        assert execution is not None  # noqa: S101 - RQ prepares each job
        with beating(lambda: self._give_sign_of_life(job, execution)):
            done = super().perform_job(job, queue)
        self._times.note(str(job.func_name), done, time.perf_counter() - began)
        if self._largest and _resident() > self._largest:
            _log.info("worker grew to %s MiB and starts afresh", _resident() >> 20)
            self._stop_requested = True
        return done

    def clean_registries(self) -> None:
        """Forget old jobs; those of dead workers are the sweep's, which goes by Redis' clock."""
        for queue in self.queues:
            for registry in (FinishedJobRegistry, FailedJobRegistry):
                registry(queue=queue).cleanup()
            clean_worker_registry(queue)
        self.last_cleaned_at = now()  # type: ignore[assignment]  # RQ types it as None

    def _start_scheduler(self, *_: object, **__: object) -> None:
        self.scheduler = SteadyScheduler(
            self.queues,
            connection=self.connection,
            logging_level="WARNING",
            serializer=self.serializer,
        )
        self.scheduler.acquire_locks(auto_start=True)

    def _give_sign_of_life(self, job: Job, execution: Execution) -> None:
        until = self._book.now() + LAPSE_S
        registry = job.started_job_registry
        with self.connection.pipeline() as pipe:
            execution.heartbeat(registry, LAPSE_S, pipe)
            pipe.zadd(registry.key, {execution.composite_key: until}, xx=True)
            self.heartbeat(pipeline=pipe)
            pipe.execute()


def work(settings: ServiceSettings) -> None:
    """Take jobs until told to stop.

    A worker that has done its number of jobs, has grown too large or has lost Redis is replaced
    by a fresh process in the same place, so it needs no supervisor.

    Raises:
        SettingsError: when no Redis is set.
    """
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    connection = open_redis(settings)
    try:
        told_to_stop = _take_jobs(settings, connection)
    except redis.RedisError as error:
        _log.error("Redis cannot be reached, the worker starts afresh: %s", error)
        told_to_stop = False
    if not told_to_stop:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        time.sleep(_AGAIN_S)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves


def _take_jobs(settings: ServiceSettings, connection: redis.Redis) -> bool:
    worker = LivingWorker(settings, connection)
    threading.Thread(target=sweep_for_ever, args=[settings], daemon=True).start()
    worker.work(
        with_scheduler=True, logging_level="WARNING", max_jobs=settings.worker_max_jobs or None
    )
    return worker.told_to_stop


def _resident() -> int:
    """Return this process' memory in bytes."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        # Elsewhere only the peak is known, in bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize()
