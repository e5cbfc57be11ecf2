"""Regions of any geometry: what scoring them has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analysis import detection
from analysis.findings import Findings
from ml_backend.scoring.columns import (
    Calibration,
    Scored,
    Units,
    region_fixes,
    region_reasons,
)

__all__ = ["DrawnScorer"]


class _Learnt(Protocol):
    def to_arrays(self) -> dict[str, NDArray[Any]]: ...


@dataclass(frozen=True)
class DrawnScorer:
    """Scores of one geometry's regions.

    Attributes:
        what: a key of ``analysis.reasons.WORDS``.
        tables: people's regions and the model's, as ``analysis`` takes them.
        learn: from both tables and the number of labels, how far the model can be trusted.
        recall: what was learnt, from the arrays it was kept as.
        find: findings from both tables, the number of labels and what was learnt, or None.
        overlap: of two tables, how far the two regions of each finding agree on the place.
    """

    what: str
    tables: Callable[[Units], tuple[Any, Any]]
    learn: Callable[[Any, Any, int], _Learnt]
    recall: Callable[[Calibration], Any]
    find: Callable[[Any, Any, int, Any], Findings]
    overlap: Callable[[Any, Any, Findings], NDArray[np.float32]]

    def fit(self, units: Units) -> Calibration:
        """Learn from a whole project how far its model can be trusted."""
        return self.learn(*self.tables(units), len(units.table.control.labels)).to_arrays()

    def score(
        self, units: Units, items: NDArray[np.int64], calibration: Calibration | None
    ) -> Scored:
        """Score every unit.

        Args:
            units: labels and predictions.
            items: int64 (R,), place of each human region in its annotation.
            calibration: what ``fit`` learnt.

        Raises:
            ValueError: when the calibration is not one.
        """
        people, model = self.tables(units)
        trust = None if calibration is None else self.recall(calibration)
        found = self.find(people, model, len(units.table.control.labels), trust)
        return Scored(
            detection.task_scores(found, np.arange(len(units))),
            found,
            region_reasons(units, found, self.what, self.overlap(people, model, found)),
            region_fixes(units, found, items),
        )
