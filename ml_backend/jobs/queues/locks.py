"""Locks in Redis that are held as long as their holder lives, and no longer."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

import redis
from redis.exceptions import LockNotOwnedError
from redis.lock import Lock

from ml_backend.jobs.queues.pulse import LAPSE_S, beating

__all__ = ["LOCK_WAIT_S", "LivingLock"]

#: The longest wait for a lock; what waits longer fails and is tried again.
LOCK_WAIT_S: Final = 600
#: How long it is known who held a lock last; no process is away longer and then goes on.
_REMEMBERED_S: Final = 24 * 3600


class LivingLock(Lock):
    """A lock that its holder renews while it works: a killed worker's lock is free soon.

    Args:
        connection: the service's Redis.
        name: what is locked.
        wait_s: how long to wait for it.
    """

    def __init__(self, connection: redis.Redis, name: str, wait_s: float = LOCK_WAIT_S) -> None:
        # The thread that renews it must know its token.
        super().__init__(
            connection, name, timeout=LAPSE_S, blocking_timeout=wait_s, thread_local=False
        )
        self._last = f"{name}:last"
        self._renewed = ExitStack()

    def __enter__(self) -> Self:
        super().__enter__()
        # Not let go at the end: it tells a holder that was away whether somebody else was here.
        self.redis.set(self._last, self._token(), ex=_REMEMBERED_S)
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

    def require(self) -> None:
        """Make sure, before something is written, that nobody else has held the lock meanwhile.

        Label Studio knows no locks: what a process that was frozen or cut off has read may be
        outdated by the time it writes.

        Raises:
            LockNotOwnedError: when somebody has, or Redis has forgotten who did.
            redis.RedisError: when Redis cannot say.
        """
        if self.redis.get(self._last) != self._token():
            raise LockNotOwnedError(f"{self.name} was taken over while its holder was away")

    def _renew(self) -> None:
        try:
            self.reacquire()
        except LockNotOwnedError:
            # It lapsed while Redis was away. If nobody else has had it, it is ours again.
            self.require()
            if not self.redis.set(self.name, self._token(), nx=True, px=LAPSE_S * 1000):
                raise

    def _token(self) -> bytes:
        return bytes(self.local.token or b"")
