"""What whoever sends a relabel batch asks for, what came of it, and that it was cancelled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast

import redis

from ml_backend.errors import BatchError

__all__ = [
    "HERE",
    "IN_BATCH",
    "NEW",
    "Dispatch",
    "Order",
    "cancel",
    "forget_cancelled",
    "require_wanted",
    "withdrawing",
]

#: Where a batch can go besides a project that is named by its id; "" is the relabel project that
#: stands, or a new one.
HERE: Final = "here"
NEW: Final = "new"
#: Why a task is not sent.
IN_BATCH: Final = "in a batch already"
#: How long it is known which orders were cancelled: no job is tried again later.
_CANCELLED_S: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent.

    Attributes:
        token: names the batch; the same order given again goes on with the same batch.
        to: "", "new", "here" or a project's id.
        top: how many from the top of the queue; None for as many as the settings say.
        kinds: only these kinds of suspicion; empty for all.
        tasks: these tasks instead of the queue's; empty for the queue.
        by_itself: whether nobody asked for it: what was sent before waits for somebody's order.
    """

    token: str
    to: str = ""
    top: int | None = None
    kinds: tuple[str, ...] = ()
    tasks: tuple[int, ...] = ()
    by_itself: bool = False


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What came of an order.

    Attributes:
        batch: the batch's name; "" where there was nothing to send.
        sent: how many tasks the order has sent, those of earlier tries too.
        warning: what whoever gave the order should know; "" for nothing.
        gone: how many of the tasks that the order names are not in the project.
    """

    batch: str = ""
    sent: int = 0
    warning: str = ""
    gone: int = 0


def cancel(connection: redis.Redis, project: int, batch: str) -> int | None:
    """Note that a batch is cancelled: a job that sends it ends, also when it is tried again.

    Args:
        connection: the service's Redis.
        project: the source project.
        batch: the batch's name.

    Returns:
        how many tasks an earlier try was withdrawing when it failed; None where this is the first.
    """
    key = _cancelled(project, batch)
    if connection.set(key, 0, ex=_CANCELLED_S, nx=True):
        return None
    return int(cast(bytes | None, connection.get(key)) or 0)


def forget_cancelled(connection: redis.Redis, project: int, batch: str) -> None:
    """Take back the note that a batch is cancelled: there is none of that name."""
    connection.delete(_cancelled(project, batch))


@contextmanager
def withdrawing(connection: redis.Redis, project: int, batch: str, tasks: int) -> Iterator[None]:
    """Note how many tasks of a cancelled batch are being withdrawn, in case this try fails.

    Its call may arrive all the same, and the next try finds nothing left to count.

    Args:
        connection: the service's Redis.
        project: the source project.
        batch: the batch's name.
        tasks: how many.
    """
    key = _cancelled(project, batch)
    connection.set(key, tasks, ex=_CANCELLED_S)
    yield
    connection.set(key, 0, ex=_CANCELLED_S)


def require_wanted(connection: redis.Redis, project: int, order: Order) -> None:
    """Make sure that an order's batch has not been cancelled.

    Raises:
        BatchError: when it has.
    """
    if connection.exists(_cancelled(project, order.token)):
        raise BatchError(f"batch {order.token} was cancelled: no more of it is sent")


def _cancelled(project: int, batch: str) -> str:
    # A batch's name ends with its order's token, or is that alone.
    return f"relook:cancelled:{project}:{batch.rpartition('-')[2]}"
