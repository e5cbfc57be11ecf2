"""The mark beside a flag: what the labels said, when they were written, which model scored them.

It stands in Label Studio, so what a reviewer did can be told after any loss of ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

__all__ = ["SEPARATOR", "Mark"]

#: Stands between the digests of several annotations.
SEPARATOR: Final = "+"
#: Stands before the score. Model versions can hold any sign, so it comes before them.
_SCORED: Final = "~"
#: Stands in place of the digest of a label that can be told to be an answer out of a batch.
_ANSWER: Final = "answer"


@dataclass(frozen=True, slots=True)
class Mark:
    """One task's mark.

    Attributes:
        digests: one per distinct current annotation; empty where nothing was labelled.
        labelled_at: when the newest of them was written, seconds since 1970; 0 for none.
        model: the model version that scored.
        score: the score that the task was flagged for, in [0, 1], before any verdict changed what
            it counts for; None where it is not known.
    """

    digests: frozenset[str] = frozenset()
    labelled_at: float = 0.0
    model: str = ""
    score: float | None = None

    @classmethod
    def of_answer(cls, model: str, score: float | None) -> Mark:
        """Return the mark of a task whose one label is the first answer out of a relabel batch.

        It names neither the label nor the moment, and of the score two digits.
        """
        return cls(frozenset([_ANSWER]), 0.0, model, None if score is None else round(score, 2))

    @property
    def answered(self) -> bool:
        """Whether it is that of an answer."""
        return self.digests == {_ANSWER}

    @property
    def is_silent(self) -> bool:
        """Whether it does not say which labels were looked at: it is no mark, or an answer's."""
        return self.answered or self == Mark()

    @property
    def digest(self) -> str:
        """Its digests as they stand in a task's column."""
        return SEPARATOR.join(sorted(self.digests))

    def __str__(self) -> str:
        score = "" if self.score is None else f"{_SCORED}{self.score:.4f}"
        return f"{self.digest}@{self.labelled_at:.6f}{score}@{self.model}"

    def is_foreign(self, created_at: float) -> bool:
        """Whether it was made for another task than the one it stands on.

        An export carries marks along, and the import writes all labels anew: those that this mark
        speaks of are then older than the task. Ids cannot tell: they are used again.

        Args:
            created_at: when Label Studio made the task, seconds since 1970.
        """
        return 0 < self.labelled_at < created_at

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Read a mark; what is not one is read as no mark at all."""
        digests, _, rest = text.partition("@")
        written, _, model = rest.partition("@")
        moment, _, score = written.partition(_SCORED)
        try:
            known = frozenset(filter(None, digests.split(SEPARATOR)))
            return cls(known, float(moment), model, _score(score))
        except ValueError:
            return cls()


def _score(text: str) -> float | None:
    score = float(text) if text else math.nan
    return score if 0 <= score <= 1 else None
