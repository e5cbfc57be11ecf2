"""Which tasks were in a batch before: none goes out again by itself while nothing is new of it.

Whoever skipped a task, or cancelled its batch, has decided; an order by hand sends it all the same.
Redis alone knows, and where it was lost, they go out once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import redis

from ml_backend.review.batch import Waiting

__all__ = ["note_sent", "sent_before"]

_KEPT_S: Final = 365 * 24 * 3600


def note_sent(connection: redis.Redis, project: int, marks: Mapping[int, str]) -> None:
    """Note that tasks were sent.

    Args:
        connection: the service's Redis.
        project: the source project.
        marks: task id to the mark that stood beside its flag.
    """
    if marks:
        connection.hset(_key(project), mapping=cast(Any, dict(marks)))
        connection.expire(_key(project), _KEPT_S)


def sent_before(connection: redis.Redis, project: int, waiting: Waiting) -> set[int]:
    """Return which tasks of the queue were sent with the marks that they have still."""
    tasks = waiting.task.tolist()
    if not tasks:
        return set()
    noted = cast(list[bytes | None], connection.hmget(_key(project), tasks))
    rows = zip(tasks, waiting.mark.tolist(), noted, strict=True)
    return {task for task, mark, old in rows if old is not None and old.decode() == mark}


def _key(project: int) -> str:
    return f"relook:sent:{project}"
