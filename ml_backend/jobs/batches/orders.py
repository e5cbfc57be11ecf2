"""What whoever sends a relabel batch asks for, what came of it, and that it was cancelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import redis

from ml_backend.errors import BatchError

__all__ = ["HERE", "IN_BATCH", "NEW", "Dispatch", "Order", "cancel", "require_wanted"]

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
    """

    token: str
    to: str = ""
    top: int | None = None
    kinds: tuple[str, ...] = ()
    tasks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What came of an order.

    Attributes:
        batch: the batch's name; "" where there was nothing to send.
        sent: how many tasks the order has sent, those of earlier tries too.
        warning: what whoever gave the order should know; "" for nothing.
    """

    batch: str = ""
    sent: int = 0
    warning: str = ""


def cancel(connection: redis.Redis, project: int, batch: str) -> bool:
    """Note that a batch is cancelled: a job that sends it ends, also when it is tried again.

    Args:
        connection: the service's Redis.
        project: the source project.
        batch: the batch's name.

    Returns:
        whether that stood before.
    """
    key = _cancelled(project, batch.rpartition("-")[2])
    return connection.set(key, 1, ex=_CANCELLED_S, get=True) is not None


def require_wanted(connection: redis.Redis, project: int, order: Order) -> None:
    """Make sure that an order's batch has not been cancelled.

    Raises:
        BatchError: when it has.
    """
    if connection.exists(_cancelled(project, order.token)):
        raise BatchError(f"batch {order.token} was cancelled: no more of it is sent")


def _cancelled(project: int, token: str) -> str:
    return f"relook:cancelled:{project}:{token}"
