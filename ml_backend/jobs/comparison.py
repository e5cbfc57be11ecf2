"""What of a project has changed since it was last looked at, and of what there is news."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.learning import scores
from ml_backend.jobs.opened import OpenedProject
from ml_backend.labelstudio.changes import TaskStates
from ml_backend.labelstudio.reader import TaskPage
from ml_backend.scoring.stored import stored_page
from ml_backend.storage.looks import Looks, told

__all__ = ["Comparison"]

#: Under which it is noted how a project's tasks were when nothing was left to say.
_SETTLED: Final = "settled"


class Comparison:
    """One project's tasks beside how they were when last looked at.

    Args:
        opened: the project.
    """

    def __init__(self, opened: OpenedProject) -> None:
        self._opened = opened
        self._id = opened.project.id
        self._looks = opened.services.looks
        self._store = opened.services.store

    def changed(self, states: TaskStates) -> NDArray[np.bool_]:
        """Return which of the project's tasks are not as they were when last looked at."""
        looks = self._looks.get(self._id, states.task)
        # Predictions that stand in Label Studio may be changed there without a trace.
        stand = any(not self._opened.answers(one).version for one in self._opened.controls)
        return np.full(len(states.task), stand) | ~looks.unchanged(states, self._opened.setup)

    def compare(self, tasks: NDArray[np.int64], settled: bool) -> tuple[Looks, NDArray[np.bool_]]:
        """Compare what the store's columns say of tasks with what Label Studio was told.

        Args:
            tasks: int64 (T,), task ids, ascending.
            settled: whether they need no comparison.

        Returns:
            how they were when last looked at;
            bool (T,), of which something else is to be said, or nobody knows.
        """
        looks = self._looks.get(self._id, tasks)
        if settled or not len(tasks):
            return looks, np.zeros(len(tasks), dtype=np.bool_)
        opened = self._opened
        tables = [opened.stored(control, tasks) for control in opened.controls]
        labels = [self._store.get_labels(self._id, one.name, tasks) for one in opened.controls]
        page = stored_page(tasks, labels)
        nearby = [opened.neighborhood.of_tasks(control, tasks) for control in opened.controls]
        found = scores(opened, page, tables, nearby)
        priority = opened.lessons.priority(found)
        opened.noting.scored(page, tables, replace(found, priority=priority), nearby)
        now = told(found, opened.settings.review_threshold, priority)
        lost = ~np.logical_and.reduce([table.found for table in tables])
        return looks, (now != looks.told) | (looks.stamp == 0) | lost

    def settled(self, tasks: NDArray[np.int64]) -> bool:
        """Whether all tasks are as they were when a run last ended with nothing left to say."""
        kept = self._store.get_arrays(self._id, _SETTLED)
        return kept is not None and str(kept["digest"]) == self._digest(tasks)

    def settle(self, tasks: NDArray[np.int64]) -> None:
        """Note that nothing is left to say of the tasks as they are now."""
        self._store.put_arrays(self._id, _SETTLED, {"digest": np.array(self._digest(tasks))})

    def keep(
        self,
        page: TaskPage,
        bad: Collection[int],
        more: NDArray[np.int64],
        said: NDArray[np.int64],
        flagged: NDArray[np.bool_],
    ) -> None:
        """Keep how tasks were read; those with which something is wrong are read again.

        Args:
            page: T tasks as they were read.
            bad: ids of tasks with which something is wrong.
            more: int64 (T,), how many predictions each holds by now beyond those read.
            said: int64 (T,), stands for what Label Studio was told of each, see ``told``.
            flagged: bool (T,), which of them need review.
        """
        holds = np.bincount(page.standing.task, minlength=len(page)) + more
        setup = np.full(len(page), self._opened.setup)
        looks = Looks(page.id, page.stamp, setup, holds, said, flagged)
        self._looks.put(self._id, looks.take(~np.isin(page.id, list(bad))))

    def _digest(self, tasks: NDArray[np.int64]) -> str:
        return self._looks.get(self._id, tasks).digest()
