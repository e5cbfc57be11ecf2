"""The jobs of runs, as they stand in the queue."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import redis
from rq import Queue
from rq.job import Job

from ml_backend.jobs.queues.limit import retry
from ml_backend.jobs.runs.run import Run

__all__ = ["JOBS", "RunJobs", "job_id"]

#: Stage to the job of ``jobs.work`` that does it.
JOBS: Final = {
    "listing": "plan",
    "predicting": "predict",
    "fitting": "fit",
    "scoring": "score",
    "finishing": "finish",
    "projecting": "lay_out",
}

_AT_ONCE: Final = 500


class RunJobs:
    """What of runs waits and what is at work.

    Args:
        queue: the one of runs.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._redis: redis.Redis = queue.connection

    def enqueue(self, run: Run, stage: str, shards: Sequence[int]) -> None:
        """Enqueue a stage's jobs; that of one which has no shards is number 0."""
        for start in range(0, len(shards), _AT_ONCE):
            jobs = [
                Queue.prepare_data(
                    f"ml_backend.jobs.work.{JOBS[stage]}",
                    args=(run.id, shard),
                    job_id=job_id(run, stage, shard),
                    retry=retry(),
                )
                for shard in shards[start : start + _AT_ONCE]
            ]
            self._queue.enqueue_many(jobs)

    def left(self) -> set[str]:
        """Return the ids of all jobs, waiting or at work."""
        registries = self._queue.started_job_registry, self._queue.scheduled_job_registry
        later = (job for one in registries for job in one.get_job_ids(cleanup=False))
        return {*self._queue.job_ids, *later}

    def at_work(self, runs: Collection[str], *, but: str) -> bool:
        """Whether any job of these runs is at work, but for one."""
        # A killed worker's job leaves the registry when its signs of life have lapsed.
        working = self._queue.started_job_registry.get_job_ids(cleanup=False)
        return any(_run_of(job) in runs for job in working if job != but)

    def remove(self, runs: Collection[str]) -> None:
        """Take away all jobs of these runs that wait."""
        later = self._queue.scheduled_job_registry
        for waiting in (self._queue.job_ids, later.get_job_ids()):
            with self._redis.pipeline() as pipe:
                for job in waiting:
                    if _run_of(job) in runs:
                        self._queue.remove(job, pipeline=pipe)
                        later.remove(job, pipeline=pipe)
                        pipe.delete(Job.key_for(job))
                pipe.execute()


def job_id(run: Run, stage: str, shard: int) -> str:
    """Name a job."""
    # An attempt's jobs have ids of their own: one of an earlier attempt may still be at work.
    return f"{run.id}-{run.attempt}-{stage}-{shard}"


def _run_of(job: str) -> str:
    return job.split("-", 1)[0]
