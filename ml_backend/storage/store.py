"""What Relook computed, as columns on disk. All of it can be deleted and computed again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.geometry import ragged
from ml_backend.outlines import Outlines
from ml_backend.predictors.base import Predictions
from ml_backend.storage.labels import StoredLabels, Tag, form_of, of_tag
from ml_backend.storage.lists import as_lists, lengths, values
from ml_backend.storage.standing import Standing
from ml_backend.storage.tables import Tables, named, quoted

__all__ = ["LABELS", "Store", "name_arrays"]

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
#: Of each task and control tag, the labels that stand: see ``StoredLabels``. They are places in the
#: tag's labels, for which ``form`` stands.
LABELS: Final = pa.schema(
    [
        ("task", pa.int64()),
        ("control", pa.string()),
        ("form", pa.string()),
        ("unit", pa.list_(pa.int64())),
        ("region_unit", pa.list_(pa.int64())),
        ("label", pa.list_(pa.int32())),
        ("length", pa.list_(pa.int32())),
        ("outline", pa.list_(pa.float64())),
        ("held", pa.list_(pa.int64())),
        ("approved", pa.list_(pa.bool_())),
        ("width", pa.list_(pa.int32())),
        ("height", pa.list_(pa.int32())),
    ]
)
_ARRAYS = pa.schema([("name", pa.string()), ("arrays", pa.large_binary())])


def name_arrays(what: str, *parts: object) -> str:
    """Name arrays by all they depend on; hashed, because people choose tags' names."""
    return f"{what}-{hashlib.sha256(repr(list(parts)).encode()).hexdigest()[:16]}"


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
            "label": as_lists(starts, predictions.label),
            "score": as_lists(starts, predictions.score),
            **_outline_columns(starts, predictions.outline),
            "probs": as_lists(np.arange(len(tasks) + 1) * count, predictions.probs.reshape(-1)),
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
        self, project: int, control: Tag, tasks: NDArray[np.int64], labels: StoredLabels
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
            "control": [control.name] * len(tasks),
            "form": [form_of(control)] * len(tasks),
            "held": as_lists(held, labels.held[by_held]),
            "unit": as_lists(unit_rows, labels.unit[by_unit]),
            "approved": as_lists(unit_rows, labels.approved[by_unit]),
            "width": as_lists(unit_rows, labels.size[by_unit, 0]),
            "height": as_lists(unit_rows, labels.size[by_unit, 1]),
            "region_unit": as_lists(regions, labels.region_unit[by_region]),
            "label": as_lists(regions, labels.label[by_region]),
            **_outline_columns(regions, labels.outline.take(by_region)),
        }
        rows = pa.table(columns, schema=LABELS)
        self.tables.merge(named("labels", LABELS, project), _KEY, rows)

    def get_labels(
        self, project: int, control: Tag, tasks: NDArray[np.int64] | None = None
    ) -> StoredLabels:
        """Return the human labels of one control tag that runs have read, of some tasks or all.

        What was read while the tag had other labels, or another geometry, is not found.
        """
        if tasks is None:
            return self._labels_of(project, control, None)
        parts = [self._labels_of(project, control, some).of(some) for _, _, some in _pieces(tasks)]
        return StoredLabels.concatenate(parts)

    def labels_kept(
        self, project: int, control: Tag, tasks: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return of which tasks ``get_labels`` knows the labels, be it that they hold none."""
        name, columns = named("labels", LABELS, project), pa.schema([LABELS.field("task")])
        pieces = [
            self.tables.read(name, columns, of_tag(control), one) for *_, one in _pieces(tasks)
        ]
        known = pa.concat_tables([columns.empty_table(), *pieces])
        kept: NDArray[np.bool_] = np.isin(tasks, known["task"].to_numpy())
        return kept

    def tasks_holding(self, project: int, annotations: Collection[int]) -> NDArray[np.int64]:
        """Return the tasks that held these annotations when they were last read, ascending."""
        columns = pa.schema([LABELS.field("task"), LABELS.field("held")])
        table = self.tables.read(named("labels", LABELS, project), columns)
        task = np.repeat(table["task"].to_numpy(), lengths(table["held"]))
        wanted = np.array(list(annotations), dtype=np.int64)
        found: NDArray[np.int64] = np.unique(task[np.isin(values(table["held"], np.int64), wanted)])
        return found

    def _labels_of(
        self, project: int, control: Tag, tasks: NDArray[np.int64] | None
    ) -> StoredLabels:
        name = named("labels", LABELS, project)
        # In one order, however it lies: what is learnt from it must not change by itself.
        table = self.tables.read(name, LABELS, of_tag(control), tasks)
        table = table.sort_by("task")
        return StoredLabels(
            np.repeat(table["task"].to_numpy(), lengths(table["unit"])),
            values(table["unit"], np.int64),
            values(table["region_unit"], np.int64),
            values(table["label"], np.int32),
            _outline(table),
            np.repeat(table["task"].to_numpy(), lengths(table["held"])),
            values(table["held"], np.int64),
            values(table["approved"], np.bool_),
            np.stack([values(table[side], np.int32) for side in ("width", "height")], axis=1),
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

    def keep_only(self, project: int, standing: Standing) -> None:
        """Forget tasks that are gone, see ``Tables.keep_only``."""
        self.tables.keep_only(named("predictions", _PREDICTIONS, project), standing)
        self.tables.keep_only(named("labels", LABELS, project), standing)

    def compact(self, project: int) -> None:
        """Merge the small files that many small writes leave behind."""
        self.tables.compact(named("predictions", _PREDICTIONS, project))
        self.tables.compact(named("labels", LABELS, project))
        self.tables.compact(named("arrays", _ARRAYS, project))


def _predictions(table: pa.Table) -> Predictions:
    count = lengths(table["label"])
    return Predictions(
        size=np.stack([table["width"].to_numpy(), table["height"].to_numpy()], axis=1),
        item=np.repeat(np.arange(len(table), dtype=np.int64), count),
        label=values(table["label"], np.int32),
        score=values(table["score"], np.float32),
        outline=_outline(table),
        probs=values(table["probs"], np.float32).reshape(len(table), -1)
        if len(table)
        else np.empty((0, 0), dtype=np.float32),
    )


def _outline_columns(rows: NDArray[np.int64], outline: Outlines) -> dict[str, pa.Array]:
    """The columns of an outline, cut where the rows of tasks begin."""
    return {
        "length": as_lists(rows, np.diff(outline.offsets).astype(np.int32)),
        "outline": as_lists(outline.offsets[rows], outline.values),
    }


def _outline(table: pa.Table) -> Outlines:
    starts = ragged.starts(values(table["length"], np.int64))
    return Outlines(starts, values(table["outline"], np.float64))


def _offsets(row: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.searchsorted(row, np.arange(count + 1))


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
