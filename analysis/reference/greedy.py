"""COCO's matching: each prediction in turn, surest first, takes the best box still free."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from analysis.matching import overlapping_pairs
from analysis.regions import Regions

__all__ = ["match"]

_UNTAKEN: Final = np.iinfo(np.int64).max


def match(
    annotations: Regions, predictions: Regions, *, iou: float = 0.5
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return which prediction took each annotation, whatever their classes.

    The annotations' wishes all follow one ranking, the predictions' confidence, so letting every
    prediction ask for its best box at once and every box keep the surest that asked (Gale and
    Shapley, 1962) ends where asking one by one ends, in as many rounds as the longest queue.

    Args:
        annotations: A human boxes.
        predictions: P boxes with a score.
        iou: overlap that a match needs, in (0, 1].

    Returns:
        int64 (A,), row of the prediction or ``NONE``; float32 (A,), their IoU, 0 where there is
        none. Of predictions equally sure the earlier row asks first; of boxes that overlap
        equally the later row is taken, as in FiftyOne.

    Raises:
        ValueError: when predictions have no score or ``iou`` is out of range.
    """
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per box")
    if not 0 < iou <= 1:
        raise ValueError(f"iou is {iou}, expected above 0, at most 1")
    least = np.nextafter(np.float32(iou), np.float32(0))
    pairs = overlapping_pairs(annotations, predictions, float(least))
    wish = np.lexsort((-pairs.first, -pairs.iou, pairs.second))
    box, overlap = pairs.first[wish], pairs.iou[wish]
    ends = np.cumsum(np.bincount(pairs.second, minlength=len(predictions)))
    at = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1]])[: len(predictions)]
    by_rank = np.argsort(-predictions.score, kind="stable")
    rank = np.empty(len(predictions), dtype=np.int64)
    rank[by_rank] = np.arange(len(predictions))
    taken = np.full(len(annotations), _UNTAKEN)
    asking = np.flatnonzero(at < ends)
    while len(asking):
        asked = box[at[asking]]
        before = np.unique(taken[asked])
        np.minimum.at(taken, asked, rank[asking])
        refused = asking[taken[asked] != rank[asking]]
        # Who held a box before and does no more must ask again.
        held = before[before != _UNTAKEN]
        parted = by_rank[held]
        parted = parted[taken[box[at[parted]]] != held]
        asking = np.concatenate([refused, parted])
        at[asking] += 1
        asking = asking[at[asking] < ends[asking]]
    rows = np.full(len(annotations), NONE, dtype=np.int64)
    best = np.zeros(len(annotations), dtype=np.float32)
    matched = np.flatnonzero(taken != _UNTAKEN)
    rows[matched] = by_rank[taken[matched]]
    best[matched] = overlap[at[rows[matched]]]
    return rows, best
