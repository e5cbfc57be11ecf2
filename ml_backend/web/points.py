"""The points of a project: Arrow columns out of the store's columns, a million at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.findings import KINDS
from analysis.framing import framed
from analysis.geometry import ragged
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.tasks.tags import SEPARATOR
from ml_backend.storage.lists import lengths
from ml_backend.storage.page_columns import PageColumns
from ml_backend.storage.plane import Plane

__all__ = ["inputs", "regions", "stream"]

_TASKS: Final = ("task", "flag", "tags", "updated", "unit", "by", "region_tags")
_OF_TASK: Final = ("task", "control", "priority", "kind", "outlier")
_OF_INPUT: Final = ("label", "predicted", "confidence", "iou", "false_positives", "false_negatives")
_OF_REGION: Final = (
    *("r_unit", "r_place", "r_label", "r_predicted", "r_confidence", "r_iou", "r_kind"),
    *("r_priority", "false_positives", "false_negatives"),
)


@dataclass(frozen=True, slots=True)
class _Tasks:
    """What Label Studio says of tasks, T rows by id.

    Attributes:
        task: int64 (T,), ascending.
        table: the other columns.
        people: what to call each user.
    """

    task: NDArray[np.int64]
    table: pa.Table
    people: Mapping[int, str]

    def rows(self, task: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each task, T where there is none."""
        return _find(self.task, task)

    def text(self, name: str, rows: NDArray[np.int64]) -> pa.DictionaryArray:
        """Return a column of texts for some rows, "" where there is none."""
        coded = self.table[name].combine_chunks().dictionary_encode()
        return _dictionary(
            np.append(_numbers(coded.indices) + 1, 0)[rows], ["", *coded.dictionary.to_pylist()]
        )

    def numbers(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return a column of numbers for some rows, NaN where there is none."""
        column: NDArray[np.float64] = np.append(_numbers(self.table[name]), np.nan)
        return column[rows]

    def annotators(self, rows: NDArray[np.int64]) -> pa.DictionaryArray:
        """Return who made the annotations of each row's task, joined by line ends."""
        by = self.table["by"].combine_chunks()
        count = lengths(by)
        start = np.cumsum(count) - count
        people, code = np.unique(_numbers(by.flatten()), return_inverse=True)
        # Few together label many tasks: who they are is put together once.
        groups: list[tuple[int, ...]] = [()]
        group = np.zeros(len(count) + 1, dtype=np.int64)
        for place in range(int(count.max(initial=0))):
            here = np.flatnonzero(count > place)
            with_one_more = group[here] * len(people) + code[start[here] + place]
            made, which = np.unique(with_one_more, return_inverse=True)
            group[here] = len(groups) + which
            for one in made.tolist():
                others, person = divmod(one, len(people))
                groups.append((*groups[others], int(people[person])))
        return _dictionary(group[rows], [self._named(*some) for some in groups])

    def annotator_of(self, unit: NDArray[np.int64]) -> pa.DictionaryArray:
        """Return who made each annotation."""
        units = _numbers(self.table["unit"].combine_chunks().flatten())
        by = _numbers(self.table["by"].combine_chunks().flatten())
        order = np.argsort(units)
        place = _find(units[order], unit)
        known, code = np.unique(np.append(by[order], -1)[place], return_inverse=True)
        return _dictionary(code, [self._named(one) for one in known.tolist()])

    def _named(self, *people: int) -> str:
        return "\n".join(sorted({self.people.get(one, str(one)) for one in people if one >= 0}))


def inputs(
    columns: PageColumns,
    project: int,
    control: Control,
    plane: Plane | None,
    people: Mapping[int, str],
) -> pa.Table | None:
    """Return the points of whole inputs; None where nothing has been scored.

    Args:
        columns: the store's columns.
        project: the project.
        control: the control tag.
        plane: where its inputs lie.
        people: what to call each user.
    """
    found = columns.found(project, control, columns=(*_OF_TASK, *_OF_INPUT))
    if not len(found):
        return None
    tasks = _tasks(columns, project, people)
    task = _numbers(found["task"])
    rows = tasks.rows(task)
    x, y, far = _places(plane, task, None)
    outlier = _numbers(found["outlier"])
    kind = found["kind"].combine_chunks().dictionary_encode()
    return _table(
        plane,
        task=task,
        region=np.full(len(task), -1),
        x=x,
        y=y,
        label=_labels(found["label"], control),
        predicted=_labels(found["predicted"], control),
        kind=_dictionary(_numbers(kind.indices), kind.dictionary.to_pylist()),
        flag=tasks.text("flag", rows),
        annotator=tasks.annotators(rows),
        confidence=_numbers(found["confidence"]),
        iou=_numbers(found["iou"]),
        priority=_numbers(found["priority"]),
        outlier=np.where(np.isnan(outlier), far, outlier),
        updated=tasks.numbers("updated", rows),
        tags=tasks.text("tags", rows),
        false_positives=_numbers(found["false_positives"]),
        false_negatives=_numbers(found["false_negatives"]),
    )


def regions(
    columns: PageColumns,
    project: int,
    control: Control,
    plane: Plane | None,
    people: Mapping[int, str],
) -> pa.Table | None:
    """Return the points of human regions; None where nothing has been scored."""
    found = columns.found(project, control, columns=(*_OF_TASK, *_OF_REGION))
    if not len(found):
        return None
    tasks = _tasks(columns, project, people)
    count = lengths(found["r_unit"])
    of, region = ragged.expand(np.zeros_like(count), count)
    task = _numbers(found["task"])[of]
    rows = tasks.rows(task)
    place = found["r_place"].combine_chunks().flatten()
    x, y, outlier = _places(plane, task, place)
    scored = ~np.isnan(_numbers(found["priority"]))[of]
    return _table(
        plane,
        task=task,
        region=region,
        x=x,
        y=y,
        label=_labels(_flat(found, "r_label"), control),
        predicted=_labels(_flat(found, "r_predicted"), control),
        kind=_dictionary(_numbers(_flat(found, "r_kind")) + 1, ["", *KINDS]),
        flag=tasks.text("flag", rows),
        annotator=tasks.annotator_of(_numbers(_flat(found, "r_unit"))),
        confidence=_numbers(_flat(found, "r_confidence")),
        iou=_numbers(_flat(found, "r_iou")),
        priority=np.where(scored, _numbers(_flat(found, "r_priority")), np.nan),
        outlier=outlier,
        updated=tasks.numbers("updated", rows),
        tags=_with_region_tags(tasks, control, task, region, rows),
        false_positives=_numbers(found["false_positives"])[of],
        false_negatives=_numbers(found["false_negatives"])[of],
    )


def stream(table: pa.Table) -> bytes:
    """Return a table as one Arrow IPC stream of one batch: columns that are read where they lie."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks(), max_chunksize=max(len(table), 1))
    return bytes(sink.getvalue())


def _tasks(columns: PageColumns, project: int, people: Mapping[int, str]) -> _Tasks:
    table = columns.tasks(project, columns=_TASKS)
    return _Tasks(_numbers(table["task"]), table, people)


def _places(
    plane: Plane | None, task: NDArray[np.int64], place: pa.Array | None
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Where each point lies on the map and its outlier score, NaN where it was not laid out."""
    nowhere = np.full(len(task), np.nan, dtype=np.float32)
    if plane is None or not len(plane):
        return nowhere, nowhere, nowhere
    key, wanted = plane.task, task
    if place is not None:
        # One number for task and place together.
        # Many texts come in several chunks.
        known = pa.table({"place": plane.region})["place"].chunks
        both = pa.chunked_array([*known, place], pa.string())
        coded = both.combine_chunks().dictionary_encode()
        code, size = _numbers(coded.indices), len(coded.dictionary)
        key = plane.task * size + code[: len(plane)]
        wanted = task * size + code[len(plane) :]
    order = np.argsort(key, kind="stable")
    row = _find(key[order], wanted)
    at = np.stack([plane.x, plane.y])[:, order]
    x, y, far = (
        np.append(column, np.float32(np.nan))[row] for column in (*framed(at), plane.outlier[order])
    )
    return x, y, far


def _with_region_tags(
    tasks: _Tasks,
    control: Control,
    task: NDArray[np.int64],
    region: NDArray[np.int64],
    rows: NDArray[np.int64],
) -> pa.DictionaryArray:
    """The tags of each region's task and its own."""
    of_task = tasks.text("tags", rows)
    tagged = tasks.table["region_tags"].combine_chunks()
    some = np.flatnonzero(lengths(tagged))
    if not len(some):
        return of_task
    code = _numbers(of_task.indices).copy()
    words: list[str] = of_task.dictionary.to_pylist()
    for row in some.tolist():
        begin = int(np.searchsorted(task, tasks.task[row]))
        for entry in tagged[row].as_py():
            name, place, tag = entry.split(SEPARATOR)
            at = begin + int(place)
            if name != control.name or at >= len(task) or task[at] != tasks.task[row]:
                continue
            words.append("\n".join(filter(None, [words[code[at]], tag])))
            code[at] = len(words) - 1
    return _dictionary(code, words)


def _table(plane: Plane | None, **columns: Any) -> pa.Table:
    kinds = {
        **{"task": pa.int32(), "region": pa.int32(), "updated": pa.float64()},
        **{"false_positives": pa.uint8(), "false_negatives": pa.uint8()},
    }
    made = {
        name: column
        if isinstance(column, pa.DictionaryArray)
        else pa.array(np.asarray(column).astype(kinds.get(name, pa.float32()).to_pandas_dtype()))
        for name, column in columns.items()
    }
    return pa.table(made, metadata={"plane": "" if plane is None else plane.version})


def _labels(column: pa.ChunkedArray | pa.Array, control: Control) -> pa.DictionaryArray:
    code = _numbers(column) + 1
    # What an older config called its labels is written anew by the next run.
    code[code > len(control.labels)] = 0
    return _dictionary(code, ["", *control.labels])


def _dictionary(code: NDArray[Any], words: Sequence[str]) -> pa.DictionaryArray:
    values = pa.array(words, pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(code.astype(np.int32)), values)


def _flat(table: pa.Table, name: str) -> pa.Array:
    return table[name].combine_chunks().flatten()


def _find(known: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each wanted number among ascending ones, their count where it is not there."""
    place = np.searchsorted(known, wanted)
    there = np.append(known, -1)[place] == wanted
    return np.where(there, place, len(known))


def _numbers(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return np.asarray(column.to_numpy(zero_copy_only=False))
