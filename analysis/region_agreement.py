"""How well annotators agree on regions: boxes, and anything of which pairs can be compared.

What one annotator made of one task is a sheet, empty or not; two sheets of one task are compared
by matching their regions one to one. Boxes are matched on IoU here. Spans, masks and key points
come with their own similarity, as ``analysis.matching.Pairs`` between rows of their table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.grouping import pairs_within
from analysis.matching import Pairs, pair_blocks
from analysis.regions import Regions

__all__ = [
    "Comparison",
    "Sheets",
    "alpha",
    "annotator_quality",
    "box_alpha",
    "box_pairs",
    "compare",
    "compare_boxes",
    "deal",
]

#: Chance is drawn this often: a standard error of at most 0.004 in the mean distance.
_DRAWS: Final = 20_000
#: Rows that chance may deal in all.
_DEALT: Final = 4_000_000


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
        np.bincount(unit[good], value[good], minlength=len(one)),
        np.bincount(unit, value, minlength=len(one)),
    )


def annotator_quality(comparison: Comparison) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each annotator's mean agreement with the others.

    Args:
        comparison: of the sheets of a project.

    Returns:
        int64 (A,) ids in order and float32 (A,) in [0, 1], higher is better: ``agreement``
        averaged over the annotator's comparisons, each task weighing the same.
    """
    ids, place = np.unique(
        np.concatenate([comparison.first, comparison.second]), return_inverse=True
    )
    tasks, task = np.unique(comparison.task, return_inverse=True)
    both = np.concatenate([task, task])
    # Whoever looked at a task meets all others there: as many comparisons for each of them.
    met = np.bincount(place * len(tasks) + both, minlength=len(ids) * len(tasks))
    weight = 1 / met[place * len(tasks) + both]
    value = np.concatenate([comparison.agreement, comparison.agreement])
    total = np.bincount(place, weight, minlength=len(ids))
    mean = np.bincount(place, weight * value, minlength=len(ids)) / total
    return ids, mean.astype(np.float32)


def deal(sheets: Sheets, *, draws: int = _DRAWS, seed: int = 0) -> tuple[NDArray[np.int64], Sheets]:
    """Put sheets together by chance, to learn how far they agree without looking at one task.

    All pairs of sheets that share their task with another are taken where there are at most
    ``draws``, else as many random ones, the same for the same seed in any order of rows. Where
    sheets are crowded fewer are drawn, so that about four million rows bound the memory.

    Args:
        sheets: who made which of R regions.
        draws: pairs of sheets.
        seed: of the draw.

    Returns:
        int64 (D,), rows of the R regions, and the sheets of these D copies: task is the number of
        the draw, annotator 0 or 1. ``compare`` with pairs found among the copies gives what
        ``alpha`` expects.
    """
    change = np.flatnonzero(np.diff(sheets.task)) + 1
    length = np.diff(np.concatenate([[0], change, [len(sheets)]]))
    able = np.flatnonzero(np.repeat(length, length) > 1)
    hands = able[_draw(len(able), draws, seed)]
    size = np.bincount(sheets.of_region, minlength=len(sheets))
    begin = np.cumsum(size) - size
    fits = np.cumsum(size[hands].sum(axis=1)) <= _DEALT
    hand = hands[: max(int(fits.sum()), 1)].ravel()
    order = np.argsort(sheets.of_region, kind="stable")
    copy = np.repeat(np.arange(len(hand)), size[hand])
    skip = np.cumsum(size[hand]) - size[hand]
    rows = order[(begin[hand] - skip)[copy] + np.arange(len(copy))]
    return rows, Sheets(np.arange(len(hand)) // 2, np.arange(len(hand)) % 2, copy)


def alpha(observed: Comparison, expected: Comparison) -> float:
    """Return agreement on regions beyond chance.

    Krippendorff's alpha in its general form, for any distance between what two annotators made of
    a task, as Braylan, Alonso and Lease use it for sets of boxes and spans ("Measuring Annotator
    Agreement Generally across Complex Structured, Multi-object, and Free-text Annotation Tasks",
    2022). The distance is 1 - ``agreement``: regions matched one to one at 1 - IoU, and 1 for each
    without a match. Boxes seldom meet by chance, so alpha is near the mean agreement itself there.

    Args:
        observed: ``compare`` of the sheets.
        expected: ``compare`` of what ``deal`` gave.

    Returns:
        at most 1, 0 as by chance; NaN where no task has two sheets or sheets agree in any case.
    """
    by_chance = float((1 - expected.agreement).mean()) if len(expected) else 0.0
    if not by_chance or not len(observed):
        return float("nan")
    _, task, pairs = np.unique(observed.task, return_inverse=True, return_counts=True)
    sheets = (1 + np.sqrt(1 + 8 * pairs)) / 2
    weight = 2 / (sheets - 1)
    distance = float((weight[task] * (1 - observed.agreement)).sum() / sheets.sum())
    return 1 - distance / by_chance


def box_pairs(regions: Regions, sheets: Sheets, *, same_label: bool = True) -> Pairs:
    """Return the overlapping boxes of two sheets of one task, each pair once, found in blocks.

    Args:
        regions: R boxes.
        sheets: who made them.
        same_label: leave out pairs of two labels.
    """
    kept = []
    for block in pair_blocks(regions, regions):
        keep = sheets.of_region[block.first] < sheets.of_region[block.second]
        if same_label:
            keep &= regions.label[block.first] == regions.label[block.second]
        kept.append(block.take(keep))
    return Pairs(
        np.concatenate([block.first for block in kept]),
        np.concatenate([block.second for block in kept]),
        np.concatenate([block.iou for block in kept]),
    )


def compare_boxes(
    regions: Regions,
    annotator: NDArray[np.int64],
    *,
    looked: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    threshold: float = 0.5,
    same_label: bool = True,
) -> Comparison:
    """Compare the boxes of each two annotators of a task.

    Args:
        regions: R boxes of all annotators.
        annotator: int64 (R,), who drew each.
        looked: as for ``Sheets.of``.
        threshold: IoU from which a pair counts as matched.
        same_label: match boxes of one label only.

    Raises:
        ValueError: when columns differ in length.
    """
    sheets = Sheets.of(regions.task, annotator, looked)
    return compare(sheets, box_pairs(regions, sheets, same_label=same_label), threshold=threshold)


def box_alpha(
    regions: Regions,
    annotator: NDArray[np.int64],
    *,
    looked: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    same_label: bool = True,
    draws: int = _DRAWS,
    seed: int = 0,
) -> float:
    """Return ``alpha`` of the boxes of a project.

    Args:
        regions: R boxes of all annotators.
        annotator: int64 (R,), who drew each.
        looked: as for ``Sheets.of``.
        same_label: match boxes of one label only.
        draws: as for ``deal``.
        seed: as for ``deal``.

    Raises:
        ValueError: when columns differ in length.
    """
    sheets = Sheets.of(regions.task, annotator, looked)
    observed = compare(sheets, box_pairs(regions, sheets, same_label=same_label))
    rows, dealt = deal(sheets, draws=draws, seed=seed)
    copies = Regions(dealt.task[dealt.of_region], regions.label[rows], regions.box[rows])
    return alpha(observed, compare(dealt, box_pairs(copies, dealt, same_label=same_label)))


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


def _draw(count: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Pairs (D, 2) of different numbers below ``count``: all where they are few."""
    if count * (count - 1) // 2 <= draws:
        return np.stack(np.triu_indices(count, 1), axis=1)
    random = np.random.default_rng(seed)
    first = random.integers(count, size=draws)
    return np.stack([first, (first + random.integers(1, count, size=draws)) % count], axis=1)


def _share(
    above: NDArray[np.floating[Any]], below: NDArray[np.integer[Any]], nothing: float
) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.divide(
        above, below, out=np.full(len(below), nothing), where=below > 0
    )
    return share
