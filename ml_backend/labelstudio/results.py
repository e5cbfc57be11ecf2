"""Label Studio's regions as columns and back: the one place that knows their percent units."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.config import Control

__all__ = [
    "Labels",
    "box_value",
    "decode",
    "digest",
    "encode_boxes",
    "encode_choice",
    "pixel_boxes",
]

Result = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Labels:
    """What people said with one control tag, R rows.

    Attributes:
        annotation: int64 (R,), row of the annotation table it was read with.
        item: int64 (R,), the region's place in its annotation.
        label: int32 (R,), label index; -1 where the config has no such label.
        box: float64 (R, 4), x y width height in percent of the image, unrotated; NaN for choices.
        angle: float64 (R,), degrees clockwise about the top left corner.
    """

    annotation: NDArray[np.int64]
    item: NDArray[np.int64]
    label: NDArray[np.int32]
    box: NDArray[np.float64]
    angle: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.annotation)

    def take(self, rows: NDArray[np.bool_]) -> Labels:
        """Return the rows that the mask keeps."""
        return Labels(
            self.annotation[rows],
            self.item[rows],
            self.label[rows],
            self.box[rows],
            self.angle[rows],
        )


def decode(control: Control, results: Sequence[Result]) -> Labels:
    """Read one control tag's regions out of many annotations' results.

    Regions that lack what they need (a foreign tool's import) are left out: they cannot be scored.
    """
    index = {label: i for i, label in enumerate(control.labels)}
    rows = [
        (
            row,
            place,
            index.get(name, -1),
            *_geometry(value),
        )
        for row, result in enumerate(results)
        for place, item in enumerate(result)
        if item.get("from_name") == control.name
        and isinstance(value := item.get("value"), dict)
        and (name := _first_name(value, control))
        and (control.tag == "Choices" or _has_box(value))
    ]
    table = list(zip(*rows, strict=True)) if rows else [()] * 8
    return Labels(
        np.array(table[0], dtype=np.int64),
        np.array(table[1], dtype=np.int64),
        np.array(table[2], dtype=np.int32),
        np.array(table[3:7], dtype=np.float64).T.reshape(-1, 4),
        np.array(table[7], dtype=np.float64),
    )


def pixel_boxes(
    box: NDArray[np.float64], angle: NDArray[np.float64], size: NDArray[np.int32]
) -> NDArray[np.float32]:
    """Turn percent boxes into upright pixel boxes; a rotated one gives its upright hull.

    Args:
        box: float64 (R, 4), x y width height, percent.
        angle: float64 (R,), degrees clockwise about the top left corner.
        size: int32 (R, 2), width and height of each box's image, pixels.

    Returns:
        float32 (R, 4), x0 y0 x1 y1, pixels.
    """
    scale = np.tile(size, (1, 2)) / 100.0
    x, y, width, height = (np.nan_to_num(box) * scale).T
    width, height = np.abs(width), np.abs(height)
    turn = np.deg2rad(angle)
    cos, sin = np.cos(turn), np.sin(turn)
    zero = np.zeros_like(x)
    across = np.stack([zero, width * cos, width * cos - height * sin, -height * sin])
    down = np.stack([zero, width * sin, width * sin + height * cos, height * cos])
    corners = (x + across.min(0), y + down.min(0), x + across.max(0), y + down.max(0))
    return np.stack(corners, axis=1).astype(np.float32)


def box_value(box: NDArray[np.float32], size: Sequence[int]) -> dict[str, float]:
    """Turn one pixel box (x0 y0 x1 y1) into Label Studio's percent value, kept in the image."""
    scale = 100.0 / np.array([size[0], size[1], size[0], size[1]], dtype=np.float64)
    x0, y0, x1, y1 = np.clip(box.astype(np.float64) * scale, 0.0, 100.0).round(4).tolist()
    return {
        "x": x0,
        "y": y0,
        "width": round(x1 - x0, 4),
        "height": round(y1 - y0, 4),
        "rotation": 0,
    }


def encode_boxes(
    control: Control,
    label: NDArray[np.int32],
    box: NDArray[np.float32],
    score: NDArray[np.float32],
    size: Sequence[int],
) -> Result:
    """Write one image's boxes as regions.

    Args:
        control: the control tag they belong to.
        label: int32 (R,), label index.
        box: float32 (R, 4), x0 y0 x1 y1, pixels.
        score: float32 (R,), confidence.
        size: width and height of the image, pixels.
    """
    return [
        _item(
            control,
            {**box_value(box[i], size), control.kind: [control.labels[label[i]]]},
            float(score[i]),
            size,
        )
        for i in range(len(label))
    ]


def encode_choice(control: Control, label: int, score: float) -> Result:
    """Write one image's class as a choice."""
    return [_item(control, {"choices": [control.labels[label]]}, score, None)]


def digest(results: Iterable[Result]) -> str:
    """Return 12 hex digits that change only when what the regions say changes.

    The editor writes numbers back with other last digits and regions in another order, so
    numbers are compared to 0.01 percent and order does not count.
    """
    said = sorted(
        json.dumps(
            [item.get("from_name"), item.get("type"), _coarse(item.get("value"))], sort_keys=True
        )
        for result in results
        for item in result
    )
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]


def _coarse(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        # The odd offset keeps values that people and programs round to off the bin edges.
        return int(np.floor(float(value) * 100 + 0.3717))
    if isinstance(value, Mapping):
        return {key: _coarse(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_coarse(part) for part in value]
    return value


def _item(
    control: Control, value: Mapping[str, Any], score: float, size: Sequence[int] | None
) -> dict[str, Any]:
    item: dict[str, Any] = {
        "from_name": control.name,
        "to_name": control.to_name,
        "type": control.kind,
        "value": dict(value),
        "score": round(score, 4),
    }
    if size is not None:
        item |= {"original_width": int(size[0]), "original_height": int(size[1])}
        item["image_rotation"] = 0
    # An id made from the content: the same prediction written twice is the same to the letter.
    item["id"] = hashlib.sha256(json.dumps(item, sort_keys=True).encode()).hexdigest()[:10]
    return item


def _first_name(value: Mapping[str, Any], control: Control) -> str:
    names = value.get(control.kind)
    first = names[0] if isinstance(names, list) and names else ""
    return first if isinstance(first, str) else ""


def _has_box(value: Mapping[str, Any]) -> bool:
    return all(isinstance(value.get(key), int | float) for key in ("x", "y", "width", "height"))


def _geometry(value: Mapping[str, Any]) -> tuple[float, float, float, float, float]:
    if not _has_box(value):
        return (np.nan, np.nan, np.nan, np.nan, 0.0)
    return (
        float(value["x"]),
        float(value["y"]),
        float(value["width"]),
        float(value["height"]),
        float(turn) if isinstance(turn := value.get("rotation"), int | float) else 0.0,
    )
