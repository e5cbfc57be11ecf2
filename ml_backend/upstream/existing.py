"""Predictions that already stand in Label Studio, whatever tool made them: nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ml_backend.errors import ModelError
from ml_backend.upstream.answers import read_reply
from ml_backend.upstream.base import Reply, UpstreamTask

__all__ = ["PREFIX", "ExistingUpstream"]

#: What the name of such a model begins with; the model version follows.
PREFIX: Final = "existing:"


class ExistingUpstream:
    """The predictions of one model version.

    Args:
        name: ``existing:MODEL_VERSION``.

    Raises:
        ModelError: when no model version is named.
    """

    def __init__(self, name: str) -> None:
        self.model_version = name.removeprefix(PREFIX)
        if not self.model_version:
            raise ModelError(
                f"model {name!r} names no model version; write {PREFIX}MODEL_VERSION, as the "
                "Data Manager shows it"
            )

    def version(self, project: int, config_xml: str) -> str:
        """Return ``existing@MODEL_VERSION``; it stays the same when predictions are added."""
        return f"existing@{self.model_version}"

    def predict(
        self,
        project: int,
        config_xml: str,
        tasks: Sequence[UpstreamTask],
    ) -> list[Reply]:
        """Return the newest prediction of the model version on each task, None where none is."""
        return [self._of(task) for task in tasks]

    def _of(self, task: UpstreamTask) -> Reply:
        standing = [
            one
            for one in task.body.get("predictions") or []
            if isinstance(one, dict) and one.get("model_version") == self.model_version
        ]
        if not standing:
            return None
        # Label Studio numbers them in the order in which they came.
        newest = max(standing, key=_id)
        return read_reply(f"{PREFIX}{self.model_version}", task.id, newest, self.model_version)


def _id(prediction: dict[str, Any]) -> int:
    found = prediction.get("id")
    return found if isinstance(found, int) else -1
