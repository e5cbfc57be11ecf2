"""Whether events were looked at since a project's run began to learn.

What such a look keeps, the run has not learnt from: it may not end with nothing left to say, or the
next one would learn nothing either. One run of a project is under way at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

__all__ = ["any_looked", "learning_begins", "looking", "note"]


@contextmanager
def looking(connection: redis.Redis, project: int) -> Iterator[None]:
    """Note that the body looks at what events named."""
    # Before, should this process die in it; and after, should a run begin to learn in it.
    note(connection, project)
    try:
        yield
    finally:
        note(connection, project)


def note(connection: redis.Redis, project: int) -> None:
    """Note that something is kept that no run has learnt from."""
    connection.set(_key(project), 1)


def learning_begins(connection: redis.Redis, project: int) -> None:
    """Note that a run is about to learn from all that is kept by now."""
    connection.delete(_key(project))


def any_looked(connection: redis.Redis, project: int) -> bool:
    """Whether something was looked at since then."""
    return bool(connection.exists(_key(project)))


def _key(project: int) -> str:
    return f"relook:unlearnt:{project}"
