"""Flags that somebody set or cleared by hand: later runs keep to them.

They stand in a field of their own beside the flag, and end when the labels they were about change:
a flag with the reviewer's answer, a clearance with the next edit. An import carries them along:
they are a person's word about the same labels, and wait for their answer in the new task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.review.decide import NEEDS_REVIEW, VERDICTS, Decision, State

__all__ = ["CLEARED", "Honoured", "honour", "join_reason", "kept_reason", "split_reason"]

#: What stands in the field where somebody said that nothing needs review; else ``NEEDS_REVIEW``.
CLEARED: Final = "clear"
#: Stands in a reason before the regions that somebody flagged.
_OF_REGIONS: Final = "flagged by hand: region "


@dataclass(frozen=True, slots=True)
class Honoured:
    """A decision that keeps to what was set by hand.

    Attributes:
        decision: what should stand on the tasks.
        ended: bool (T,), where the hand's word has had its answer and goes.
    """

    decision: Decision
    ended: NDArray[np.bool_]


def honour(state: State, decision: Decision, hand: NDArray[np.str_]) -> Honoured:
    """Keep to flags that were set by hand.

    Args:
        state: what is known of T tasks.
        decision: what would be decided without a hand.
        hand: str (T,), what stands in the field: ``NEEDS_REVIEW``, ``CLEARED`` or nothing.
    """
    if not (hand != "").any():
        return Honoured(decision, np.zeros(len(hand), dtype=np.bool_))
    unmarked = np.fromiter((old.is_silent for old in state.seen), dtype=np.bool_)
    new_here = unmarked | state.foreign
    # Without a mark of labels nobody can have answered: the flag has only just been set. But for an
    # answer out of a batch: where its verdict stands already, a job died before the hand's end.
    answered = np.isin(decision.flag, VERDICTS) & (~unmarked | np.isin(state.flag, VERDICTS))
    flagged = (hand == NEEDS_REVIEW) & ~answered
    both = zip(state.fresh, state.seen, strict=True)
    same = np.fromiter((now.digests == old.digests for now, old in both), dtype=np.bool_)
    cleared = (hand == CLEARED) & (same | unmarked)
    ours = flagged | cleared
    flag = decision.flag.astype("<U12")
    flag[flagged], flag[cleared] = NEEDS_REVIEW, ""
    marks = np.array([str(mark) for mark in state.fresh], dtype=object)
    first = np.where(decision.describe, decision.mark, marks)
    mark = np.where(ours & new_here, first, np.where(ours, state.mark, decision.mark))
    honoured = replace(
        decision,
        flag=flag,
        mark=mark.astype(np.str_),
        # Of what scoring says nothing, the hand's own words stay.
        describe=decision.describe & ~cleared,
        clear=(decision.clear & ~flagged) | (cleared & (state.flag == NEEDS_REVIEW)),
        resolved=(decision.resolved & ~flagged) | cleared,
    )
    return Honoured(honoured, (hand != "") & ~ours)


def split_reason(reason: str) -> tuple[str, list[str]]:
    """Return a reason without what a hand has said of regions, and their ids."""
    words, _, regions = reason.partition(_OF_REGIONS)
    return words.removesuffix("; "), regions.split(", ") if regions else []


def join_reason(reason: str, regions: Sequence[str]) -> str:
    """Return a reason and beside it the ids of the regions that somebody flagged."""
    named = f"{_OF_REGIONS}{', '.join(regions)}" if regions else ""
    return "; ".join(filter(None, [reason, named]))


def kept_reason(scored: str, stands: str, hand: str) -> str:
    """Return a reason as it was just scored, beside what a hand has said of regions.

    Args:
        scored: the reason.
        stands: the one that stands on the task.
        hand: what stands in the field, see ``honour``.
    """
    return join_reason(scored, split_reason(stands)[1]) if hand == NEEDS_REVIEW else scored
