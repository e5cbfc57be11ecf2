"""Class probabilities checked and read in blocks, so that no score needs a second copy of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE

__all__ = ["check", "each_block", "scratch", "strongest_other"]

T = TypeVar("T")

#: Elements of a block: its temporaries stay in a core's cache.
_BLOCK: Final = 1 << 17
_THREADS: Final = 2
#: float16 probabilities of many classes miss 1 by up to this much.
_TOLERANCE: Final = 1e-2
#: Below this many classes a block is quicker read class by class than row by row.
_NARROW: Final = 64


def check(labels: Any, probs: Any) -> tuple[NDArray[np.int64], NDArray[np.floating[Any]]]:
    """Return labels and probabilities as columns; refuse those that do not belong together.

    That rows of probabilities sum to 1 is checked in blocks, as they are read.

    Args:
        labels: int (N,), class of each row; -1 where nothing is labelled.
        probs: float (N, K); never copied.

    Raises:
        ValueError: naming what is wrong with the shapes, or the first row whose label is unknown.
    """
    labels, probs = np.asarray(labels), np.asarray(probs)
    if not len(labels) and labels.dtype == np.float64:
        labels = labels.astype(np.int64)
    if probs.ndim != 2 or labels.ndim != 1 or len(labels) != len(probs):
        raise ValueError(
            f"labels {labels.shape} and probs {probs.shape} do not match, expected (N,) and (N, K)"
        )
    if not np.issubdtype(probs.dtype, np.floating):
        raise ValueError(f"probs are of type {probs.dtype}, expected floats")
    if not np.issubdtype(labels.dtype, np.number):
        raise ValueError(f"labels are of type {labels.dtype}, expected integer classes")
    if not np.issubdtype(labels.dtype, np.integer):
        whole = np.equal(np.mod(labels, 1), 0)
        row = int(np.flatnonzero(~whole)[0]) if not whole.all() else 0
        raise ValueError(f"labels row {row} is {labels[row]!r}, expected an integer class")
    wrong = (labels >= probs.shape[1]) | (labels < NONE)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"labels row {row} is {labels[row]}, expected -1 to {probs.shape[1] - 1}")
    # Products of narrow integers overflow in silence.
    return labels.astype(np.int64), probs


def each_block(
    probs: NDArray[Any], work: Callable[[slice, NDArray[Any]], T], *, checked: bool = False
) -> list[T]:
    """Call ``work(rows, block)`` on every block of rows, two at a time, and return what it gave.

    A block is a view of ``probs``. NumPy lets go of the interpreter inside its loops, so two
    threads keep two cores busy.

    Args:
        probs: float (N, K).
        work: what to do with a block; it must not write to it.
        checked: the rows are known to be distributions, so they are not checked again.

    Raises:
        ValueError: naming the first row that is not a probability distribution.
    """

    def one(rows: slice) -> T:
        block = probs[rows]
        if not checked:
            _check_rows(rows.start, block)
        return work(rows, block)

    slices = list(_slices(*probs.shape))
    if len(slices) < 4:
        return [one(rows) for rows in slices]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(one, slices))


def scratch(block: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Return a copy of a block that may be written to, in the order that reductions like best.

    Reducing ten values a row at a time costs ten times what reducing ten columns costs, so a
    narrow block is stored class by class; its shape and its indices stay the same.

    Args:
        block: float (B, K).

    Returns:
        (B, K), float64 where the block is float64, float32 otherwise.
    """
    dtype = np.float64 if block.dtype == np.float64 else np.float32
    return np.array(block, dtype=dtype, order="F" if block.shape[1] < _NARROW else "C")


def strongest_other(
    labels: NDArray[Any], block: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.int32], NDArray[np.floating[Any]]]:
    """Return the strongest class beside the given one and its value.

    Args:
        labels: int (B,), the given classes.
        block: float (B, K), K of at least 2; the given class is overwritten.

    Returns:
        int32 (B,) and float (B,).
    """
    rows = np.arange(len(labels))
    block[rows, labels] = -np.inf
    other = block.argmax(axis=1).astype(np.int32)
    return other, block[rows, other]


def _slices(count: int, classes: int) -> Iterator[slice]:
    step = max(_BLOCK // max(classes, 1), 1)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _check_rows(start: int, block: NDArray[Any]) -> None:
    # einsum adds short rows five times as fast as sum does.
    whole = block.dtype in (np.float32, np.float64)
    total = np.einsum("ij->i", block) if whole else block.sum(axis=1, dtype=np.float32)
    off = ~(np.abs(total - 1) <= _TOLERANCE)
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise ValueError(f"probs row {start + row} sums to {total[row]}, expected 1")
    if block.size and block.min() < 0:
        row = int(np.flatnonzero((block < 0).any(axis=1))[0])
        raise ValueError(f"probs row {start + row} holds {block[row].min()}, expected 0 to 1")
