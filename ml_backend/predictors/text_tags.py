"""What the tags of a token classifier mean: classes, and the spans that tags of words stand for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.taggers import TokenSpans, span_marginals

__all__ = ["TagScheme", "read_scheme"]

#: B, I, O, and what other schemes call the single (U S W), middle (M) and last (L E) word.
_PREFIXED: Final = re.compile(r"([BUSWIMLE])[-_](.+)", re.DOTALL)
_BEGINNING: Final = "BUSW"
#: Tags that are no class in a scheme without prefixes.
_OUTSIDE: Final = frozenset({"O", "X", "PAD", "[PAD]", "[CLS]", "[SEP]"})
#: An inside opens a span of its own where its class holds the word before with less than this.
#: Of taggers that begin spans with B this is almost never so; IOB1 taggers begin most without.
_ORPHAN: Final = 0.1
#: Where a word goes on with a class by no more than this, nothing reaches across its beginning:
#: the stretches before and after are worked on side by side, as texts of their own.
_SEVERED: Final = 1e-3


@dataclass(frozen=True, slots=True)
class TagScheme:
    """How T tags stand for C classes.

    Attributes:
        classes: the classes, without prefix, in the order in which the tags first name them.
        columns: int64 (T,), what each tag says: 0 outside; 1 + 2c class c begins; 2 + 2c it goes
            on.
        begins: bool (C,), which classes have a tag for their beginning (IO schemes have none).
    """

    classes: tuple[str, ...]
    columns: NDArray[np.int64]
    begins: NDArray[np.bool_]

    def spans(
        self, probs: NDArray[np.floating[Any]], offsets: NDArray[np.int64], least: float
    ) -> TokenSpans:
        """Return the spans that a tagger gives some chance, with their probabilities.

        Args:
            probs: float (N, T), rows sum to 1, tag probabilities of each word.
            offsets: int64 (S + 1,), where the words of each text begin and end.
            least: spans of a lower probability are left out, in (0, 1).
        """
        table = self.bio(probs, offsets)
        severed = np.flatnonzero(table[:, 2::2].sum(axis=1) <= _SEVERED)
        cuts = np.unique(np.concatenate([offsets, severed]))
        count = len(self.classes)
        return span_marginals(
            table,
            cuts,
            begin=range(1, 1 + 2 * count, 2),
            inside=range(2, 2 + 2 * count, 2),
            least=least,
        )

    def bio(
        self, probs: NDArray[np.floating[Any]], offsets: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the probabilities as BIO has them, whatever the scheme.

        Where the schemes differ from BIO they lose what it cannot say: that BILOU forbids an L
        after a U. The inside of a class that the word before is not of becomes a beginning; where
        a class has no tag for its beginning, by the chance that the word before is not of it.

        Returns:
            float64 (N, 1 + 2C), rows sum to 1: outside, then begin and inside of each class.
        """
        table = np.zeros((len(probs), 1 + 2 * len(self.classes)))
        for tag, column in enumerate(self.columns.tolist()):
            table[:, column] += probs[:, tag]
        table /= table.sum(axis=1, keepdims=True)
        begin, inside = table[:, 1::2], table[:, 2::2]
        before = np.zeros_like(begin)
        before[1:] = begin[:-1] + inside[:-1]
        before[offsets[:-1][offsets[:-1] < len(table)]] = 0
        orphan = inside * np.clip(1 - before / np.where(self.begins, _ORPHAN, 1), 0, 1)
        begin += orphan
        inside -= orphan
        return table


def read_scheme(tags: Sequence[str]) -> TagScheme:
    """Tell the scheme (BIO, IOB1, IO, BILOU, BIOES, BMEWO) by the names of the tags.

    Where any tag has the prefix B or I, those without prefix are outside: O, but also X or [CLS].
    Where none has, each name is a class of its own, but for a few that never are one.

    Raises:
        ValueError: when no tag names a class.
    """
    prefixed = any(re.match("[BI][-_].", tag) for tag in tags)
    classes: dict[str, int] = {}
    columns = np.zeros(len(tags), dtype=np.int64)
    begun = set()
    for row, tag in enumerate(tags):
        if prefixed:
            found = _PREFIXED.fullmatch(tag)
            side, name = found.groups() if found else ("O", "")
        else:
            side, name = "I", "" if tag.upper() in _OUTSIDE else tag
        if not name:
            continue
        place = classes.setdefault(name, len(classes))
        columns[row] = 2 + 2 * place
        if side in _BEGINNING:
            columns[row] -= 1
            begun.add(place)
    if not classes:
        raise ValueError(f"none of the tags {', '.join(tags)[:120]!r} names a class")
    begins = np.array([place in begun for place in range(len(classes))])
    return TagScheme(tuple(classes), columns, begins)
