"""Which changes of a project's tasks are known, kept in Redis, in Label Studio's own stamps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import redis

__all__ = ["KnownChanges"]


class KnownChanges:
    """What searches for changes of one project have found.

    Args:
        connection: the service's Redis.
        project: the project.
    """

    def __init__(self, connection: redis.Redis, project: int) -> None:
        self._redis = connection
        self._project = str(project)
        self._found = f"relook:found:{project}"

    @property
    def reconciled(self) -> str:
        """Up to which change every event is known; "" before the first look."""
        return self._kept("relook:reconciled")

    @reconciled.setter
    def reconciled(self, until: str) -> None:
        self._redis.hset("relook:reconciled", self._project, until)

    @property
    def noticed(self) -> str:
        """Up to which change events without a name are known; "" before the first of them."""
        return self._kept("relook:noticed")

    @noticed.setter
    def noticed(self, until: str) -> None:
        self._redis.hset("relook:noticed", self._project, until)

    def new_among(self, found: Mapping[int, str]) -> list[int]:
        """Return which of these changes, task to its stamp, were not found before."""
        kept = cast(Mapping[bytes, bytes], self._redis.hgetall(self._found))
        known = {(int(task), stamp.decode()) for task, stamp in kept.items()}
        return [task for task, stamp in found.items() if (task, stamp) not in known]

    def remember(self, found: Mapping[int, str], *, beside: bool = False) -> None:
        """Keep which changes were found, in place of what was kept or beside it."""
        with self._redis.pipeline() as pipe:
            if not beside:
                pipe.delete(self._found)
            if found:
                pipe.hset(self._found, mapping=cast(Any, dict(found)))
            pipe.execute()

    def _kept(self, name: str) -> str:
        kept = cast(bytes | None, self._redis.hget(name, self._project))
        return kept.decode() if kept is not None else ""
