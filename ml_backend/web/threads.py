"""Threads of the review page: what it computes never takes those of other requests."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import anyio

__all__ = ["Threads"]

_LIGHT: Final = 16
_HEAVY: Final = 2
_IMAGES: Final = 4

T = TypeVar("T")


class Threads:
    """Three kinds: look-ups, images, and columns of whole projects."""

    def __init__(self) -> None:
        self._light = anyio.CapacityLimiter(_LIGHT)
        self._heavy = anyio.CapacityLimiter(_HEAVY)
        self._images = anyio.CapacityLimiter(_IMAGES)

    async def light(self, do: Callable[..., T], *given: Any) -> T:
        """Do a look-up."""
        return await anyio.to_thread.run_sync(partial(do, *given), limiter=self._light)

    async def heavy(self, do: Callable[..., T], *given: Any) -> T:
        """Do something with the columns of a whole project."""
        return await anyio.to_thread.run_sync(partial(do, *given), limiter=self._heavy)

    async def image(self, do: Callable[..., T], *given: Any) -> T:
        """Do something with an image."""
        return await anyio.to_thread.run_sync(partial(do, *given), limiter=self._images)
