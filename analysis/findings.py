"""One row per suspected label error: what every score returns and the review queue reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import columns

__all__ = ["KINDS", "NONE", "Findings"]

#: Every kind of finding, in the order in which a reader meets them.
KINDS: Final = (
    "mislabelled",
    "missing",
    "spurious",
    "badly_drawn",
    "duplicate",
    "outlier",
    "disagreement",
)

#: Stands in an index column where a finding has no annotation, no prediction or no label.
NONE: Final = -1


def _empty(dtype: str) -> NDArray[np.generic]:
    return np.empty(0, dtype=dtype)


@dataclass(frozen=True, slots=True)
class Findings:
    """Suspected label errors as columns, F rows.

    Columns may be given as lists or as arrays of another type that hold the same values.

    Attributes:
        task: int64 (F,), the task (or the unit the caller numbered) the finding is about.
        kind: str (F,), one of ``KINDS``.
        annotation: int64 (F,), row of the annotation it is about, or ``NONE``.
        prediction: int64 (F,), row of the prediction that speaks against it, or ``NONE``.
        score: float32 (F,), in [0, 1], higher is more likely an error.
        label: int32 (F,), the label that the fix would have, or ``NONE``.

    Raises:
        ValueError: naming the column and the first row that is wrong.
    """

    task: NDArray[np.int64] = field(default_factory=lambda: _empty("int64"))  # type: ignore[arg-type, return-value]
    kind: NDArray[np.str_] = field(default_factory=lambda: _empty("<U12"))  # type: ignore[arg-type, return-value]
    annotation: NDArray[np.int64] = field(default_factory=lambda: _empty("int64"))  # type: ignore[arg-type, return-value]
    prediction: NDArray[np.int64] = field(default_factory=lambda: _empty("int64"))  # type: ignore[arg-type, return-value]
    score: NDArray[np.float32] = field(default_factory=lambda: _empty("float32"))  # type: ignore[arg-type, return-value]
    label: NDArray[np.int32] = field(default_factory=lambda: _empty("int32"))  # type: ignore[arg-type, return-value]

    def __post_init__(self) -> None:
        task = columns.whole("Findings.task", self.task, np.int64)
        rows = len(task)
        checked = {
            "task": task,
            "kind": columns.names("Findings.kind", self.kind, KINDS, rows),
            "score": columns.fractions("Findings.score", self.score, rows, task=task),
        }
        for name, dtype in (
            ("annotation", np.int64),
            ("prediction", np.int64),
            ("label", np.int32),
        ):
            given = getattr(self, name)
            checked[name] = columns.whole(
                f"Findings.{name}", given, dtype, rows, least=NONE, task=task
            )
        for name, column in checked.items():
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.task)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Findings:
        """Return the chosen rows (an index or a mask), in that order."""
        return Findings(
            self.task[rows],
            self.kind[rows],
            self.annotation[rows],
            self.prediction[rows],
            self.score[rows],
            self.label[rows],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Findings]) -> Findings:
        """Stack several tables of findings; no parts give an empty table."""
        if not parts:
            return cls()
        return cls(
            np.concatenate([part.task for part in parts]),
            np.concatenate([part.kind for part in parts]),
            np.concatenate([part.annotation for part in parts]),
            np.concatenate([part.prediction for part in parts]),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.label for part in parts]),
        )
