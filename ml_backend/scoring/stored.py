"""Tasks as the store knows them, so that they are scored again without reading Label Studio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.approval_marks import Approvals
from ml_backend.labelstudio.reader import Annotations, Standing, TaskPage
from ml_backend.labelstudio.results import Labels
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.storage.store import StoredLabels

__all__ = ["stored_page"]


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
        labels.append(
            Labels(
                annotation[at], np.zeros(len(at), np.int64), table.label[at], table.outline.take(at)
            )
        )
    return TaskPage(
        inputs=TaskInputs(tasks, [{"data": {}} for _ in tasks]),
        own={},
        labelled_at=np.zeros(len(tasks)),
        stamp=np.zeros(len(tasks), dtype=np.int64),
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
        standing=Standing(nothing, nothing, np.empty(0, dtype=np.str_), []),
        held=(nothing, nothing),
        approvals=Approvals(nothing, nothing, np.empty(0, dtype=np.str_)),
        begun=np.zeros(len(tasks), dtype=np.bool_),
    )
