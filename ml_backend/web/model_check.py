"""Whether a project's model will do, as far as that is known within Label Studio's three seconds.

Label Studio waits so long for /setup, and shows an admin what was refused by then. What takes
longer goes on beside the answer: the next /setup finds the model loaded, and a model that will not
do ends the run with the reason.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from ml_backend.labelstudio.config import LabelingConfig
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings

__all__ = ["ModelCheck"]

_log = logging.getLogger(__name__)

#: A large model file can take long to hash the first time, another backend to answer.
_VERSION_S: Final = 2.0
#: Loading a model keeps the cores busy, so that what follows takes longer than usual.
_LOADED_S: Final = 1.0


class ModelCheck:
    """What ``/setup`` asks about models.

    Args:
        services: this process's parts.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._said: set[tuple[int, str]] = set()

    def version(
        self, project: int, config: LabelingConfig, settings: ProjectSettings
    ) -> str | None:
        """Return the version that a project's predictions carry; None where it is not known yet.

        Raises:
            ModelError: when the model is not there, and as far as it could be loaded in time, when
                it is broken or made for none of the tags.
        """
        check = _Check(self, project, config, settings)
        threading.Thread(target=check.run, daemon=True).start()
        return check.wait()

    def load(self, project: int, config: LabelingConfig, settings: ProjectSettings) -> None:
        """Load the models, and say once in the log which of their classes no label takes.

        Raises:
            ModelError: when one is broken, or made for none of the tags.
        """
        choice = self._services.choice
        served = choice.served(config, settings)
        for said in choice.unmapped(served, settings).values():
            if (project, said) not in self._said:
                _log.warning("project %s: %s", project, said)
                self._said.add((project, said))

    def named(self, project: int, config: LabelingConfig, settings: ProjectSettings) -> str:
        """Return the version by the models' files, none of which is loaded.

        Raises:
            ModelError: when one is not there.
        """
        return self._services.choice.version(project, config, settings)


class _Check:
    """One project's models, looked at in a thread that may take longer than who waits for it."""

    def __init__(
        self,
        owner: ModelCheck,
        project: int,
        config: LabelingConfig,
        settings: ProjectSettings,
    ) -> None:
        self._owner = owner
        self._of = (project, config, settings)
        self._named, self._loaded = threading.Event(), threading.Event()
        self._version: str | None = None
        self._error: Exception | None = None
        self._late = False

    def run(self) -> None:
        """Look at the files, then load the models."""
        try:
            self._version = self._owner.named(*self._of) or None
            self._named.set()
            self._owner.load(*self._of)
        except Exception as error:  # said by who waits, if it still does
            self._error = error
            if self._late:
                _log.warning("project %s: %s", self._of[0], error)
        finally:
            self._named.set()
            self._loaded.set()

    def wait(self) -> str | None:
        """Return the version as soon as all is looked at, or time is over.

        Raises:
            ModelError: what was found until then.
        """
        began = time.monotonic()
        self._named.wait(_VERSION_S)
        self._loaded.wait(max(0.0, began + _LOADED_S - time.monotonic()))
        self._late = True
        if self._error is not None:
            raise self._error
        return self._version
