"""How an annotation that the model gave is told from a person's.

An approval begins as a prediction under a version of its own, which names its batch. Label Studio's
bulk action turns that into an annotation and links the two. So the link says whose word it is, and
the prediction keeps what was approved, whatever becomes of the model's own predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.moments import seconds
from ml_backend.labelstudio.regions.results import digest

__all__ = [
    "APPROVED",
    "Approvals",
    "approval_version",
    "batch_of",
    "unedited",
    "untouched_approval",
]

#: What the versions of approvals begin with.
APPROVED: Final = "relook-approved"

#: Label Studio stamps what it makes twice, microseconds apart. Nobody is that fast.
_AT_ONCE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Approvals:
    """Annotations that the model gave and nobody has edited since, current or not, B rows.

    Attributes:
        id: int64 (B,), annotation id.
        task: int64 (B,), row of the task in its page.
        version: str (B,), as ``approval_version`` has it.
    """

    id: NDArray[np.int64]
    task: NDArray[np.int64]
    version: NDArray[np.str_]

    @classmethod
    def among(cls, tasks: Sequence[tuple[list[dict[str, Any]], list[dict[str, Any]]]]) -> Self:
        """Find them among each task's annotations and predictions, as Label Studio sends them."""
        rows = []
        for row, (given, predictions) in enumerate(tasks):
            by_id = {prediction["id"]: prediction for prediction in predictions}
            for annotation in given:
                version = untouched_approval(annotation, by_id)
                rows += [(annotation["id"], row, version)] if version else []
        return cls(
            np.array([annotation for annotation, _, _ in rows], dtype=np.int64),
            np.array([row for _, row, _ in rows], dtype=np.int64),
            np.array([version for _, _, version in rows], dtype=np.str_),
        )

    def take(self, rows: NDArray[np.bool_]) -> Approvals:
        """Return some of them, bool (B,)."""
        return Approvals(self.id[rows], self.task[rows], self.version[rows])


def approval_version(batch: str, model: str) -> str:
    """Return the version that a batch's approvals of one model's predictions stand under."""
    return f"{APPROVED}@{batch}@{model}"


def batch_of(version: str) -> str:
    """Return the batch of an approval's version; "" of any other version."""
    begins, _, rest = version.partition("@")
    return rest.partition("@")[0] if begins == APPROVED else ""


def untouched_approval(
    annotation: Mapping[str, Any], predictions: Mapping[int, Mapping[str, Any]]
) -> str:
    """Return the version of an approval that nobody has edited since; "" for all else.

    Args:
        annotation: as Label Studio sends it.
        predictions: those of its task by id.
    """
    parent = predictions.get(annotation.get("parent_prediction") or 0)
    version = parent.get("model_version") if parent else None
    if parent is None or not isinstance(version, str) or not batch_of(version):
        return ""
    # Everything that saves an annotation by hand says who did it; the bulk action does not.
    saved = annotation.get("updated_by") or annotation.get("was_cancelled")
    saved = saved or annotation.get("ground_truth")
    same = digest([annotation.get("result") or []]) == digest([parent.get("result") or []])
    return version if same and not saved and unedited(annotation) else ""


def unedited(annotation: Mapping[str, Any]) -> bool:
    """Tell whether nobody has saved an annotation since it was made."""
    age = seconds(annotation["updated_at"]) - seconds(annotation["created_at"])
    return age < _AT_ONCE_S
