"""How many threads the libraries beneath NumPy use, which is one setting a process."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

__all__ = ["one_thread", "threads_kept"]


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS uses one thread.

    For where threads of our own, or small products, make its own a loss.
    """
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited


def threads_kept() -> AbstractContextManager[Any]:
    """Return a context that leaves OpenMP with as many threads as it found.

    Numba sets them to one a core for the whole process: a model that was told to use fewer, and
    runs in the same process later, would use all.
    """
    # Made anew: libraries may have been loaded since.
    kept: AbstractContextManager[Any] = ThreadpoolController().limit(limits=None, user_api="openmp")
    return kept


@cache
def _controller() -> ThreadpoolController:
    # Looks through every loaded library: 4 ms once PyTorch is one of them, longer than a fit takes.
    return ThreadpoolController()
