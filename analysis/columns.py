"""Columns of a table as typed arrays: what a table of regions, spans, points or votes is made of.

Casting an array cuts fractions off and wraps what does not fit without a word, so that a wrong
label becomes another label. Here every value either arrives as it was given or is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["fractions", "indices", "names", "numbers", "refuse", "whole"]

_Whole = TypeVar("_Whole", bound=np.signedinteger[Any])


def whole(
    name: str,
    values: ArrayLike,
    dtype: type[_Whole],
    rows: int | None = None,
    *,
    least: int | None = None,
    most: int | None = None,
    task: NDArray[np.int64] | None = None,
) -> NDArray[_Whole]:
    """Return a column of whole numbers; floats are taken where they are whole.

    Args:
        name: what errors call the column.
        values: numbers, an array or a list.
        dtype: type of the column.
        rows: length it has to have; None takes any.
        least: smallest value allowed, that of ``dtype`` if None.
        most: largest value allowed, that of ``dtype`` if None.
        task: (rows,), what errors call the task of the row, if known.

    Returns:
        (rows,), contiguous; the very array where it is one already.

    Raises:
        ValueError: naming the column and the first row that is wrong.
    """
    given = _shaped(name, values, (rows,))
    low = int(np.iinfo(dtype).min) if least is None else least
    high = int(np.iinfo(dtype).max) if most is None else most
    if given.dtype.kind not in "iuf":
        refuse(name, given, _strange(given, Integral), "a whole number", task)
    if given.dtype.kind == "f":
        given = given.astype(np.float64, copy=False)
        refuse(name, given, given != np.rint(given), "a whole number", task)
        # The largest int64 is no float: below the next number up is what holds exactly.
        refuse(name, given, (given < low) | (given >= float(high) + 1), f"{low} to {high}", task)
    elif given.size and (given.min() < low or given.max() > high):
        refuse(name, given, (given < low) | (given > high), f"{low} to {high}", task)
    return np.ascontiguousarray(given, dtype=dtype)


def fractions(
    name: str,
    values: ArrayLike,
    rows: int | None = None,
    *,
    task: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Return a column of numbers in [0, 1], float32 (rows,); the arguments are those of ``whole``.

    Raises:
        ValueError: naming the column and the first row that is wrong.
    """
    given = _shaped(name, values, (rows,))
    column = _floats(name, given, "0..1", task)
    refuse(name, given, ~((column >= 0) & (column <= 1)), "0..1", task)
    return column


def numbers(
    name: str,
    values: ArrayLike,
    rows: int | None = None,
    *,
    width: int | None = None,
    least: float = -np.inf,
    task: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Return finite numbers of at least ``least``, float32 (rows,) or (rows, width).

    The other arguments are those of ``whole``.

    Raises:
        ValueError: naming the column and the first row that is wrong.
    """
    given = _shaped(name, values, (rows,) if width is None else (rows, width))
    expected = "finite" if least == -np.inf else f"finite and {least:g} or more"
    column = _floats(name, given, expected, task)
    refuse(name, given, ~(np.isfinite(column) & (column >= least)), expected, task)
    return column


def names(
    name: str, values: ArrayLike, known: Sequence[str], rows: int | None = None
) -> NDArray[np.str_]:
    """Return a column of names that are all ``known``, str (rows,).

    Raises:
        ValueError: naming the column and the first row that is wrong.
    """
    given = _shaped(name, values, (rows,))
    if given.dtype.kind != "U":
        given = given.astype(np.str_)
    # Before the cast, which cuts long names off.
    refuse(name, given, ~np.isin(given, known), f"one of {', '.join(known)}")
    return np.ascontiguousarray(given, dtype=f"<U{max(map(len, known))}")


def indices(name: str, values: NDArray[Any], count: int, task: NDArray[np.int64]) -> None:
    """Refuse indices that are neither -1 nor below ``count``.

    Raises:
        ValueError: naming the column, the first row that is wrong and its task.
    """
    refuse(name, values, (values >= count) | (values < -1), f"-1 to {count - 1}", task)


def refuse(
    name: str,
    values: NDArray[Any],
    wrong: NDArray[np.bool_],
    expected: str,
    task: NDArray[np.int64] | None = None,
) -> None:
    """Raise where anything is wrong.

    Args:
        name: what the error calls the column.
        values: (N,) or (N, W), what the error shows.
        wrong: bool of the same shape, or (N,).
        expected: what the error says should be there.
        task: (N,), what the error calls the task of the row, if known.

    Raises:
        ValueError: naming the column and the first row that is wrong.
    """
    if not wrong.any():
        return
    row = int(np.argwhere(wrong)[0, 0])
    about = "" if task is None else f" (task {task[row]})"
    value = np.asarray(values[row]).tolist()
    raise ValueError(f"{name} row {row}{about} is {value!r}, expected {expected}")


def _shaped(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[Any]:
    try:
        given = np.asarray(values)
    except ValueError as error:  # Rows of unequal length.
        raise ValueError(f"{name} is no table of numbers: {error}") from error
    if given.shape == (0,) and not shape[0]:
        given = given.reshape(0, *shape[1:])
    fits = given.ndim == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, given.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("N" if size is None else str(size) for size in shape)
        wanted += "," if len(shape) == 1 else ""
        raise ValueError(f"{name} has shape {given.shape}, expected ({wanted})")
    return given


def _floats(
    name: str, given: NDArray[Any], expected: str, task: NDArray[np.int64] | None
) -> NDArray[np.float32]:
    if given.dtype.kind not in "iuf":
        refuse(name, given, _strange(given, Real), expected, task)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(given, dtype=np.float32)


def _strange(given: NDArray[Any], kind: type) -> NDArray[np.bool_]:
    """Which values are not numbers of the kind; a truth value is none."""
    if given.dtype.kind != "O":
        return np.ones(given.shape, dtype=np.bool_)
    strange = [isinstance(value, bool) or not isinstance(value, kind) for value in given.flat]
    return np.array(strange, dtype=np.bool_).reshape(given.shape)
