"""Which tasks need review, and what a reviewer has decided.

Label Studio holds the only memory: next to the flag stands a *mark* of the labels that it was
decided on, so that a lost event, a lost store or a second run lead to the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["CONFIRMED", "CORRECTED", "NEEDS_REVIEW", "Decision", "State", "decide", "mark"]

NEEDS_REVIEW: Final = "needs-review"
CORRECTED: Final = "corrected"
CONFIRMED: Final = "confirmed"
_NO_FLAG: Final = ""

_REVIEWED: Final = (CORRECTED, CONFIRMED)


@dataclass(frozen=True, slots=True)
class State:
    """What is known of T tasks.

    Attributes:
        flag: str (T,), the flag that stands on the task.
        mark: str (T,), the mark that stands beside it.
        digest: str (T,), of the current human labels; "" where there are none.
        labelled_at: float64 (T,), when the newest of them was written, seconds since 1970.
        model: str, the model version that scored.
        priority: float32 (T,), how likely the labels hold an error; NaN where nothing was scored.
    """

    flag: NDArray[np.str_]
    mark: NDArray[np.str_]
    digest: NDArray[np.str_]
    labelled_at: NDArray[np.float64]
    model: str
    priority: NDArray[np.float32]


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


def mark(
    digest: NDArray[np.str_], labelled_at: NDArray[np.float64], model: str
) -> NDArray[np.str_]:
    """Return the mark of labels: what they say, when they were written, which model scored."""
    return np.array(
        [f"{d}@{t:.6f}@{model}" for d, t in zip(digest, labelled_at, strict=True)], dtype=np.str_
    )


def decide(state: State, threshold: float) -> Decision:
    """Decide the flag of each task.

    - Somebody saved the labels of a flagged task again: *confirmed* when they say the same,
      else scored anew: *corrected* when nothing suspicious is left, and flagged again when it is.
    - A reviewed task is left alone while its labels and the model stay what they were.
    - Everything else that is labelled is flagged from ``threshold`` on, and unflagged below.
    - What could not be scored (a broken image) is left as it stands.
    """
    seen_digest, seen_at, seen_model = _parse(state.mark)
    labelled = state.digest != ""
    scored = ~np.isnan(state.priority)
    suspicious = labelled & scored & (np.nan_to_num(state.priority) >= threshold)
    same = seen_digest == state.digest

    flagged = state.flag == NEEDS_REVIEW
    acted = flagged & labelled & (state.labelled_at > seen_at)
    confirmed = acted & same
    corrected = acted & ~same & scored & ~suspicious
    settled = np.isin(state.flag, _REVIEWED) & same & (seen_model == state.model)
    waits = ~scored & labelled & ~confirmed

    needs_review = suspicious & ~confirmed & ~settled
    dropped = flagged & ~needs_review & ~confirmed & ~corrected & ~waits

    flag = state.flag.astype("<U12")
    flag[confirmed] = CONFIRMED
    flag[corrected] = CORRECTED
    flag[needs_review] = NEEDS_REVIEW
    flag[dropped] = _NO_FLAG

    fresh = mark(state.digest, state.labelled_at, state.model)
    # A flag that stays keeps its mark: the mark says what the reviewer has not yet answered.
    keeps = (needs_review & flagged & ~acted) | settled | waits | ((flag == _NO_FLAG) & ~dropped)
    reviewed_anew = np.isin(flag, _REVIEWED) & ~settled & ~confirmed & ~corrected & scored
    return Decision(
        flag=flag,
        mark=np.where(keeps & ~reviewed_anew, state.mark, np.where(dropped, "", fresh)),
        describe=needs_review,
        clear=dropped,
        resolved=~needs_review & ~waits,
    )


def _parse(
    marks: NDArray[np.str_],
) -> tuple[NDArray[np.str_], NDArray[np.float64], NDArray[np.str_]]:
    parts = [(*text.split("@", 2), "", "")[:3] for text in marks.tolist()]
    digest = np.array([part[0] for part in parts], dtype=np.str_)
    model = np.array([part[2] for part in parts], dtype=np.str_)
    return digest, np.array([_number(part[1]) for part in parts], dtype=np.float64), model


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
