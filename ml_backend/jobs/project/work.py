"""What one job does to some tasks of one project: read, predict, score, decide, write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.project import learning
from ml_backend.jobs.project.comparison import Comparison, policy_of
from ml_backend.jobs.project.one_pass import OnePass
from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.jobs.project.prelabelling import Prelabelling, refusal
from ml_backend.jobs.project.tabs import keep_tabs
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.regions.suggestions import SUGGESTION_VERSION
from ml_backend.labelstudio.tasks.listing import list_tasks
from ml_backend.labelstudio.tasks.reader import TaskPage, read_tasks
from ml_backend.labelstudio.views import QUEUE
from ml_backend.labelstudio.writer import set_model_version
from ml_backend.marks import Mark
from ml_backend.prediction.predicting import PredictedTasks
from ml_backend.review.decide import CONFIRMED, CORRECTED, NEEDS_REVIEW, State, decide
from ml_backend.review.hand import honour
from ml_backend.review.policy import Policy
from ml_backend.review.publish import publish
from ml_backend.scoring.amended import amended, as_reason
from ml_backend.scoring.pixels import page_labels
from ml_backend.scoring.told import told
from ml_backend.services import Services
from ml_backend.storage.labels import StoredLabels
from ml_backend.storage.looks import QUIET, UNKNOWN
from ml_backend.storage.standing import Standing

__all__ = ["Outcome", "ProjectWork"]

#: Flags of tasks whose next change of labels may be a correction, and is told then.
_OPEN: Final = (NEEDS_REVIEW, CONFIRMED)


@dataclass(slots=True)
class Outcome:
    """What came of some tasks: how many need review, and what is wrong with which."""

    flagged: int = 0
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProjectWork:
    """One project, opened for work.

    Attributes:
        opened: the project as it stands, its settings, and this worker's parts.
        in_bulk: whether predictions are left to be sent many at once.
    """

    opened: OpenedProject
    in_bulk: bool = False

    @classmethod
    def open(cls, services: Services, project: int, *, in_bulk: bool = False) -> Self:
        """Read a project and its settings, see ``OpenedProject.open``; see ``in_bulk`` above."""
        return cls(OpenedProject.open(services, project), in_bulk)

    @cached_property
    def comparison(self) -> Comparison:
        """What has changed, and of what there is news."""
        return Comparison(self.opened)

    @cached_property
    def prelabelling(self) -> Prelabelling:
        """Predictions on their way to Label Studio."""
        return Prelabelling(self.opened, self.in_bulk)

    def predict(
        self, tasks: NDArray[np.int64], before_writing: Callable[[], None]
    ) -> dict[str, str]:
        """Predict and embed tasks, give them their pre-labels; return what is wrong.

        Args:
            tasks: ids of the tasks.
            before_writing: raises when what was read may no longer be written upon.
        """
        errors: dict[str, str] = {}
        for page, waiting in self._pages(tasks):
            predicted, labels = self._predict(page)
            # An answer is scored next: what was changed is told from what is kept.
            self._keep_labels(page.id[~_answered(page)], predicted, labels)
            before_writing()
            refused, more, _ = self.prelabelling.write(page, predicted, waiting, errors)
            flagged = page.said("flag")
            ours = np.zeros(len(page), dtype=np.bool_)
            ours[page.standing.task[page.standing.version == SUGGESTION_VERSION]] = True
            said = np.where((flagged == "") & ~ours, QUIET, UNKNOWN)
            self.opened.noting.read(page, flagged)
            bad = [*predicted.errors, *refused]
            none = np.full(len(page), np.nan, dtype=np.float32)
            self.comparison.keep(page, bad, more, said, none, flagged == NEEDS_REVIEW)
        return errors

    def score(self, tasks: NDArray[np.int64], before_writing: Callable[[], None]) -> Outcome:
        """Predict and score tasks and write what changed into Label Studio.

        Args:
            tasks: ids of the tasks.
            before_writing: raises when what was read may no longer be written upon.
        """
        outcome, opened = Outcome(), self.opened
        for page, waiting in self._pages(tasks):
            predicted, labels = self._predict(page)
            before_writing()
            refused, more, changed = self.prelabelling.write(
                page, predicted, waiting, outcome.errors
            )
            nearby = [opened.neighborhood.of_page(one, page.inputs) for one in opened.controls]
            scores = learning.scores(opened, page, predicted.controls, nearby, self.policy)
            state = State(
                flag=page.said("flag"),
                mark=page.said("seen"),
                digest=page.digest,
                labelled_at=page.labelled_at,
                created_at=page.created_at,
                model=predicted.version,
                priority=scores.priority,
                answered=page.answered,
                acted_at=page.acted_at,
            )
            honoured = honour(state, decide(state, scores.least), page.said("hand"))
            decision = honoured.decision
            before_writing()
            priority = opened.lessons.priority(scores)
            shown = replace(scores, priority=priority)
            fixless, suggested = publish(
                opened.services.client,
                opened.project.id,
                opened.settings.field_prefix,
                page,
                shown,
                decision,
                partial(self.prelabelling.create, waiting),
                partial(self.prelabelling.delete, page, changed, waiting),
                self._changed(page, predicted, labels, decision.flag),
            )
            # Only now: what was changed is told from what is kept, by another try too.
            self._keep_labels(page.id, predicted, labels)
            opened.noting.scored(page, predicted.controls, shown, nearby)
            opened.noting.decided(page, honoured)
            outcome.errors.update({str(task): refusal(task, "suggestion") for task in fixless})
            flagged = decision.flag == NEEDS_REVIEW
            outcome.flagged += int(flagged.sum())
            bad = [*predicted.errors, *refused, *fixless]
            self.comparison.keep(page, bad, more + suggested, told(scores), priority, flagged)
        return outcome

    def fit(self, tasks: NDArray[np.int64]) -> dict[str, str]:
        """Learn from verdicts and all of the project's tasks; return what is wrong."""
        self.opened.lessons.learn()
        return learning.fit(self.opened, tasks)

    @cached_property
    def policy(self) -> Policy:
        """What counts as needing review."""
        return policy_of(self.opened)

    def tidy(self, tasks: NDArray[np.int64]) -> None:
        """Forget tasks that are gone, and merge small files.

        Args:
            tasks: int64 (T,), ids of all the project's tasks, ascending.
        """
        standing, project = self._standing(tasks), self.opened.project.id
        self.opened.noting.tidy(standing)
        for kept in (self.opened.services.store, self.opened.services.looks):
            kept.keep_only(project, standing)
            kept.compact(project)

    def lay_out(self, tasks: NDArray[np.int64]) -> None:
        """Lay inputs and regions out on planes, for the eye; see ``tidy``."""
        standing = self._standing(tasks)
        for control in self.opened.controls:
            self.opened.neighborhood.lay_out(control, standing)
        self.opened.services.embeddings.compact(self.opened.project.id)

    def _standing(self, tasks: NDArray[np.int64]) -> Standing:
        """Return which tasks still stand: those beyond the last have come since, or are gone."""
        services, project = self.opened.services, self.opened.project.id
        last = int(tasks.max(initial=0))
        known = max(services.looks.last(project), services.embeddings.last(project))
        if known <= last:
            return Standing(tasks, last)
        with explained(f"listing the newest tasks of project {project}"):
            newest = list_tasks(services.client, project, "id", beyond=last)
            later = np.array([int(task.id) for task in newest], dtype=np.int64)
        return Standing(np.concatenate([tasks, later]), known)

    def tasks_of_annotations(self, annotations: Collection[int]) -> list[int]:
        """Return the tasks that held these annotations when they were last read."""
        found = self.opened.services.store.tasks_holding(self.opened.project.id, annotations)
        return [int(task) for task in found]

    def keep_tabs(self, *, again: bool = False) -> int | None:
        """Make the review tabs, or bring them up to date; return the queue's id.

        Args:
            again: whether one that somebody deleted is made again.
        """
        opened = self.opened
        tabs = keep_tabs(opened.services, opened.project, opened.settings, again=again)
        return tabs.get(QUEUE)

    def keep_model_version(self) -> None:
        """Name our predictions' version in the project, unless somebody chose another.

        Label Studio puts the connection's title there, which no prediction carries: scores in
        the Data Manager and uncertainty sampling are then empty.
        """
        version, project = self.opened.version, self.opened.project
        if not version:
            return
        client, mailbox = self.opened.services.client, self.opened.services.mailbox
        with explained(f"listing the model connections of project {project.id}"):
            connections = client.ml.list(project=project.id)
        titles = {"", *(str(one.title) for one in connections)}
        current = project.model_version
        if current in titles or mailbox.set_version(project.id, current):
            stands = current == version or set_model_version(client, project.id, version)
            if stands:
                mailbox.remember_version(project.id, version)

    def _pages(self, tasks: NDArray[np.int64]) -> Iterator[tuple[TaskPage, set[int]]]:
        """Yield pages of tasks, and which of them have predictions on their way."""
        # Asked first: what is no longer on its way then stands in what is read.
        waiting = self.prelabelling.waiting(tasks)
        opened = self.opened
        prefix = opened.settings.field_prefix
        for page in read_tasks(opened.services.client, opened.project, prefix, tasks):
            yield page, waiting

    def _changed(
        self,
        page: TaskPage,
        predicted: PredictedTasks,
        labels: list[StoredLabels],
        flag: NDArray[np.str_],
    ) -> dict[int, str]:
        """Say what was changed in the tasks that have just been corrected, by row."""
        tasks = page.id[(flag == CORRECTED) & np.isin(page.said("flag"), _OPEN)]
        if not len(tasks):
            return {}
        store, project = self.opened.services.store, self.opened.project.id
        said = [
            amended(table.control, store.get_labels(project, table.control, tasks), now.of(tasks))
            for table, now in zip(predicted.controls, labels, strict=True)
        ]
        words = as_reason(CORRECTED, said)
        return {row: words[task] for row, task in enumerate(page.id.tolist()) if task in words}

    def _predict(self, page: TaskPage) -> tuple[PredictedTasks, list[StoredLabels]]:
        """Predict and embed a page; return its labels beside that, by control tag."""
        opened = self.opened
        project, services = opened.project, opened.services
        predicted = services.prediction.predict(
            project.id, project.config, opened.settings, page.inputs, OnePass(opened.vectors, page)
        )
        said = [
            page_labels(page, table, labels)
            for table, labels in zip(predicted.controls, page.annotations.labels, strict=True)
        ]
        for table, labels in zip(predicted.controls, said, strict=True):
            wrong = opened.vectors.embed(table.control, page.inputs, labels)
            for task, reason in wrong.items():
                predicted.errors.setdefault(task, reason)
        return predicted, said

    def _keep_labels(
        self, tasks: NDArray[np.int64], predicted: PredictedTasks, labels: list[StoredLabels]
    ) -> None:
        """Keep the labels of some of a page's tasks as they were read."""
        store, project = self.opened.services.store, self.opened.project.id
        for table, said in zip(predicted.controls, labels, strict=True):
            store.put_labels(project, table.control, tasks, said.of(tasks))


def _answered(page: TaskPage) -> NDArray[np.bool_]:
    """Which open tasks have other labels by now than their mark says, bool (T,)."""
    marks = [Mark.parse(text) for text in page.said("seen").tolist()]
    other = [
        not mark.is_silent and mark.digest != digest
        for mark, digest in zip(marks, page.digest.tolist(), strict=True)
    ]
    return np.isin(page.said("flag"), _OPEN) & np.array(other, dtype=np.bool_)
