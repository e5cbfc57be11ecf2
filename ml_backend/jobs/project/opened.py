"""A project opened for work, and what stands for all that decides what becomes of its tasks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ml_backend import __version__
from ml_backend.errors import NotConnectedError
from ml_backend.jobs.project.lessons import Lessons
from ml_backend.jobs.project.neighborhood import Neighborhood
from ml_backend.jobs.project.noting import Noting
from ml_backend.jobs.project.vectors import Vectors
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.tasks.reader import Project, read_project
from ml_backend.prediction.answers import Answers
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings, project_settings
from ml_backend.storage.page_columns import FOUND, TASKS
from ml_backend.storage.store import LABELS

__all__ = ["OpenedProject"]


@dataclass(frozen=True)
class OpenedProject:
    """One project as it stood when it was opened.

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
            SettingsError: when its settings are wrong.
            NotConnectedError: when it has no model connection to us.
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
            raise NotConnectedError(project)
        settings = project_settings(extra_params)
        served = services.choice.served(opened.config, settings)
        return cls(services, replace(opened, config=served), settings)

    @property
    def controls(self) -> tuple[Control, ...]:
        """The control tags that a model serves."""
        return self.project.config.controls

    @cached_property
    def vectors(self) -> Vectors:
        """The project's embeddings."""
        return Vectors(self.services, self.project, self.settings)

    @property
    def neighborhood(self) -> Neighborhood:
        """What lies near what."""
        return Neighborhood(self.vectors)

    @cached_property
    def noting(self) -> Noting:
        """What the review page shows."""
        return Noting(self.services, self.project, self.settings)

    @cached_property
    def lessons(self) -> Lessons:
        """What reviewers' verdicts have taught."""
        return Lessons(self.services, self.project.id, self.settings.field_prefix)

    @cached_property
    def setup(self) -> int:
        """What stands for all that predictions and scores depend on, besides the tasks."""
        answers = [self.answers(control) for control in self.controls]
        parts = [__version__, self.controls, self.project.overlap]
        parts += [self.settings.touching("predictions")]
        # What another Relook kept in other columns is not found: all is read again.
        parts += [[str(columns) for columns in (LABELS, FOUND, TASKS)]]
        parts += [[(one.key, one.version) for one in answers]]
        parts += [self.vectors.version(control) for control in self.controls]
        return _digest(parts)

    @property
    def basis(self) -> int:
        """What stands for ``setup`` and for what the admin wants to see of the scores."""
        return _digest([self.setup, self.settings.touching("queue")])

    @property
    def version(self) -> str:
        """The version that the project's predictions carry, see ``ModelChoice.version``."""
        return self.services.choice.version(self.project.id, self.project.config, self.settings)

    def answers(self, control: Control) -> Answers:
        """Return who answers for a control tag."""
        choice = self.services.choice
        return choice.answers(self.project.id, self.project.config, control, self.settings)

    def stored(self, control: Control, tasks: NDArray[np.int64]) -> ControlPredictions:
        """Return what the store holds of a control tag's answers for tasks."""
        project = self.project
        return self.services.prediction.stored(
            project.id, project.config, control, self.settings, tasks
        )


def _digest(parts: list[object]) -> int:
    made = hashlib.blake2b(repr(parts).encode(), digest_size=8)
    return int.from_bytes(made.digest(), signed=True)
