"""Label Studio's regions as columns and back: the one place that knows their JSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.regions.keypoints import object_numbers, parents
from ml_backend.labelstudio.regions.values import read_place, read_size, write_places
from ml_backend.outlines import Outlines

__all__ = [
    "Labels",
    "Result",
    "decode",
    "digest",
    "encode",
    "encode_choices",
    "encode_each",
]

Result = list[dict[str, Any]]

#: ``json.dumps`` makes an encoder anew for each region.
_sorted: Final = json.JSONEncoder(sort_keys=True).encode

#: What stands in a value is looked at down to this depth; no region of Label Studio goes deeper.
_DEEPEST: Final = 20
#: Numbers beyond this, and NaN, are no place in anything.
_FAR: Final = 1e12
#: Stands for the labels of a region that carries more than one; the name of none.
_SEVERAL: Final = ""
#: What the editor adds when it saves a region that another tool wrote without it.
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "rectanglelabels": {"rotation": 0},
    "polygonlabels": {"closed": True},
    "brushlabels": {"format": "rle"},
}


@dataclass(frozen=True, slots=True)
class Labels:
    """What people said with one control tag, R rows.

    Attributes:
        annotation: int64 (R,), row of the annotation table it was read with.
        item: int64 (R,), the region's place in its annotation; several choices share one.
        label: int32 (R,), label index; -1 where the config has no such label, and where a region
            that is no choice carries several.
        outline: where each region is, in Label Studio's units: lengths in per cent of the image,
            masks in pixels of the image that the annotator saw, spans in characters.
        size: int32 (R, 2), width and height of its image as each region states them, pixels; zeros
            where it states none. Imports may misstate them.
    """

    annotation: NDArray[np.int64]
    item: NDArray[np.int64]
    label: NDArray[np.int32]
    outline: Outlines
    size: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.annotation)

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Labels:
        """Return the chosen rows (an index or a mask), in that order."""
        return Labels(
            self.annotation[rows],
            self.item[rows],
            self.label[rows],
            self.outline.take(rows),
            self.size[rows],
        )

    def sizes(self, count: int) -> NDArray[np.int32]:
        """Return the image size of each of N annotations, int32 (N, 2).

        It is what the first of its regions that states one says, zeros where none does.
        """
        size = np.zeros((count, 2), dtype=np.int32)
        said = self.size.all(axis=1)
        rows, first = np.unique(self.annotation[said], return_index=True)
        size[rows] = self.size[said][first]
        return size


def decode(control: Control, results: Sequence[Result]) -> Labels:
    """Read one control tag's regions out of many annotations' results.

    Regions that lack what they need (a foreign tool's import) are left out: they cannot be scored.
    """
    index = {label: i for i, label in enumerate(control.labels)}
    annotation, item, label = [], [], []
    places: list[NDArray[np.float64]] = []
    sizes: list[tuple[int, int]] = []
    for row, result in enumerate(results):
        for at, names, place in _regions(control, result):
            size = read_size(result[at])
            for name in names:
                sizes.append(size)
                annotation.append(row)
                item.append(at)
                label.append(index.get(name, -1))
                places.append(place)
    return Labels(
        np.array(annotation, dtype=np.int64),
        np.array(item, dtype=np.int64),
        np.array(label, dtype=np.int32),
        Outlines.of_rows(places),
        np.array(sizes, dtype=np.int32).reshape(-1, 2),
    )


def encode(
    control: Control,
    label: NDArray[np.int32],
    score: NDArray[np.float32],
    outline: Outlines,
    size: Sequence[int],
    text: str | None = None,
) -> Result:
    """Write one input's regions; those of which nothing lies inside it are left out.

    Args:
        control: the control tag they belong to; not for choices.
        label: int32 (R,), label index.
        score: float32 (R,), confidence.
        outline: R regions, pixels or characters.
        size: width and height of the image, pixels; zeros for a text.
        text: the text itself, where it is known: what a span covers is written beside it.
    """
    one = np.zeros(len(label), dtype=np.int64)
    sizes = np.array([size], dtype=np.int32)
    return encode_each(control, one, label, score, outline, sizes, [text])[0]


def encode_each(
    control: Control,
    item: NDArray[np.int64],
    label: NDArray[np.int32],
    score: NDArray[np.float32],
    outline: Outlines,
    size: NDArray[np.int32],
    texts: Sequence[str | None],
) -> list[Result]:
    """Write the regions of N inputs, each as ``encode`` does.

    Args:
        control: the control tag they belong to; not for choices.
        item: int64 (R,), row of the input each region lies in, ascending.
        label: int32 (R,), label index.
        score: float32 (R,), confidence.
        outline: R regions, pixels or characters.
        size: int32 (N, 2), width and height of each image, pixels; zeros for texts.
        texts: N texts, None where one is not known.
    """
    written = write_places(control.geometry, outline, size[item], [texts[n] for n in item])
    items = [
        _item(control, {**place, control.kind: [control.labels[kind]]}, sure, sides)
        if place
        else {}
        for place, kind, sure, sides in zip(
            written, label.tolist(), score.tolist(), size[item].tolist(), strict=True
        )
    ]
    number = outline.table(3)[:, 2].astype(np.int64) if control.geometry == "point" else None
    results = []
    for begin, end in pairwise(np.searchsorted(item, np.arange(len(size) + 1)).tolist()):
        some = items[begin:end]
        if number is None:
            _name(some)
        else:
            _hold_together(some, number[begin:end])
        results.append([one for one in some if one])
    return results


def encode_choices(control: Control, labels: Sequence[int], score: float) -> Result:
    """Write one input's classes as a single region; none give no region."""
    if not labels:
        return []
    item = _item(control, {"choices": [control.labels[label] for label in labels]}, score, (0, 0))
    _name([item])
    return [item]


def digest(results: Iterable[Result]) -> str:
    """Return 12 hex digits that change only when what the regions say changes.

    The editor writes numbers back with other last digits, masks with other bytes and regions in
    another order, so numbers are compared to 0.01 percent, masks by their pixels, and order does
    not count.
    """
    said = sorted(
        json.dumps(_coarse([item.get("from_name"), item.get("type"), _said(item)]), sort_keys=True)
        for result in results
        for item in result
        if isinstance(item, dict)
    )
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]


def _regions(control: Control, result: Result) -> list[tuple[int, list[str], NDArray[np.float64]]]:
    """Place in the result, names of the labels, and outline of each region of one control tag."""
    found = [
        (at, names, place)
        for at, item in enumerate(result)
        if isinstance(item, dict)
        and item.get("from_name") == control.name
        and (names := _names(control, item.get("value")))
        and (place := read_place(control.geometry, item)) is not None
    ]
    if control.geometry != "point":
        return found
    items = [result[at] for at, _, _ in found]
    number = object_numbers(items, [names[0] for _, names, _ in found])
    return [
        (at, names, np.append(place, nth))
        for (at, names, place), nth in zip(found, number, strict=True)
    ]


def _names(control: Control, value: Any) -> list[str]:
    """The labels that a region is judged by: all of several choices, else at most one."""
    said = value.get(control.kind) if isinstance(value, dict) else None
    if not isinstance(said, list):
        return []
    names = list(dict.fromkeys(name for name in said if name and isinstance(name, str)))
    if control.multiple or len(names) <= 1:
        return names
    # A model says one class of a place, which is no word against two that people gave it.
    return names[:1] if control.geometry == "choice" else [_SEVERAL]


def _item(
    control: Control, value: Mapping[str, Any], score: float, size: Sequence[int]
) -> dict[str, Any]:
    item: dict[str, Any] = {
        "from_name": control.name,
        "to_name": control.to_name,
        "type": control.kind,
        "value": dict(value),
        "score": round(float(score), 4),
    }
    if control.reads == "image" and all(size):
        item |= {"original_width": int(size[0]), "original_height": int(size[1])}
        item["image_rotation"] = 0
    return item


def _name(items: Result) -> None:
    """Give regions ids made from the content: the same prediction is the same to the letter."""
    seen: Counter[str] = Counter()
    for item in items:
        if item:
            content = _sorted(item)
            # The editor takes two regions of one id for one region with two results.
            again = f"{seen[content]}" if seen[content] else ""
            seen[content] += 1
            item["id"] = hashlib.sha256((content + again).encode()).hexdigest()[:10]


def _hold_together(items: Result, instance: NDArray[np.int64]) -> None:
    """Name points and put those of one object below its first: see ``object_numbers``."""
    parent = parents(instance)
    _name([item for item, above in zip(items, parent, strict=True) if above < 0])
    for item, above in zip(items, parent.tolist(), strict=True):
        if above >= 0:
            item["parentID"] = items[above]["id"]
    _name([item for item, above in zip(items, parent, strict=True) if above >= 0])


def _said(item: Mapping[str, Any]) -> Any:
    """What one region says, without what the editor adds or writes anew."""
    value, kind = item.get("value"), item.get("type")
    if not isinstance(value, dict) or not isinstance(kind, str):
        return value
    value = {**_DEFAULTS.get(kind, {}), **value}
    if "rle" in value and (mask := read_place("mask", item)) is not None:
        value["rle"] = hashlib.sha256(mask.tobytes()).hexdigest()
    if kind == "labels" and "start" in value:
        # What a span covers follows from where it is.
        value = {key: part for key, part in value.items() if key not in ("text", "globalOffsets")}
    return value


def _coarse(value: Any, depth: int = 0) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        # The odd offset keeps values that people and programs round to off the bin edges.
        return math.floor(float(value) * 100 + 0.3717) if -_FAR < value < _FAR else "far"
    if isinstance(value, Mapping | list) and depth == _DEEPEST:
        return "deep"
    if isinstance(value, Mapping):
        return {key: _coarse(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [_coarse(part, depth + 1) for part in value]
    return value
