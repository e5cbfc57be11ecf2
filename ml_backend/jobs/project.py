"""What one job does to some tasks of one project: read, predict, score, decide, write."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend import __version__
from ml_backend.errors import SettingsError
from ml_backend.jobs.neighborhood import Neighborhood
from ml_backend.jobs.outgoing import Outgoing
from ml_backend.labelstudio.changes import TaskStates
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.reader import Project, TaskPage, read_project, read_tasks
from ml_backend.labelstudio.results import Result
from ml_backend.labelstudio.suggestions import SUGGESTION_VERSION
from ml_backend.labelstudio.views import ensure_queue_tab
from ml_backend.labelstudio.writer import (
    create_predictions,
    delete_predictions,
    set_model_version,
)
from ml_backend.prediction.answers import Answers
from ml_backend.prediction.predicting import ControlPredictions, PredictedTasks
from ml_backend.prediction.prelabels import prelabels
from ml_backend.review.decide import NEEDS_REVIEW, State, decide
from ml_backend.review.policy import Policy, cut_for
from ml_backend.review.publish import publish
from ml_backend.scoring.columns import Calibration
from ml_backend.scoring.nearby import Nearby
from ml_backend.scoring.page import PageScores, fit_calibration, page_labels, score_page
from ml_backend.scoring.stored import stored_page
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings, project_settings
from ml_backend.storage.looks import QUIET, UNKNOWN, Looks, told

__all__ = ["Outcome", "ProjectWork"]

#: Under which it is noted how a project's tasks were when nothing was left to say.
_SETTLED: Final = "settled"
#: Under which it is kept from which priority a task is among as many as are wanted.
_CUT: Final = "cut"
#: How many tasks are learnt from, at most: more teach nothing new and cost memory.
_LEARNT: Final = 100_000


@dataclass(slots=True)
class Outcome:
    """What came of some tasks: how many need review, and what is wrong with which."""

    flagged: int = 0
    errors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProjectWork:
    """One project, opened for work.

    Attributes:
        services: this worker's parts.
        project: the project as it stands, its config without the tags that no model serves.
        settings: its settings as Label Studio last sent them.
        in_bulk: whether predictions are left to be sent many at once.
    """

    services: Services
    project: Project
    settings: ProjectSettings
    in_bulk: bool = False

    @classmethod
    def open(cls, services: Services, project: int, *, in_bulk: bool = False) -> Self:
        """Read a project and its settings; see ``in_bulk`` above.

        Raises:
            LabelStudioError: when Label Studio cannot be reached or refuses.
            ConfigError: when the labelling config cannot be served.
            SettingsError: when its settings are wrong or no model connection was ever set up.
            ModelError: when a model is missing or fits no tag.
        """
        opened = read_project(services.client, project)
        known, extra_params = services.mailbox.setup_of(project)
        if not known:
            # Listing the connections makes Label Studio send /setup again, if there is one.
            with explained(f"listing the model connections of project {project}"):
                services.client.ml.list(project=project)
            known, extra_params = services.mailbox.setup_of(project)
        if not known:
            raise SettingsError(
                f"project {project} is not connected to this backend: add it in Label Studio "
                "under Settings > Model"
            )
        settings = project_settings(extra_params)
        served = services.choice.served(opened.config, settings)
        return cls(services, replace(opened, config=served), settings, in_bulk)

    @cached_property
    def outgoing(self) -> Outgoing:
        """Predictions on their way to Label Studio."""
        lock = self.services.mailbox.lock(self.project.id, "outgoing")
        return Outgoing(self.services.store.tables, self.services.client, self.project, lock)

    @cached_property
    def setup(self) -> int:
        """What stands for all that predictions and scores depend on, besides the tasks."""
        answers = [self._answers(control) for control in self.project.config.controls]
        parts = [__version__, self.project.config.controls, self.project.overlap]
        parts += [self.settings.touching("predictions")]
        parts += [[(one.key, one.version) for one in answers]]
        parts += [self.neighborhood.version(control) for control in self._controls]
        made = hashlib.blake2b(repr(parts).encode(), digest_size=8)
        return int.from_bytes(made.digest(), signed=True)

    def changed(self, states: TaskStates) -> NDArray[np.bool_]:
        """Return which of the project's tasks are not as they were when last looked at."""
        looks = self.services.looks.get(self.project.id, states.task)
        # Predictions that stand in Label Studio may be changed there without a trace.
        stand = any(not self._answers(one).version for one in self.project.config.controls)
        return np.full(len(states.task), stand) | ~looks.unchanged(states, self.setup)

    @cached_property
    def neighborhood(self) -> Neighborhood:
        """The project's embeddings."""
        return Neighborhood(self.services, self.project, self.settings)

    def predict(self, tasks: NDArray[np.int64]) -> dict[str, str]:
        """Predict and embed tasks, give them their pre-labels; return what is wrong."""
        errors: dict[str, str] = {}
        for page, waiting in self._pages(tasks):
            predicted = self._predict(page)
            refused, more = self._write_prelabels(page, predicted, waiting, errors)
            flagged = _strings(page.own["flag"])
            ours = np.zeros(len(page), dtype=np.bool_)
            ours[page.standing.task[page.standing.version == SUGGESTION_VERSION]] = True
            told = np.where((flagged == "") & ~ours, QUIET, UNKNOWN)
            bad = [*predicted.errors, *refused]
            self._keep_looks(page, bad, more, told, flagged == NEEDS_REVIEW)
        return errors

    def score(self, tasks: NDArray[np.int64]) -> Outcome:
        """Predict and score tasks and write what changed into Label Studio."""
        outcome = Outcome()
        for page, waiting in self._pages(tasks):
            predicted = self._predict(page)
            refused, more = self._write_prelabels(page, predicted, waiting, outcome.errors)
            nearby = [self.neighborhood.of_page(one, page.inputs) for one in self._controls]
            scores = self._scores(page, predicted.controls, nearby, self.policy)
            state = State(
                flag=_strings(page.own["flag"]),
                mark=_strings(page.own["seen"]),
                digest=page.digest,
                labelled_at=page.labelled_at,
                model=predicted.version,
                priority=scores.priority,
            )
            decision = decide(state, scores.least)
            fixless, suggested = publish(
                self.services.client,
                self.project.id,
                self.settings.field_prefix,
                page,
                scores,
                decision,
                partial(self._create, waiting),
            )
            outcome.errors.update({str(task): _refusal(task, "suggestion") for task in fixless})
            outcome.flagged += int(decision.describe.sum())
            bad = [*predicted.errors, *refused, *fixless]
            flagged = decision.flag == NEEDS_REVIEW
            self._keep_looks(page, bad, more + suggested, told(scores), flagged)
        return outcome

    def fit(self, tasks: NDArray[np.int64]) -> dict[str, str]:
        """Learn from what the store holds of these tasks how far the models can be trusted.

        Returns:
            what is wrong with the labels.
        """
        store, project = self.services.store, self.project
        said: dict[str, str] = {}
        for control in project.config.controls:
            labels = store.get_labels(project.id, control.name, _sample(tasks))
            table = self._stored(control, np.unique(labels.task))
            said |= _unknown_labels(table, labels.label)
            labels = labels.of(np.unique(labels.task)[table.found])
            # Of neighbours, all count: vectors of what is not named here are dropped.
            every = labels
            if len(tasks) > _LEARNT:
                every = store.get_labels(project.id, control.name, tasks)
            nearby = self.neighborhood.learn(control, tasks, every, table.known)
            if nearby is not None:
                nearby = nearby.of_tasks(np.unique(labels.task))
            store.put_arrays(project.id, _arrays(table), fit_calibration(table, labels, nearby))
        return said

    def compare(self, tasks: NDArray[np.int64], settled: bool) -> tuple[Looks, NDArray[np.bool_]]:
        """Compare what the store's columns say of tasks with what Label Studio was told.

        Args:
            tasks: int64 (T,), task ids, ascending.
            settled: whether they need no comparison.

        Returns:
            how they were when last looked at;
            bool (T,), of which something else is to be said, or nobody knows.
        """
        looks = self.services.looks.get(self.project.id, tasks)
        if settled or not len(tasks):
            return looks, np.zeros(len(tasks), dtype=np.bool_)
        _, scores, lost = self._stored_scores(tasks, self.policy)
        return looks, (told(scores) != looks.told) | (looks.stamp == 0) | lost

    def find_cut(self, pages: Sequence[NDArray[np.int64]]) -> None:
        """Find the priority from which a task is among as many as the admin wants to see.

        Args:
            pages: int64, the ids of all of the project's tasks, in parts.
        """
        if self.settings.review_share >= 1:
            return
        every = Policy.of(self.settings)
        priority, least, labelled = [], [], 0
        for tasks in pages:
            page, scores, _ = self._stored_scores(tasks, every)
            priority.append(scores.priority)
            least.append(scores.least)
            labelled += len(np.unique(page.annotations.task))
        share = self.settings.review_share
        cut = cut_for(np.concatenate(priority), np.concatenate(least), labelled, share)
        self.services.store.put_arrays(self.project.id, _CUT, {"cut": np.array(cut)})
        self.__dict__.pop("policy", None)

    @cached_property
    def policy(self) -> Policy:
        """What counts as needing review."""
        kept = None
        if self.settings.review_share < 1:
            kept = self.services.store.get_arrays(self.project.id, _CUT)
        return Policy.of(self.settings, cut=0.0 if kept is None else float(kept["cut"]))

    def _stored_scores(
        self, tasks: NDArray[np.int64], policy: Policy
    ) -> tuple[TaskPage, PageScores, NDArray[np.bool_]]:
        """Score tasks from the store's columns; bool (T,): of which it lacks predictions."""
        controls = self.project.config.controls
        tables = [self._stored(control, tasks) for control in controls]
        labels = [
            self.services.store.get_labels(self.project.id, one.name, tasks) for one in controls
        ]
        page = stored_page(tasks, labels)
        nearby = [self.neighborhood.of_tasks(control, tasks) for control in controls]
        lost = ~np.logical_and.reduce([table.found for table in tables])
        return page, self._scores(page, tables, nearby, policy), lost

    def settled(self, tasks: NDArray[np.int64]) -> bool:
        """Whether all tasks are as they were when a run last ended with nothing left to say."""
        kept = self.services.store.get_arrays(self.project.id, _SETTLED)
        return kept is not None and str(kept["digest"]) == self._digest(tasks)

    def settle(self, tasks: NDArray[np.int64]) -> None:
        """Note that nothing is left to say of the tasks as they are now."""
        digest = np.array(self._digest(tasks))
        self.services.store.put_arrays(self.project.id, _SETTLED, {"digest": digest})

    def send(self, least: int = 1) -> dict[str, str]:
        """Send predictions that wait, if they are as many; return what is wrong."""
        refused = self.outgoing.send(least)
        self.services.looks.forget(self.project.id, np.array(list(refused), dtype=np.int64))
        return {
            str(task): _refusal(task, "suggestion" if one == SUGGESTION_VERSION else "prediction")
            for task, one in refused.items()
        }

    def compact(self) -> None:
        """Merge the small files that many small writes leave behind."""
        self.services.store.compact(self.project.id)
        self.services.looks.compact(self.project.id)

    def lay_out(self, tasks: NDArray[np.int64]) -> None:
        """Lay inputs and regions out on planes, for the eye."""
        for control in self.project.config.controls:
            self.neighborhood.lay_out(control, tasks)
        self.services.embeddings.compact(self.project.id)

    def tasks_of_annotations(self, annotations: Collection[int]) -> list[int]:
        """Return the tasks that held these annotations when they were last read."""
        found = self.services.store.tasks_holding(self.project.id, annotations)
        return [int(task) for task in found]

    def keep_tab(self) -> int:
        """Make the queue's tab, or bring it up to date; return its id."""
        mailbox = self.services.mailbox
        with mailbox.lock(self.project.id, "tab"):
            tab = ensure_queue_tab(
                self.services.client,
                self.project.id,
                self.settings.queue_tab,
                self.settings.field_prefix,
                data_keys=self.project.config.data_keys,
                known=mailbox.tab_of(self.project.id),
            )
            mailbox.remember_tab(self.project.id, tab)
        return tab

    def keep_model_version(self) -> None:
        """Name our predictions' version in the project, unless somebody chose another.

        Label Studio puts the connection's title there, which no prediction carries: scores in
        the Data Manager and uncertainty sampling are then empty.
        """
        version = self.services.choice.version(self.project.id, self.project.config, self.settings)
        if not version:
            return
        current = self.project.model_version
        with explained(f"listing the model connections of project {self.project.id}"):
            connections = self.services.client.ml.list(project=self.project.id)
        titles = {"", *(str(one.title) for one in connections)}
        mailbox = self.services.mailbox
        if current in titles or mailbox.set_version(self.project.id, current):
            stands = current == version or set_model_version(
                self.services.client, self.project.id, version
            )
            if stands:
                mailbox.remember_version(self.project.id, version)

    def _pages(self, tasks: NDArray[np.int64]) -> Iterator[tuple[TaskPage, set[int]]]:
        """Yield pages of tasks, and which of them have predictions on their way."""
        # Asked first: what is no longer on its way then stands in what is read.
        waiting = self.outgoing.waiting(tasks)
        prefix = self.settings.field_prefix
        for page in read_tasks(self.services.client, self.project, prefix, tasks):
            yield page, waiting

    def _answers(self, control: Control) -> Answers:
        choice = self.services.choice
        return choice.answers(self.project.id, self.project.config, control, self.settings)

    def _stored(self, control: Control, tasks: NDArray[np.int64]) -> ControlPredictions:
        project = self.project
        return self.services.prediction.stored(
            project.id, project.config, control, self.settings, tasks
        )

    @property
    def _controls(self) -> tuple[Control, ...]:
        return self.project.config.controls

    def _scores(
        self,
        page: TaskPage,
        tables: Sequence[ControlPredictions],
        nearby: Sequence[Nearby | None],
        policy: Policy,
    ) -> PageScores:
        calibrations = [self._calibration(table) for table in tables]
        return score_page(page, tables, calibrations, policy, nearby)

    def _digest(self, tasks: NDArray[np.int64]) -> str:
        """Stand for how the tasks are and for what the admin wants to see of them."""
        looks = self.services.looks.get(self.project.id, tasks).digest()
        return f"{looks} {self.settings.touching('queue')}"

    def _keep_looks(
        self,
        page: TaskPage,
        bad: Collection[int],
        more: NDArray[np.int64],
        told: NDArray[np.int64],
        flagged: NDArray[np.bool_],
    ) -> None:
        """Keep how tasks were read; those with which something is wrong are read again."""
        holds = np.bincount(page.standing.task, minlength=len(page)) + more
        setup = np.full(len(page), self.setup)
        looks = Looks(page.id, page.stamp, setup, holds, told, flagged)
        self.services.looks.put(self.project.id, looks.take(~np.isin(page.id, list(bad))))

    def _predict(self, page: TaskPage) -> PredictedTasks:
        config = self.project.config
        predicted = self.services.prediction.predict(
            self.project.id, config, self.settings, page.inputs
        )
        for table, labels in zip(predicted.controls, page.annotations.labels, strict=True):
            said = page_labels(page, table, labels)
            self.services.store.put_labels(self.project.id, table.control.name, page.id, said)
            wrong = self.neighborhood.embed(table.control, page.inputs, said)
            for task, reason in wrong.items():
                predicted.errors.setdefault(task, reason)
        return predicted

    def _write_prelabels(
        self,
        page: TaskPage,
        predicted: PredictedTasks,
        waiting: Collection[int],
        errors: dict[str, str],
    ) -> tuple[list[int], NDArray[np.int64]]:
        """Write pre-labels; return the refused tasks, and how many more predictions each holds."""
        errors.update({str(task): said for task, said in predicted.errors.items()})
        for table, labels in zip(predicted.controls, page.annotations.labels, strict=True):
            errors.update(_unknown_labels(table, labels.label))
        done = prelabels(predicted, self.settings, page.inputs)
        obsolete = []
        for stands in np.flatnonzero(page.standing.version == predicted.version).tolist():
            task = int(page.id[page.standing.task[stands]])
            # The same model says something else once labels, threshold or image have changed.
            if task in done and done[task][0] == page.standing.result[stands]:
                del done[task]
            elif task in done:
                obsolete.append(stands)
        refused = self._create(waiting, predicted.version, done)
        delete_predictions(self.services.client, page.standing.id[obsolete].tolist())
        errors.update({str(task): _refusal(task, "prediction") for task in refused})
        more = np.isin(page.id, list(done)) & ~np.isin(page.id, refused)
        gone = np.bincount(page.standing.task[obsolete], minlength=len(page))
        return refused, more.astype(np.int64) - gone

    def _create(
        self,
        waiting: Collection[int],
        version: str,
        predictions: Mapping[int, tuple[Result, float]],
    ) -> list[int]:
        """Write predictions, or leave them to be sent with others; return the tasks refused."""
        later = set(predictions) if self.in_bulk else set(predictions) & set(waiting)
        # Beside a run that may be sending another of them at this moment.
        self.outgoing.put(
            version, {task: predictions[task] for task in later}, doubtful=not self.in_bulk
        )
        now = {task: made for task, made in predictions.items() if task not in later}
        size = self.project.size
        return create_predictions(self.services.client, self.project.id, version, now, size)

    def _calibration(self, table: ControlPredictions) -> Calibration | None:
        return self.services.store.get_arrays(self.project.id, _arrays(table))


def _refusal(task: int, what: str) -> str:
    return f"task {task}: Label Studio refused its {what}"


def _unknown_labels(table: ControlPredictions, given: NDArray[np.int32]) -> dict[str, str]:
    """Say once per label that people use and the model has no class for."""
    said = {}
    used = np.unique(given[given >= 0])
    for label in used[~table.known[used]].tolist():
        name = table.control.labels[label]
        said[f"{table.control.name}: {name}"] = (
            f"label {name!r} of {table.control.name!r} has no class in model "
            f"{table.key}: regions with it are not scored. If a class means the same, "
            "name it in the label's predicted_values."
        )
    return said


def _sample(tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose the tasks that are learnt from, the same ones from run to run."""
    scattered = tasks.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return tasks[scattered <= np.uint64(2**64 - 1) // np.uint64(max(1, -(-len(tasks) // _LEARNT)))]


def _arrays(table: ControlPredictions) -> str:
    """Name a calibration by all it depends on; hashed, because people choose tags' names."""
    control = table.control
    parts = [table.key, control.name, control.labels, sorted(control.predicted_values.items())]
    return "calibration-" + hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _strings(values: list[object]) -> NDArray[np.str_]:
    return np.array([value if isinstance(value, str) else "" for value in values], dtype=np.str_)
