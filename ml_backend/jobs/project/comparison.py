"""What of a project has changed since it was last looked at, and of what there is news."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.project.learning import scores
from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.jobs.runs import unlearnt
from ml_backend.labelstudio.tasks.changes import TaskStates
from ml_backend.labelstudio.tasks.reader import TaskPage
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.review.policy import Policy, cut_for
from ml_backend.scoring.nearby import Nearby
from ml_backend.scoring.page import PageScores
from ml_backend.scoring.stored import stored_page
from ml_backend.scoring.told import told
from ml_backend.storage.looks import QUIET, Looks

__all__ = ["Comparison", "policy_of"]

#: Under which it is noted how a project's tasks were when nothing was left to say.
_SETTLED: Final = "settled"
#: Under which it is kept from which priority a task is among as many as are wanted.
_CUT: Final = "cut"
#: Each new label moves all priorities a little. By so much one may differ from what was written
#: before it is written anew: nobody works through a queue in the order of such differences.
_NOTICED: Final = 0.03


def policy_of(opened: OpenedProject) -> Policy:
    """Return what counts as needing review in a project."""
    kept = None
    if opened.settings.review_share < 1:
        kept = opened.services.store.get_arrays(opened.project.id, _CUT)
    return Policy.of(opened.settings, cut=0.0 if kept is None else float(kept["cut"]))


@dataclass(frozen=True, slots=True)
class _Stored:
    """T tasks scored from the store's columns alone."""

    page: TaskPage
    tables: Sequence[ControlPredictions]
    nearby: Sequence[Nearby | None]
    scores: PageScores

    @property
    def lost(self) -> NDArray[np.bool_]:
        """Bool (T,), of which tasks predictions are lacking."""
        lost: NDArray[np.bool_] = ~np.logical_and.reduce([one.found for one in self.tables])
        return lost


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
        same = looks.unchanged(states.stamp, states.holds, self._opened.setup)
        return np.full(len(states.task), stand) | ~same

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
        stored = self._stored_scores(tasks, self._policy)
        priority = self._opened.lessons.priority(stored.scores)
        now = told(stored.scores)
        moved = (now != QUIET) & (np.abs(priority - looks.priority) > _NOTICED)
        unread = ~self._labels_kept(tasks)
        if unread.any():
            # Nothing was learnt from them either.
            unlearnt.note(self._opened.services.mailbox.redis, self._id)
        other = (now != looks.told) | moved | (looks.stamp == 0) | stored.lost | unread
        stands = ~other & (now != QUIET)
        shown = replace(stored.scores, priority=np.where(stands, looks.priority, priority))
        self._opened.noting.scored(stored.page, stored.tables, shown, stored.nearby)
        return looks, other

    def find_cut(self, pages: Sequence[NDArray[np.int64]]) -> None:
        """Find the priority from which a task is among as many as the admin wants to see.

        Args:
            pages: int64, the ids of all of the project's tasks, in parts.
        """
        share = self._opened.settings.review_share
        if share >= 1:
            return
        every = Policy.of(self._opened.settings)
        priority, least, labelled = [], [], 0
        for tasks in pages:
            stored = self._stored_scores(tasks, every)
            priority.append(stored.scores.priority)
            least.append(stored.scores.least)
            labelled += len(np.unique(stored.page.annotations.task))
        cut = cut_for(np.concatenate(priority), np.concatenate(least), labelled, share)
        self._store.put_arrays(self._id, _CUT, {"cut": np.array(cut)})
        self.__dict__.pop("_policy", None)

    @cached_property
    def _policy(self) -> Policy:
        return policy_of(self._opened)

    def _stored_scores(self, tasks: NDArray[np.int64], policy: Policy) -> _Stored:
        opened = self._opened
        tables = [opened.stored(control, tasks) for control in opened.controls]
        labels = [self._store.get_labels(self._id, one, tasks) for one in opened.controls]
        page = stored_page(tasks, labels)
        nearby = [opened.neighborhood.of_tasks(control, tasks) for control in opened.controls]
        return _Stored(page, tables, nearby, scores(opened, page, tables, nearby, policy))

    def _labels_kept(self, tasks: NDArray[np.int64]) -> NDArray[np.bool_]:
        controls = self._opened.controls
        kept = [self._store.labels_kept(self._id, one, tasks) for one in controls]
        every: NDArray[np.bool_] = np.logical_and.reduce(kept)
        return every

    def settled(self, tasks: NDArray[np.int64]) -> bool:
        """Whether all tasks are as they were when a run last ended with nothing left to say."""
        kept = self._store.get_arrays(self._id, _SETTLED)
        same = kept is not None and str(kept["digest"]) == self._digest(tasks)
        # A table that was lost by itself leaves how the tasks are as it was.
        return same and bool(self._labels_kept(tasks).all())

    def unsettle(self) -> None:
        """Forget when nothing was left to say: something is said now, maybe not of all tasks."""
        self._store.put_arrays(self._id, _SETTLED, {"digest": np.array("")})

    def settle(self, tasks: NDArray[np.int64]) -> None:
        """Note that nothing is left to say of the tasks as they are now."""
        self._store.put_arrays(self._id, _SETTLED, {"digest": np.array(self._digest(tasks))})

    def keep(
        self,
        page: TaskPage,
        bad: Collection[int],
        more: NDArray[np.int64],
        said: NDArray[np.int64],
        priority: NDArray[np.float32],
        flagged: NDArray[np.bool_],
    ) -> None:
        """Keep how tasks were read; those with which something is wrong are read again.

        Args:
            page: T tasks as they were read.
            bad: ids of tasks with which something is wrong.
            more: int64 (T,), how many predictions each holds by now beyond those read.
            said: int64 (T,), stands for what Label Studio was told of each, see ``told``.
            priority: float32 (T,), the priority that it was told where it was told one.
            flagged: bool (T,), which of them need review.
        """
        # A count that is wrong stays so until predictions are imported.
        stand = np.bincount(page.standing.task, minlength=len(page))
        holds = np.where(more != 0, stand + more, page.counted)
        setup = np.full(len(page), self._opened.setup)
        looks = Looks(page.id, page.stamp, setup, holds, said, priority, flagged)
        self._looks.put(self._id, looks.take(~np.isin(page.id, list(bad))))

    def _digest(self, tasks: NDArray[np.int64]) -> str:
        """Stand for how the tasks are and for what the admin wants to see of them."""
        looks = self._looks.get(self._id, tasks).digest()
        return f"{looks} {self._opened.settings.touching('queue')}"
