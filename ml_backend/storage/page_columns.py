"""What the review page shows of each task, as columns: found by scoring, read from Label Studio.

A project of a million tasks is drawn from these alone. All of it is written again by the next look
at a task, and can be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml_backend.storage.labels import Tag, of_tag
from ml_backend.storage.standing import Standing
from ml_backend.storage.tables import Tables, named, quoted

__all__ = ["FOUND", "TASKS", "PageColumns"]

#: Of each task, what Label Studio says of it. ``hand`` is what somebody set by hand; ``tags`` are
#: joined by line ends; so are ``sources``, the addresses of its files, and the keys of the task's
#: data that hold them, ``source_keys``, which is not searched; ``text`` are its texts, joined by
#: ``SEPARATOR``, and ``text_keys`` theirs; ``unit`` and
#: ``by`` are its current annotations and who made them; ``region_tags`` are written
#: ``control``, place in the annotations' regions, tag, with ``SEPARATOR`` between them;
#: ``flag_kind`` and ``flag_score`` are what it is or was flagged for, and with what score, NaN
#: where that is not known: a verdict is on these, not on what is found in the label by now.
TASKS: Final = pa.schema(
    [
        ("task", pa.int64()),
        ("flag", pa.string()),
        ("hand", pa.string()),
        ("tags", pa.string()),
        ("updated", pa.float64()),
        ("source_keys", pa.string()),
        ("sources", pa.string()),
        ("text_keys", pa.string()),
        ("text", pa.string()),
        ("unit", pa.list_(pa.int64())),
        ("by", pa.list_(pa.int64())),
        ("region_tags", pa.list_(pa.string())),
        ("flag_kind", pa.string()),
        ("flag_score", pa.float32()),
    ]
)
#: Of each task and control tag, what scoring found. Labels are places in the tag's labels, for
#: which ``form`` stands, -1 for none; kinds are places in ``analysis.findings.KINDS``; lists have
#: one entry a human region, by annotation id and then as they stand in the annotation.
FOUND: Final = pa.schema(
    [
        ("task", pa.int64()),
        ("control", pa.string()),
        ("form", pa.string()),
        ("priority", pa.float32()),
        ("kind", pa.string()),
        ("reason", pa.string()),
        ("outlier", pa.float32()),
        ("label", pa.int32()),
        ("predicted", pa.int32()),
        ("confidence", pa.float32()),
        ("iou", pa.float32()),
        ("false_positives", pa.uint8()),
        ("false_negatives", pa.uint8()),
        ("r_unit", pa.list_(pa.int64())),
        ("r_place", pa.list_(pa.string())),
        ("r_label", pa.list_(pa.int32())),
        ("r_predicted", pa.list_(pa.int32())),
        ("r_confidence", pa.list_(pa.float32())),
        ("r_iou", pa.list_(pa.float32())),
        ("r_kind", pa.list_(pa.int8())),
        ("r_priority", pa.list_(pa.float32())),
    ]
)


class PageColumns:
    """Where they are kept.

    Args:
        tables: the store's tables.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def put_tasks(self, project: int, rows: pa.Table) -> None:
        """Keep what Label Studio says of tasks, rows of ``TASKS``; older rows are replaced."""
        if len(rows):
            self._tables.merge(named("page-tasks", TASKS, project), ["task"], rows)

    def put_found(self, project: int, rows: pa.Table) -> None:
        """Keep what was found in tasks, rows of ``FOUND``; older rows are replaced."""
        if len(rows):
            self._tables.merge(named("page-found", FOUND, project), ["task", "control"], rows)

    def change(self, project: int, changed: Mapping[int, Mapping[str, str]]) -> None:
        """Change columns of tasks that are kept: task id to column to its new value."""
        rows = self.tasks(project, np.array(sorted(changed), dtype=np.int64)).to_pylist()
        for row in rows:
            row.update(changed[row["task"]])
        self.put_tasks(project, pa.Table.from_pylist(rows, schema=TASKS))

    def tasks(
        self,
        project: int,
        tasks: NDArray[np.int64] | None = None,
        columns: Sequence[str] = TASKS.names,
        where: str = "",
        most: int | None = None,
    ) -> pa.Table:
        """Return rows of ``TASKS``, of some tasks or of all, by task id."""
        schema = pa.schema([TASKS.field(name) for name in columns])
        return self._read(named("page-tasks", TASKS, project), schema, where, tasks, most)

    def found(
        self,
        project: int,
        control: Tag,
        tasks: NDArray[np.int64] | None = None,
        columns: Sequence[str] = FOUND.names,
    ) -> pa.Table:
        """Return rows of ``FOUND`` of one control tag, of some tasks or of all, by task id.

        What was found while the tag had other labels, or another geometry, is left out.
        """
        schema = pa.schema([FOUND.field(name) for name in columns])
        return self._read(named("page-found", FOUND, project), schema, of_tag(control), tasks)

    def any_found(self, project: int, control: Tag) -> bool:
        """Return whether anything was ever scored under a control tag."""
        name, schema = named("page-found", FOUND, project), pa.schema([FOUND.field("task")])
        return bool(len(self._read(name, schema, of_tag(control), None, 1)))

    def search(self, project: int, text: str, most: int) -> NDArray[np.int64]:
        """Return tasks whose text, file names or reasons hold a text, in any case, ascending.

        Args:
            project: the project.
            text: looked for as it is: nothing in it stands for anything else.
            most: how many tasks at most of each table.
        """
        like = quoted(f"%{_escaped(text.lower())}%")
        found = [
            self._read(
                named(what, schema, project),
                pa.schema([schema.field("task")]),
                " OR ".join(f"lower({name}) LIKE {like} ESCAPE '\\'" for name in columns),
                None,
                most,
            )
            for what, schema, columns in (
                ("page-tasks", TASKS, ("text", "sources", "tags")),
                ("page-found", FOUND, ("reason",)),
            )
        ]
        every: NDArray[np.int64] = np.unique(
            np.concatenate([table["task"].to_numpy() for table in found])
        )
        return every

    def version(self, project: int) -> str:
        """Return what changes whenever a row of the project changes."""
        names = (named("page-tasks", TASKS, project), named("page-found", FOUND, project))
        return "-".join(str(self._tables.version(name)) for name in names)

    def keep_only(self, project: int, standing: Standing) -> None:
        """Forget tasks that are gone, see ``Tables.keep_only``."""
        for what, schema in (("page-tasks", TASKS), ("page-found", FOUND)):
            self._tables.keep_only(named(what, schema, project), standing)

    def compact(self, project: int) -> None:
        """Merge the small files that many small writes leave behind."""
        self._tables.compact(named("page-tasks", TASKS, project))
        self._tables.compact(named("page-found", FOUND, project))

    def _read(
        self,
        name: str,
        schema: pa.Schema,
        where: str,
        tasks: NDArray[np.int64] | None,
        most: int | None = None,
    ) -> pa.Table:
        rows = self._tables.read(name, schema, where, tasks, most)
        if tasks is not None:
            rows = rows.filter(pc.is_in(rows["task"], value_set=pa.array(tasks)))
        return rows.sort_by("task")


def _escaped(text: str) -> str:
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return text
