"""Which key points belong to one object, told by the regions that hold them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["object_numbers", "parents"]

#: Parents of parents looked at; a circle of them has no end.
_DEEPEST: Final = 8


def object_numbers(items: Sequence[Mapping[str, Any]], names: Sequence[str]) -> NDArray[np.int64]:
    """Number the objects of one annotation's key points.

    Points of one parent are one object, be it a region of another tag or one of the points. Of
    points that have none the n-th of each joint belongs to the n-th object, as people label one
    object after another. No object has a joint twice.

    Args:
        items: one control tag's points, P regions.
        names: the joint of each.

    Returns:
        int64 (P,), from 0 in order of first appearance.
    """
    up = {_text(item.get("id")): _text(item.get("parentID")) for item in items}
    holding = set(up.values()) & set(up)
    seen: Counter[tuple[str, str]] = Counter()
    numbers: dict[Hashable, int] = {}
    rows = []
    for item, name in zip(items, names, strict=True):
        holder = _holder(_text(item.get("id")), _text(item.get("parentID")), up, holding)
        nth = seen[holder, name]
        seen[holder, name] += 1
        rows.append(numbers.setdefault((holder, nth), len(numbers)))
    return np.array(rows, dtype=np.int64)


def parents(instance: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each point's parent, int64 (P,): the first point of its object, -1 for that itself.

    The editor shows such points as one branch of its list, and keeps them together.
    """
    _, first, which = np.unique(instance, return_index=True, return_inverse=True)
    parent: NDArray[np.int64] = first[which]
    return np.where(parent == np.arange(len(instance)), -1, parent)


def _holder(own: str, parent: str, up: Mapping[str, str], holding: set[str]) -> str:
    """What holds a point together with others: the topmost point above it, or another region."""
    for _ in range(_DEEPEST):
        if not parent or parent not in up:
            break
        own, parent = parent, up[parent]
    return own if own and own in holding else parent


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
