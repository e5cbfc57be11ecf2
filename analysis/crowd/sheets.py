"""What two annotators made of one task, held against each other.

What one annotator made of one task is a sheet, empty or not; two sheets of a task are compared by
matching their regions one to one: boxes, spans, masks, key points, whatever comes as pairs of rows
with a similarity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.crowd.grouping import pairs_within
from analysis.geometry.matching import Pairs

__all__ = ["Comparison", "Sheets", "compare"]


@dataclass(frozen=True, slots=True)
class Sheets:
    """Who looked at which task and what came of it: S sheets, by task and annotator.

    Attributes:
        task: int64 (S,).
        annotator: int64 (S,), any id; each task and annotator once.
        of_region: int64 (R,), sheet of each region.
    """

    task: NDArray[np.int64]
    annotator: NDArray[np.int64]
    of_region: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.task)

    @classmethod
    def of(
        cls,
        task: NDArray[np.int64],
        annotator: NDArray[np.int64],
        looked: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> Sheets:
        """Number the sheets that regions lie on.

        Args:
            task: int64 (R,), task of each region.
            annotator: int64 (R,), who made it.
            looked: tasks and annotators of sheets, so that those without a region are known too:
                who looked and drew nothing disagrees with who drew. None knows none of them.

        Raises:
            ValueError: when columns differ in length.
        """
        seen = looked or (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        for name, tasks, people in (("", task, annotator), ("looked ", *seen)):
            if tasks.shape != people.shape or tasks.ndim != 1:
                raise ValueError(
                    f"{name}task {tasks.shape} and {name}annotator {people.shape} do not match"
                )
        tasks, place = np.unique(np.concatenate([task, seen[0]]), return_inverse=True)
        people, who = np.unique(np.concatenate([annotator, seen[1]]), return_inverse=True)
        count = max(len(people), 1)
        keys, sheet = np.unique(place * count + who, return_inverse=True)
        return cls(
            tasks[keys // count].astype(np.int64),
            people[keys % count].astype(np.int64),
            sheet[: len(task)],
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Each two sheets of one task held against each other, Q rows.

    Attributes:
        task: int64 (Q,).
        first: int64 (Q,), annotator.
        second: int64 (Q,), annotator with a larger id.
        regions: int64 (Q,), regions on both sheets together.
        matched: int64 (Q,), pairs matched one to one at the threshold or above.
        matched_similarity: float64 (Q,), sum of their similarities.
        similarity: float64 (Q,), sum over all pairs matched one to one, of any similarity.
    """

    task: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    regions: NDArray[np.int64]
    matched: NDArray[np.int64]
    matched_similarity: NDArray[np.float64]
    similarity: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.task)

    @property
    def f1(self) -> NDArray[np.float64]:
        """float64 (Q,), in [0, 1], of regions matched at the threshold; 1 for two empty sheets."""
        return _share(2.0 * self.matched, self.regions, 1)

    @property
    def mean_similarity(self) -> NDArray[np.float64]:
        """float64 (Q,), mean over the pairs matched at the threshold; NaN where there is none."""
        return _share(self.matched_similarity, self.matched, np.nan)

    @property
    def agreement(self) -> NDArray[np.float64]:
        """float64 (Q,), in [0, 1]: F1 in which a match counts as much as its similarity."""
        return _share(2 * self.similarity, self.regions, 1)


def compare(sheets: Sheets, pairs: Pairs, *, threshold: float = 0.5) -> Comparison:
    """Compare each two sheets of a task, their regions matched one to one.

    Matching is greedy, as COCO's: the most similar pair first (of equals, the earlier rows).

    Args:
        sheets: who made which of R regions.
        pairs: similar regions of one task, rows of the one table of R; ``iou`` is any similarity
            in [0, 1]. Either order, either or both ways round; pairs of one sheet or of two tasks
            are left out, as should be pairs whose labels rule a match out.
        threshold: similarity from which a pair counts as matched.
    """
    blocks = list(pairs_within(sheets.task))
    none = np.empty(0, dtype=np.int64)
    one = np.concatenate([none, *(block[0] for block in blocks)])
    two = np.concatenate([none, *(block[1] for block in blocks)])
    first, second, iou = _oriented(sheets, pairs)
    mine, theirs = sheets.of_region[first], sheets.of_region[second]
    count = max(len(sheets), 1)
    # A region is matched once with each other sheet of its task.
    chosen = _one_to_one(first * count + theirs, second * count + mine, iou)
    unit = np.searchsorted(one * count + two, (mine * count + theirs)[chosen])
    value = iou[chosen].astype(np.float64)
    good = value >= threshold
    size = np.bincount(sheets.of_region, minlength=len(sheets))
    return Comparison(
        sheets.task[one],
        sheets.annotator[one],
        sheets.annotator[two],
        size[one] + size[two],
        np.bincount(unit[good], minlength=len(one)),
        _sums(unit[good], value[good], len(one)),
        _sums(unit, value, len(one)),
    )


def _oriented(
    sheets: Sheets, pairs: Pairs
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Pairs of two sheets of one task, each once, the earlier sheet first."""
    a, b = sheets.of_region[pairs.first], sheets.of_region[pairs.second]
    keep = np.flatnonzero((a != b) & (sheets.task[a] == sheets.task[b]))
    turn = (a > b)[keep]
    first = np.where(turn, pairs.second[keep], pairs.first[keep])
    second = np.where(turn, pairs.first[keep], pairs.second[keep])
    once = np.unique(first * max(len(sheets.of_region), 1) + second, return_index=True)[1]
    return first[once], second[once], pairs.iou[keep][once]


def _one_to_one(
    a: NDArray[np.int64], b: NDArray[np.int64], value: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Rows that greedy matching by falling value keeps, all that are best on both sides at once."""
    a, b = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    left = np.lexsort((b, a, -value))
    best_a, best_b = np.zeros(a.max(initial=-1) + 1, int), np.zeros(b.max(initial=-1) + 1, int)
    free_a, free_b = np.ones(len(best_a), bool), np.ones(len(best_b), bool)
    chosen = [left[:0]]
    while len(left):
        rank = np.arange(len(left))
        # The best comes first, so it is written last.
        best_a[a[left[::-1]]] = rank[::-1]
        best_b[b[left[::-1]]] = rank[::-1]
        won = left[(best_a[a[left]] == rank) & (best_b[b[left]] == rank)]
        free_a[a[won]] = free_b[b[won]] = False
        chosen.append(won)
        left = left[free_a[a[left]] & free_b[b[left]]]
    return np.concatenate(chosen)


def _sums(place: NDArray[np.int64], value: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return np.bincount(place, value, minlength=count).astype(np.float64)


def _share(
    above: NDArray[np.floating[Any]], below: NDArray[np.integer[Any]], nothing: float
) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.divide(
        above, below, out=np.full(len(below), float(nothing)), where=below > 0
    )
    return share
