"""A worker: takes jobs one after the other, with its models kept in memory between them."""

from __future__ import annotations

import logging
import threading
import time

import redis
from rq import SimpleWorker

from ml_backend.jobs.queue import EVENTS, RUNS, Mailbox, open_redis
from ml_backend.settings import ServiceSettings

__all__ = ["work"]

_log = logging.getLogger(__name__)

#: How often what a lost or given-up job left behind is looked for.
_SWEEP_S = 60


def work(settings: ServiceSettings) -> None:
    """Take jobs until told to stop.

    The job runs in this very process: RQ's usual child per job would load the model each time,
    and neither PyTorch's nor the store's threads survive a fork.

    Raises:
        SettingsError: when no Redis is set.
    """
    logging.getLogger("rq.worker").setLevel(logging.WARNING)
    threading.Thread(target=_sweep, args=[open_redis(settings)], daemon=True).start()
    worker = SimpleWorker([EVENTS, RUNS], connection=open_redis(settings))
    worker.work(with_scheduler=True, logging_level="WARNING")


def _sweep(connection: redis.Redis) -> None:
    mailbox = Mailbox(connection)
    while True:
        try:
            mailbox.wake_all()
        except redis.RedisError as error:
            _log.warning("Redis cannot be reached: %s", error)
        time.sleep(_SWEEP_S)
