"""Where each box's task is among the tasks asked about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.regions import Regions

__all__ = ["places"]


def places(name: str, table: Regions, tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each box's task.

    Args:
        name: of the table, for the error.
        table: R boxes.
        tasks: int64 (T,), each once.

    Returns:
        int64 (R,), below T.

    Raises:
        ValueError: naming the first box whose task is not among ``tasks``.
    """
    order = np.argsort(tasks)
    at = np.searchsorted(tasks, table.task, sorter=order)
    known = at < len(tasks)
    known[known] = tasks[order[at[known]]] == table.task[known]
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise ValueError(f"{name}.task row {row} is {table.task[row]}, not one of tasks")
    return np.asarray(order[at], dtype=np.int64)
