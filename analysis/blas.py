"""BLAS with one thread, where threads of our own or small products make its own a loss."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS, which has one setting a process, uses one thread."""
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited


@cache
def _controller() -> ThreadpoolController:
    # Looks through every loaded library: 4 ms once PyTorch is one of them, longer than a fit takes.
    return ThreadpoolController()
