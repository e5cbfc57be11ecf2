"""Average precision from ranked hits, and the rates at one confidence."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["ap_by_class", "average_precision", "mean_known", "ranking_precision", "rates"]

#: Recalls at which COCO reads the precision.
_RECALLS: Final = np.linspace(0, 1, 101)


def average_precision(hits: NDArray[np.bool_], positives: int) -> tuple[float, float]:
    """Return the average precision of one class's ranked predictions, in two definitions.

    Precision is first made to fall with recall: at each recall the best precision at that or any
    higher one.

    Args:
        hits: bool (P,), true positives, the surest prediction first.
        positives: how many annotations there are to find.

    Returns:
        COCO's (mean of the precision at recalls 0, 0.01 to 1; pycocotools ``COCOeval``) and the
        area under the curve (PASCAL VOC since 2010), both in [0, 1]; NaN without annotations.
    """
    if not positives:
        return np.nan, np.nan
    if not len(hits):
        return 0.0, 0.0
    found = np.cumsum(hits)
    recall = found / positives
    precision = found / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, _RECALLS, side="left")
    read = np.append(falling, 0.0)[at]
    return float(read.mean()), float(falling[hits].sum() / positives)


def ap_by_class(
    hits: NDArray[np.bool_], label: NDArray[np.integer[Any]], positives: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ``average_precision`` of each class.

    Args:
        hits: bool (P,), true positives, the surest prediction first.
        label: int (P,), class of each prediction.
        positives: int64 (K,), annotations of each class.

    Returns:
        float64 (K,) and float64 (K,): COCO's and the area.
    """
    classes = len(positives)
    order = np.argsort(label, kind="stable")
    edges = np.searchsorted(label[order], np.arange(classes + 1))
    ranked = hits[order]
    both = np.array(
        [
            average_precision(ranked[edges[k] : edges[k + 1]], int(positives[k]))
            for k in range(classes)
        ],
        dtype=np.float64,
    ).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def ranking_precision(scores: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """Return the average precision of scores, as scikit-learn's ``average_precision_score``.

    The mean over the positives of the precision among the rows that score as high or higher.

    Args:
        scores: float (N,).
        positive: bool (N,).

    Returns:
        float in [0, 1]; NaN without positives.
    """
    if not positive.any():
        return np.nan
    every, mine = np.sort(scores), np.sort(scores[positive])
    above = len(every) - np.searchsorted(every, mine, side="left")
    right = len(mine) - np.searchsorted(mine, mine, side="left")
    return float((right / above).mean())


def rates(
    tp: NDArray[np.int64], fp: NDArray[np.int64], fn: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return precision, recall and F1; NaN where there was nothing to count.

    Precision is tp / (tp + fp), recall tp / (tp + fn), F1 2 tp / (2 tp + fp + fn).
    """
    return _share(tp, tp + fp), _share(tp, tp + fn), _share(2 * tp, 2 * tp + fp + fn)


def mean_known(values: NDArray[np.float64]) -> float:
    """Return the mean of the values that are known, NaN where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    share = np.full(np.shape(whole), np.nan)
    return np.asarray(np.divide(part, whole, out=share, where=whole > 0))
