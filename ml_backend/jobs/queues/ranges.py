"""Ranges of task ids under one lock each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.queues.mailbox import Mailbox

__all__ = ["SHARD", "held", "shard_around", "shards_of"]

#: Task ids that one lock and one shard cover.
SHARD: Final = 128


def shards_of(tasks: NDArray[np.int64]) -> dict[int, NDArray[np.int64]]:
    """Split ascending task ids into the ranges that one lock covers."""
    numbers, first = np.unique(tasks // SHARD, return_index=True)
    pieces = np.split(tasks, first[1:]) if len(tasks) else []
    return dict(zip(numbers.tolist(), pieces, strict=True))


def shard_around(task: int) -> range:
    """Return the ids that one lock covers with a task's."""
    first = task // SHARD * SHARD
    return range(first, first + SHARD)


@contextmanager
def held(mailbox: Mailbox, project: int, tasks: NDArray[np.int64]) -> Iterator[Callable[[], None]]:
    """Hold the locks of some tasks, ascending ids.

    Yields:
        what makes sure, before something is written, that nobody else has held one meanwhile; see
        ``LivingLock.require``.
    """
    with ExitStack() as stack:
        # Ascending: of two jobs that take several, neither waits for what the other will let go
        # only after it.
        locks = [stack.enter_context(mailbox.lock(project, shard)) for shard in shards_of(tasks)]

        def require() -> None:
            for lock in locks:
                lock.require()

        yield require
