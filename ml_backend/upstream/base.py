"""What every upstream is: a model that is given Label Studio's tasks and answers in its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from ml_backend.errors import ModelError
from ml_backend.labelstudio.regions.results import Result

__all__ = ["Answer", "Reply", "Upstream", "UpstreamTask"]


@dataclass(frozen=True, slots=True)
class UpstreamTask:
    """One task.

    Attributes:
        id: Label Studio's task id.
        body: the task as Label Studio's /predict sends it: ``id``, ``data``, and where there are
            any ``annotations`` and ``predictions``.
    """

    id: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an upstream predicted for one task.

    Attributes:
        result: regions as Label Studio keeps them, each checked to name its tags, its type and
            its value, all numbers finite; none: it looked and found nothing.
        score: confidence of the whole in [0, 1], or None where the upstream gave none.
        model_version: the model that said it, as the upstream calls it.
    """

    result: Result
    score: float | None
    model_version: str


#: What one task comes back with: an answer, what went wrong with it and the mend, or None where
#: the upstream has no prediction of this task at all (which says nothing about its labels).
Reply: TypeAlias = Answer | ModelError | None


class Upstream(Protocol):
    """A model elsewhere. Safe to use from several threads."""

    def version(self, project: int, config_xml: str) -> str:
        """Return what our predictions are stored under, ``name@version``.

        The version is the upstream's own word: where that stays the same, what it says of a task
        under the same labelling config is taken to stay the same too.

        Raises:
            ModelError: when the upstream cannot be used.
        """
        ...

    def predict(self, project: int, config_xml: str, tasks: Sequence[UpstreamTask]) -> list[Reply]:
        """Return one reply per task, in their order; no failure of an upstream is raised."""
        ...
