"""Tags that people give tasks and regions, as Relook keeps them in one field of a task's data.

The field reads well in the Data Manager: ``blurred, check again, twin@12:aB3``. A tag of a region
names its annotation and the region's id.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from ml_backend.errors import SettingsError

__all__ = ["SEPARATOR", "check_tag", "join_tags", "split_tags"]

#: Stands between parts that people choose, none of which may hold it.
SEPARATOR: Final = "\x1f"

_LONGEST: Final = 50
_BETWEEN: Final = ", "
_OF_REGION: Final = re.compile(r"(?P<tag>.*)@(?P<annotation>\d+):(?P<region>[^@,]+)")

#: Annotation and region id to its tags.
RegionTags = Mapping[tuple[int, str], Sequence[str]]


def check_tag(tag: str) -> str:
    """Return a tag without spaces around it.

    Raises:
        SettingsError: when it cannot be one.
    """
    tag = tag.strip()
    if not tag or len(tag) > _LONGEST or "," in tag or "@" in tag or not tag.isprintable():
        raise SettingsError(
            f"tag {tag[:60]!r} must have 1 to {_LONGEST} characters, without a comma or @"
        )
    return tag


def split_tags(text: str) -> tuple[list[str], dict[tuple[int, str], list[str]]]:
    """Return the tags of a task, and those of its regions by annotation and region id."""
    of_task: list[str] = []
    of_regions: dict[tuple[int, str], list[str]] = defaultdict(list)
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _OF_REGION.fullmatch(part)
        if found:
            of_regions[int(found["annotation"]), found["region"]].append(found["tag"])
        else:
            of_task.append(part)
    return of_task, dict(of_regions)


def join_tags(of_task: Sequence[str], of_regions: RegionTags) -> str:
    """Return the field's text, the inverse of ``split_tags``; each tag once, in order."""
    parts = sorted(set(of_task))
    for (annotation, region), tags in sorted(of_regions.items()):
        parts += [f"{tag}@{annotation}:{region}" for tag in sorted(set(tags))]
    return _BETWEEN.join(parts)
