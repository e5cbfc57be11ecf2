"""The workers of this very machine, or container, by the signs of life that they give in Redis."""

from __future__ import annotations

import os
import socket
from typing import Final

import redis
from rq import Worker
from rq.utils import now

from ml_backend.checks.finding import Finding
from ml_backend.errors import RelookError
from ml_backend.jobs.queues.mailbox import open_redis
from ml_backend.jobs.queues.pulse import LAPSE_S
from ml_backend.settings import ServiceSettings

__all__ = ["check_own_workers"]

_WHAT: Final = "worker"


def check_own_workers(settings: ServiceSettings) -> Finding:
    """See that workers of this machine run, and that none of them hangs.

    One that hangs or was stopped gives no signs of life. Redis forgets it after another half a
    minute, so of several on one machine it is known by this for that long only.

    Args:
        settings: the service's settings.
    """
    try:
        silent = _silent_for(open_redis(settings, patient=False))
    except (RelookError, redis.RedisError) as error:
        return Finding(_WHAT, False, f"Redis does not answer: {error}")
    if not silent:
        return Finding(_WHAT, False, f"none runs on {socket.gethostname()}: start `relook worker`")
    hangs = {pid: seconds for pid, seconds in silent.items() if seconds > LAPSE_S}
    if hangs:
        said = ", ".join(f"process {pid} for {seconds:.0f} s" for pid, seconds in hangs.items())
        return Finding(_WHAT, False, f"no sign of life of {said}: end it, and start it again")
    return Finding(_WHAT, True, f"{len(silent)} at work on {socket.gethostname()}")


def _silent_for(connection: redis.Redis) -> dict[int, float]:
    """Return for how many seconds the worker in each process of this machine has said nothing.

    Its last word is by this machine's own clock. A process that starts afresh in its place is
    known as a worker more than once; the newest counts.
    """
    here, moment = socket.gethostname(), now()
    silent: dict[int, float] = {}
    for one in Worker.all(connection=connection):
        pid, last = one.pid, one.last_heartbeat
        if one.hostname == here and pid and last and _runs(pid):
            seconds = (moment - last).total_seconds()
            silent[pid] = min(seconds, silent.get(pid, seconds))
    return silent


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return True
