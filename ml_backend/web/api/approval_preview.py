"""What bulk approval would do, by what the store knows: the job itself reads Label Studio.

Of drafts and of skipped tasks nobody tells the store, so Label Studio is asked for those.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.approvals import begun_tasks, require_whole
from ml_backend.review.approve import REASONS, Candidates, Limits, judge, require_known
from ml_backend.storage.plane import get_plane
from ml_backend.web.projects import OpenProject

__all__ = ["Preview", "preview"]


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be approved.

    Attributes:
        tasks: ids of the tasks, ascending.
        left: why others would not be, and how many of them for what reason.
        unknown: of how many of ``tasks`` nobody knows whether they are outliers.
    """

    tasks: list[int]
    left: dict[str, int]
    unknown: int


def preview(opened: OpenProject, tasks: NDArray[np.int64], confidence: float) -> Preview:
    """Return what would be approved.

    Args:
        opened: the project.
        tasks: int64 (T,), task ids, ascending.
        confidence: from where the model's word is enough.

    Raises:
        ConfigError: when a tag that a label needs is left to people, or a model lacks a class for
            a label.
        LabelStudioError: when Label Studio cannot be asked.
    """
    answered = {control.name for control in opened.project.config.controls}
    require_whole(opened.services.client, opened.id, answered)
    rows = opened.services.page.tasks(opened.id, tasks, ("task", "flag", "unit"))
    known = rows["task"].to_numpy()
    left: Counter[str] = Counter()
    left["not in this project, or not read yet"] = len(tasks) - len(known)
    controls = opened.project.config.controls
    tables = [opened.predictions(control, known) for control in controls]
    there = [table for table in tables if table is not None]
    if not len(known) or len(there) < len(tables):
        left[REASONS[3]] += len(known)
        return Preview([], dict(+left), 0)
    require_known(there, opened.settings)
    labelled = rows["unit"].combine_chunks().value_lengths().to_numpy() > 0
    begun = begun_tasks(opened.services.client, opened.id)
    outlier = _outliers(opened, known)
    candidates = Candidates(
        begun=labelled | np.isin(known, begun),
        flag=np.array(rows["flag"].to_pylist(), dtype=np.str_),
        outlier=outlier,
        tables=there,
    )
    found = judge(candidates, Limits.of(opened.settings, confidence))
    left += Counter(REASONS[why] for why in found.why[found.why >= 0].tolist())
    unknown = np.setdiff1d(known[found.approved & np.isnan(outlier)], _embedded(opened))
    return Preview(known[found.approved].tolist(), dict(+left), len(unknown))


def _embedded(opened: OpenProject) -> NDArray[np.int64]:
    """Tasks whose input has a vector: too few for a plane, or newer than it, is not unknown."""
    embeddings = opened.services.embeddings
    controls = opened.project.config.controls
    each = [embeddings.embedded(opened.id, control.name) for control in controls]
    return np.concatenate([np.empty(0, dtype=np.int64), *each])


def _outliers(opened: OpenProject, tasks: NDArray[np.int64]) -> NDArray[np.float32]:
    """How far out inputs lie on any tag's plane, NaN where they do not."""
    scores = np.full(len(tasks), np.nan, dtype=np.float32)
    for control in opened.project.config.controls:
        plane = get_plane(opened.services.store, opened.id, control.name, "inputs")
        if plane is None or not len(plane):
            continue
        order = np.argsort(plane.task)
        place = order[np.searchsorted(plane.task, tasks, sorter=order).clip(max=len(order) - 1)]
        here = plane.task[place] == tasks
        np.fmax(scores, np.where(here, plane.outlier[place], np.nan), out=scores)
    return scores
