"""What one region's ``value`` says of its place: read without trust, written to the letter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.regions.brush import MAX_PIXELS, decode_rle, encode_rle
from ml_backend.labelstudio.regions.units import to_percent
from ml_backend.outlines import Geometry, Outlines, masks

__all__ = ["read_place", "read_size", "write_places"]

#: Per cent further off than this are no place near the image.
_FAR: Final = 1e5
#: Characters of a text, or pixels of a side.
_MOST: Final = 1 << 30
#: Corners of one polygon: each may cross each other, and every crossing is looked at.
_MAX_CORNERS: Final = 10_000
#: Digits after the point of a per cent: 0.002 pixels of a 4k image.
_DIGITS: Final = 4
#: Size of a drawn key point, per cent of the image's width; looks only.
_POINT_WIDTH: Final = 0.5

_Numbers = NDArray[np.float64]


def read_place(geometry: Geometry, item: Mapping[str, Any]) -> _Numbers | None:
    """Return where a region is, or None where it does not say so.

    Args:
        geometry: what its control tag's regions are.
        item: the region as Label Studio keeps it; anything may stand in it.

    Returns:
        float64, as ``Geometry`` says, in Label Studio's units: lengths in per cent, masks in
        pixels. Of a point x and y alone.
    """
    value = item.get("value")
    return _READERS[geometry](value, item) if isinstance(value, dict) else None


def read_size(item: Mapping[str, Any]) -> tuple[int, int]:
    """Return width and height of a region's image as it states them, zeros where it does not."""
    width, height = _whole(item.get("original_width")), _whole(item.get("original_height"))
    return (width, height) if width > 0 and 0 < height <= MAX_PIXELS // width else (0, 0)


def write_places(
    geometry: Geometry,
    outline: Outlines,
    size: NDArray[np.int32],
    texts: Sequence[str | None],
) -> list[dict[str, Any]]:
    """Return what stands in ``value`` for each region, labels aside.

    Unturned boxes, polygons and points are kept inside the image; a turned box stays as it is.

    Args:
        geometry: what the regions are.
        outline: R regions, pixels.
        size: int32 (R, 2), width and height of their images, pixels; anything for spans and
            choices.
        texts: R texts that spans are of, where they are known: what they cover is written beside.

    Returns:
        R dicts; empty ones for regions of which nothing lies inside, and for choices.
    """
    if geometry == "span":
        places = outline.table(2).astype(int).tolist()
        return [
            _span_value(start, end, text) for (start, end), text in zip(places, texts, strict=True)
        ]
    if geometry == "choice":
        return [{} for _ in range(len(outline))]
    return _WRITERS[geometry](to_percent(geometry, outline, size))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> int:
    """A whole number, or -1 for whatever else stands there."""
    return int(value) if _is_number(value) and 0 <= value < _MOST and value == int(value) else -1


def _near(*values: Any) -> _Numbers | None:
    near = all(_is_number(value) and -_FAR < value < _FAR for value in values)
    return np.array(values, dtype=np.float64) if near else None


def _read_box(value: Mapping[str, Any], _: Mapping[str, Any]) -> _Numbers | None:
    width, height = value.get("width"), value.get("height")
    row = _near(value.get("x"), value.get("y"), width, height, value.get("rotation") or 0)
    return None if row is None or min(row[2:4].tolist()) < 0 else row


def _read_polygon(value: Mapping[str, Any], _: Mapping[str, Any]) -> _Numbers | None:
    points = value.get("points")
    if not isinstance(points, list) or not 3 <= len(points) <= _MAX_CORNERS:
        return None
    try:
        table = np.array(points)
    except (TypeError, ValueError):
        return None
    # Words among the numbers make the table one of words or of objects.
    if table.shape != (len(points), 2) or table.dtype.kind not in "if":
        return None
    row = table.reshape(-1).astype(np.float64)
    return row if (np.abs(row) < _FAR).all() else None


def _read_point(value: Mapping[str, Any], _: Mapping[str, Any]) -> _Numbers | None:
    return _near(value.get("x"), value.get("y"))


def _read_span(value: Mapping[str, Any], _: Mapping[str, Any]) -> _Numbers | None:
    start, end = _whole(value.get("start")), _whole(value.get("end"))
    return np.array([start, end], dtype=np.float64) if 0 <= start < end else None


def _read_mask(value: Mapping[str, Any], item: Mapping[str, Any]) -> _Numbers | None:
    rle = value.get("rle")
    width, height = _whole(item.get("original_width")), _whole(item.get("original_height"))
    # A mask's bytes tell the number of its pixels, so its size is needed, and bounds its length.
    if not isinstance(rle, list) or not 0 < width * height <= MAX_PIXELS or width < 1:
        return None
    try:
        content = bytes(rle)
    except (TypeError, ValueError):
        return None
    runs = decode_rle(content, height, width)
    if runs is None or not len(runs):
        return None
    return np.concatenate([[height, width], runs.ravel()]).astype(np.float64)


def _read_choice(_: Mapping[str, Any], __: Mapping[str, Any]) -> _Numbers:
    return np.empty(0)


_READERS: Final[
    Mapping[Geometry, Callable[[Mapping[str, Any], Mapping[str, Any]], _Numbers | None]]
] = {
    "box": _read_box,
    "polygon": _read_polygon,
    "mask": _read_mask,
    "point": _read_point,
    "span": _read_span,
    "choice": _read_choice,
}


def _box_values(percent: Outlines) -> list[dict[str, Any]]:
    table = percent.table(5)
    angle = table[:, 4].round(_DIGITS) % 360
    upright = angle == 0
    corner, side = table[:, :2], table[:, 2:4]
    inside = np.clip(np.stack([corner, corner + side]), 0, 100).round(_DIGITS)
    corner = np.where(upright[:, None], inside[0], corner).round(_DIGITS)
    side = np.where(upright[:, None], inside[1] - inside[0], side).round(_DIGITS)
    return [
        {"x": x, "y": y, "width": width, "height": height, "rotation": turn or 0}
        if width > 0 and height > 0
        else {}
        for x, y, width, height, turn in np.column_stack([corner, side, angle]).tolist()
    ]


def _polygon_values(percent: Outlines) -> list[dict[str, Any]]:
    return [_polygon_value(percent[row].reshape(-1, 2)) for row in range(len(percent))]


def _polygon_value(xy: _Numbers) -> dict[str, Any]:
    if len(xy) and (xy.min() < 0 or xy.max() > 100):
        for axis, side in ((0, -1), (0, 1), (1, -1), (1, 1)):
            xy = _cut(xy, axis, side)
    xy = xy.round(_DIGITS)
    # What lies along an edge of the image covers nothing of it.
    if len(xy) < 3 or not (xy.max(axis=0) - xy.min(axis=0)).all():
        return {}
    return {"points": xy.tolist(), "closed": True}


def _cut(xy: _Numbers, axis: int, side: int) -> _Numbers:
    """The part of a ring on the inner side of one edge of the image (Sutherland and Hodgman)."""
    edge = 100.0 if side > 0 else 0.0
    over = side * (xy[:, axis] - edge)
    following, over_next = np.roll(xy, -1, axis=0), np.roll(over, -1)
    inside = over <= 0
    crosses = inside != (over_next <= 0)
    if inside.all():
        return xy
    along = np.divide(over, over - over_next, out=np.zeros_like(over), where=crosses)
    met = xy + along[:, None] * (following - xy)
    met[:, axis] = edge
    both = np.stack([xy, met], axis=1).reshape(-1, 2)
    kept: _Numbers = both[np.stack([inside, crosses], axis=1).reshape(-1)]
    return kept


def _mask_values(outline: Outlines) -> list[dict[str, Any]]:
    table = masks(outline)
    return [
        {"format": "rle", "rle": encode_rle(table.runs[begin:end], height, width)}
        if end > begin
        else {}
        for begin, end, (height, width) in zip(
            table.offsets[:-1].tolist(),
            table.offsets[1:].tolist(),
            table.size.tolist(),
            strict=True,
        )
    ]


def _point_values(percent: Outlines) -> list[dict[str, Any]]:
    place = np.clip(percent.table(3)[:, :2], 0, 100).round(_DIGITS)
    return [{"x": x, "y": y, "width": _POINT_WIDTH} for x, y in place.tolist()]


def _span_value(start: int, end: int, text: str | None) -> dict[str, Any]:
    start, end = max(start, 0), end if text is None else min(end, len(text))
    if start >= end:
        return {}
    return {"start": start, "end": end} | ({} if text is None else {"text": text[start:end]})


_WRITERS: Final[Mapping[Geometry, Callable[[Outlines], list[dict[str, Any]]]]] = {
    "box": _box_values,
    "polygon": _polygon_values,
    "mask": _mask_values,
    "point": _point_values,
}
