"""Labels of several annotators as columns, and how often each item got each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import columns
from analysis.findings import NONE

__all__ = ["Tally", "Votes", "check_classes", "check_probs", "tally"]

#: A table of so many cells a vote still costs less than a sort.
_DENSE: Final = 8


@dataclass(frozen=True, slots=True)
class Votes:
    """Who gave which item which label, V rows in any order.

    Memory grows with votes, items and annotators, never with items times annotators. Numbers
    should have few gaps: ``from_ids`` gives such to ids of any kind. Columns may be given as lists
    or as arrays of another type that hold the same values.

    Attributes:
        item: int64 (V,), item of each vote, from 0; the row of the item in a table of
            probabilities.
        annotator: int64 (V,), annotator of each vote, from 0.
        label: int32 (V,), class index, or -1 where the annotator looked and gave none: such a row
            keeps its place and counts for nothing.
        items: number of items; raised to hold every item named.
        annotators: number of annotators; raised to hold every annotator named.

    Raises:
        ValueError: naming the column and the first row that is wrong: an index below 0, a label
            below -1, or a second label of one annotator for one item.
    """

    item: NDArray[np.int64]
    annotator: NDArray[np.int64]
    label: NDArray[np.int32]
    items: int = 0
    annotators: int = 0

    def __post_init__(self) -> None:
        item = columns.whole("Votes.item", self.item, np.int64, least=0)
        rows = len(item)
        annotator = columns.whole("Votes.annotator", self.annotator, np.int64, rows, least=0)
        label = columns.whole("Votes.label", self.label, np.int32, rows, least=NONE)
        object.__setattr__(self, "item", item)
        object.__setattr__(self, "annotator", annotator)
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "items", max(self.items, int(self.item.max(initial=-1)) + 1))
        most = int(self.annotator.max(initial=-1)) + 1
        object.__setattr__(self, "annotators", max(self.annotators, most))
        self._refuse_second_votes()

    def __len__(self) -> int:
        return len(self.item)

    @property
    def cast(self) -> NDArray[np.int64]:
        """int64, rows that hold a label."""
        return np.flatnonzero(self.label != NONE)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Votes:
        """Return the chosen rows (an index or a mask), of as many items and annotators."""
        return Votes(
            self.item[rows], self.annotator[rows], self.label[rows], self.items, self.annotators
        )

    @classmethod
    def from_ids(
        cls, task: NDArray[Any], annotator: NDArray[Any], label: NDArray[np.integer[Any]]
    ) -> tuple[Votes, NDArray[Any], NDArray[Any]]:
        """Number tasks and annotators of any ids from 0, in order of their ids.

        Args:
            task: (V,), an id of any sortable type.
            annotator: (V,), the same.
            label: int (V,), class index, or -1.

        Returns:
            the votes, the id of each item (N,) and the id of each annotator (A,).
        """
        tasks, item = np.unique(task, return_inverse=True)
        people, who = np.unique(annotator, return_inverse=True)
        given = columns.whole("Votes.label", label, np.int32, least=NONE)
        return cls(item, who, given), tasks, people

    def _refuse_second_votes(self) -> None:
        rows = self.cast
        key = self.item[rows] * max(self.annotators, 1) + self.annotator[rows]
        order = np.argsort(key, kind="stable")
        again = order[1:][key[order[1:]] == key[order[:-1]]]
        if len(again):
            row = int(rows[again.min()])
            raise ValueError(
                f"Votes row {row} is a second label of annotator {self.annotator[row]} for item "
                f"{self.item[row]}, expected one"
            )


@dataclass(frozen=True, slots=True)
class Tally:
    """How many annotators gave each item each label: T rows, in order of item and label.

    Attributes:
        item: int64 (T,).
        label: int64 (T,).
        count: int64 (T,), at least 1.
        of_vote: int64 (C,), row of this table for each vote that holds a label, in their order.
        total: int64 (N,), labels that each item has.
    """

    item: NDArray[np.int64]
    label: NDArray[np.int64]
    count: NDArray[np.int64]
    of_vote: NDArray[np.int64]
    total: NDArray[np.int64]


def tally(votes: Votes, num_classes: int) -> Tally:
    """Count the labels of each item; votes without a label are left out.

    Raises:
        ValueError: naming the first label that is not below ``num_classes``.
    """
    check_classes(votes, num_classes)
    rows = votes.cast
    key = votes.item[rows] * num_classes + votes.label[rows]
    keys, of_vote, count = _distinct(key, votes.items * num_classes)
    total = np.bincount(votes.item[rows], minlength=votes.items)
    item, label = np.divmod(keys, max(num_classes, 1))
    return Tally(item, label, count, of_vote, total)


def _distinct(
    key: NDArray[np.int64], below: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """What ``np.unique`` gives with inverse and counts, without sorting where a table is small."""
    if below > _DENSE * len(key):
        return np.unique(key, return_inverse=True, return_counts=True)
    table = np.bincount(key, minlength=below)
    keys = np.flatnonzero(table)
    place = np.empty(len(table), dtype=np.int64)
    place[keys] = np.arange(len(keys))
    return keys, place[key], table[keys]


def check_classes(votes: Votes, num_classes: int) -> None:
    """Refuse labels of classes that there are not.

    Raises:
        ValueError: naming the first label that is not below ``num_classes``.
    """
    wrong = votes.label >= num_classes
    columns.refuse("Votes.label", votes.label, wrong, f"-1 to {num_classes - 1}")


def check_probs(votes: Votes, probs: NDArray[np.floating[Any]]) -> Votes:
    """Return the votes on as many items as there are rows of ``probs``.

    Raises:
        ValueError: when ``probs`` has no row for an item or no column for a label.
    """
    if probs.ndim != 2 or len(probs) < votes.items:
        raise ValueError(f"probs {probs.shape} and Votes of {votes.items} items do not match")
    check_classes(votes, probs.shape[1])
    if len(probs) == votes.items:
        return votes
    return Votes(votes.item, votes.annotator, votes.label, len(probs), votes.annotators)
