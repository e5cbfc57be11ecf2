"""The mark beside a flag: what the labels said, when they were written, which model scored them.

It stands in Label Studio, so what a reviewer did can be told after any loss of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["SEPARATOR", "Mark"]

#: Stands between the digests of several annotations.
SEPARATOR: Final = "+"


@dataclass(frozen=True, slots=True)
class Mark:
    """One task's mark.

    Attributes:
        digests: one per distinct current annotation; empty where nothing was labelled.
        labelled_at: when the newest of them was written, seconds since 1970; 0 for none.
        model: the model version that scored.
    """

    digests: frozenset[str] = frozenset()
    labelled_at: float = 0.0
    model: str = ""

    def __str__(self) -> str:
        return f"{SEPARATOR.join(sorted(self.digests))}@{self.labelled_at:.6f}@{self.model}"

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Read a mark; what is not one is read as no mark at all."""
        digests, _, rest = text.partition("@")
        moment, _, model = rest.partition("@")
        try:
            return cls(frozenset(filter(None, digests.split(SEPARATOR))), float(moment), model)
        except ValueError:
            return cls()
