"""A worker: takes jobs one after the other, with its models kept in memory between them."""

from __future__ import annotations

import logging

from rq import SimpleWorker

from ml_backend.jobs.queue import EVENTS, RUNS, open_redis
from ml_backend.settings import ServiceSettings

__all__ = ["work"]

#: A worker starts afresh after so many jobs, should a model or a library leak.
_MOST_JOBS = 5000


def work(settings: ServiceSettings) -> None:
    """Take jobs until told to stop.

    The job runs in this very process: RQ's usual child per job would load the model each time,
    and neither PyTorch's nor the store's threads survive a fork.

    Raises:
        SettingsError: when no Redis is set.
    """
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    worker = SimpleWorker([EVENTS, RUNS], connection=open_redis(settings))
    worker.work(with_scheduler=True, max_jobs=_MOST_JOBS, logging_level="WARNING")
