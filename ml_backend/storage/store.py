"""What Relook computed, as columns on disk. All of it can be deleted and computed again."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.geometry import ragged
from ml_backend.outlines import Outlines
from ml_backend.predictors.base import Predictions
from ml_backend.storage.tables import Tables, named, quoted

__all__ = ["Store", "StoredLabels"]

_KEY: Final = ("task", "control")
#: Tasks whose columns are read at once.
_AT_ONCE: Final = 8192
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
        ("approved", pa.list_(pa.bool_())),
    ]
)
_ARRAYS = pa.schema([("name", pa.string()), ("arrays", pa.large_binary())])


@dataclass(frozen=True, slots=True)
class StoredLabels:
    """The labels of one control tag that stand in Label Studio, as a run last read them.

    Attributes:
        task: int64 (U,), task of each unit; a unit is one current annotation.
        unit: int64 (U,), annotation id.
        region_unit: int64 (R,), the unit each region belongs to.
        label: int32 (R,), label index, -1 where the config has no such label.
        outline: where each region is, in pixels or characters.
        held_task: int64 (H,), task of each annotation it held, current or not.
        held: int64 (H,), annotation id.
        approved: bool (U,), whether the model gave it and nobody has edited it since.
    """

    task: NDArray[np.int64]
    unit: NDArray[np.int64]
    region_unit: NDArray[np.int64]
    label: NDArray[np.int32]
    outline: Outlines
    held_task: NDArray[np.int64]
    held: NDArray[np.int64]
    approved: NDArray[np.bool_]

    def of(self, tasks: NDArray[np.int64]) -> StoredLabels:
        """Return the labels of some tasks only."""
        return self._only(np.isin(self.task, tasks))

    def of_people(self) -> StoredLabels:
        """Return the labels that people gave: the model's own would teach it that it is right."""
        return self._only(~self.approved)

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
            self.approved[units],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[StoredLabels]) -> StoredLabels:
        """Stack the labels of several lots of tasks."""
        parts = [cls.empty(), *parts]
        columns = {
            one: np.concatenate([getattr(part, one) for part in parts])
            for one in ("task", "unit", "region_unit", "label", "held_task", "held", "approved")
        }
        return cls(outline=Outlines.concatenate([part.outline for part in parts]), **columns)

    @classmethod
    def empty(cls) -> StoredLabels:
        """Return the labels of no tasks."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(
            task=nothing,
            unit=nothing,
            region_unit=nothing,
            label=nothing.astype(np.int32),
            outline=Outlines.of_rows([]),
            held_task=nothing,
            held=nothing,
            approved=nothing.astype(np.bool_),
        )


class Store:
    """Columns of many projects in one place; several processes may read and write at once.

    Args:
        location: a folder, made when missing, or an address of object storage; see ``Tables``.
    """

    def __init__(self, location: str | Path) -> None:
        self.tables = Tables(str(location))

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
        starts = _offsets(predictions.item, len(tasks))
        count = predictions.probs.shape[1]
        columns = {
            "task": tasks,
            "control": [control] * len(tasks),
            "version": [version] * len(tasks),
            "source": list(sources),
            "width": predictions.size[:, 0],
            "height": predictions.size[:, 1],
            "label": _ragged(starts, predictions.label),
            "score": _ragged(starts, predictions.score),
            **_outline_columns(starts, predictions.outline),
            "probs": _ragged(np.arange(len(tasks) + 1) * count, predictions.probs.reshape(-1)),
        }
        rows = pa.table(columns, schema=_PREDICTIONS)
        self.tables.merge(named("predictions", _PREDICTIONS, project), _KEY, rows)

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
        pieces = [
            self._predictions_of(project, control, version, some, sources and sources[at : at + n])
            for at, n, some in _pieces(tasks)
        ]
        found = np.concatenate([np.empty(0, dtype=np.bool_), *(here for here, _ in pieces)])
        return found, Predictions.concatenate([said for here, said in pieces if here.any()])

    def _predictions_of(
        self,
        project: int,
        control: str,
        version: str,
        tasks: NDArray[np.int64],
        sources: Sequence[str] | None,
    ) -> tuple[NDArray[np.bool_], Predictions]:
        where = f"control = {quoted(control)} AND version = {quoted(version)}"
        name = named("predictions", _PREDICTIONS, project)
        table = self.tables.read(name, _PREDICTIONS, where, tasks)
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
            "approved": _ragged(unit_rows, labels.approved[by_unit]),
            "region_unit": _ragged(regions, labels.region_unit[by_region]),
            "label": _ragged(regions, labels.label[by_region]),
            **_outline_columns(regions, labels.outline.take(by_region)),
        }
        rows = pa.table(columns, schema=_LABELS)
        self.tables.merge(named("labels", _LABELS, project), _KEY, rows)

    def get_labels(
        self, project: int, control: str, tasks: NDArray[np.int64] | None = None
    ) -> StoredLabels:
        """Return the human labels of one control tag that runs have read, of some tasks or all."""
        if tasks is None:
            return self._labels_of(project, control, None)
        parts = [self._labels_of(project, control, some).of(some) for _, _, some in _pieces(tasks)]
        return StoredLabels.concatenate(parts)

    def tasks_holding(self, project: int, annotations: Collection[int]) -> NDArray[np.int64]:
        """Return the tasks that held these annotations when they were last read, ascending."""
        columns = pa.schema([_LABELS.field("task"), _LABELS.field("held")])
        table = self.tables.read(named("labels", _LABELS, project), columns)
        task = np.repeat(table["task"].to_numpy(), _lengths(table["held"]))
        wanted = np.array(list(annotations), dtype=np.int64)
        found: NDArray[np.int64] = np.unique(
            task[np.isin(_values(table["held"], np.int64), wanted)]
        )
        return found

    def _labels_of(
        self, project: int, control: str, tasks: NDArray[np.int64] | None
    ) -> StoredLabels:
        name = named("labels", _LABELS, project)
        table = self.tables.read(name, _LABELS, f"control = {quoted(control)}", tasks)
        return StoredLabels(
            np.repeat(table["task"].to_numpy(), _lengths(table["unit"])),
            _values(table["unit"], np.int64),
            _values(table["region_unit"], np.int64),
            _values(table["label"], np.int32),
            _outline(table),
            np.repeat(table["task"].to_numpy(), _lengths(table["held"])),
            _values(table["held"], np.int64),
            _values(table["approved"], np.bool_),
        )

    def put_arrays(self, project: int, name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep a few named arrays, replacing those of the same name whole."""
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **dict(arrays))
        rows = pa.table({"name": [name], "arrays": [file.getvalue()]}, schema=_ARRAYS)
        self.tables.merge(named("arrays", _ARRAYS, project), ["name"], rows)

    def get_arrays(self, project: int, name: str) -> dict[str, NDArray[Any]] | None:
        """Return named arrays, or None where none are kept."""
        table = named("arrays", _ARRAYS, project)
        rows = self.tables.read(table, _ARRAYS, f"name = {quoted(name)}")
        if not len(rows):
            return None
        with np.load(io.BytesIO(rows["arrays"][0].as_py()), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}

    def arrays_version(self, project: int) -> int:
        """Return a number that rises whenever named arrays are put."""
        return self.tables.version(named("arrays", _ARRAYS, project))

    def keep_only(self, project: int, tasks: NDArray[np.int64]) -> None:
        """Forget tasks that are gone, see ``Tables.keep_only``."""
        self.tables.keep_only(named("predictions", _PREDICTIONS, project), tasks)
        self.tables.keep_only(named("labels", _LABELS, project), tasks)

    def compact(self, project: int) -> None:
        """Merge the small files that many small writes leave behind."""
        self.tables.compact(named("predictions", _PREDICTIONS, project))
        self.tables.compact(named("labels", _LABELS, project))
        self.tables.compact(named("arrays", _ARRAYS, project))


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


def _pieces(tasks: NDArray[np.int64]) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Cut tasks into lots that fit in memory: where each begins, how many, and which."""
    for at in range(0, len(tasks), _AT_ONCE):
        some = tasks[at : at + _AT_ONCE]
        yield at, len(some), some


def _places(known: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(known):
        return np.full(len(wanted), -1)
    order = np.argsort(known)
    place = order[np.searchsorted(known, wanted, sorter=order).clip(max=len(known) - 1)]
    return np.where(known[place] == wanted, place, -1)
