"""How far a project's models can be trusted: learnt from its own labels, used to score them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.labelstudio.tasks.reader import TaskPage
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.review.policy import Policy
from ml_backend.scoring.columns import Calibration
from ml_backend.scoring.nearby import Nearby
from ml_backend.scoring.page import PageScores, fit_calibration, score_page
from ml_backend.storage.store import name_arrays

__all__ = ["fit", "scores", "unknown_labels"]

#: How many tasks are learnt from, at most: more teach nothing new and cost memory.
_LEARNT: Final = 100_000


def fit(opened: OpenedProject, tasks: NDArray[np.int64]) -> dict[str, str]:
    """Learn how far the models can be trusted, from these tasks' labels.

    Returns:
        what is wrong with the labels.
    """
    store, project = opened.services.store, opened.project
    said = dict[str, str]()
    for control in opened.controls:
        every = store.get_labels(project.id, control, _sample(tasks))
        labels = every.of_people()
        table = opened.stored(control, np.unique(labels.task))
        said |= unknown_labels(table, labels.label)
        labels = labels.of(np.unique(labels.task)[table.found])
        # Of neighbours, all count.
        if len(tasks) > _LEARNT:
            every = store.get_labels(project.id, control, tasks)
        nearby = opened.neighborhood.learn(control, tasks, every, table.known)
        if nearby is not None:
            nearby = nearby.of_tasks(np.unique(labels.task))
        store.put_arrays(project.id, _arrays(table), fit_calibration(table, labels, nearby))
    return said


def scores(
    opened: OpenedProject,
    page: TaskPage,
    tables: Sequence[ControlPredictions],
    nearby: Sequence[Nearby | None],
    policy: Policy,
) -> PageScores:
    """Score a page by what was learnt, see ``score_page``."""
    calibrations = [_calibration(opened, table) for table in tables]
    return score_page(page, tables, calibrations, policy, nearby)


def unknown_labels(table: ControlPredictions, given: NDArray[np.int32]) -> dict[str, str]:
    """Say once per label that people use and the model has no class for."""
    said = {}
    used = np.unique(given[given >= 0])
    for label in used[~table.known[used]].tolist():
        name = table.control.labels[label]
        said[f"{table.control.name}: {name}"] = (
            f"label {name!r} of {table.control.name!r} has no class in model "
            f"{table.key}: regions with it are not scored. If a class means the same, "
            "name it in the label's predicted_values."
        )
    return said


def _calibration(opened: OpenedProject, table: ControlPredictions) -> Calibration | None:
    return opened.services.store.get_arrays(opened.project.id, _arrays(table))


def _sample(tasks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Choose the tasks that are learnt from, the same ones from run to run."""
    scattered = tasks.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return tasks[scattered <= np.uint64(2**64 - 1) // np.uint64(max(1, -(-len(tasks) // _LEARNT)))]


def _arrays(table: ControlPredictions) -> str:
    control = table.control
    values = sorted(control.predicted_values.items())
    return name_arrays("calibration", table.key, control.name, control.labels, values)
