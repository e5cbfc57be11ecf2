"""Locks in Redis that are held as long as their holder lives, and no longer."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

import redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from ml_backend.jobs.pulse import LAPSE_S, beating

__all__ = ["LivingLock"]

#: The longest wait for a lock; what waits longer fails and is tried again.
_WAIT_S: Final = 600


class LivingLock(Lock):
    """A lock that its holder renews while it works: a killed worker's lock is free soon.

    Args:
        connection: the service's Redis.
        name: what is locked.
        wait_s: how long to wait for it.
    """

    def __init__(self, connection: redis.Redis, name: str, wait_s: float = _WAIT_S) -> None:
        # The thread that renews it must know its token.
        super().__init__(
            connection, name, timeout=LAPSE_S, blocking_timeout=wait_s, thread_local=False
        )
        self._renewed = ExitStack()

    def __enter__(self) -> Self:
        super().__enter__()
        self._renewed.enter_context(beating(self._renew))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._renewed.close()
        super().__exit__(kind, error, traceback)

    def _renew(self) -> None:
        try:
            self.reacquire()
        except LockNotOwnedError:
            # It lapsed while Redis was away. If nobody has it, it is ours again.
            held = self.local.token
            if held is not None and not self.redis.set(self.name, held, nx=True, px=LAPSE_S * 1000):
                raise
