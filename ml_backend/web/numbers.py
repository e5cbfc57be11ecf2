"""Numbers that callers name things by."""

from __future__ import annotations

from typing import Annotated, Final

from annotated_types import Ge, Lt

from ml_backend.labelstudio.tasks.bodies import IDS

__all__ = ["NO_PROJECT", "Id"]

#: The id of a project, a task or an annotation.
Id = Annotated[int, Ge(0), Lt(IDS)]

#: No project of Label Studio's has it.
NO_PROJECT: Final = 0
