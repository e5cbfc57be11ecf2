"""Which tasks need review, and what a reviewer has decided.

Label Studio holds the only memory: next to the flag stands a *mark* of the labels that it was
decided on, so that a lost event, a lost store or a second run lead to the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.marks import SEPARATOR, Mark

__all__ = ["CONFIRMED", "CORRECTED", "NEEDS_REVIEW", "VERDICTS", "Decision", "State", "decide"]

NEEDS_REVIEW: Final = "needs-review"
CORRECTED: Final = "corrected"
CONFIRMED: Final = "confirmed"
#: Flags of tasks that a reviewer has answered.
VERDICTS: Final = (CORRECTED, CONFIRMED)
_NO_FLAG: Final = ""


@dataclass(frozen=True)
class State:
    """What is known of T tasks.

    Attributes:
        flag: str (T,), the flag that stands on the task.
        mark: str (T,), the mark that stands beside it.
        digest: str (T,), of the current human labels, several joined; "" where there are none.
        labelled_at: float64 (T,), when the newest of them was written, seconds since 1970.
        created_at: float64 (T,), when Label Studio made the task, seconds since 1970.
        model: str, the model version that scored.
        priority: float32 (T,), how likely the labels hold an error, as it was scored, whatever
            verdicts have taught since; NaN where nothing was scored.
        answered: bool (T,), whether the one current label is the first answer out of a relabel
            batch, see ``TaskPage``.
        acted_at: float64 (T,), when a reviewer may last have written one of them, see ``TaskPage``.
    """

    flag: NDArray[np.str_]
    mark: NDArray[np.str_]
    digest: NDArray[np.str_]
    labelled_at: NDArray[np.float64]
    created_at: NDArray[np.float64]
    model: str
    priority: NDArray[np.float32]
    answered: NDArray[np.bool_]
    acted_at: NDArray[np.float64]

    @cached_property
    def seen(self) -> list[Mark]:
        """The marks that stand."""
        return [Mark.parse(text) for text in self.mark.tolist()]

    @cached_property
    def fresh(self) -> list[Mark]:
        """The marks of the labels as they are."""
        return [
            Mark(frozenset(filter(None, said.split(SEPARATOR))), at, self.model)
            for said, at in zip(self.digest.tolist(), self.labelled_at.tolist(), strict=True)
        ]

    @cached_property
    def foreign(self) -> NDArray[np.bool_]:
        """Where flag and mark came with an import and speak of another task, bool (T,)."""
        pairs = zip(self.seen, self.created_at.tolist(), strict=True)
        return _column(mark.is_foreign(at) for mark, at in pairs)


@dataclass(frozen=True, slots=True)
class Decision:
    """What should stand on T tasks.

    Attributes:
        flag: str (T,).
        mark: str (T,), the mark to stand beside it.
        describe: bool (T,), where priority, kind, reason and suggestion are to be as just scored.
        clear: bool (T,), where priority, kind and reason are to be emptied.
        resolved: bool (T,), where a suggestion has done its work and goes.
    """

    flag: NDArray[np.str_]
    mark: NDArray[np.str_]
    describe: NDArray[np.bool_]
    clear: NDArray[np.bool_]
    resolved: NDArray[np.bool_]


def decide(state: State, threshold: float | NDArray[np.float32]) -> Decision:
    """Decide the flag of each task.

    - Somebody saved the labels of a flagged task again: *confirmed* when they say the same,
      else scored anew: *corrected* when nothing suspicious is left, and flagged again when it is.
      Of several annotators' labels, one that gave way to another counts as a change when nothing
      suspicious is left, and as a confirmation when it is. One more annotator's label, of as many
      as the task asks for, is no answer.
    - A flag that came with an import has had no answer here, nor has one whose mark names no
      label: the task is scored as any other.
    - A reviewed task is left alone while its labels and the model stay what they were; a verdict
      that came with an import too, since somebody has looked at that label, but not where it is
      another by now.
    - A confirmed label that gave way to one that is not suspicious was an error after all.
    - Everything else that is labelled is flagged from ``threshold`` on (one for all, or one for
      each task), and unflagged below.
      Verdicts change the queue's order, never what is in it: they say nothing of what is not.
    - What could not be scored (a broken image) is left as it stands.
    """
    seen = state.seen
    both = list(zip(state.fresh, seen, strict=True))
    labelled = state.digest != ""
    scored = ~np.isnan(state.priority)
    suspicious = labelled & scored & (np.nan_to_num(state.priority) >= threshold)
    # Of two labels one may be gone or superseded; what is left was looked at all the same.
    same = labelled & _column(now.digests <= old.digests for now, old in both)
    same |= state.answered & _column(old.answered for old in seen)
    fewer = _column(now.digests < old.digests for now, old in both)
    later = _column(now.labelled_at > old.labelled_at for now, old in both)
    same_model = _column(old.model == state.model for old in seen)
    silent = _column(old.is_silent for old in seen)
    gave_way = ~silent & _column(not old.digests <= now.digests for now, old in both)

    flagged = state.flag == NEEDS_REVIEW
    written = state.acted_at > np.array([old.labelled_at for old in seen])
    acted = flagged & labelled & (written | later & gave_way) & ~state.foreign & ~silent
    # Where people now agree on the better of two labels, the other one was the error.
    mended = scored & ~suspicious & (fewer | ~same)
    confirmed = acted & same & ~mended
    replaced = (state.flag == CONFIRMED) & labelled & mended & ~same & gave_way & ~state.foreign
    corrected = acted & mended | replaced
    reviewed = np.isin(state.flag, VERDICTS)
    settled = reviewed & same & same_model
    waits = ~scored & labelled & ~confirmed

    needs_review = suspicious & ~confirmed & ~settled
    dropped = flagged & ~needs_review & ~confirmed & ~corrected & ~waits
    dropped |= reviewed & (~labelled | state.foreign & mended & ~same)

    flag = state.flag.astype("<U12")
    flag[confirmed] = CONFIRMED
    flag[corrected] = CORRECTED
    flag[needs_review] = NEEDS_REVIEW
    flag[dropped] = _NO_FLAG

    # A flag that stays keeps its mark: the mark says what the reviewer has not yet answered.
    open_still = needs_review & flagged & ~acted & same & ~state.foreign & ~silent
    keeps = open_still | settled | waits | ((flag == _NO_FLAG) & ~dropped)
    keeps |= np.isin(flag, VERDICTS) & ~scored & ~confirmed
    # What the mark says already is not written again: mostly that is a call for this task alone.
    keeps |= confirmed & same & ~fewer & same_model
    return Decision(
        flag=flag,
        mark=np.where(keeps, state.mark, np.where(dropped, "", _marks(state, flag))),
        describe=needs_review,
        clear=dropped,
        resolved=~needs_review & ~waits,
    )


def _marks(state: State, flag: NDArray[np.str_]) -> list[str]:
    """The new marks: a flag's has its score, and a verdict's that of the flag it answers."""
    score = [None if np.isnan(one) else float(one) for one in state.priority]
    of_flag = [
        now if word == NEEDS_REVIEW else old.score
        for now, old, word in zip(score, state.seen, flag.tolist(), strict=True)
    ]
    # An answer can be told from the annotations, so one mark serves many: few calls.
    answers = state.answered & np.isin(flag, VERDICTS)
    return [
        str(Mark.of_answer(mark.model, one) if answer else replace(mark, score=one))
        for mark, one, answer in zip(state.fresh, of_flag, answers.tolist(), strict=True)
    ]


def _column(values: Iterable[bool]) -> NDArray[np.bool_]:
    return np.fromiter(values, dtype=np.bool_)
