"""Tables of columns in one place: a folder, a shared folder, or a bucket of object storage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml_backend.storage.disk import again, drop_project, make_table, open_table, written
from ml_backend.storage.lance import lancedb
from ml_backend.storage.standing import Standing

__all__ = ["Tables", "named", "quoted"]

#: Another process may still read a version of this age.
_KEPT: Final = timedelta(minutes=10)
#: Writes after which small files are counted.
_COUNTED_AFTER: Final = 64
#: Small files are merged when they are more than so many, and one more for so many rows: merging
#: writes all rows anew, so it must not come as often in a large table. Of files as large as the
#: third number, which LanceDB merges no further, the ones before are written no more.
_SMALL_FILES: Final = 48
_ROWS_A_FILE: Final = 8192
_LARGEST_FILE: Final = 1 << 20
#: What a process keeps of tables in memory; LanceDB's own bounds are gigabytes.
_CACHE_BYTES: Final = 64 << 20
#: Numbers named in one condition.
_AT_ONCE: Final = 10_000
#: So few tasks, so far apart, are named one by one rather than by the range of their ids.
_FEW: Final = 1000
_SCATTERED: Final = 4
_TASK: Final = pa.schema([("task", pa.int64())])


class Tables:
    """Tables that several processes on several machines may read and write at once.

    Whoever needs one may delete them at any time: what is missing reads as empty, and is made anew
    by the next write.

    Args:
        location: a folder, made when missing, or an address that LanceDB takes, such as
            ``s3://bucket/folder``.

    Whatever writes raises ``StoreError`` when a person must make room or give a right.

    Attributes:
        location: where they lie.
        connection: LanceDB's own.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        # A process that waits on a table must see what another has just written.
        self.connection = lancedb.connect(
            location,
            read_consistency_interval=timedelta(0),
            session=lancedb.Session(_CACHE_BYTES, _CACHE_BYTES),
        )

    @again
    def merge(
        self, name: str, key: Sequence[str], rows: pa.Table, *, only_known: bool = False
    ) -> None:
        """Write rows; older ones of the same key are replaced.

        Args:
            name: the table.
            key: the columns that tell rows apart.
            rows: what is written.
            only_known: whether rows that replace none are left out.
        """
        with written(self.location):
            table = make_table(self.connection, name, key, rows.schema)
            merge = table.merge_insert(list(key)).when_matched_update_all()
            if not only_known:
                merge = merge.when_not_matched_insert_all()
            merge.execute(rows)
            # Each write looks through all files: of a long run they must not become many.
            if table.version % _COUNTED_AFTER == 0 and _scattered(table):
                table.optimize(cleanup_older_than=_KEPT)

    @again
    def read(
        self,
        name: str,
        schema: pa.Schema,
        where: str = "",
        tasks: NDArray[np.int64] | None = None,
        most: int | None = None,
    ) -> pa.Table:
        """Return rows; none where there is no such table.

        Args:
            name: the table.
            schema: its columns, or some of them.
            where: condition in SQL.
            tasks: only rows whose ``task`` lies in the range of these, some others among them.
            most: how many rows at most.
        """
        table = open_table(self.connection, name)
        if table is None or (tasks is not None and not len(tasks)):
            return schema.empty_table()
        conditions = [where] if where else []
        if tasks is not None:
            conditions.append(f"task >= {tasks.min()} AND task <= {tasks.max()}")
            if len(tasks) <= _FEW and int(tasks.max() - tasks.min()) >= _SCATTERED * len(tasks):
                conditions.append(f"task IN ({', '.join(map(str, tasks.tolist()))})")
        rows = table.search()
        if conditions:
            rows = rows.where(" AND ".join(conditions))
        if most is not None:
            rows = rows.limit(most)
        return rows.select(schema.names).to_arrow().select(schema.names)

    @again
    def count(self, name: str) -> int:
        """Return how many rows a table has."""
        table = open_table(self.connection, name)
        return 0 if table is None else int(table.count_rows())

    @again
    def version(self, name: str) -> int:
        """Return a number that rises with each write to a table; 0 where there is no such table."""
        table = open_table(self.connection, name)
        return 0 if table is None else int(table.version)

    @again
    def delete(self, name: str, values: NDArray[np.int64], column: str = "task") -> None:
        """Delete the rows that have one of these numbers in a column."""
        table = open_table(self.connection, name)
        for start in range(0, len(values), _AT_ONCE):
            some = ", ".join(map(str, values[start : start + _AT_ONCE].tolist()))
            if table is not None:
                with written(self.location):
                    table.delete(f"{column} IN ({some})")

    def keep_only(self, name: str, standing: Standing) -> None:
        """Delete the rows of a project's tasks that are gone."""
        known = np.unique(self._tasks(name))
        self.delete(name, known[standing.gone(known)])

    def last(self, name: str) -> int:
        """Return the highest task id that a table knows; 0 where it knows none."""
        return int(self._tasks(name).max(initial=0))

    def _tasks(self, name: str) -> NDArray[np.int64]:
        tasks: NDArray[np.int64] = self.read(name, _TASK)["task"].to_numpy()
        return tasks

    @again
    def drop(self, project: int) -> None:
        """Drop all tables of a project, whoever keeps them."""
        with written(self.location):
            drop_project(self.connection, project)

    @again
    def compact(self, name: str) -> None:
        """Merge the small files that many small writes leave behind."""
        table = open_table(self.connection, name)
        if table is not None:
            with written(self.location):
                table.optimize(cleanup_older_than=_KEPT)


def _scattered(table: lancedb.table.Table) -> bool:
    stats = table.stats()
    merged = min(stats["num_rows"], _LARGEST_FILE)
    small: int = stats["fragment_stats"]["num_small_fragments"]
    return bool(small > _SMALL_FILES + merged // _ROWS_A_FILE)


def named(what: str, columns: pa.Schema, project: int) -> str:
    """Name a table by its columns too: what a Relook with other columns kept is not found."""
    return f"{what}-{hashlib.sha256(str(columns).encode()).hexdigest()[:8]}-{project}"


def quoted(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
