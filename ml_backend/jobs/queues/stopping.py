"""A worker that is told to stop ends at the next page; what is left of its job is another's.

Told while it waits for work, it ends at once, by RQ itself.
"""

from __future__ import annotations

import threading

__all__ = ["ToldToStop", "end_if_told", "tell"]

_told = threading.Event()


class ToldToStop(BaseException):
    """The worker was told to stop: no error, so nothing that looks after errors sees to it."""


def tell() -> None:
    """Have this process end its job at the next page."""
    _told.set()


def end_if_told() -> None:
    """End the job here if the worker was told to stop.

    Raises:
        ToldToStop: when it was.
    """
    if _told.is_set():
        raise ToldToStop
