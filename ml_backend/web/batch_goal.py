"""Whether the project that batches are to go to is there, as settings that name it are saved."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

from ml_backend.errors import LabelStudioError, SettingsError
from ml_backend.labelstudio.client import explained
from ml_backend.services import Services

__all__ = ["BatchGoal"]

_log = logging.getLogger(__name__)

#: Label Studio waits three seconds for /setup, and may have no other process free to answer us.
_PATIENCE_S: Final = 1.0


class BatchGoal:
    """Looks for the project that ``batch_to`` names, beside what else /setup looks at.

    Args:
        services: this process's parts.
        project: the project whose settings are saved.
        to: what its ``batch_to`` says.

    Raises:
        SettingsError: when it names the project itself.
    """

    def __init__(self, services: Services, project: int, to: str) -> None:
        if to == str(project):
            raise SettingsError(
                f"extra params: batch_to is {to!r}, which is this project itself: here sends "
                "batches to a tab of it, new to a project of their own"
            )
        self._services = services
        self._to = to
        self._missing = False
        self._looked = threading.Event()
        self._until = time.monotonic() + _PATIENCE_S
        if to.isdigit():
            threading.Thread(target=self._look, daemon=True).start()
        else:
            self._looked.set()

    def require(self) -> None:
        """Refuse a project that Label Studio has said it does not show; one unsaid is let pass.

        Raises:
            SettingsError: when Relook's user cannot read it.
        """
        self._looked.wait(max(0.0, self._until - time.monotonic()))
        if self._missing:
            raise SettingsError(
                f"extra params: batch_to is {self._to!r}, but there is no project {self._to} that "
                "Relook's user may read: allowed are the id of one, new, here, or nothing"
            )

    def _look(self) -> None:
        try:
            with explained(f"looking for project {self._to}"):
                found: Any = self._services.client.projects.list(ids=self._to, include="id")
                self._missing = not any(str(one.id) == self._to for one in found)
        except (LabelStudioError, SettingsError) as error:
            # It says so again when a batch is to go there.
            _log.warning("%s", error)
        finally:
            self._looked.set()
