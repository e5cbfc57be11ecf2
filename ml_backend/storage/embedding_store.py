"""Vectors on disk, float16: what was embedded, of what, and by which model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.geometry import ragged
from ml_backend.storage.disk import again, open_table, written
from ml_backend.storage.tables import Tables, quoted

__all__ = ["EmbeddingStore", "Keys", "digest_of"]

_KEY: Final = ["task", "control", "region"]
_COLUMNS: Final = pa.schema(
    [
        ("task", pa.int64()),
        ("control", pa.string()),
        ("region", pa.string()),
        ("version", pa.string()),
        ("digest", pa.int64()),
    ]
)
#: Another process may still read a version of this age.
_KEPT: Final = timedelta(hours=1)
#: Rows in memory at once while reading.
_AT_ONCE: Final = 8192


@dataclass(frozen=True, slots=True)
class Keys:
    """What R vectors belong to.

    Attributes:
        task: int64 (R,), task ids.
        region: R keys of regions within their task; "" is the whole input.
        digest: int64 (R,), stands for the key and all that the vector is made of, see
            ``digest_of``: a vector is found again only by the same digest.
    """

    task: NDArray[np.int64]
    region: tuple[str, ...]
    digest: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.task)

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Which are of whole inputs, bool (R,)."""
        whole: NDArray[np.bool_] = np.array(self.region, dtype=np.str_) == ""
        return whole

    def take(self, rows: NDArray[np.int64]) -> Keys:
        """Return the chosen rows, in that order."""
        return Keys(
            self.task[rows], tuple(self.region[row] for row in rows.tolist()), self.digest[rows]
        )


def digest_of(*parts: Sequence[object]) -> NDArray[np.int64]:
    """Return one number for each row of several columns; rows that differ differ in it.

    Args:
        parts: columns of R numbers or texts.
    """
    # repr quotes texts, so that none can pass for two, and escapes what UTF-8 cannot hold.
    made = [
        hashlib.blake2b(repr(row).encode(), digest_size=8).digest()
        for row in zip(*parts, strict=True)
    ]
    return np.frombuffer(b"".join(made), dtype="<i8").astype(np.int64)


class EmbeddingStore:
    """Vectors of many projects; several processes may read and write at once.

    Args:
        tables: where they lie, among others.
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.connection = tables.connection

    def put(
        self, project: int, control: str, version: str, keys: Keys, vectors: NDArray[np.float32]
    ) -> None:
        """Keep vectors, one row a key; the key's older row is replaced.

        Args:
            project: id of the project.
            control: name of the control tag.
            version: of the embedder.
            keys: R keys; those given twice are kept once.
            vectors: float32 (R, D), at most 65504 in size.
        """
        if not len(keys):
            return
        _, rows = np.unique(keys.digest, return_index=True)
        keys = keys.take(rows)
        half = vectors[rows].astype(np.float16)
        schema = _COLUMNS.append(pa.field("vector", pa.list_(pa.float16(), half.shape[1])))
        columns = {
            "task": keys.task,
            "control": [control] * len(keys),
            "region": keys.region,
            "version": [version] * len(keys),
            "digest": keys.digest,
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(half.reshape(-1)), half.shape[1]),
        }
        # Vectors of another length lie in another table.
        name = f"{_prefix()}{half.shape[1]}-{project}"
        self._tables.merge(name, _KEY, pa.table(columns, schema=schema))

    @again
    def known(self, project: int, control: str, version: str, keys: Keys) -> NDArray[np.bool_]:
        """Return which keys have a vector of this version, bool (R,)."""
        batches = self._among(project, control, version, keys, ["digest"])
        stored = [batch.column("digest").to_numpy() for batch in batches]
        return np.isin(keys.digest, np.concatenate([np.empty(0, dtype=np.int64), *stored]))

    @again
    def keys(self, project: int, control: str, version: str) -> Keys:
        """Return what of one control tag has a vector of one version, by task and region."""
        where = f"control = {quoted(control)} AND version = {quoted(version)}"
        task: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)]
        digest, region = list(task), list[str]()
        for batch in self._batches(project, where, ["task", "region", "digest"]):
            task.append(batch.column("task").to_numpy())
            digest.append(batch.column("digest").to_numpy())
            region += batch.column("region").to_pylist()
        keys = Keys(np.concatenate(task), tuple(region), np.concatenate(digest))
        return keys.take(np.lexsort((np.array(keys.region, dtype=np.str_), keys.task)))

    @again
    def vectors(
        self, project: int, control: str, version: str, keys: Keys
    ) -> tuple[NDArray[np.bool_], NDArray[np.float16]]:
        """Look up vectors; read in pieces, so that a whole project takes the result's memory.

        Returns:
            found: bool (R,), which keys have a vector of this version;
            vectors: float16 (R, D), of length 1 up to rounding, zeros where there is none; D is 0
                where none has one.
        """
        found = np.zeros(len(keys), dtype=np.bool_)
        vectors = np.zeros((len(keys), 0), dtype=np.float16)
        order = np.argsort(keys.digest, kind="stable")
        wanted = keys.digest[order]
        for batch in self._among(project, control, version, keys, ["digest", "vector"]):
            stored = batch.column("digest").to_numpy()
            first = np.searchsorted(wanted, stored)
            count = np.searchsorted(wanted, stored, side="right") - first
            row, place = ragged.expand(first, count)
            if not len(row):
                continue
            half = batch.column("vector").flatten().to_numpy(zero_copy_only=False)
            half = half.reshape(len(stored), -1)
            if not vectors.shape[1]:
                vectors = np.zeros((len(keys), half.shape[1]), dtype=np.float16)
            vectors[order[place]] = half[row]
            found[order[place]] = True
        return found, vectors

    def nearest(
        self, project: int, control: str, task: int, region: str, count: int
    ) -> tuple[NDArray[np.int64], list[str], NDArray[np.float32]]:
        """Return what looks most like one input or region, by the angle between vectors.

        Inputs are found for an input, regions for a region, of the version that embedded it.

        Args:
            project: id of the project.
            control: name of the control tag.
            task: the task.
            region: the region's key; "" for the whole input.
            count: how many at most; itself is none of them.

        Returns:
            int64 (R,), task ids, nearest first;
            R keys of regions;
            float32 (R,), cosine distances, in [0, 2].
        """
        where = f"control = {quoted(control)} AND region {'!=' if region else '='} ''"
        itself = f"task = {task} AND region = {quoted(region)}"
        for table in self._of(project):
            own = table.search().where(f"{where} AND {itself}").select(["vector", "version"])
            rows = own.limit(1).to_arrow()
            if not len(rows):
                continue
            vector = np.asarray(rows["vector"][0].as_py(), dtype=np.float32)
            version = quoted(rows["version"][0].as_py())
            search = table.search(vector, vector_column_name="vector").distance_type("cosine")
            search = search.where(f"{where} AND version = {version} AND NOT ({itself})")
            found = search.select(["task", "region", "_distance"]).limit(count).to_arrow()
            return (
                found["task"].to_numpy(),
                found["region"].to_pylist(),
                found["_distance"].to_numpy().astype(np.float32),
            )
        nothing = np.empty(0, dtype=np.int64)
        return nothing, [], nothing.astype(np.float32)

    def embedded(self, project: int, control: str) -> NDArray[np.int64]:
        """Return the tasks whose whole input has a vector of whatever version, ascending."""
        where = f"control = {quoted(control)} AND region = ''"
        found = [
            batch.column("task").to_numpy() for batch in self._batches(project, where, ["task"])
        ]
        tasks: NDArray[np.int64] = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *found]))
        return tasks

    @again
    def last(self, project: int) -> int:
        """Return the highest task id that has a vector; 0 where none has one."""
        every = [batch.column("task").to_numpy() for batch in self._batches(project, "", ["task"])]
        return int(np.concatenate([np.zeros(1, dtype=np.int64), *every]).max())

    @again
    def keep_version(self, project: int, control: str, version: str) -> None:
        """Delete a control tag's vectors of all versions but one."""
        for table in self._of(project):
            with written(self._tables.location):
                table.delete(f"control = {quoted(control)} AND version != {quoted(version)}")

    @again
    def forget(self, project: int, control: str, keys: Keys) -> None:
        """Delete the vectors of what is gone."""
        for start in range(0, len(keys), _AT_ONCE):
            some = keys.take(np.arange(start, min(start + _AT_ONCE, len(keys))))
            listed = ", ".join(map(str, some.digest.tolist()))
            where = (
                f"control = {quoted(control)} AND task >= {some.task.min()} "
                f"AND task <= {some.task.max()} AND digest IN ({listed})"
            )
            for table in self._of(project):
                with written(self._tables.location):
                    table.delete(where)

    @again
    def compact(self, project: int) -> None:
        """Merge the small files that many small writes leave behind."""
        for table in self._of(project):
            with written(self._tables.location):
                table.optimize(cleanup_older_than=_KEPT)

    def _among(
        self, project: int, control: str, version: str, keys: Keys, columns: list[str]
    ) -> Iterator[Any]:
        if not len(keys):
            return
        where = (
            f"control = {quoted(control)} AND version = {quoted(version)} "
            f"AND task >= {keys.task.min()} AND task <= {keys.task.max()}"
        )
        yield from self._batches(project, where, columns)

    def _batches(self, project: int, where: str, columns: list[str]) -> Iterator[Any]:
        for table in self._of(project):
            rows = table.search().select(columns)
            if where:
                rows = rows.where(where)
            yield from rows.to_batches(_AT_ONCE)

    def _of(self, project: int) -> Iterator[Any]:
        for name in self.connection.list_tables().tables:
            if name.startswith(_prefix()) and name.endswith(f"-{project}"):
                table = open_table(self.connection, name)
                if table is not None:
                    yield table


def _prefix() -> str:
    """Name tables by their columns: what a Relook with other columns kept is not found."""
    return f"embeddings-{hashlib.sha256(str(_COLUMNS).encode()).hexdigest()[:8]}-"
