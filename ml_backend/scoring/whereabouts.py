"""Where a finding is, in words: among ten 3s a reviewer must know which one is meant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE, Findings
from ml_backend.outlines import Outlines, boxes
from ml_backend.scoring.columns import Units

__all__ = ["whereabouts"]

#: By thirds of the picture, row by row.
_PLACES: Final = (
    *("top left", "top", "top right"),
    *("left", "middle", "right"),
    *("bottom left", "bottom", "bottom right"),
)
_THIRDS: Final = 3
_MOST_TEXT: Final = 40


def whereabouts(units: Units, found: Findings, texts: Sequence[str | None]) -> list[str]:
    """Say where each finding is: the third of the picture, or the words that a span covers.

    Label Studio's own numbers of regions follow the order that its list is sorted in.

    Args:
        units: what they were found in.
        found: F findings.
        texts: of each of the U units, the text that it is of, where there is one.

    Returns:
        F places, "" where there is none to say.
    """
    geometry = units.table.control.geometry
    if geometry == "choice" or not len(found):
        return [""] * len(found)
    outline = _outlines(units, found)
    if geometry == "span":
        ends: Sequence[Sequence[int]] = outline.table(2).astype(np.int64).tolist()
        of = [texts[unit] for unit in found.task.tolist()]
        return [_quoted(text, *span) for text, span in zip(of, ends, strict=True)]
    return _thirds(boxes(geometry, outline), units.model.size[found.task])


def _outlines(units: Units, found: Findings) -> Outlines:
    """What each finding is about: the person's region, or the model's where the person has none."""
    both = Outlines.concatenate([units.labels.outline, units.model.outline])
    people = found.annotation != NONE
    return both.take(np.where(people, found.annotation, len(units.given) + found.prediction))


def _thirds(box: NDArray[np.float32], size: NDArray[np.int32]) -> list[str]:
    centre = (box[:, :2] + box[:, 2:]) / 2
    third = (_THIRDS * centre / np.maximum(size, 1)).astype(np.int64).clip(0, _THIRDS - 1)
    names = np.array(_PLACES)[third[:, 1] * _THIRDS + third[:, 0]]
    said: list[str] = np.where(size.all(axis=1), names, "").tolist()
    return said


def _quoted(text: str | None, start: int, end: int) -> str:
    words = " ".join((text or "")[start:end].split())
    more = "…" if len(words) > _MOST_TEXT else ""
    return f"“{words[:_MOST_TEXT]}{more}”" if words else ""
