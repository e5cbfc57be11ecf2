"""What Relook computed, as columns on disk. All of it can be deleted and computed again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.geometry import ragged
from ml_backend.outlines import Outlines
from ml_backend.predictors.base import Predictions

__all__ = ["Store", "StoredLabels"]

_KEY = ["task", "control"]
#: Another process may still read a version of this age.
_KEPT = timedelta(hours=1)
_PREDICTIONS = pa.schema(
    [
        ("task", pa.int64()),
        ("control", pa.string()),
        ("version", pa.string()),
        ("source", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("label", pa.list_(pa.int32())),
        ("score", pa.list_(pa.float32())),
        ("length", pa.list_(pa.int32())),
        ("outline", pa.list_(pa.float64())),
        ("probs", pa.list_(pa.float32())),
    ]
)
_LABELS = pa.schema(
    [
        ("task", pa.int64()),
        ("control", pa.string()),
        ("unit", pa.list_(pa.int64())),
        ("region_unit", pa.list_(pa.int64())),
        ("label", pa.list_(pa.int32())),
        ("length", pa.list_(pa.int32())),
        ("outline", pa.list_(pa.float64())),
        ("held", pa.list_(pa.int64())),
    ]
)


@dataclass(frozen=True, slots=True)
class StoredLabels:
    """The human labels of one control tag, as a run last read them.

    Attributes:
        task: int64 (U,), task of each unit; a unit is one current annotation.
        unit: int64 (U,), annotation id.
        region_unit: int64 (R,), the unit each region belongs to.
        label: int32 (R,), label index, -1 where the config has no such label.
        outline: where each region is, in pixels or characters.
        held_task: int64 (H,), task of each annotation it held, current or not.
        held: int64 (H,), annotation id.
    """

    task: NDArray[np.int64]
    unit: NDArray[np.int64]
    region_unit: NDArray[np.int64]
    label: NDArray[np.int32]
    outline: Outlines
    held_task: NDArray[np.int64]
    held: NDArray[np.int64]

    def of(self, tasks: NDArray[np.int64]) -> StoredLabels:
        """Return the labels of some tasks only."""
        return self._only(np.isin(self.task, tasks))

    def without(self, units: NDArray[np.int64]) -> StoredLabels:
        """Return the labels without some annotations', which are held all the same."""
        return self._only(~np.isin(self.unit, units))

    def _only(self, units: NDArray[np.bool_]) -> StoredLabels:
        regions = np.isin(self.region_unit, self.unit[units])
        return StoredLabels(
            self.task[units],
            self.unit[units],
            self.region_unit[regions],
            self.label[regions],
            self.outline.take(regions),
            self.held_task,
            self.held,
        )


class Store:
    """Columns of many projects below one folder; several processes may read and write at once.

    Args:
        folder: where they lie; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # A process that waits on a table must see what another has just written.
        self._tables = lancedb.connect(str(folder), read_consistency_interval=timedelta(0))

    def put_predictions(
        self,
        project: int,
        control: str,
        version: str,
        tasks: NDArray[np.int64],
        sources: Sequence[str],
        predictions: Predictions,
    ) -> None:
        """Keep predictions, one row a task; a task's older row is replaced."""
        rows = _offsets(predictions.item, len(tasks))
        count = predictions.probs.shape[1]
        columns = {
            "task": tasks,
            "control": [control] * len(tasks),
            "version": [version] * len(tasks),
            "source": list(sources),
            "width": predictions.size[:, 0],
            "height": predictions.size[:, 1],
            "label": _ragged(rows, predictions.label),
            "score": _ragged(rows, predictions.score),
            **_outline_columns(rows, predictions.outline),
            "probs": _ragged(np.arange(len(tasks) + 1) * count, predictions.probs.reshape(-1)),
        }
        self._merge(_table("predictions", project), pa.table(columns, schema=_PREDICTIONS))

    def get_predictions(
        self,
        project: int,
        control: str,
        version: str,
        tasks: NDArray[np.int64],
        sources: Sequence[str] | None = None,
    ) -> tuple[NDArray[np.bool_], Predictions]:
        """Look up predictions made by one model version, of the same sources if these are given.

        Returns:
            found: bool (T,), which of ``tasks`` have them;
            predictions: of the found ones, in the order of ``tasks``.
        """
        where = f"control = {_quoted(control)} AND version = {_quoted(version)}"
        table = self._read(_table("predictions", project), _PREDICTIONS, where, tasks)
        place = _places(table["task"].to_numpy(), tasks)
        found = place >= 0
        if sources is not None and len(table):
            known = np.array(table["source"].to_pylist(), dtype=object)
            found &= known[place] == np.array(sources, dtype=object)
        return found, _predictions(table.take(pa.array(place[found])))

    def put_labels(
        self, project: int, control: str, tasks: NDArray[np.int64], labels: StoredLabels
    ) -> None:
        """Keep the human labels of some tasks, also of those that hold none by now."""
        tasks = np.sort(tasks)
        row = np.searchsorted(tasks, labels.task)
        by_unit = np.argsort(row, kind="stable")
        unit_rows = _offsets(np.sort(row), len(tasks))
        row_of_unit = dict(zip(labels.unit.tolist(), row.tolist(), strict=True))
        region_row = np.array([row_of_unit[u] for u in labels.region_unit.tolist()], dtype=np.int64)
        by_region = np.argsort(region_row, kind="stable")
        regions = _offsets(np.sort(region_row), len(tasks))
        held_row = np.searchsorted(tasks, labels.held_task)
        by_held = np.argsort(held_row, kind="stable")
        held = _offsets(np.sort(held_row), len(tasks))
        columns = {
            "task": tasks,
            "control": [control] * len(tasks),
            "held": _ragged(held, labels.held[by_held]),
            "unit": _ragged(unit_rows, labels.unit[by_unit]),
            "region_unit": _ragged(regions, labels.region_unit[by_region]),
            "label": _ragged(regions, labels.label[by_region]),
            **_outline_columns(regions, labels.outline.take(by_region)),
        }
        self._merge(_table("labels", project), pa.table(columns, schema=_LABELS))

    def get_labels(self, project: int, control: str) -> StoredLabels:
        """Return all human labels of one control tag that runs have read."""
        name = _table("labels", project)
        table = self._read(name, _LABELS, f"control = {_quoted(control)}", None)
        return StoredLabels(
            np.repeat(table["task"].to_numpy(), _lengths(table["unit"])),
            _values(table["unit"], np.int64),
            _values(table["region_unit"], np.int64),
            _values(table["label"], np.int32),
            _outline(table),
            np.repeat(table["task"].to_numpy(), _lengths(table["held"])),
            _values(table["held"], np.int64),
        )

    def put_arrays(self, project: int, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep a few named arrays, replacing those of the same name whole."""
        path = self._array_path(project, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **dict(arrays))
        part.replace(path)

    def get_arrays(self, project: int, name: str) -> dict[str, NDArray[Any]] | None:
        """Return named arrays, or None where none are kept."""
        path = self._array_path(project, name)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}

    def compact(self, project: int) -> None:
        """Merge the small files that many small writes leave behind."""
        for name in (_table("predictions", project), _table("labels", project)):
            if name in self._names():
                self._tables.open_table(name).optimize(cleanup_older_than=_KEPT)

    def _array_path(self, project: int, name: str) -> Path:
        return self._folder / f"arrays-{project}" / f"{name}.npz"

    def _names(self) -> set[str]:
        return set(self._tables.list_tables().tables)

    def _merge(self, name: str, rows: pa.Table) -> None:
        table = self._tables.create_table(name, schema=rows.schema, exist_ok=True)
        table.merge_insert(_KEY).when_matched_update_all().when_not_matched_insert_all().execute(
            rows
        )

    def _read(
        self, name: str, schema: pa.Schema, where: str, tasks: NDArray[np.int64] | None
    ) -> pa.Table:
        if tasks is not None and not len(tasks):
            return schema.empty_table()
        if tasks is not None:
            where += f" AND task >= {tasks.min()} AND task <= {tasks.max()}"
        try:
            table = self._tables.open_table(name)
        except ValueError:  # it is not there, or another is just making it
            return schema.empty_table()
        return table.search().where(where).to_arrow().select(schema.names)


def _table(what: str, project: int) -> str:
    """Name a table by its columns too: what a Relook with other columns kept is not found."""
    columns = _PREDICTIONS if what == "predictions" else _LABELS
    return f"{what}-{hashlib.sha256(str(columns).encode()).hexdigest()[:8]}-{project}"


def _predictions(table: pa.Table) -> Predictions:
    count = _lengths(table["label"])
    return Predictions(
        size=np.stack([table["width"].to_numpy(), table["height"].to_numpy()], axis=1),
        item=np.repeat(np.arange(len(table), dtype=np.int64), count),
        label=_values(table["label"], np.int32),
        score=_values(table["score"], np.float32),
        outline=_outline(table),
        probs=_values(table["probs"], np.float32).reshape(len(table), -1)
        if len(table)
        else np.empty((0, 0), dtype=np.float32),
    )


def _outline_columns(rows: NDArray[np.int64], outline: Outlines) -> dict[str, pa.Array]:
    """The columns of an outline, cut where the rows of tasks begin."""
    lengths = np.diff(outline.offsets).astype(np.int32)
    return {
        "length": _ragged(rows, lengths),
        "outline": _ragged(outline.offsets[rows], outline.values),
    }


def _outline(table: pa.Table) -> Outlines:
    lengths = _values(table["length"], np.int64)
    return Outlines(ragged.starts(lengths), _values(table["outline"], np.float64))


def _offsets(row: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.searchsorted(row, np.arange(count + 1))


def _ragged(offsets: NDArray[np.int64], values: NDArray[Any]) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values))


def _lengths(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(column.combine_chunks().value_lengths().to_numpy(), dtype=np.int64)


def _values(column: pa.ChunkedArray, dtype: type[np.generic]) -> NDArray[Any]:
    return np.asarray(column.combine_chunks().flatten().to_numpy(zero_copy_only=False), dtype=dtype)


def _places(known: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(known):
        return np.full(len(wanted), -1)
    order = np.argsort(known)
    place = order[np.searchsorted(known, wanted, sorter=order).clip(max=len(known) - 1)]
    return np.where(known[place] == wanted, place, -1)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
