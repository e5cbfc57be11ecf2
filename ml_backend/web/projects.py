"""A project as the review page's routes need it, looked up once for many requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from cachetools import TTLCache
from fastapi import HTTPException
from numpy.typing import NDArray

from ml_backend.errors import LabelStudioError, ModelError, NotConnectedError
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.tasks.annotators import names_of_people
from ml_backend.labelstudio.tasks.reader import Project, read_project
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings, project_settings

__all__ = ["OpenProject", "Projects", "shown_version"]

#: What a project is called, its config and its people change seldom.
_HOLDS_S: Final = 15.0
_MOST_KEPT: Final = 200


@dataclass(frozen=True)
class OpenProject:
    """One project.

    Attributes:
        services: this process' parts.
        project: the project, its config without the tags that no model serves.
        settings: its settings.
        url: Label Studio's address, as people reach it.
    """

    services: Services
    project: Project
    settings: ProjectSettings
    url: str

    @property
    def id(self) -> int:
        """Label Studio's project id."""
        return self.project.id

    def control(self, name: str) -> Control:
        """Return a control tag, the first where none is named.

        Raises:
            HTTPException: 404 where there is none of that name.
        """
        controls = self.project.config.controls
        found = [one for one in controls if one.name == name] if name else list(controls[:1])
        if not found:
            there = ", ".join(repr(one.name) for one in controls)
            raise HTTPException(404, f"no control tag {name[:100]!r}; there are {there}")
        return found[0]

    def threshold(self, control: Control) -> float:
        """Return the confidence from which a prediction counts as one."""
        return control.threshold(self.settings.score_threshold)

    def predictions(self, control: Control, tasks: NDArray[np.int64]) -> ControlPredictions | None:
        """Return what the store has of a model's predictions, None where there is no model."""
        try:
            return self.services.kept.stored(
                self.id, self.project.config, control, self.settings, tasks
            )
        except ModelError:
            return None

    def address(self, task: int | None = None) -> str:
        """Return where Label Studio shows the project, or one of its tasks."""
        place = f"{self.url}/projects/{self.id}/data"
        return place if task is None else f"{place}?task={task}"


class Projects:
    """Projects, kept for a moment.

    Args:
        services: this process' parts.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        self.url = services.settings.people_url
        self._kept = TTLCache[Any, Any](_MOST_KEPT, _HOLDS_S)
        self._lock = threading.Lock()

    def open(self, project: int) -> OpenProject:
        """Return a project, as of the last change that Label Studio has told us.

        Raises:
            LabelStudioError: when it cannot be read.
            ConfigError: when its labelling config cannot be served.
            SettingsError: when its settings are wrong.
        """
        mailbox = self.services.mailbox
        told = json.dumps(mailbox.setup_of(project)), mailbox.heard(project)
        found: OpenProject = self._known((project, *told), lambda: self._open(project))
        return found

    def people(self) -> dict[int, str]:
        """Return what to call each user; nothing while Label Studio cannot say it."""

        def ask() -> dict[int, str]:
            try:
                return names_of_people(self.services.client)
            except LabelStudioError:
                return {}

        found: dict[int, str] = self._known("people", ask)
        return found

    def _open(self, project: int) -> OpenProject:
        opened = read_project(self.services.client, project)
        known, extra_params = self.services.mailbox.setup_of(project)
        if not known:
            raise NotConnectedError(project)
        settings = project_settings(extra_params)
        try:
            served = self.services.choice.served(opened.config, settings)
            opened = replace(opened, config=served)
        except ModelError:
            # Without its model what is known already is shown all the same.
            pass
        return OpenProject(self.services, opened, settings, self.url)

    def _known(self, key: Any, make: Callable[[], Any]) -> Any:
        with self._lock:
            value = self._kept.get(key)
        if value is None:
            value = make()
            with self._lock:
                self._kept[key] = value
        return value


def shown_version(services: Services, project: int) -> str:
    """Return what changes whenever a row of a project, its layout or its lessons change.

    A run lays out at its very end, when no row changes any more.
    """
    return f"{services.page.version(project)}-{services.store.arrays_version(project)}"
