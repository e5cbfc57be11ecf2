"""Asking an upstream about many tasks, so that one bad task or a hung model costs little."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from ml_backend.errors import ModelAwayError, ModelError
from ml_backend.upstream.base import Reply, UpstreamTask

__all__ = ["SilentError", "SpoiledError", "ask_in_batches", "batches"]

#: Time-outs in a row after which the rest is not asked for: a run's shard has a time-out too.
_PATIENCE: Final = 2

#: Tasks at fault in a row after which the model is, and no further batch is taken apart.
_AT_FAULT: Final = 8


class SpoiledError(ModelError):
    """No use in an answer, perhaps because of one task of the batch."""


class SilentError(ModelAwayError):
    """No answer within the time allowed."""


def batches(
    tasks: Sequence[UpstreamTask],
    count: int,
    size: int,
    measure: Callable[[UpstreamTask], int],
) -> Iterator[list[UpstreamTask]]:
    """Cut tasks into batches of at most ``count`` and ``size``; a larger task goes alone."""
    batch: list[UpstreamTask] = []
    held = 0
    for task in tasks:
        more = measure(task)
        if batch and (len(batch) == count or held + more > size):
            yield batch
            batch, held = [], 0
        batch.append(task)
        held += more
    if batch:
        yield batch


def ask_in_batches(
    parts: Iterator[list[UpstreamTask]], ask: Callable[[Sequence[UpstreamTask]], list[Reply]]
) -> list[Reply]:
    """Ask batch after batch.

    A batch whose answer is of no use is asked again task by task, so that only the task at fault
    goes without, unless the model fails whatever it is asked. Nothing is asked again after a
    time-out.

    Args:
        parts: the batches.
        ask: returns one reply per task, or raises ModelError for the batch.
    """
    replies: list[Reply] = []
    waiting = deque(parts)
    silent = spoiled = 0
    while waiting:
        batch = waiting.popleft()
        try:
            replies += ask(batch)
            silent = spoiled = 0
        except SpoiledError as error:
            silent = 0
            if len(batch) > 1 and spoiled < _AT_FAULT:
                waiting.extendleft([task] for task in reversed(batch))
            else:
                spoiled += 1
                replies += [ModelError(f"task {task.id}: {error}") for task in batch]
        except SilentError as error:
            silent += 1
            replies += [error] * len(batch)
            if silent == _PATIENCE:
                unasked = sum(map(len, waiting))
                replies += [ModelError(f"{error} (this task was not asked for any more)")] * unasked
                break
        except ModelError as error:
            replies += [error] * len(batch)
    return replies
