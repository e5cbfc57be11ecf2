"""Which annotations review has judged, and how: told from what stands in Label Studio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from ml_backend.labelstudio.tasks.authorship import Authored
from ml_backend.review.decide import CORRECTED, NEEDS_REVIEW, VERDICTS

__all__ = ["RIGHT", "WRONG", "Judged", "judged"]

RIGHT: Final = 0
WRONG: Final = 1


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of N annotations.

    Attributes:
        review: bool (N,), whether it is a reviewer's answer and no annotator's work.
        verdict: int64 (N,), ``WRONG``, ``RIGHT`` or -1 where nobody has judged it.
        answer: int64 (N,), row of the reviewer's annotation that says what is right; -1 where
            there is none, as where the label itself was edited.
    """

    review: NDArray[np.bool_]
    verdict: NDArray[np.int64]
    answer: NDArray[np.int64]


def judged(work: Authored) -> Judged:
    """Tell what review has said of each annotation.

    What came out of a relabel batch is a review. So is, of a task with a flag or a verdict that
    holds more than its overlap asks for, what was made beyond that: a reviewer may need more than
    one; and of one with a verdict the newest. The last says what is right: whoever said the
    same before is right, all else was wrong. Where the label itself was saved again, the one saved
    last is what the verdict is of; where none was, the wrong one was deleted, and the newest is the
    reviewer's. Of what came after the review nothing is said, nor of a task without a verdict.

    Args:
        work: N annotations, by task and then by when they were last saved.
    """
    count = len(work)
    rows = np.arange(count)
    begins = np.flatnonzero(np.append(True, work.task[1:] != work.task[:-1])[:count])
    sizes = np.diff(np.append(begins, count))

    def last_of(some: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Row of the last of some annotations in each one's task, -1 where none is."""
        found = np.maximum.reduceat(np.where(some, rows, NONE), begins) if count else rows
        return np.repeat(found, sizes)

    last = last_of(np.full(count, True))
    reviewed, corrected = np.isin(work.flag, VERDICTS), work.flag == CORRECTED
    several = np.repeat(sizes, sizes) > work.overlap
    flagged = reviewed | (work.flag == NEEDS_REVIEW)
    review = work.answers | (flagged & _beyond(work)) | (reviewed & several & (rows == last))
    answer, mended = last_of(review), last_of(work.edited)
    answered, in_place = answer != NONE, corrected & (mended != NONE)
    review |= corrected & ~answered & ~in_place & (rows == last)

    decisive = np.where(answered, answer, np.where(in_place, mended, last))
    said = reviewed & ~review & (rows <= decisive)
    wrong = corrected & np.where(answered, work.digest != work.digest[answer], rows == mended)
    verdict = np.where(said, np.where(wrong, WRONG, RIGHT), NONE)
    return Judged(review, verdict, np.where(answered & said, answer, NONE))


def _beyond(work: Authored) -> NDArray[np.bool_]:
    """Where as many were made before it as its task asks for, bool (N,)."""
    order = np.lexsort((work.id, work.made, work.task))
    place = np.arange(len(work)) - np.searchsorted(work.task, work.task)
    beyond = np.zeros(len(work), dtype=np.bool_)
    beyond[order] = place >= work.overlap[order]
    return beyond
