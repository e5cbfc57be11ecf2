"""Answers that take long to make: made once for all who ask meanwhile, and kept for a moment."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import anyio

__all__ = ["Kept"]

_MOST: Final = 20

T = TypeVar("T")


@dataclass(slots=True)
class _One(Generic[T]):
    """One project's answer, and when it was made; none yet before that."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    answers: list[tuple[float, T]] = field(default_factory=list)


class Kept(Generic[T]):
    """Answers by project.

    Args:
        make: makes one.
        holds_s: for how long an answer is given again; 0 only to those who asked while it was made.
    """

    def __init__(self, make: Callable[[int], Awaitable[T]], holds_s: float) -> None:
        self._make = make
        self._holds = holds_s
        self._kept: OrderedDict[int, _One[T]] = OrderedDict()

    async def get(self, project: int) -> T:
        """Return a project's answer; whatever making it raises is raised to the one who asked."""
        asked = time.monotonic()
        one = self._kept.setdefault(project, _One())
        self._kept.move_to_end(project)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        async with one.lock:
            for made, answer in one.answers:
                if asked <= made + self._holds:
                    return answer
            answer = await self._make(project)
            one.answers = [(time.monotonic(), answer)]
            return answer
