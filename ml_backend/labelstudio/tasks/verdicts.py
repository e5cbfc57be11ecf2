"""What reviewers have decided, read back from Label Studio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.tasks.filters import condition
from ml_backend.labelstudio.tasks.listing import list_tasks
from ml_backend.marks import Mark
from ml_backend.review.decide import CORRECTED, VERDICTS

__all__ = ["Verdicts", "read_verdicts"]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """V verdicts.

    Attributes:
        kind: what each task was flagged for.
        score: float32 (V,), the score that it was flagged for, in [0, 1].
        wrong: bool (V,), whether the label was an error: corrected, not confirmed.
    """

    kind: list[str]
    score: NDArray[np.float32]
    wrong: NDArray[np.bool_]


def read_verdicts(client: LabelStudio, project: int, prefix: str) -> Verdicts:
    """Read all verdicts of a project; those whose score is not known are left out.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    flag = f"data.{prefix}_flag"
    flags = [condition(flag, "String", verdict) for verdict in VERDICTS]
    with explained(f"reading the verdicts of project {project}"):
        rows = [
            (
                str(task.data.get(f"{prefix}_kind") or ""),
                score,
                task.data.get(f"{prefix}_flag") == CORRECTED,
            )
            for some in flags
            for task in list_tasks(client, project, "id,data", some)
            if (score := _score(task.data, prefix)) is not None
        ]
    return Verdicts(
        [kind for kind, _, _ in rows],
        np.array([score for _, score, _ in rows], dtype=np.float32),
        np.array([wrong for _, _, wrong in rows], dtype=np.bool_),
    )


def _score(data: dict[str, Any], prefix: str) -> float | None:
    """The score at the time of the flag; older marks lack it, but then the priority was it."""
    marked = Mark.parse(str(data.get(f"{prefix}_seen") or "")).score
    if marked is not None:
        return marked
    written = data.get(f"{prefix}_priority")
    if isinstance(written, bool) or not isinstance(written, int | float):
        return None
    return float(written) if 0 < written <= 1 else None
