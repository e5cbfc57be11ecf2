"""Who made which annotation, and what stands on its task: read from Label Studio as columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.approval_marks import unedited
from ml_backend.labelstudio.config import LabelingConfig
from ml_backend.labelstudio.moments import seconds
from ml_backend.labelstudio.regions.results import Labels, decode, digest
from ml_backend.labelstudio.tasks.annotators import NOBODY
from ml_backend.labelstudio.tasks.bodies import author, is_answer, parts
from ml_backend.labelstudio.tasks.reader import TaskPage
from ml_backend.marks import Mark
from ml_backend.outlines import Outlines

__all__ = ["Authored"]


@dataclass(frozen=True, slots=True)
class Authored:
    """All annotations that people made, N rows, by task id and then by when they were last saved.

    Skipped ones and what the model gave are left out.

    Attributes:
        task: int64 (N,), task id.
        id: int64 (N,), annotation id.
        author: int64 (N,), user id; ``NOBODY`` where none is named.
        made: float64 (N,), seconds since 1970.
        saved: float64 (N,), when it was last saved, seconds since 1970.
        edited: bool (N,), whether somebody has saved it since it was made.
        digest: str (N,), what it says.
        answers: bool (N,), whether it came out of a relabel batch.
        overlap: int64 (N,), how many annotations its task asks for.
        flag: str (N,), the flag on its task.
        kind: str (N,), what its task is or was flagged for.
        score: float64 (N,), the score that its task was flagged for; NaN where it never was.
        labels: what they say, one table per control tag; ``annotation`` is the row here.
    """

    task: NDArray[np.int64]
    id: NDArray[np.int64]
    author: NDArray[np.int64]
    made: NDArray[np.float64]
    saved: NDArray[np.float64]
    edited: NDArray[np.bool_]
    digest: NDArray[np.str_]
    answers: NDArray[np.bool_]
    overlap: NDArray[np.int64]
    flag: NDArray[np.str_]
    kind: NDArray[np.str_]
    score: NDArray[np.float64]
    labels: tuple[Labels, ...]

    def __len__(self) -> int:
        return len(self.task)

    @classmethod
    def of_page(cls, page: TaskPage, config: LabelingConfig) -> Self:
        """Take them out of some tasks as they were read, in whatever order."""
        models = set(page.approvals.id.tolist())
        rows = [
            (row, one)
            for row in np.argsort(page.id, kind="stable").tolist()
            for one in sorted(parts(page.inputs.body[row], "annotations"), key=_saved)
            if not one.get("was_cancelled") and one["id"] not in models
        ]
        at = np.array([row for row, _ in rows], dtype=np.int64)
        found = [one for _, one in rows]
        results = [one.get("result") or [] for one in found]
        marks = [Mark.parse(text).score for text in page.said("seen")]
        scores = np.array([np.nan if score is None else score for score in marks], dtype=np.float64)
        overlap = [int(body.get("overlap") or 1) for body in page.inputs.body]
        beside: dict[int, set[int]] = defaultdict(set)
        for row, one in rows:
            beside[row].add(one["id"])
        return cls(
            page.id[at],
            np.array([one["id"] for one in found], dtype=np.int64),
            np.array([_author(one) for one in found], dtype=np.int64),
            np.array([seconds(one["created_at"]) for one in found], dtype=np.float64),
            np.array([_saved(one) for one in found], dtype=np.float64),
            np.array([not unedited(one) for one in found], dtype=np.bool_),
            np.array([digest([result]) for result in results], dtype=np.str_),
            np.array([is_answer(one, beside[row]) for row, one in rows], dtype=np.bool_),
            np.array(overlap, dtype=np.int64)[at],
            page.said("flag")[at],
            page.said("kind")[at],
            scores[at],
            tuple(decode(control, results) for control in config.controls),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Authored]) -> Self:
        """Stack the annotations of one or more pages, whose task ids ascend from page to page."""
        starts = np.cumsum([0, *(len(part) for part in parts)])
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in cls.__slots__
            if name != "labels"
        }
        labels = tuple(
            _joined([part.labels[tag] for part in parts], starts)
            for tag in range(len(parts[0].labels))
        )
        return cls(**columns, labels=labels)


def _joined(parts: Sequence[Labels], starts: NDArray[np.int64]) -> Labels:
    moved = [part.annotation + start for part, start in zip(parts, starts, strict=False)]
    return Labels(
        np.concatenate(moved),
        np.concatenate([part.item for part in parts]),
        np.concatenate([part.label for part in parts]),
        Outlines.concatenate([part.outline for part in parts]),
        np.concatenate([part.size for part in parts]),
    )


def _saved(annotation: Mapping[str, Any]) -> float:
    return seconds(annotation["updated_at"])


def _author(annotation: Mapping[str, Any]) -> int:
    user = author(annotation)
    return NOBODY if user is None else user
