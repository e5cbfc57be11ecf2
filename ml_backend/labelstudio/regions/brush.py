"""Label Studio's run-length encoding of brush masks, to runs of pixels and back.

A stream of bits, most significant first: 32 of the number of values, 5 of a value's bits less
one, 4 times 4 of the bits of a length less one. Then tokens: a bit that tells a run from single
values, two that choose the bits of its length, the length less one, and the value or values. The
values are red, green, blue and alpha of each pixel, row by row; the editor goes by alpha alone.
"""

from __future__ import annotations

from array import array
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.geometry import ragged

__all__ = ["MAX_PIXELS", "decode_rle", "encode_rle"]

#: Larger masks are not read: nobody labels them, and each would take hundreds of megabytes.
MAX_PIXELS: Final = 100_000_000
#: Bytes of one mask; a person's strokes on a 4k image are some tens of thousands.
_MAX_BYTES: Final = 4 << 20

_HEADER_BITS: Final = 53
_CHANNELS: Final = 4
#: Bits of a length less one, as the editor itself writes them.
_LENGTH_BITS: Final = np.array([3, 4, 8, 16])
_LONGEST: Final = 1 << 16

_Runs = NDArray[np.int64]
_Ints = NDArray[np.integer[Any]]


def decode_rle(rle: bytes, height: int, width: int) -> _Runs | None:
    """Read one mask.

    A pixel is foreground where its alpha is above half of the mask's largest: the editor smooths
    the edges of strokes, and other tools write 1 or 100 where the editor writes 255.

    Args:
        rle: the encoded mask.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        int64 (N, 2), runs of foreground down the columns as ``analysis.geometry.masks`` has
        them; None where the bytes are no mask of that size.
    """
    pixels = height * width
    if height < 1 or width < 1 or pixels > MAX_PIXELS or not 7 <= len(rle) <= _MAX_BYTES:
        return None
    header = int.from_bytes(rle[:7], "big") >> 3
    if header >> 21 != pixels * _CHANNELS or header >> 16 & 31 != 7:
        return None
    sizes = np.array([(header >> shift & 15) + 1 for shift in (12, 8, 4, 0)])
    lengths, values = _pieces(rle, sizes)
    ends = np.cumsum(lengths)
    if not len(ends) or ends[-1] < pixels * _CHANNELS:
        return None
    ends = np.minimum(ends, pixels * _CHANNELS) // _CHANNELS
    begins = np.concatenate([[0], ends[:-1]])
    seen = ends > begins
    solid = seen & (2 * values > values[seen].max())
    return _turned(_joined(np.stack([begins[solid], ends[solid]], axis=1)), width, height)


def encode_rle(runs: _Ints, height: int, width: int) -> list[int]:
    """Write one mask as the editor does: all four channels 255 in the foreground, else 0.

    Args:
        runs: int (N, 2), runs of foreground down the columns, rising, with gaps between them.
        height: of the image, pixels.
        width: of the image, pixels.

    Returns:
        bytes, as numbers: what Label Studio keeps in ``value.rle``.
    """
    along = _turned(runs.astype(np.int64), height, width)
    edges = np.concatenate([[0], along.ravel(), [height * width]]) * _CHANNELS
    lengths = np.diff(edges)
    values = np.arange(len(lengths)) % 2 * 255
    pieces = -(-lengths // _LONGEST)
    row, nth = ragged.expand(np.zeros(len(pieces), dtype=np.int64), pieces)
    lengths = np.minimum(lengths[row] - nth * _LONGEST, _LONGEST)
    which = np.searchsorted(1 << _LENGTH_BITS[:-1], lengths)
    size = _LENGTH_BITS[which]
    tokens = ((4 + which) << size | (lengths - 1)) << 8 | values[row]
    sizes = (7, *(_LENGTH_BITS - 1).tolist())
    settings = sizes[0] << 16 | sizes[1] << 12 | sizes[2] << 8 | sizes[3] << 4 | sizes[4]
    return _packed(
        np.concatenate([[height * width * _CHANNELS, settings], tokens]).astype(np.uint64),
        np.concatenate([[32, 21], 11 + size]),
    )


def _packed(tokens: NDArray[np.uint64], bits: NDArray[np.int64]) -> list[int]:
    """Write tokens of at most 32 bits each one after another."""
    at = ragged.starts(bits)
    # A token lies in one or two words of 32 bits; no two share a bit, so adding is writing.
    placed = tokens << (64 - bits - at[:-1] % 32).astype(np.uint64)
    words = np.zeros(at[-1] // 32 + 2, dtype=np.uint64)
    np.add.at(words, at[:-1] // 32, placed >> np.uint64(32))
    np.add.at(words, at[:-1] // 32 + 1, placed & np.uint64(0xFFFFFFFF))
    return list(words.astype(">u4").tobytes()[: -(-int(at[-1]) // 8)])


def _pieces(rle: bytes, sizes: _Ints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lengths and values of the runs; single values are runs of one."""
    content = np.frombuffer(rle + bytes(8), dtype=np.uint8).astype(np.int64)
    bits = np.unpackbits(np.frombuffer(rle + bytes(8), dtype=np.uint8))
    kind: NDArray[np.uint8] = bits[:-2] << np.uint8(2) | bits[1:-1] << np.uint8(1) | bits[2:]
    place = _walk(rle, kind, sizes)
    is_run, size = kind[place] >= 4, sizes[kind[place] % 4]
    length = _read(content, place + 3, size) + 1
    token, nth = ragged.expand(np.zeros(len(place), dtype=np.int64), np.where(is_run, 1, length))
    at = place[token] + 3 + size[token] + 8 * nth
    whole = at + 8 <= len(rle) * 8
    token, at = token[whole], at[whole]
    return np.where(is_run, length, 1)[token], _read(content, at, np.int64(8))


def _walk(rle: bytes, kind: NDArray[np.uint8], sizes: _Ints) -> NDArray[np.int64]:
    """Where the tokens begin: each says how long it is, so they are found one after another."""
    # A run's bits follow from its first three alone: the steps from everywhere in one go.
    table = np.concatenate([np.zeros(4, dtype=np.uint8), (11 + sizes).astype(np.uint8)])
    steps, kinds, of_length = table[kind].tobytes(), kind.tobytes(), sizes.tolist()
    places = array("q")
    at, end = _HEADER_BITS, len(rle) * 8
    while at + 11 < end:
        places.append(at)
        step = steps[at]
        if not step:
            size = of_length[kinds[at]]
            begin = at + 3
            window = int.from_bytes(rle[begin >> 3 : (begin >> 3) + 3].ljust(3, b"\0"), "big")
            less_one = window >> (24 - size - (begin & 7)) & ((1 << size) - 1)
            step = 3 + size + 8 * (less_one + 1)
        at += step
    return np.array(places, dtype=np.int64)


def _read(content: NDArray[np.int64], at: Any, bits: Any) -> Any:
    """Numbers of up to 16 bits that begin at these bits."""
    byte = at >> 3
    window = content[byte] << 16 | content[byte + 1] << 8 | content[byte + 2]
    return window >> (24 - bits - (at & 7)) & ((1 << bits) - 1)


def _joined(runs: _Runs) -> _Runs:
    """Runs of which none touches the next."""
    apart = runs[1:, 0] > runs[:-1, 1]
    ends = np.ones(min(len(runs), 1), dtype=np.bool_)
    begin, end = np.concatenate([ends, apart]), np.concatenate([apart, ends])
    return np.stack([runs[begin, 0], runs[end, 1]], axis=1)


def _turned(runs: _Runs, line: int, lines: int) -> _Runs:
    """Renumber runs of pixels across the lines that they were numbered along.

    Args:
        runs: int64 (N, 2), rising, with gaps between them; pixels numbered line by line.
        line: pixels of a line.
        lines: how many there are.

    Returns:
        int64 (M, 2), the same pixels numbered the other way, rising, with gaps between them.
    """
    if not len(runs):
        return runs
    first, last = runs[:, 0] // line, (runs[:, 1] - 1) // line
    run, row = ragged.expand(first, last - first + 1)
    begin = np.maximum(runs[run, 0] - row * line, 0)
    end = np.minimum(runs[run, 1] - row * line, line)
    # Drawn only where there is foreground: most masks are small on a large image.
    top, left = int(row[0]), int(begin.min())
    step = np.zeros((int(end.max()) - left + 1, int(row[-1]) - top + 2), dtype=np.int8)
    step[begin - left, row - top + 1] = 1
    step[end - left, row - top + 1] -= 1
    # The empty first column of each line keeps runs from reaching into the next.
    image = np.cumsum(step, axis=0, dtype=np.int8).reshape(-1)
    changes = np.flatnonzero(np.append(image[1:] != image[:-1], False))
    across, along = np.divmod(changes, step.shape[1])
    turned = (across + left) * lines + along + top
    return _joined(turned.reshape(-1, 2))
