"""How well annotators agree on regions, beyond chance.

Boxes are matched on IoU here. Spans, masks and key points come with their own similarity, as
``geometry.matching.Pairs`` between rows of their table, and go the way that ``box_alpha`` goes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import annotators
from analysis.crowd.sheets import Comparison, Sheets, compare
from analysis.crowd.votes import Votes
from analysis.findings import NONE, Findings
from analysis.geometry import ragged
from analysis.geometry.matching import Pairs, pair_blocks
from analysis.regions import Regions

__all__ = [
    "alpha",
    "annotator_quality",
    "box_alpha",
    "box_pairs",
    "compare_boxes",
    "deal",
    "disputed",
]

#: Chance is drawn this often: a standard error of at most 0.004 in the mean distance.
_DRAWS: Final = 20_000
#: Rows that chance may deal in all.
_DEALT: Final = 4_000_000


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
    task = np.unique(comparison.task, return_inverse=True)[1]
    # Whoever looked at a task meets all others there: as many comparisons for each of them.
    key = place * len(comparison) + np.concatenate([task, task])
    _, met, many = np.unique(key, return_inverse=True, return_counts=True)
    weight = 1 / many[met]
    value = np.concatenate([comparison.agreement, comparison.agreement])
    mean = np.bincount(place, weight * value) / np.bincount(place, weight)
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
    if size[hands].sum() > _DEALT:
        hands = np.random.default_rng(seed).permutation(hands)
        fits = np.cumsum(size[hands].sum(axis=1)) <= _DEALT
        hands = hands[: max(int(fits.sum()), 1)]
    hand = hands.ravel()
    order = np.argsort(sheets.of_region, kind="stable")
    copy, place = ragged.expand(begin[hand], size[hand])
    return order[place], Sheets(np.arange(len(hand)) // 2, np.arange(len(hand)) % 2, copy)


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


def disputed(
    sheets: Sheets, pairs: Pairs, *, threshold: float = 0.5, floor: float = 0.1
) -> tuple[Findings, NDArray[np.int64], NDArray[np.int64]]:
    """Find regions that not all who looked at their task have made.

    Everybody who looked votes on each region: who made it or one like it for it, all others
    against it. The score is that of ``annotators.find`` on these votes, with the trust in
    annotators of whom nothing is known. So an even split scores 0.5, one region of three people
    that the two others lack 0.37, and one whose task nobody else looked at is not found.

    Args:
        sheets: who made which of R regions.
        pairs: similar regions of one label, as for ``compare``.
        threshold: similarity from which two regions are alike.
        floor: findings with a lower score are left out.

    Returns:
        rows of kind ``disagreement``, worst first; annotation is the region;
        int64 (F,), how many made it;
        int64 (F,), how many looked.
    """
    count = max(len(sheets), 1)
    alike = pairs.take(pairs.iou >= threshold)
    made = np.concatenate(
        [
            np.arange(len(sheets.of_region)) * count + sheets.of_region,
            alike.first * count + sheets.of_region[alike.second],
            alike.second * count + sheets.of_region[alike.first],
        ]
    )
    task = sheets.task[sheets.of_region]
    begin, end = (np.searchsorted(sheets.task, task, side=side) for side in ("left", "right"))
    region, sheet = ragged.expand(begin, end - begin)
    votes = np.isin(region * count + sheet, made)
    found = annotators.find(
        Votes(region, sheet - begin[region], votes.astype(np.int32)),
        num_classes=2,
        calibration=annotators.Calibration(np.empty(0)),
        floor=floor,
    )
    rows, nothing = found.task, np.full(len(found), NONE)
    return (
        Findings(task[rows], found.kind, rows, nothing, found.score, nothing.astype(np.int32)),
        np.bincount(region, votes, minlength=len(task))[rows].astype(np.int64),
        (end - begin)[rows],
    )


def _draw(count: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Pairs (D, 2) of different numbers below ``count``: all where they are few."""
    if count * (count - 1) // 2 <= draws:
        return np.stack(np.triu_indices(count, 1), axis=1)
    random = np.random.default_rng(seed)
    first = random.integers(count, size=draws)
    return np.stack([first, (first + random.integers(1, count, size=draws)) % count], axis=1)
