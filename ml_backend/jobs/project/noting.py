"""What the review page shows of tasks, written down as they are read and scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.findings import NONE
from ml_backend.embedders.embedding import places
from ml_backend.jobs.project.queue_history import QueueHistory
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.tasks.annotators import made_by
from ml_backend.labelstudio.tasks.reader import Project, TaskPage
from ml_backend.labelstudio.tasks.tags import SEPARATOR, split_tags
from ml_backend.labelstudio.writer import write_field
from ml_backend.marks import Mark
from ml_backend.outlines import WITH_AREA, boxes
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.review.decide import NEEDS_REVIEW
from ml_backend.review.hand import Honoured
from ml_backend.scoring.matched import matched
from ml_backend.scoring.nearby import Nearby
from ml_backend.scoring.page import PageScores, RegionScores
from ml_backend.scoring.pixels import page_labels
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings
from ml_backend.storage.labels import StoredLabels, form_of
from ml_backend.storage.lists import as_lists
from ml_backend.storage.page_columns import FOUND, TASKS
from ml_backend.storage.standing import Standing
from ml_backend.storage.tables import quoted

__all__ = ["Noting", "region_ids"]

#: Of longer texts the page shows and searches the beginning.
_MOST_TEXT: Final = 2000


@dataclass(frozen=True)
class Noting:
    """Writes down what the page shows of one project.

    Attributes:
        services: this worker's parts.
        project: the project.
        settings: its settings.
    """

    services: Services
    project: Project
    settings: ProjectSettings

    def read(
        self, page: TaskPage, flag: NDArray[np.str_], ended: NDArray[np.bool_] | None = None
    ) -> None:
        """Note what Label Studio says of tasks.

        Args:
            page: the tasks as they were read.
            flag: str (T,), the flag that stands on each by now.
            ended: bool (T,), where what was set by hand has just ended.
        """
        notes = page.annotations
        order = np.lexsort((notes.id, notes.task))
        units = np.searchsorted(notes.task[order], np.arange(len(page) + 1))
        by = made_by(page)
        scores = [Mark.parse(text).score for text in page.said("seen").tolist()]
        hand = page.said("hand")
        if ended is not None:
            hand[ended] = ""
        columns = {
            "task": page.id,
            "flag": flag.tolist(),
            "hand": hand.tolist(),
            "tags": ["\n".join(split_tags(text)[0]) for text in page.said("tags")],
            "updated": np.where(page.labelled_at > 0, page.labelled_at, np.nan),
            **self._sources(page),
            **self._texts(page),
            "unit": as_lists(units, notes.id[order]),
            "by": as_lists(units, by[order]),
            "region_tags": self._region_tags(page),
            "flag_kind": page.said("kind").tolist(),
            "flag_score": [np.nan if score is None else score for score in scores],
        }
        rows = pa.table(columns, schema=TASKS)
        self.services.page.put_tasks(self.project.id, rows)

    def scored(
        self,
        page: TaskPage,
        tables: Sequence[ControlPredictions],
        scores: PageScores,
        nearby: Sequence[Nearby | None],
    ) -> None:
        """Note what was found in tasks, control tag by control tag."""
        each = scores.regions or [None] * len(tables)
        for table, given, near, some in zip(
            tables, page.annotations.labels, nearby, each, strict=True
        ):
            labels = page_labels(page, table, given)
            rows = self._found(page.id, table, labels, scores, near, some)
            self.services.page.put_found(self.project.id, rows)

    def decided(self, page: TaskPage, honoured: Honoured) -> None:
        """Note what was decided: the flags, the queue's history, and where a hand's word ends."""
        flag = honoured.decision.flag
        ended = page.id[honoured.ended].tolist()
        write_field(
            self.services.client,
            self.project.id,
            f"{self.settings.field_prefix}_hand",
            dict.fromkeys(ended, ""),
        )
        self.read(page, flag, honoured.ended)
        QueueHistory(self.services.mailbox.redis).note(self.project.id, page.said("flag"), flag)

    def tidy(self, standing: Standing) -> None:
        """Forget tasks that are gone, and merge small files."""
        self._note_gone(standing)
        self.services.page.keep_only(self.project.id, standing)
        self.services.page.compact(self.project.id)

    def _note_gone(self, standing: Standing) -> None:
        """Note that tasks which are gone have left the queue."""
        flagged = f"flag = {quoted(NEEDS_REVIEW)}"
        rows = self.services.page.tasks(self.project.id, None, ("task", "flag"), flagged)
        gone = int(standing.gone(rows["task"].to_numpy()).sum())
        before, after = np.full(gone, NEEDS_REVIEW), np.full(gone, "")
        QueueHistory(self.services.mailbox.redis).note(self.project.id, before, after)

    def _found(
        self,
        tasks: NDArray[np.int64],
        table: ControlPredictions,
        labels: StoredLabels,
        scores: PageScores,
        near: Nearby | None,
        some: RegionScores | None,
    ) -> pa.Table:
        control = table.control
        said = matched(table, labels, tasks, control.threshold(self.settings.score_threshold))
        row, order = _order(tasks, labels)
        cut = np.searchsorted(row[order], np.arange(len(tasks) + 1))
        kind = np.full(len(row), NONE, dtype=np.int8)
        score = np.zeros(len(row), dtype=np.float32)
        judged = table.found[row]
        if some is not None:
            kind[judged], score[judged] = some.kind, some.score
        outlier: NDArray[np.float32] = np.full(len(tasks), np.nan, np.float32)
        if near is not None:
            outlier = np.where(near.known, near.outlier, np.nan).astype(np.float32)
        place = [""] * len(order)
        if control.geometry in WITH_AREA and len(order):
            place = places(boxes(control.geometry, labels.outline.take(order)))
        columns = {
            "task": tasks,
            "control": [control.name] * len(tasks),
            "form": [form_of(control)] * len(tasks),
            "priority": scores.priority,
            "kind": scores.kind,
            "reason": scores.reason,
            "outlier": outlier,
            "label": said.label,
            "predicted": said.predicted,
            "confidence": said.confidence,
            "iou": said.iou,
            "false_positives": said.false_positives.astype(np.uint8),
            "false_negatives": said.false_negatives.astype(np.uint8),
            "r_unit": as_lists(cut, labels.region_unit[order]),
            "r_place": as_lists(cut, np.array(place, dtype=object)),
            "r_label": as_lists(cut, labels.label[order]),
            "r_predicted": as_lists(cut, said.region_predicted[order]),
            "r_confidence": as_lists(cut, said.region_confidence[order]),
            "r_iou": as_lists(cut, said.region_iou[order]),
            "r_kind": as_lists(cut, kind[order]),
            "r_priority": as_lists(cut, score[order]),
        }
        return pa.table(columns, schema=FOUND)

    def _sources(self, page: TaskPage) -> dict[str, list[str]]:
        """Where the files of each task are, and in which keys of its data that stands."""
        keys, rows = self._data(page, by_address=True)
        return {
            "source_keys": ["\n".join(map(_one_line, keys))] * len(page),
            "sources": ["\n".join(map(_one_line, row)) for row in rows],
        }

    def _texts(self, page: TaskPage) -> dict[str, list[str]]:
        """The beginning of each text of each task, and the keys of its data that hold them."""
        keys, rows = self._data(page, by_address=False)
        return {
            "text_keys": ["\n".join(map(_one_line, keys))] * len(page),
            "text": [SEPARATOR.join(map(_beginning, row)) for row in rows],
        }

    def _data(self, page: TaskPage, by_address: bool) -> tuple[list[str], list[tuple[str, ...]]]:
        """The keys that hold addresses, or those that hold texts, and their values by task."""
        controls = [o for o in self.project.config.controls if _by_address(o) == by_address]
        keys = list(dict.fromkeys(one.data_key for one in controls))
        values = [page.inputs.values(key) for key in keys]
        return keys, list(zip(*values, strict=True)) if keys else [()] * len(page)

    def _region_tags(self, page: TaskPage) -> list[list[str]]:
        """Tags of single regions by their place among the regions of their control tag."""
        found: list[list[str]] = [[] for _ in range(len(page))]
        tagged = [split_tags(text)[1] for text in page.said("tags")]
        if not any(tagged):
            return found
        for control, labels in zip(
            self.project.config.controls, page.annotations.labels, strict=True
        ):
            for row in (n for n, some in enumerate(tagged) if some):
                known = region_ids(page, labels.annotation, labels.item, row)
                for (annotation, region), names in tagged[row].items():
                    if (annotation, region) in known:
                        place = known.index((annotation, region))
                        found[row] += [
                            SEPARATOR.join((control.name, str(place), name)) for name in names
                        ]
        return found


def region_ids(
    page: TaskPage, annotation: NDArray[np.int64], item: NDArray[np.int64], row: int
) -> list[tuple[int, str]]:
    """Return annotation and id of each region of one task, as the page counts them.

    Args:
        page: the tasks.
        annotation: int64 (R,), row of the annotation of each region.
        item: int64 (R,), place of each region in its annotation.
        row: the task's row.
    """
    notes = page.annotations
    here = np.flatnonzero(notes.task[annotation] == row)
    here = here[np.argsort(notes.id[annotation[here]], kind="stable")]
    ids = []
    for one in here.tolist():
        result: Mapping[str, Any] = notes.result[int(annotation[one])][int(item[one])]
        ids.append((int(notes.id[annotation[one]]), str(result.get("id", ""))))
    return ids


def _order(
    tasks: NDArray[np.int64], labels: StoredLabels
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row of each region's task, and the regions by task, annotation and place in it."""
    by_task = np.argsort(tasks, kind="stable")
    task = labels.task[labels.unit_row]
    row = by_task[np.searchsorted(tasks, task, sorter=by_task)]
    return row, np.lexsort((labels.region_unit, row))


def _one_line(text: str) -> str:
    return _storable(text).replace("\n", "%0A")


def _beginning(text: str) -> str:
    # Of the same length: spans count its characters.
    return _storable(text[:_MOST_TEXT].replace(SEPARATOR, " "))


def _storable(text: str) -> str:
    # A lone surrogate, which JSON can carry, is no UTF-8.
    return text.encode(errors="backslashreplace").decode()


def _by_address(control: Control) -> bool:
    return control.reads == "image" or control.by_url
