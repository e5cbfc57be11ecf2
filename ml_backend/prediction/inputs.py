"""What tasks hold, as every source of predictions is given it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.config import Control

__all__ = ["TaskInputs"]


@dataclass(frozen=True, slots=True)
class TaskInputs:
    """T tasks.

    Attributes:
        id: int64 (T,), task ids.
        body: the tasks as Label Studio has them, for models that speak its language.
    """

    id: NDArray[np.int64]
    body: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.id)

    def values(self, key: str) -> list[str]:
        """Return what stands under a key of the tasks' data, "" where that is no text."""
        return [value if isinstance(value, str) else "" for value in self.said(key)]

    def said(self, key: str) -> list[Any]:
        """Return what stands under a key of the tasks' data, None where nothing does.

        Args:
            key: the key, "a.b" for the b within the a.
        """
        return [_at(task["data"], key) for task in self.body]

    def spelt(self, control: Control) -> list[str | None]:
        """Return the text that stands in each task for a control tag; None where none does."""
        stands = control.reads == "text" and not control.by_url
        return [value if stands else None for value in self.values(control.data_key)]

    def part(self, rows: slice) -> TaskInputs:
        """Return some of the tasks."""
        return TaskInputs(self.id[rows], self.body[rows])


def _at(data: Mapping[str, Any], key: str) -> Any:
    if key in data:
        return data[key]
    found: Any = data
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
