"""Binary masks as runs of pixels: measured and compared without decoding an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.geometry import ragged

__all__ = ["Masks", "common_area"]

#: Runs looked at in one go: what bounds the memory.
_BLOCK: Final = 1 << 20

_Runs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Masks:
    """Binary masks, R regions, each with N_r runs of foreground.

    Pixels are numbered down the columns, as COCO's run-length encoding does it: the pixel at
    (x, y) of an image of height h is number ``x * h + y``.

    Attributes:
        offsets: int64 (R + 1,), the runs of region r are rows ``offsets[r]:offsets[r + 1]``.
        runs: int64 (N, 2), first pixel and the one after the last; within a region they rise
            and neither touch nor overlap.
        size: int32 (R, 2), height and width of each region's image, pixels.

    Raises:
        ValueError: naming the column and the first region that is wrong.
    """

    offsets: NDArray[np.int64]
    runs: NDArray[np.int64]
    size: NDArray[np.int32]

    def __post_init__(self) -> None:
        offsets = np.ascontiguousarray(self.offsets, dtype=np.int64)
        runs = np.ascontiguousarray(self.runs, dtype=np.int64).reshape(-1, 2)
        size = np.ascontiguousarray(self.size, dtype=np.int32).reshape(-1, 2)
        ragged.check_offsets("Masks.offsets", offsets, len(runs))
        if len(size) != len(offsets) - 1:
            raise ValueError(f"Masks.size has {len(size)} rows, expected {len(offsets) - 1}")
        row = np.repeat(np.arange(len(size)), np.diff(offsets))
        bad = (runs[:, 0] < 0) | (runs[:, 1] <= runs[:, 0])
        bad |= runs[:, 1] > size.astype(np.int64).prod(axis=1)[row]
        bad[1:] |= (runs[1:, 0] <= runs[:-1, 1]) & (row[1:] == row[:-1])
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"Masks.runs row {at} (region {row[at]}) is {runs[at].tolist()}, expected rising "
                f"runs with gaps between them inside {size[row[at]].tolist()} pixels"
            )
        object.__setattr__(self, "offsets", offsets)
        object.__setattr__(self, "runs", runs)
        object.__setattr__(self, "size", size)

    def __len__(self) -> int:
        return len(self.size)

    @property
    def row(self) -> NDArray[np.int64]:
        """int64 (N,), the region of each run."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Masks:
        """Return the chosen regions (an index or a mask), in that order."""
        offsets, place = ragged.select(self.offsets, rows)
        return Masks(offsets, self.runs[place], self.size[rows])

    def area(self) -> NDArray[np.int64]:
        """Return the foreground pixels of each region, int64 (R,)."""
        return np.diff(ragged.starts(self.runs[:, 1] - self.runs[:, 0])[self.offsets])

    def boxes(self) -> NDArray[np.float32]:
        """Return the boxes around them, float32 (R, 4), x0 y0 x1 y1; zeros for an empty mask."""
        height = self.size[:, 0].astype(np.int64)[self.row]
        first, last = self.runs[:, 0], self.runs[:, 1] - 1
        left, right = first // height, last // height
        top, bottom = first % height, last % height
        # A run over the end of a column covers the last row of one and the first of the next.
        top = np.where(left < right, 0, top)
        bottom = np.where(left < right, height - 1, bottom)
        box = np.zeros((len(self), 4), dtype=np.float32)
        full = np.flatnonzero(np.diff(self.offsets))
        if len(full):
            at = self.offsets[full]
            box[full, 0] = np.minimum.reduceat(left, at)
            box[full, 1] = np.minimum.reduceat(top, at)
            box[full, 2] = np.maximum.reduceat(right, at) + 1
            box[full, 3] = np.maximum.reduceat(bottom, at) + 1
        return box

    def dense(self, row: int) -> NDArray[np.bool_]:
        """Return one region as an image, bool (height, width)."""
        height, width = self.size[row].tolist()
        step = np.zeros(height * width + 1, dtype=np.int8)
        runs = self.runs[self.offsets[row] : self.offsets[row + 1]]
        step[runs[:, 0]] = 1
        step[runs[:, 1]] -= 1
        return np.cumsum(step[:-1], dtype=np.int8).astype(np.bool_).reshape(width, height).T

    @classmethod
    def from_dense(cls, images: Sequence[NDArray[Any]] | NDArray[Any]) -> Masks:
        """Encode images.

        Args:
            images: R arrays (height, width), foreground where not zero.
        """
        counts, size = [], []
        for row, image in enumerate(images):
            if image.ndim != 2:
                raise ValueError(f"images row {row} has shape {image.shape}, expected (H, W)")
            flat = np.concatenate([[False], np.asarray(image, dtype=np.bool_).T.ravel(), [False]])
            counts.append(np.flatnonzero(flat[1:] != flat[:-1]).reshape(-1, 2))
            size.append(image.shape)
        return cls(
            ragged.starts(np.array([len(runs) for runs in counts], dtype=np.int64)),
            np.concatenate(counts) if counts else np.empty((0, 2), dtype=np.int64),
            np.array(size, dtype=np.int32).reshape(-1, 2),
        )

    @classmethod
    def from_counts(
        cls, counts: Sequence[Sequence[int] | NDArray[np.integer[Any]]], size: NDArray[Any]
    ) -> Masks:
        """Read COCO's uncompressed run lengths.

        Args:
            counts: R lists of run lengths down the columns: background, foreground, background...
            size: int (R, 2), height and width.

        Raises:
            ValueError: naming the first region whose lengths do not fill its image.
        """
        lengths = np.array([len(some) for some in counts], dtype=np.int64)
        parts = [np.asarray(some, dtype=np.int64) for some in counts]
        flat = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
        offsets = ragged.starts(lengths)
        ends = ragged.starts(flat)
        wanted = np.asarray(size, dtype=np.int64).reshape(-1, 2).prod(axis=1)
        if len(wanted) != len(lengths):
            raise ValueError(f"counts and size have {len(lengths)} and {len(wanted)} rows")
        total = np.diff(ends[offsets])
        negative = np.diff(ragged.starts(flat < 0)[offsets]) > 0
        bad = (total != wanted) | negative
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"counts row {at} hold {total[at]} pixels, expected {wanted[at]}, none negative"
            )
        row = np.repeat(np.arange(len(lengths)), lengths)
        shade = (np.arange(len(flat)) - offsets[row]) % 2 == 1
        begin = ends[:-1] - ends[offsets][row]
        runs = np.stack([begin, begin + flat], axis=1)[shade]
        return cls.from_runs(row[shade], runs, size)

    @classmethod
    def from_runs(cls, row: NDArray[np.int64], runs: _Runs, size: NDArray[Any]) -> Masks:
        """Build from sorted runs, of which some may be empty or touch the one before.

        Args:
            row: int64 (N,), rising, each run's region.
            runs: int64 (N, 2), rising within a region, not overlapping.
            size: int (R, 2), height and width.
        """
        filled = runs[:, 1] > runs[:, 0]
        row, runs = row[filled], runs[filled]
        joined = np.zeros(len(row), dtype=np.bool_)
        joined[1:] = (runs[1:, 0] == runs[:-1, 1]) & (row[1:] == row[:-1])
        first = ~joined
        last = np.append(first[1:], np.ones(min(len(first), 1), dtype=np.bool_))
        sizes = np.asarray(size, dtype=np.int32).reshape(-1, 2)
        counts = np.bincount(row[first], minlength=len(sizes))
        return cls(ragged.starts(counts), np.stack([runs[first, 0], runs[last, 1]], axis=1), sizes)


def common_area(
    first: Masks, second: Masks, a: NDArray[np.int64], b: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how many pixels pairs of masks share.

    Each run of the mask with fewer runs asks how much of the other lies between its ends: two
    binary searches a run.

    Args:
        first: masks.
        second: masks on images of the same size.
        a: int64 (P,), rows of ``first``.
        b: int64 (P,), rows of ``second``.

    Returns:
        int64 (P,).

    Raises:
        ValueError: naming the first pair whose images differ in size.
    """
    bad = (first.size[a] != second.size[b]).any(axis=1)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"masks {a[at]} and {b[at]} are on images of {first.size[a[at]].tolist()} and "
            f"{second.size[b[at]].tolist()} pixels (height, width)"
        )
    mine, theirs = np.diff(first.offsets)[a], np.diff(second.offsets)[b]
    shared = np.empty(len(a), dtype=np.int64)
    fewer = mine <= theirs
    for rows, asking, asked, of, to in (
        (np.flatnonzero(fewer), first, second, a, b),
        (np.flatnonzero(~fewer), second, first, b, a),
    ):
        shared[rows] = _covered(asking, asked, of[rows], to[rows])
    return shared


def _covered(
    asking: Masks, asked: Masks, of: NDArray[np.int64], to: NDArray[np.int64]
) -> NDArray[np.int64]:
    stride = int(asked.size.astype(np.int64).prod(axis=1).max(initial=0)) + 1
    begin = asked.row * stride + asked.runs[:, 0]
    lengths = asked.runs[:, 1] - asked.runs[:, 0]
    before = ragged.starts(lengths)
    counts = np.diff(asking.offsets)[of]
    shared = np.zeros(len(of), dtype=np.int64)
    if not len(begin):
        return shared
    for rows in ragged.blocks(counts, _BLOCK):
        pair, place = ragged.expand(asking.offsets[of[rows]], counts[rows])
        base = to[rows][pair] * stride
        low, high = (
            _foreground_before(base + asking.runs[place, side], begin, lengths, before)
            for side in (0, 1)
        )
        shared[rows] = np.diff(ragged.starts(high - low)[ragged.starts(counts[rows])])
    return shared


def _foreground_before(
    at: NDArray[np.int64],
    begin: NDArray[np.int64],
    lengths: NDArray[np.int64],
    before: NDArray[np.int64],
) -> NDArray[np.int64]:
    """How many foreground pixels of the whole table come before each place."""
    run = np.searchsorted(begin, at, side="right") - 1
    inside = np.minimum(at - begin[run], lengths[run])
    return np.asarray(np.where(run < 0, 0, before[run] + inside))
