"""Which tasks of a project still stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """The tasks of a project.

    Attributes:
        task: int64 (T,), their ids.
        until: the highest id of which it is known whether it stands; later tasks have come since.
    """

    task: NDArray[np.int64]
    until: int

    def gone(self, task: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of some tasks are deleted, bool (N,)."""
        gone: NDArray[np.bool_] = ~np.isin(task, self.task) & (task <= self.until)
        return gone
