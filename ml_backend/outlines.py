"""Where regions are, exactly: ragged numbers, the same for people's labels and for predictions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.geometry import ragged
from analysis.geometry.masks import Masks
from analysis.geometry.polygons import Polygons
from analysis.geometry.shapes import Shapes

__all__ = [
    "IN_IMAGES",
    "WITH_AREA",
    "WITH_REGIONS",
    "Geometry",
    "Outlines",
    "boxes",
    "masks",
    "shapes",
]

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

#: Those with an area; points and spans of one label may well lie close, and are not embedded.
WITH_AREA: Final[frozenset[Geometry]] = frozenset({"box", "polygon", "mask"})
IN_IMAGES: Final[frozenset[Geometry]] = WITH_AREA | {"point"}
WITH_REGIONS: Final[frozenset[Geometry]] = IN_IMAGES | {"span"}


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

    @classmethod
    def of_masks(cls, table: Masks) -> Outlines:
        """Build from masks."""
        head = np.arange(len(table), dtype=np.int64)
        place = np.concatenate([head, table.row])
        pairs = np.concatenate([table.size.astype(np.float64), table.runs.astype(np.float64)])
        # A stable sort puts each region's size before its runs.
        values = pairs[np.argsort(place, kind="stable")].reshape(-1)
        return cls((table.offsets + np.arange(len(table) + 1)) * 2, values)


def boxes(geometry: Geometry, outline: Outlines) -> NDArray[np.float32]:
    """Return the upright box around each region, float32 (R, 4), x0 y0 x1 y1, pixels.

    A point's box has no area. Spans and choices have zeros, as have masks without foreground.
    """
    if geometry == "box":
        return _corners(outline).boxes()
    if geometry == "point":
        return np.tile(outline.table(3)[:, :2], 2).astype(np.float32)
    shape = shapes(geometry, outline)
    return np.zeros((len(outline), 4), dtype=np.float32) if shape is None else shape.boxes()


def shapes(geometry: Geometry, outline: Outlines) -> Shapes | None:
    """Return the exact shapes of regions in pixels, or None where their boxes are all there is.

    Boxes have shapes where one of them is turned; points, spans and choices have none.
    """
    if geometry == "box":
        return _corners(outline) if (outline.table(5)[:, 4] % 360).any() else None
    if geometry == "polygon":
        return Polygons(outline.offsets // 2, outline.table(2).astype(np.float32))
    if geometry == "mask":
        return masks(outline)
    return None


def masks(outline: Outlines) -> Masks:
    """Return masks as ``analysis.geometry`` takes them, the inverse of ``Outlines.of_masks``."""
    pairs = outline.table(2).astype(np.int64)
    first = outline.offsets[:-1] // 2
    runs = np.ones(len(pairs), dtype=np.bool_)
    runs[first] = False
    # Every region has one pair more than it has runs: its size.
    offsets = outline.offsets // 2 - np.arange(len(outline) + 1)
    return Masks(offsets, pairs[runs], pairs[first].astype(np.int32))


def _corners(outline: Outlines) -> Polygons:
    return Polygons.from_rotated(outline.table(5))
