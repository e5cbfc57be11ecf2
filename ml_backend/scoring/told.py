"""What stands for all that Label Studio is told of a task."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.regions.suggestions import Fix
from ml_backend.scoring.page import PageScores
from ml_backend.storage.embedding_store import digest_of
from ml_backend.storage.looks import QUIET

__all__ = ["told"]


def told(scores: PageScores) -> NDArray[np.int64]:
    """Return what stands for all that Label Studio is told of T tasks but the priority, int64 (T,).

    Args:
        scores: of the tasks.
    """
    made = np.full(len(scores.priority), QUIET, dtype=np.int64)
    rows = np.flatnonzero(np.nan_to_num(scores.priority) >= scores.least)
    fixes = [
        [
            (fix.control.name, fix.action, fix.label, _place(fix))
            for fix in scores.fixes.get(row, (0, []))[1]
        ]
        for row in rows.tolist()
    ]
    made[rows] = digest_of(
        [scores.kind[row] for row in rows.tolist()],
        [scores.reason[row] for row in rows.tolist()],
        fixes,
    )
    return made


def _place(fix: Fix) -> bytes:
    return b"" if fix.outline is None else fix.outline.values.round(2).tobytes()
