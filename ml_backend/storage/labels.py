"""The labels that stand in Label Studio, as columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ml_backend.outlines import Geometry, Outlines
from ml_backend.storage.tables import quoted

__all__ = ["StoredLabels", "Tag", "form_of", "of_tag"]


class Tag(Protocol):
    """A control tag, as far as what is stored under it depends on it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def geometry(self) -> Geometry:
        """What its regions are made of."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Its labels: stored ones are places in these."""
        ...


def form_of(tag: Tag) -> str:
    """Return what stands for all that gives the numbers stored under a tag their meaning."""
    said = repr((tag.geometry, tag.labels))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def of_tag(tag: Tag) -> str:
    """Return the condition, in SQL, of rows stored under a tag while it was what it is now."""
    return f"control = {quoted(tag.name)} AND form = {quoted(form_of(tag))}"


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
        size: int32 (U, 2), width and height of its image, pixels: as a model has read it, else as
            its regions state it; zeros for texts and where it is not known.
    """

    task: NDArray[np.int64]
    unit: NDArray[np.int64]
    region_unit: NDArray[np.int64]
    label: NDArray[np.int32]
    outline: Outlines
    held_task: NDArray[np.int64]
    held: NDArray[np.int64]
    approved: NDArray[np.bool_]
    size: NDArray[np.int32]

    @property
    def unit_row(self) -> NDArray[np.int64]:
        """int64 (R,), the row of the unit that each region belongs to."""
        order = np.argsort(self.unit)
        row: NDArray[np.int64] = order[np.searchsorted(self.unit, self.region_unit, sorter=order)]
        return row

    def of(self, tasks: NDArray[np.int64]) -> StoredLabels:
        """Return the labels of some tasks only."""
        some, held = self._only(np.isin(self.task, tasks)), np.isin(self.held_task, tasks)
        return replace(some, held_task=self.held_task[held], held=self.held[held])

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
            self.size[units],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[StoredLabels]) -> StoredLabels:
        """Stack the labels of several lots of tasks."""
        parts = [cls.empty(), *parts]
        columns = {
            one: np.concatenate([getattr(part, one) for part in parts])
            for one in cls.__slots__
            if one != "outline"
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
            size=np.empty((0, 2), dtype=np.int32),
        )
