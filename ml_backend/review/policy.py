"""What counts as needing review: which kinds, from which score, and how many at most."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from analysis.findings import KINDS, Findings
from ml_backend.settings import ProjectSettings

__all__ = ["Policy", "cut_for"]

#: Scores of the same task, computed beside other tasks, differ in their last digits.
_ROUNDING: Final = 1e-4


@dataclass(frozen=True, slots=True)
class Policy:
    """What counts, as a project's admin wants it.

    Attributes:
        threshold: priority from which a task needs review.
        checks: the kinds of suspicion that are looked for.
        by_kind: score from which a suspicion of a kind counts, and makes its task need review, in
            place of ``threshold``.
        cut: priority from which a task is among as many as the admin wants to see, see ``cut_for``.
    """

    threshold: float
    checks: frozenset[str] = frozenset(KINDS)
    by_kind: Mapping[str, float] | None = None
    cut: float = 0.0

    @classmethod
    def of(cls, settings: ProjectSettings, cut: float = 0.0) -> Self:
        """Return what a project's settings want."""
        by_kind = {str(kind): least for kind, least in settings.kind_thresholds.items()}
        return cls(settings.review_threshold, frozenset(settings.checks), by_kind, cut)

    def threshold_of(self, kind: str) -> float:
        """Return the score from which a suspicion of a kind makes its task need review."""
        return (self.by_kind or {}).get(kind, self.threshold)

    def counts(self, found: Findings) -> NDArray[np.bool_]:
        """Return which findings count, bool (F,)."""
        least = np.array([(self.by_kind or {}).get(kind, 0.0) for kind in found.kind.tolist()])
        counted: NDArray[np.bool_] = np.isin(found.kind, sorted(self.checks)) & (
            found.score >= least
        )
        return counted

    def least(self, found: Findings, units: int) -> NDArray[np.float32]:
        """Return the priority from which each unit needs review but for the cut, float32 (U,).

        Args:
            found: the findings that count; ``task`` is the unit.
            units: how many units there are.
        """
        least = np.full(units, self.threshold, dtype=np.float32)
        own = (self.by_kind or {}).items()
        for kind, threshold in own:
            np.minimum.at(least, found.task[found.kind == kind], np.float32(threshold))
        return least


def cut_for(
    priority: NDArray[np.float32], least: NDArray[np.float32], labelled: int, share: float
) -> float:
    """Return the priority from which a task is among the most urgent share of a project.

    Args:
        priority: float32 (T,), NaN where nothing was scored.
        least: float32 (T,), the priority from which each task needs review, had the admin set no
            share.
        labelled: how many tasks carry labels.
        share: largest share of the labelled tasks that may need review, in (0, 1].

    Returns:
        in [0, 1]; 0 where all that need review are within the share. Tasks of equal priority go
        together, so there may be more.
    """
    # 0.29 of a hundred is 28.999... as floats go.
    most = max(1, math.floor(labelled * share + 1e-9))
    urgent = np.sort(priority[np.nan_to_num(priority) >= least])[::-1]
    return max(0.0, float(urgent[most - 1]) - _ROUNDING) if len(urgent) > most else 0.0
