"""Where regions are, exactly: ragged numbers, the same for people's labels and for predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.geometry import ragged

__all__ = ["GEOMETRIES", "Geometry", "Outlines"]

#: What a control tag's regions are made of, and the numbers of one region of each:
#:
#: - box: x y width height angle; the top left corner in pixels, degrees clockwise about it;
#: - polygon: x y of each corner, pixels;
#: - mask: height width of the image, then begin and end of each run of foreground, its pixels
#:   numbered down the columns (x * height + y), as ``analysis.geometry.masks`` has them;
#: - point: x y in pixels, and the number of the object among those of its image;
#: - span: start and end, characters, the end being the first one outside;
#: - choice: none.
Geometry = Literal["box", "polygon", "mask", "point", "span", "choice"]

GEOMETRIES: Final[tuple[Geometry, ...]] = ("box", "polygon", "mask", "point", "span", "choice")


@dataclass(frozen=True, slots=True)
class Outlines:
    """The numbers of R regions of one geometry.

    Attributes:
        offsets: int64 (R + 1,), the numbers of region r are ``values[offsets[r]:offsets[r + 1]]``.
        values: float64 (V,), as ``Geometry`` says.
    """

    offsets: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.float64]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Outlines:
        """Return the chosen regions (an index or a mask), in that order."""
        offsets, place = ragged.select(self.offsets, rows)
        return Outlines(offsets, self.values[place])

    def table(self, width: int) -> NDArray[np.float64]:
        """Return regions of ``width`` numbers each as a table, float64 (R, width)."""
        return self.values.reshape(-1, width)

    @classmethod
    def of_rows(cls, rows: Iterable[Sequence[float] | NDArray[Any]]) -> Outlines:
        """Build from the numbers of each region."""
        arrays = [np.asarray(row, dtype=np.float64).reshape(-1) for row in rows]
        lengths = np.array([len(array) for array in arrays], dtype=np.int64)
        return cls(ragged.starts(lengths), np.concatenate([*arrays, np.empty(0)]))

    @classmethod
    def of_table(cls, table: NDArray[Any]) -> Outlines:
        """Build from regions of equally many numbers, (R, width)."""
        rows, width = table.shape
        values = np.ascontiguousarray(table, dtype=np.float64).reshape(-1)
        return cls(np.arange(rows + 1, dtype=np.int64) * width, values)

    @classmethod
    def concatenate(cls, parts: Sequence[Outlines]) -> Outlines:
        """Stack several tables; no parts give an empty one."""
        lengths = [np.diff(part.offsets) for part in parts]
        return cls(
            ragged.starts(np.concatenate([*lengths, np.empty(0, dtype=np.int64)])),
            np.concatenate([*(part.values for part in parts), np.empty(0)]),
        )
