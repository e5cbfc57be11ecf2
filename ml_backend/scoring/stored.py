"""Tasks as the store knows them, so that they are scored again without reading Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.approval_marks import Approvals
from ml_backend.labelstudio.regions.results import Labels
from ml_backend.labelstudio.tasks.reader import Annotations, Standing, TaskPage
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.scoring.nearby import Nearby
from ml_backend.storage.labels import StoredLabels

__all__ = ["one_by_one", "stored_page"]


def stored_page(tasks: NDArray[np.int64], tables: Sequence[StoredLabels]) -> TaskPage:
    """Return tasks with the labels that they had when they were last read.

    Of all else that a page holds nothing is known: what comes of it can be compared with what
    Label Studio was told, but not be written there.

    Args:
        tasks: int64 (T,), task ids, ascending.
        tables: the human labels of these tasks, one table per control tag.
    """
    nothing = np.empty(0, dtype=np.int64)
    unit, first = np.unique(
        np.concatenate([nothing, *(table.unit for table in tables)]), return_index=True
    )
    row = np.searchsorted(tasks, np.concatenate([nothing, *(table.task for table in tables)]))
    # Annotations stand in the order of their tasks, as they do where they are read.
    order = np.argsort(row[first], kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    labels = []
    for table in tables:
        annotation = place[np.searchsorted(unit, table.region_unit)]
        at = np.argsort(annotation, kind="stable")
        nothing_said = np.zeros((len(at), 2), np.int32)
        labels.append(
            Labels(
                annotation[at],
                np.zeros(len(at), np.int64),
                table.label[at],
                table.outline.take(at),
                nothing_said,
            )
        )
    return TaskPage(
        inputs=TaskInputs(tasks, [{"data": {}} for _ in tasks]),
        own={},
        labelled_at=np.zeros(len(tasks)),
        created_at=np.zeros(len(tasks)),
        stamp=np.zeros(len(tasks), dtype=np.int64),
        answered=np.zeros(len(tasks), dtype=np.bool_),
        acted_at=np.zeros(len(tasks)),
        digest=np.full(len(tasks), "", dtype=np.str_),
        annotations=Annotations(
            unit[order],
            row[first][order],
            np.zeros(len(unit)),
            [],
            tuple(labels),
            np.concatenate([nothing, *(table.approved for table in tables)])[first][order] > 0,
            in_pixels=True,
        ),
        standing=Standing(nothing, nothing, np.empty(0, dtype=np.str_), [], np.empty(0)),
        held=(nothing, nothing),
        approvals=Approvals(nothing, nothing, np.empty(0, dtype=np.str_)),
        begun=np.zeros(len(tasks), dtype=np.bool_),
    )


def one_by_one(
    page: TaskPage, tables: Sequence[ControlPredictions], nearby: Sequence[Nearby | None]
) -> tuple[TaskPage, list[ControlPredictions], list[Nearby | None]]:
    """Return each annotation of a stored page as a page's row of its own, to score it by itself.

    A label's place in its annotation becomes its row in its table, so that a fix tells which label
    it changes.

    Args:
        page: T tasks with A annotations, as ``stored_page`` makes it.
        tables: predictions of the tasks, one table per control tag.
        nearby: what the neighbours of the tasks' inputs say, one per control tag.

    Returns:
        a page of A rows, and as many rows of predictions and neighbours.
    """
    notes, of_task = page.annotations, page.annotations.task
    count = len(of_task)
    alone = replace(
        page,
        inputs=TaskInputs(page.id[of_task], [page.inputs.body[row] for row in of_task.tolist()]),
        labelled_at=page.labelled_at[of_task],
        stamp=page.stamp[of_task],
        digest=page.digest[of_task],
        begun=page.begun[of_task],
        annotations=replace(
            notes,
            task=np.arange(count),
            labels=tuple(replace(one, item=np.arange(len(one))) for one in notes.labels),
        ),
    )
    said = []
    for table in tables:
        found = table.found[of_task]
        place = (np.cumsum(table.found) - 1)[of_task[found]]
        said.append(replace(table, found=found, predictions=table.predictions.take(place)))
    return alone, said, [None if one is None else one.take(of_task) for one in nearby]
