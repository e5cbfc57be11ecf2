"""Answers that take long to make: made once for all who ask meanwhile, and kept for a moment."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import anyio
from cachetools import LRUCache

__all__ = ["Kept", "Made"]

_MOST: Final = 20
#: Who is content with an earlier answer has a tenth of the time spent on new ones, at most.
_TIMES: Final = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """An answer.

    Attributes:
        answer: what was made.
        at: when, by this process' clock, seconds.
        took: for how long, seconds.
    """

    answer: T
    at: float
    took: float

    @property
    def age(self) -> dict[str, str]:
        """For how long it stands, as the header that says so."""
        return {"Age": f"{time.monotonic() - self.at:.0f}"}


@dataclass(slots=True)
class _One(Generic[T]):
    """One project's answer; none yet before it is made."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    answers: list[Made[T]] = field(default_factory=list)


class Kept(Generic[T]):
    """Answers by project.

    Args:
        make: makes one.
        holds_s: for how long an answer is given again; 0 only to those who asked while it was made.
    """

    def __init__(self, make: Callable[[int], Awaitable[T]], holds_s: float) -> None:
        self._make = make
        self._holds = holds_s
        self._kept = LRUCache[int, _One[T]](_MOST)

    async def get(self, project: int, *, lately: bool = False) -> Made[T]:
        """Return a project's answer; whatever making it raises is raised to the one who asked.

        Args:
            project: the project.
            lately: whether an earlier one will do, too: for ten times as long as it took to make.
        """
        asked = time.monotonic()
        one = self._kept.setdefault(project, _One())
        async with one.lock:
            for made in one.answers:
                holds = max(self._holds, _TIMES * made.took) if lately else self._holds
                if asked <= made.at + holds:
                    return made
            began = time.monotonic()
            answer = await self._make(project)
            at = time.monotonic()
            one.answers = [Made(answer, at, at - began)]
            return one.answers[0]
