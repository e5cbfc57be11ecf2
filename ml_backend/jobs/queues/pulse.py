"""Signs of life: what a process holds in Redis lapses soon after the process is gone."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import redis

__all__ = ["BEAT_S", "LAPSE_S", "SWEEP_S", "beating"]

_log = logging.getLogger(__name__)

#: How often a sign of life is given, and after how long without one others take over. The second
#: is how long a task waits when its worker is killed; several beats may get lost in between.
BEAT_S: Final = 10.0
LAPSE_S: Final = 60
#: How often what a lost job or a dead worker left behind is looked for.
SWEEP_S: Final = 10


@contextmanager
def beating(beat: Callable[[], None]) -> Iterator[None]:
    """Call ``beat`` every ``BEAT_S`` seconds, from a thread of its own, while the body runs."""
    ended = threading.Event()

    def keep_on() -> None:
        while not ended.wait(BEAT_S):
            try:
                beat()
            except redis.RedisError as error:
                _log.warning("no sign of life, Redis cannot be reached: %s", error)

    thread = threading.Thread(target=keep_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
