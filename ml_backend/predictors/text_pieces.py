"""Texts as a model reads them: pieces, the words that they make up, and windows over them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.geometry import ragged

__all__ = ["Pieces", "Windows", "Words", "cut_windows", "find_words", "split"]

_BLANK: Final = 0
_LETTER: Final = 1
_SIGN: Final = 2
#: Of scripts that put no blanks between words.
_UNSPACED: Final = 3
#: Belongs to the character before it: accents, joiners, the skin tones of emoji.
_MARK: Final = 4

#: Thai to Myanmar, Khmer, kana, Han.
_UNSPACED_SCRIPTS: Final = re.compile(
    "[\u0e00-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_JOINS: Final = re.compile("[\u200c\u200d\U0001f3fb-\U0001f3ff]")
#: Halves of a pair, which no encoding can write: JSON can hold them, no tokenizer takes them.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Pieces:
    """What a tokenizer makes of N texts: T pieces, special ones left out.

    Attributes:
        ids: int64 (T,), place in the vocabulary.
        start: int64 (T,), first character, in the text.
        end: int64 (T,), the first character after.
        word: int64 (T,), the tokenizer's own word, counted in each text; -1 where it tells none.
        offsets: int64 (N + 1,), where the pieces of each text begin and end.
    """

    ids: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    word: NDArray[np.int64]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of N texts: U rows.

    Attributes:
        piece: int64 (U,), row of its first piece.
        start: int64 (U,), first character, in the text.
        end: int64 (U,), the first character after; neither end is blank.
        offsets: int64 (N + 1,), where the words of each text begin and end.
    """

    piece: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    offsets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """Stretches of pieces that a model reads at once, W rows.

    Attributes:
        begin: int64 (W,), row of the first piece.
        end: int64 (W,), row after the last one.
        keep: int64 (W,), from which row on this window speaks.
        until: int64 (W,), up to which row: every piece is spoken for by just one window.
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    keep: NDArray[np.int64]
    until: NDArray[np.int64]


def split(tokenizer: Any, texts: Sequence[str]) -> Pieces:
    """Split texts into pieces.

    Args:
        tokenizer: a ``tokenizers.Tokenizer`` that neither cuts nor pads.
        texts: any Python strings.
    """
    found = tokenizer.encode_batch(
        [_SURROGATE.sub("\ufffd", text) for text in texts], add_special_tokens=False
    )
    words = [-1 if word is None else word for one in found for word in one.word_ids]
    places = [place for one in found for place in one.offsets]
    table = np.array(places, dtype=np.int64).reshape(-1, 2)
    return Pieces(
        np.array([piece for one in found for piece in one.ids], dtype=np.int64),
        table[:, 0],
        table[:, 1],
        np.array(words, dtype=np.int64),
        ragged.starts(np.array([len(one) for one in found], dtype=np.int64)),
    )


def find_words(pieces: Pieces, texts: Sequence[str]) -> Words:
    """Find the words that pieces make up.

    A piece goes on with the word of the piece before when both are letters or digits with nothing
    blank between them. What a tokenizer calls a word differs more: some split at blanks alone and
    hold "Paris." for one word and a Japanese sentence for another, some cut a year after three
    digits. What shares a character with the piece before (bytes of one) belongs to it anyhow, and
    so does an accent.
    """
    kind = _kinds(texts)
    base = np.repeat(
        ragged.starts(np.array([len(text) + 1 for text in texts], dtype=np.int64))[:-1],
        np.diff(pieces.offsets),
    )
    start, end = _trimmed(kind, pieces.start + base, pieces.end + base)
    opens = ~_goes_on(kind, start, end, pieces)
    opens[pieces.offsets[:-1][np.diff(pieces.offsets) > 0]] = True
    first = np.flatnonzero(opens)
    if not len(first):
        return Words(first, first, first, np.zeros_like(pieces.offsets))
    empty = end <= start
    begin = np.minimum.reduceat(np.where(empty, len(kind), start), first)
    stop = np.maximum.reduceat(np.where(empty, 0, end), first)
    kept = stop > begin
    first, begin, stop = first[kept], begin[kept], stop[kept]
    # Two words never share a character, not even by their accents.
    stop = np.minimum(_with_marks(kind, stop), np.append(begin[1:], len(kind)))
    return Words(
        first,
        begin - base[first],
        stop - base[first],
        np.searchsorted(first, pieces.offsets).astype(np.int64),
    )


def cut_windows(offsets: NDArray[np.int64], size: int) -> Windows:
    """Cut texts into windows of equal size; each piece is left to the one it is deepest in.

    A quarter of a window overlaps the next; the last one ends with its text.

    Args:
        offsets: int64 (N + 1,), where the pieces of each text begin and end.
        size: most pieces of a window, at least 2.
    """
    length = np.diff(offsets)
    step = size - size // 4
    counts = np.where(length > 0, 1 + np.maximum(-(-(length - size) // step), 0), 0)
    text, place = ragged.expand(np.zeros_like(counts), counts)
    begin = np.minimum(place * step, np.maximum(length[text] - size, 0)) + offsets[text]
    end = np.minimum(begin + size, offsets[text + 1])
    keep = begin.copy()
    later = np.flatnonzero(place > 0)
    keep[later] = (begin[later] + end[later - 1] + 1) // 2
    until = end.copy()
    until[later - 1] = keep[later]
    return Windows(begin, end, keep, until)


def _kinds(texts: Sequence[str]) -> NDArray[np.int8]:
    """The kind of every character of all texts, a blank after each text."""
    everything = "".join(f"{text} " for text in texts)
    codes = np.frombuffer(everything.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    known, place = np.unique(codes, return_inverse=True)
    return np.array([_kind(chr(code)) for code in known.tolist()], dtype=np.int8)[place]


def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if character.isspace() or category == "Cc":
        return _BLANK
    if category[0] == "M" or _JOINS.match(character):
        return _MARK
    if _UNSPACED_SCRIPTS.match(character):
        return _UNSPACED
    return _LETTER if category[0] in "LN" else _SIGN


def _trimmed(
    kind: NDArray[np.int8], start: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places without the blanks at either end; of what is all blank nothing is left."""
    place = np.arange(len(kind))
    solid = kind != _BLANK
    after = np.minimum.accumulate(np.where(solid, place, len(kind))[::-1])[::-1]
    before = np.maximum.accumulate(np.where(solid, place, -1))
    trimmed = np.append(after, len(kind))[start]
    blank = (trimmed >= end) | (end <= start)
    return (
        np.where(blank, start, trimmed),
        np.where(blank, start, before[np.maximum(end - 1, 0)] + 1),
    )


def _goes_on(
    kind: NDArray[np.int8], start: NDArray[np.int64], end: NDArray[np.int64], pieces: Pieces
) -> NDArray[np.bool_]:
    """Which pieces go on with the word of the piece before."""
    goes_on = np.zeros(len(start), dtype=np.bool_)
    if len(start) < 2:
        return goes_on
    blanks = np.append(0, np.cumsum(kind == _BLANK))
    carrier = np.maximum.accumulate(np.where(kind == _MARK, 0, np.arange(len(kind))))
    letter = kind[carrier] == _LETTER
    here, last = start[1:], np.maximum(end[:-1] - 1, 0)
    # A piece that is blank alone ("▁") has the tag of the word that it opens.
    opener = end[:-1] <= start[:-1]
    together = (blanks[here] == blanks[end[:-1]]) & letter[np.minimum(here, len(kind) - 1)]
    own = (pieces.word[1:] == pieces.word[:-1]) & (pieces.word[1:] >= 0)
    goes_on[1:] = (own & opener) | (together & letter[last] & ~opener) | (here < end[:-1])
    goes_on[1:] |= (kind[np.minimum(here, len(kind) - 1)] == _MARK) & (here == end[:-1]) & ~opener
    return goes_on & (end > start)


def _with_marks(kind: NDArray[np.int8], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ends moved behind the accents that a tokenizer has dropped."""
    place = np.arange(len(kind))
    after = np.minimum.accumulate(np.where(kind == _MARK, len(kind), place)[::-1])[::-1]
    moved: NDArray[np.int64] = after[np.minimum(end, len(kind) - 1)]
    return moved
