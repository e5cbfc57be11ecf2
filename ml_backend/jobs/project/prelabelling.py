"""What a project's models say, written into Label Studio as predictions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.project.learning import unknown_labels
from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.jobs.project.outgoing import Outgoing
from ml_backend.labelstudio.clearing import clear_tasks, clearable
from ml_backend.labelstudio.regions.results import Result
from ml_backend.labelstudio.regions.suggestions import SUGGESTION_VERSION
from ml_backend.labelstudio.tasks.reader import Project, TaskPage
from ml_backend.labelstudio.writer import create_predictions, delete_predictions
from ml_backend.prediction.predicting import PredictedTasks
from ml_backend.prediction.prelabels import prelabels
from ml_backend.services import Services

__all__ = ["Prelabelling", "refusal", "send_waiting"]

#: Of fewer tasks, predictions are sooner deleted one by one than all of them, and some sent again.
_MANY: Final = 8


class Prelabelling:
    """One project's predictions on their way into Label Studio.

    Args:
        opened: the project.
        in_bulk: whether they are left to be sent many at once.
    """

    def __init__(self, opened: OpenedProject, in_bulk: bool) -> None:
        services, project = opened.services, opened.project
        self._opened = opened
        self._in_bulk = in_bulk
        self._outgoing = _outgoing(services, project)

    def waiting(self, tasks: NDArray[np.int64]) -> set[int]:
        """Return which of some tasks have predictions on their way."""
        return self._outgoing.waiting(tasks)

    def any_waiting(self) -> bool:
        """Whether any predictions of the project are on their way."""
        return self._outgoing.any_waiting()

    def write(
        self,
        page: TaskPage,
        predicted: PredictedTasks,
        waiting: Collection[int],
        errors: dict[str, str],
    ) -> tuple[list[int], NDArray[np.int64], NDArray[np.bool_]]:
        """Write a page's pre-labels, and delete those that they replace.

        Args:
            page: T tasks as they stand.
            predicted: what the models say of them.
            waiting: those that had predictions on their way before the page was read.
            errors: takes what is wrong.

        Returns:
            the tasks that Label Studio refused;
            by how many predictions each task holds more than before, int64 (T,);
            which tasks hold others than before, bool (T,).
        """
        errors.update({str(task): said for task, said in predicted.errors.items()})
        for table, labels in zip(predicted.controls, page.annotations.labels, strict=True):
            errors.update(unknown_labels(table, labels.label))
        done = prelabels(predicted, self._opened.settings, page.inputs)
        obsolete, right = [], set()
        for stands in np.flatnonzero(page.standing.version == predicted.version).tolist():
            task = int(page.id[page.standing.task[stands]])
            # The same model says something else once labels, threshold or image have changed.
            if task in done and done[task][0] == page.standing.result[stands]:
                del done[task]
                right.add(task)
            # A second one: of two imports whose answers got lost, or that met.
            elif task in done or task in right:
                obsolete.append(stands)
        refused = self.create(waiting, predicted.version, done)
        delete_predictions(self._opened.services.client, page.standing.id[obsolete].tolist())
        errors.update({str(task): refusal(task, "prediction") for task in refused})
        more = np.isin(page.id, list(done)) & ~np.isin(page.id, refused)
        gone = np.bincount(page.standing.task[obsolete], minlength=len(page))
        return refused, more.astype(np.int64) - gone, np.isin(page.id, list(done)) | (gone > 0)

    def create(
        self,
        waiting: Collection[int],
        version: str,
        predictions: Mapping[int, tuple[Result, float]],
        done: Collection[int] = (),
    ) -> list[int]:
        """Write predictions, or leave them to be sent with others; return the tasks refused.

        Args:
            waiting: the tasks that had predictions on their way before the page was read.
            version: their model version.
            predictions: task id to result and score.
            done: tasks that want no other of this version: what is on its way is out of date.
        """
        project, services = self._opened.project, self._opened.services
        self._outgoing.withdraw(version, set(waiting).intersection(done))
        later = set(predictions) if self._in_bulk else set(predictions) & set(waiting)
        self._outgoing.put(version, {task: predictions[task] for task in later}, doubtful=waiting)
        if later and not self._in_bulk:
            # The run that left what they wait behind may have ended without sending it.
            services.mailbox.send_soon(project.id)
        now = {task: made for task, made in predictions.items() if task not in later}
        return create_predictions(services.client, project.id, version, now, project.size)

    def delete(
        self,
        page: TaskPage,
        changed: NDArray[np.bool_],
        waiting: Collection[int],
        obsolete: Sequence[int],
    ) -> None:
        """Delete predictions of ours, of many tasks at once.

        Args:
            page: T tasks as they were read.
            changed: bool (T,), which of them hold others since.
            waiting: those that had predictions on their way before the page was read.
            obsolete: rows of ``page.standing``.
        """
        if not obsolete:
            return
        standing, opened = page.standing, self._opened
        client, project = opened.services.client, opened.project.id
        gone = np.zeros(len(standing.id), dtype=np.bool_)
        gone[obsolete] = True
        cleared = clearable(page, ~gone, (SUGGESTION_VERSION, opened.version))
        cleared &= ~changed & ~np.isin(page.id, list(waiting))
        cleared &= np.bincount(standing.task[gone], minlength=len(page)) > 0
        if cleared.sum() < _MANY:
            cleared[:] = False
        at_once = cleared[standing.task]
        # Should this process die in between, the next look at these tasks finds what they lack.
        clear_tasks(client, project, page, np.flatnonzero(cleared))
        self._put_again(page, np.flatnonzero(at_once & ~gone))
        delete_predictions(client, standing.id[gone & ~at_once].tolist())

    def _put_again(self, page: TaskPage, rows: NDArray[np.int64]) -> None:
        """Leave predictions to be sent that stood on tasks which were cleared."""
        standing = page.standing
        for version in np.unique(standing.version[rows]).tolist():
            made = {
                int(page.id[standing.task[row]]): (standing.result[row], float(standing.score[row]))
                for row in rows[standing.version[rows] == version].tolist()
            }
            # Where somebody has added one meanwhile, they were not cleared.
            self._outgoing.put(version, made, doubtful=made)
        if len(rows) and not self._in_bulk:
            self._opened.services.mailbox.send_soon(self._opened.project.id)

    def send_lot(self) -> dict[str, str]:
        """Send what waits, if it is enough for one import; return what is wrong."""
        return self.send(self._outgoing.enough)

    def send(self, least: int = 1) -> dict[str, str]:
        """Send what waits, if it is as much; return what is wrong."""
        return send_waiting(self._opened.services, self._opened.project, least)


def send_waiting(services: Services, project: Project, least: int = 1) -> dict[str, str]:
    """Send a project's predictions that wait, if there are as many; return what is wrong.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses a whole request.
        LockNotOwnedError: when another job has sent while this one was away.
    """
    refused = _outgoing(services, project).send(least)
    services.looks.forget(project.id, np.array(list(refused), dtype=np.int64))
    return {
        str(task): refusal(task, "suggestion" if one == SUGGESTION_VERSION else "prediction")
        for task, one in refused.items()
    }


def _outgoing(services: Services, project: Project) -> Outgoing:
    lock = services.mailbox.lock(project.id, "outgoing")
    return Outgoing(services.store.tables, services.client, project, lock)


def refusal(task: int, what: str) -> str:
    """Say that Label Studio did not take something."""
    return f"task {task}: Label Studio refused its {what}"
