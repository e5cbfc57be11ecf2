"""Spans of text as typed columns, and which of the same task overlap, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import columns
from analysis.findings import NONE
from analysis.geometry.matching import Pairs

__all__ = ["LONGEST", "Spans", "overlapping_spans", "span_pair_blocks", "task_lines"]

#: Ends stay below this, so that the number of a task and a place in it fit one int64.
LONGEST: Final = 1 << 31
#: Candidate pairs looked at in one go: what bounds the memory.
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Spans:
    """Labelled spans of text as columns, S rows, in any order of tasks.

    Columns may be given as lists or as arrays of another type that hold the same values.

    Attributes:
        task: int64 (S,), the task (or the unit the caller numbered) each span belongs to.
        start: int64 (S,), first character, from 0.
        end: int64 (S,), one past the last character, start < end.
        label: int32 (S,), class index; -1 where the label is not one of the classes.
        score: float32 (S,) in [0, 1], the model's confidence, or None for human spans.

    Raises:
        ValueError: naming the column and the first row that is wrong.
    """

    task: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    label: NDArray[np.int32]
    score: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        task = columns.whole("Spans.task", self.task, np.int64)
        rows = len(task)
        checked = {"task": task}
        for name, least in (("start", 0), ("end", 1)):
            checked[name] = columns.whole(
                f"Spans.{name}",
                getattr(self, name),
                np.int64,
                rows,
                least=least,
                most=LONGEST - 1,
                task=task,
            )
        label = columns.whole("Spans.label", self.label, np.int32, rows, least=NONE, task=task)
        empty = checked["end"] <= checked["start"]
        columns.refuse("Spans.end", checked["end"], empty, "more than its start", task)
        for name, column in checked.items():
            object.__setattr__(self, name, column)
        object.__setattr__(self, "label", label)
        if self.score is not None:
            score = columns.fractions("Spans.score", self.score, rows, task=task)
            object.__setattr__(self, "score", score)

    def __len__(self) -> int:
        return len(self.task)

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Spans:
        """Return the chosen rows (an index or a mask), in that order."""
        score = None if self.score is None else self.score[rows]
        return Spans(self.task[rows], self.start[rows], self.end[rows], self.label[rows], score)


def span_pair_blocks(first: Spans, second: Spans) -> Iterator[Pairs]:
    """Yield the overlapping pairs of one task, some rows of ``first`` at a time.

    Memory is bounded by the block and by the most crowded row, not by the square of the table.

    Args:
        first: F spans.
        second: S spans.

    Yields:
        Pairs in order of ``first``; all pairs of one row of ``first`` are in one block.
    """
    line = task_lines(np.concatenate([first.task, second.task]))
    mine, theirs = line[: len(first)], line[len(first) :]
    order = np.lexsort((second.end, second.start, theirs))
    # On one line for all tasks, those that end after my start and start before my end are a slice.
    furthest = np.maximum.accumulate((theirs + second.end)[order])
    begin = np.searchsorted(furthest, mine + first.start, side="right")
    end = np.searchsorted((theirs + second.start)[order], mine + first.end, side="left")
    count = np.maximum(end - begin, 0)
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.unique(np.searchsorted(ends, np.arange(_BLOCK, total, _BLOCK)))
    for rows in np.split(np.arange(len(first)), cuts):
        some = count[rows]
        a = np.repeat(rows, some)
        b = order[np.arange(len(a)) + np.repeat(begin[rows] - np.cumsum(some) + some, some)]
        shared = np.minimum(first.end[a], second.end[b]) - np.maximum(
            first.start[a], second.start[b]
        )
        length = first.end[a] - first.start[a] + second.end[b] - second.start[b]
        meet = np.flatnonzero(shared > 0)
        iou = shared[meet] / (length[meet] - shared[meet])
        yield Pairs(a[meet], b[meet], iou.astype(np.float32))


def task_lines(task: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each task begins when all texts are laid out on one line, int64 (N,)."""
    if not len(task):
        return task
    apart = int(task.max()) - int(task.min())
    if apart < LONGEST:
        return np.asarray((task - task.min()) * LONGEST)
    ranks: NDArray[np.int64] = np.unique(task, return_inverse=True)[1]
    return ranks * LONGEST


def overlapping_spans(first: Spans, second: Spans, least: float = 0.0) -> Pairs:
    """Return all pairs of spans of one task whose IoU in characters is above ``least``.

    Args:
        first: F spans.
        second: S spans.
        least: IoU that a pair has to exceed, in [0, 1).
    """
    blocks = [block.take(block.iou > least) for block in span_pair_blocks(first, second)]
    return Pairs(
        np.concatenate([block.first for block in blocks]),
        np.concatenate([block.second for block in blocks]),
        np.concatenate([block.iou for block in blocks]),
    )
