"""What each task was when it was last looked at: what has not changed since is left alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml_backend.storage.standing import Standing
from ml_backend.storage.tables import Tables, named

__all__ = ["QUIET", "UNKNOWN", "LookBook", "Looks"]

#: Nothing is to be said of a task, and nothing of ours stands on it.
QUIET: Final = 0
#: Something of ours stands on a task, and nobody knows whether it is still right.
UNKNOWN: Final = -1

_LOOKS: Final = pa.schema(
    [
        ("task", pa.int64()),
        ("stamp", pa.int64()),
        ("setup", pa.int64()),
        ("holds", pa.int64()),
        ("told", pa.int64()),
        ("priority", pa.float32()),
        ("flagged", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class Looks:
    """How T tasks were when they were last read, all columns (T,).

    Attributes:
        task: int64, task ids, ascending.
        stamp: int64, when Label Studio had seen the task change, microseconds since 1970; 0 where
            the task was never looked at.
        setup: int64, stands for the models, the config and the settings that it was read with.
        holds: int64, how many predictions it then held.
        told: int64, stands for what Label Studio was told of it, ``QUIET`` or ``UNKNOWN``.
        priority: float32, the priority that it was told; NaN where it was told none.
        flagged: bool, whether it needed review.
    """

    task: NDArray[np.int64]
    stamp: NDArray[np.int64]
    setup: NDArray[np.int64]
    holds: NDArray[np.int64]
    told: NDArray[np.int64]
    priority: NDArray[np.float32]
    flagged: NDArray[np.bool_]

    def of(self, tasks: NDArray[np.int64]) -> Looks:
        """Return the looks at some tasks, in that order."""
        if not len(self.task):
            nothing = np.zeros(len(tasks), dtype=np.int64)
            unknown = np.full(len(tasks), UNKNOWN, dtype=np.int64)
            none = np.full(len(tasks), np.nan, dtype=np.float32)
            never = nothing.astype(np.bool_)
            return Looks(tasks, nothing, nothing, nothing, unknown, none, never)
        place = np.searchsorted(self.task, tasks).clip(max=len(self.task) - 1)
        there = self.task[place] == tasks
        return Looks(
            tasks,
            np.where(there, self.stamp[place], 0),
            np.where(there, self.setup[place], 0),
            np.where(there, self.holds[place], 0),
            np.where(there, self.told[place], UNKNOWN),
            np.where(there, self.priority[place], np.float32(np.nan)),
            there & self.flagged[place],
        )

    def take(self, rows: NDArray[np.bool_]) -> Looks:
        """Return the chosen rows only."""
        return Looks(*(getattr(self, name)[rows] for name in _LOOKS.names))

    def unchanged(
        self, stamp: NDArray[np.int64], holds: NDArray[np.int64], setup: int
    ) -> NDArray[np.bool_]:
        """Return which tasks are as they were, bool (T,).

        Args:
            stamp: int64 (T,), as ``Looks`` has it, of the same tasks now.
            holds: int64 (T,), likewise.
            setup: stands for the models, the config and the settings as they are now.
        """
        same = (self.stamp == stamp) & (self.holds == holds)
        unchanged: NDArray[np.bool_] = same & (self.setup == setup)
        return unchanged

    def digest(self) -> str:
        """Return what changes when any task is read in another state or another setup."""
        parts = (self.task, self.stamp, self.setup, self.holds)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


class LookBook:
    """Where looks are kept.

    Args:
        tables: the store's tables: deleted with the rest of it, so that all is read again.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put(self, project: int, looks: Looks) -> None:
        """Keep looks, each task's newest."""
        if len(looks.task):
            columns = {name: getattr(looks, name) for name in _LOOKS.names}
            rows = pa.table(columns, schema=_LOOKS)
            self._tables.merge(named("looks", _LOOKS, project), ["task"], rows)

    def get(self, project: int, tasks: NDArray[np.int64]) -> Looks:
        """Return the looks at some tasks, int64 (T,), ascending."""
        rows = self._tables.read(named("looks", _LOOKS, project), _LOOKS, tasks=tasks)
        rows = rows.sort_by("task")
        columns = [rows[name].to_numpy() for name in _LOOKS.names]
        return Looks(*columns).of(tasks)

    def forget(self, project: int, tasks: NDArray[np.int64]) -> None:
        """Forget the looks at some tasks: they are read again."""
        self._tables.delete(named("looks", _LOOKS, project), tasks)

    def keep_only(self, project: int, standing: Standing) -> None:
        """Forget tasks that are gone, see ``Tables.keep_only``."""
        self._tables.keep_only(named("looks", _LOOKS, project), standing)

    def last(self, project: int) -> int:
        """Return the highest id among the tasks that were looked at; 0 where none was."""
        return self._tables.last(named("looks", _LOOKS, project))

    def compact(self, project: int) -> None:
        """Merge the small files that many small writes leave behind."""
        self._tables.compact(named("looks", _LOOKS, project))
