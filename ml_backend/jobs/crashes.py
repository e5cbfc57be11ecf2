"""Work that ends its own process is found, left out and named; what was done beside it counts.

Before work begins it is written down, and struck out when it ends, well or with an error. What
still stands there was under way when a process died: tried again with the others, it would kill
the next worker too. So suspects are tried one by one, and given up after a few deaths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import numpy as np
import redis
from numpy.typing import NDArray

from ml_backend.errors import CrashError

__all__ = ["Crashes"]

#: A worker can be killed for reasons of its own; three times with the same task is no chance.
_MOST: Final = 3
#: A model or an image that was mended meanwhile gets another chance.
_KEPT_S: Final = 24 * 3600


class Crashes:
    """What was under way when processes died.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def each(
        self,
        project: int,
        tasks: NDArray[np.int64],
        work: Callable[[NDArray[np.int64]], None],
    ) -> dict[str, str]:
        """Work on tasks: those above suspicion at once, suspects one by one.

        Must run under the lock that keeps other jobs from these tasks.

        Returns:
            task id to what is wrong, of tasks that are given up.
        """
        deaths = self._deaths(project, tasks)
        suspects = tasks[(deaths > 0) & (deaths < _MOST)]
        groups = [tasks[deaths == 0], *suspects.reshape(-1, 1)]
        for group in groups:
            if len(group):
                with self._under_way(_tasks(project), [str(task) for task in group.tolist()]):
                    work(group)
        return {
            str(task): f"task {task}: given up, because working on it ended the worker's process "
            f"{_MOST} times. Look at its image and at the worker's memory, then retry the run."
            for task in tasks[deaths >= _MOST].tolist()
        }

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Do one step that is not about single tasks.

        Raises:
            CrashError: when it has ended its process too often.
        """
        if int(cast(bytes | None, self._redis.hget(_STEPS, name)) or 0) >= _MOST:
            raise CrashError(
                f"{name} is given up, because it ended the worker's process {_MOST} times. Look "
                "at the worker's log and memory, then retry the run."
            )
        with self._under_way(_STEPS, [name]):
            yield

    def forgive(self, project: int, steps: list[str]) -> None:
        """Forget the deaths of a project's tasks and of some steps: somebody mended the cause."""
        self._redis.delete(_tasks(project))
        if steps:
            self._redis.hdel(_STEPS, *steps)

    @contextmanager
    def _under_way(self, key: str, names: list[str]) -> Iterator[None]:
        with self._redis.pipeline() as pipe:
            for name in names:
                pipe.hincrby(key, name, 1)
            pipe.expire(key, _KEPT_S)
            pipe.execute()
        try:
            yield
        finally:
            self._redis.hdel(key, *names)

    def _deaths(self, project: int, tasks: NDArray[np.int64]) -> NDArray[np.int64]:
        names = [str(task) for task in tasks.tolist()]
        counts: list[Any] = cast(Any, self._redis.hmget(_tasks(project), names)) if names else []
        return np.array([int(count or 0) for count in counts], dtype=np.int64)


_STEPS: Final = "relook:crashed-steps"


def _tasks(project: int) -> str:
    return f"relook:crashed:{project}"
