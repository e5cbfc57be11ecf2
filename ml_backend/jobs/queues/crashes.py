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

__all__ = ["Crashes", "opening"]

#: A worker can be killed for reasons of its own; three times with the same task is no chance.
_MOST: Final = 3
#: A model or an image that was mended meanwhile gets another chance.
_KEPT_S: Final = 24 * 3600

#: The day is counted from the first death: what is looked at meanwhile puts off no second chance.
_BEGIN: Final = """
for at = 2, #ARGV do redis.call('HINCRBY', KEYS[1], ARGV[at], 1) end
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
"""


class Crashes:
    """What was under way when processes died.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._begin = connection.register_script(_BEGIN)
        #: The steps that this process is in the midst of; it does its jobs on one thread.
        self._steps: list[str] = []

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
        """Do one step that is not about single tasks, and that no other process does meanwhile.

        Raises:
            CrashError: when it has ended its process too often.
        """
        if int(cast(bytes | None, self._redis.hget(_step(name), name)) or 0) >= _MOST:
            raise CrashError(
                f"{name} is given up, because it ended the worker's process {_MOST} times. Look "
                "at the worker's log and memory, then retry the run or begin one."
            )
        with self._under_way(_step(name), [name]):
            self._steps.append(name)
            try:
                yield
            finally:
                self._steps.remove(name)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Do something else in the midst of steps: should it end the process, they did not."""
        steps, self._steps = self._steps, []
        try:
            for name in steps:
                self._redis.hincrby(_step(name), name, -1)
            yield
        finally:
            # First: Redis may be away.
            self._steps = steps
            for name in steps:
                self._redis.hincrby(_step(name), name, 1)

    def forgive(self, *steps: str) -> None:
        """Forget the deaths of some steps: somebody mended the cause."""
        self._redis.delete(*map(_step, steps))

    def forgive_tasks(self, project: int) -> None:
        """Forget the deaths of a project's tasks."""
        self._redis.delete(_tasks(project))

    @contextmanager
    def _under_way(self, key: str, names: list[str]) -> Iterator[None]:
        self._begin(keys=[key], args=[_KEPT_S, *names])
        try:
            yield
        finally:
            self._redis.hdel(key, *names)

    def _deaths(self, project: int, tasks: NDArray[np.int64]) -> NDArray[np.int64]:
        names = [str(task) for task in tasks.tolist()]
        counts: list[Any] = cast(Any, self._redis.hmget(_tasks(project), names)) if names else []
        return np.array([int(count or 0) for count in counts], dtype=np.int64)


def opening(project: int) -> str:
    """Name the step of opening a project, which loads its models."""
    return f"opening project {project}"


def _step(name: str) -> str:
    # A key each: what is forgotten after a while is the one step, whatever others do.
    return f"relook:crashed-step:{name}"


def _tasks(project: int) -> str:
    return f"relook:crashed:{project}"
