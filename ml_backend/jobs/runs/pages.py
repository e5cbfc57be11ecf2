"""A shard in pages of about a second, so that a worker is never deaf for long.

Between two pages a cancelled run ends, and what people have just saved overtakes: with one worker
an event would else wait for a whole shard.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pager"]

_TARGET_S: Final = 1.0
_LEAST: Final = 8


class Pager:
    """Cuts shards into pages, by how fast this process has been of late.

    Args:
        most: tasks of the largest page.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._size: dict[str, int] = {}

    def pages(self, stage: str, tasks: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Yield the tasks page by page; the time that the caller takes for one sizes the next."""
        start = 0
        while start < len(tasks):
            page = tasks[start : start + self._size.get(stage, _LEAST)]
            began = time.perf_counter()
            yield page
            spent = max(time.perf_counter() - began, 1e-6)
            fitting = int(len(page) * _TARGET_S / spent)
            self._size[stage] = max(_LEAST, min(fitting, self._most, 4 * len(page)))
            start += len(page)
