"""Settings: the service's from the environment, a project's from its model connection."""

from ml_backend.settings.project import (
    Kind,
    ProjectSettings,
    QueueKind,
    Touched,
    project_settings,
    touched_by,
)
from ml_backend.settings.service import ServiceSettings, misspelt, service_settings, variable

__all__ = [
    "Kind",
    "ProjectSettings",
    "QueueKind",
    "ServiceSettings",
    "Touched",
    "misspelt",
    "project_settings",
    "service_settings",
    "touched_by",
    "variable",
]
