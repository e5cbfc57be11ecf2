"""Everything that can go wrong, in one tree. Each message names what, where, and the mend.

RelookError
 ├─ SettingsError        a setting of the service or of a project
 │   └─ NotConnectedError  a project has no model connection to this backend
 ├─ ConfigError          a labelling config that Relook cannot serve
 ├─ ModelError           a model that is missing, unreadable, or made for another job
 │   └─ ModelAwayError     a model elsewhere that does not answer now
 ├─ MediaError           an image that cannot be fetched or read
 ├─ StoreError           what was computed cannot be kept: the disk is full, say
 ├─ RunError             a run that cannot be cancelled or retried as it stands
 ├─ BatchError           a relabel batch that is not there
 ├─ BackendError         the backend does not answer the command line, or refuses
 ├─ CrashError           work that ends its worker's process each time it is tried
 └─ LabelStudioError     Label Studio cannot be reached, or refuses
     ├─ TokenRefusedError  the token is wrong, or its user may not do this
     └─ ProjectGoneError   the project or task is no longer there
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "BatchError",
    "ConfigError",
    "CrashError",
    "LabelStudioError",
    "MediaError",
    "ModelAwayError",
    "ModelError",
    "NotConnectedError",
    "ProjectGoneError",
    "RelookError",
    "RunError",
    "SettingsError",
    "StoreError",
    "TokenRefusedError",
    "is_lasting",
    "short",
]


class RelookError(Exception):
    """Base of every error that Relook raises on purpose."""


class SettingsError(RelookError):
    """A setting is wrong; the message names the key, the value and what is allowed."""


class NotConnectedError(SettingsError):
    """A project has no model connection to this backend, or has it no more."""

    def __init__(self, project: int) -> None:
        super().__init__(
            f"project {project} is not connected to this backend: add it in Label Studio under "
            "Settings > Model"
        )


class ConfigError(RelookError):
    """The labelling config cannot be served; the message names the tag and the mend."""


class ModelError(RelookError):
    """A model cannot be used; the message names the file and the mend."""


class ModelAwayError(ModelError):
    """A model elsewhere does not answer now; trying again can help."""


class MediaError(RelookError):
    """A task's image cannot be used; the message names the address and the mend."""


class StoreError(RelookError):
    """The store cannot be written; the message names the folder and the mend."""


class RunError(RelookError):
    """A run is not there, or not in a state in which this can be done with it."""


class BatchError(RelookError):
    """A relabel batch is not there."""


class BackendError(RelookError):
    """The backend does not answer a command, or refuses it; the message says the mend.

    Attributes:
        passing: whether asking again can help.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class StartError(RelookError):
    """A part that Relook starts does not come up; the message ends with what it said last."""


class CrashError(RelookError):
    """A step of a run ended its worker's process again and again; the message names it."""


class LabelStudioError(RelookError):
    """Label Studio cannot be reached or refused a call; the message names the mend."""


class TokenRefusedError(LabelStudioError):
    """Label Studio does not accept the token for this; trying again cannot help."""


class ProjectGoneError(LabelStudioError):
    """The project or task was deleted, or the token's user cannot see it."""


def is_lasting(error: BaseException) -> bool:
    """Whether what went wrong goes wrong again until somebody mends it."""
    if isinstance(error, LabelStudioError):
        return isinstance(error, ProjectGoneError | TokenRefusedError)
    return isinstance(error, RelookError) and not isinstance(error, ModelAwayError)


def short(error: Exception) -> str:
    """Return an error's own words on one line of bearable length."""
    return " ".join(str(error).split())[:300] or type(error).__name__
