"""What people changed in their labels since they were last looked at, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from analysis.findings import NONE
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.regions.results import Labels
from ml_backend.outlines import Outlines
from ml_backend.scoring.between import REACH, changes
from ml_backend.storage.labels import StoredLabels

__all__ = ["amended", "as_reason"]

_MOST_NAMED: Final = 3


def amended(control: Control, old: StoredLabels, new: StoredLabels) -> dict[int, list[str]]:
    """Say what became of labels under one control tag, task by task; nothing of equal ones.

    Args:
        control: the control tag.
        old: labels as they were.
        new: labels as they are.
    """
    rows = np.arange(len(old.unit) + len(new.unit))
    first, second = rows[: len(old.unit)], rows[len(old.unit) :]
    labels = Labels(
        np.concatenate([old.unit_row, len(old.unit) + new.unit_row]),
        np.zeros(len(old.label) + len(new.label), dtype=np.int64),
        np.concatenate([old.label, new.label]),
        Outlines.concatenate([old.outline, new.outline]),
        np.zeros((len(old.label) + len(new.label), 2), dtype=np.int32),
    )
    before = np.array([_before(old, *one) for one in zip(new.task, new.unit, strict=True)])
    known = np.flatnonzero(before != NONE) if len(before) else np.zeros(0, dtype=np.int64)
    size = np.concatenate([old.size[old.unit_row], new.size[new.unit_row]])
    # Of an image whose size nobody knows, a few pixels.
    reach = np.maximum(size, 100) * (REACH / 100)
    found = changes(control, labels, first[before[known]], second[known], reach)
    said: dict[int, list[str]] = defaultdict(list)
    names = [*control.labels, "?"]
    for row, given, better in zip(
        found.annotation.tolist(), found.given.tolist(), found.better.tolist(), strict=True
    ):
        said[int(old.task[row])].append(_words(names, given, better))
    return said


def as_reason(verdict: str, said: Sequence[Mapping[int, list[str]]]) -> dict[int, str]:
    """Return what was said under each control tag as one sentence a task."""
    words: dict[int, list[str]] = defaultdict(list)
    for of_tag in said:
        for task, some in of_tag.items():
            words[task] += some
    return {task: f"{verdict}: {_joined(some)}" for task, some in words.items()}


def _joined(words: list[str]) -> str:
    more = len(words) - _MOST_NAMED
    return ", ".join(words[:_MOST_NAMED]) + (f", and {more} more" if more > 0 else "")


def _words(names: list[str], given: int, better: int) -> str:
    if given == NONE:
        return f"{names[better]} added"
    if better == NONE:
        return f"{names[given]} removed"
    return (
        f"{names[given]} redrawn" if given == better else f"{names[given]} became {names[better]}"
    )


def _before(old: StoredLabels, task: int, unit: int) -> int:
    """Row of the annotation that another took the place of: itself, or the task's newest."""
    rows = np.flatnonzero(old.unit == unit)
    rows = rows if len(rows) else np.flatnonzero(old.task == task)
    return int(rows[old.unit[rows].argmax()]) if len(rows) else NONE
