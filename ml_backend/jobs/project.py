"""What one job does to some tasks of one project: read, predict, score, decide, write."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analysis.priority import KindCalibrator
from ml_backend.errors import SettingsError
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.reader import Project, TaskPage, read_project, read_tasks
from ml_backend.labelstudio.verdicts import read_verdicts
from ml_backend.labelstudio.views import QUEUE, ensure_tabs, review_tabs
from ml_backend.labelstudio.writer import (
    create_predictions,
    delete_predictions,
    set_model_version,
)
from ml_backend.prediction import ControlPredictions, PredictedTasks
from ml_backend.prelabels import prelabels
from ml_backend.review.decide import State, decide
from ml_backend.review.publish import publish
from ml_backend.scoring.columns import Calibration
from ml_backend.scoring.page import PageScores, fit_calibration, page_labels, score_page
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings, project_settings

__all__ = ["Outcome", "ProjectWork"]

#: Where the store keeps what reviewers' verdicts have taught.
_VERDICTS = "verdicts"


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
    """

    services: Services
    project: Project
    settings: ProjectSettings

    @classmethod
    def open(cls, services: Services, project: int) -> Self:
        """Read a project and its settings.

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
        return cls(services, replace(opened, config=served), settings)

    def predict(self, tasks: NDArray[np.int64]) -> dict[str, str]:
        """Predict tasks, give them their pre-labels, keep their labels; return what is wrong."""
        errors: dict[str, str] = {}
        for page in self._pages(tasks):
            predicted = self._predict(page)
            self._write_prelabels(page, predicted, errors)
        return errors

    def score(self, tasks: NDArray[np.int64]) -> Outcome:
        """Predict and score tasks and write what changed into Label Studio."""
        outcome = Outcome()
        for page in self._pages(tasks):
            predicted = self._predict(page)
            self._write_prelabels(page, predicted, outcome.errors)
            scores = score_page(
                page,
                predicted.controls,
                [self._calibration(table) for table in predicted.controls],
                self.settings.review_threshold,
            )
            state = State(
                flag=_strings(page.own["flag"]),
                mark=_strings(page.own["seen"]),
                digest=page.digest,
                labelled_at=page.labelled_at,
                model=predicted.version,
                priority=scores.priority,
            )
            decision = decide(state, self.settings.review_threshold)
            refused = publish(
                self.services.client,
                self.project.id,
                self.settings.field_prefix,
                page,
                replace(scores, priority=self._learnt_priority(scores)),
                decision,
            )
            outcome.errors.update(
                {str(task): f"task {task}: Label Studio refused the suggestion" for task in refused}
            )
            outcome.flagged += int(decision.describe.sum())
        return outcome

    def fit(self, tasks: NDArray[np.int64]) -> None:
        """Learn how far to trust the models, from these tasks' labels, and the flags."""
        store, project = self.services.store, self.project
        verdicts = read_verdicts(self.services.client, project.id, self.settings.field_prefix)
        learnt = KindCalibrator.fit(verdicts.kind, verdicts.score, verdicts.wrong)
        store.put_arrays(project.id, _VERDICTS, learnt.to_arrays())
        for control in project.config.controls:
            labels = store.get_labels(project.id, control.name).of(tasks)
            table = self.services.prediction.stored(
                project.id, project.config, control, self.settings, np.unique(labels.task)
            )
            labels = labels.of(np.unique(labels.task)[table.found])
            store.put_arrays(project.id, _arrays(table), fit_calibration(table, labels))

    def tasks_of_annotations(self, annotations: Collection[int]) -> list[int]:
        """Return the tasks that held these annotations when they were last read."""
        tasks: set[int] = set()
        for control in self.project.config.controls:
            labels = self.services.store.get_labels(self.project.id, control.name)
            held = np.isin(labels.held, np.array(list(annotations), dtype=np.int64))
            tasks.update(labels.held_task[held].tolist())
        return sorted(tasks)

    def keep_tabs(self, *, again: bool = False) -> int | None:
        """Make the review tabs, or bring them up to date; return the queue's id.

        Args:
            again: whether one that somebody deleted is made again.
        """
        mailbox = self.services.mailbox
        with mailbox.lock(self.project.id, "tab"):
            tabs = ensure_tabs(
                self.services.client,
                self.project.id,
                review_tabs(self.settings.queue_tab, self.settings.kind_tabs),
                self.settings.field_prefix,
                data_keys=self.project.config.data_keys,
                known=mailbox.tabs_of(self.project.id),
                again=again,
            )
            mailbox.remember_tabs(self.project.id, tabs)
        return tabs.get(QUEUE)

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

    def _pages(self, tasks: NDArray[np.int64]) -> Iterator[TaskPage]:
        prefix = self.settings.field_prefix
        return read_tasks(self.services.client, self.project, prefix, tasks)

    def _predict(self, page: TaskPage) -> PredictedTasks:
        config = self.project.config
        predicted = self.services.prediction.predict(
            self.project.id, config, self.settings, page.inputs
        )
        notes = page.annotations
        for table, labels in zip(predicted.controls, notes.labels, strict=True):
            # What the model gave itself would teach it that it is right.
            kept = page_labels(page, table, labels).without(notes.id[notes.approved])
            self.services.store.put_labels(self.project.id, table.control.name, page.id, kept)
        return predicted

    def _write_prelabels(
        self, page: TaskPage, predicted: PredictedTasks, errors: dict[str, str]
    ) -> None:
        errors.update({str(task): said for task, said in predicted.errors.items()})
        errors.update(_unknown_labels(page, predicted))
        done = prelabels(predicted, self.settings, page.inputs)
        obsolete = []
        for stands in np.flatnonzero(page.standing.version == predicted.version).tolist():
            task = int(page.id[page.standing.task[stands]])
            # The same model says something else once labels, threshold or image have changed.
            if task in done and done[task][0] == page.standing.result[stands]:
                del done[task]
            elif task in done:
                obsolete.append(int(page.standing.id[stands]))
        client, project = self.services.client, self.project.id
        refused = create_predictions(client, project, predicted.version, done)
        delete_predictions(client, obsolete)
        errors.update(
            {str(task): f"task {task}: Label Studio refused its prediction" for task in refused}
        )

    def _learnt_priority(self, scores: PageScores) -> NDArray[np.float32]:
        arrays = self.services.store.get_arrays(self.project.id, _VERDICTS)
        if arrays is None:
            return scores.priority
        return KindCalibrator.from_arrays(arrays).predict(scores.kind, scores.priority)

    def _calibration(self, table: ControlPredictions) -> Calibration | None:
        return self.services.store.get_arrays(self.project.id, _arrays(table))


def _unknown_labels(page: TaskPage, predicted: PredictedTasks) -> dict[str, str]:
    """Say once per label that people use and the model has no class for."""
    said = {}
    for table, labels in zip(predicted.controls, page.annotations.labels, strict=True):
        used = np.unique(labels.label[labels.label >= 0])
        for label in used[~table.known[used]].tolist():
            name = table.control.labels[label]
            said[f"{table.control.name}: {name}"] = (
                f"label {name!r} of {table.control.name!r} has no class in model "
                f"{table.key}: regions with it are not scored. If a class means the same, "
                "name it in the label's predicted_values."
            )
    return said


def _arrays(table: ControlPredictions) -> str:
    """Name a calibration by all it depends on; hashed, because people choose tags' names."""
    control = table.control
    parts = [table.key, control.name, control.labels, sorted(control.predicted_values.items())]
    return "calibration-" + hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _strings(values: list[object]) -> NDArray[np.str_]:
    return np.array([value if isinstance(value, str) else "" for value in values], dtype=np.str_)
