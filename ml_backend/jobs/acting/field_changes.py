"""What each action makes of one task's own fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ml_backend.labelstudio.tasks.own_fields import OwnFields
from ml_backend.labelstudio.tasks.tags import join_tags, split_tags
from ml_backend.review.decide import NEEDS_REVIEW, VERDICTS
from ml_backend.review.hand import CLEARED, join_reason, split_reason
from ml_backend.settings import QueueKind

__all__ = ["FIELD_CHANGES", "Refused"]

#: What stands as kind and reason where scoring has found nothing.
_KIND: Final[QueueKind] = "flagged"
_REASON: Final = "flagged by hand"


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a task is left out."""

    why: str


Regions = Sequence[tuple[int, str]]
Change = Callable[[OwnFields, str, Regions], OwnFields | Refused]


def _flag(own: OwnFields, _: str, regions: Regions) -> OwnFields | Refused:
    fresh: OwnFields = {}
    if own.get("flag") in VERDICTS:
        # What was answered is no reason to look again, and its score no lesson of the next answer.
        fresh = {"priority": 0.0, "kind": "", "reason": "", "seen": ""}
    stood = own | fresh
    # The flag is the task's; what it is about is said.
    words, named = split_reason(str(stood.get("reason") or ""))
    new = [region for _, region in regions if region not in named]
    if own.get("flag") == own.get("hand") == NEEDS_REVIEW and not new:
        return Refused("needs review already")
    about = [*named, *new]
    return fresh | {
        "hand": NEEDS_REVIEW,
        "kind": stood.get("kind") or _KIND,
        "reason": join_reason("" if words == _REASON else words, about) or _REASON,
        "flag": NEEDS_REVIEW,
    }


def _clear(own: OwnFields, _: str, __: Regions) -> OwnFields | Refused:
    if own.get("flag") != NEEDS_REVIEW:
        return Refused("does not need review")
    return {"hand": CLEARED, "priority": 0.0, "kind": "", "reason": "", "flag": ""}


def _tag(own: OwnFields, tag: str, regions: Regions) -> OwnFields | Refused:
    text = str(own.get("tags") or "")
    of_task, of_regions = split_tags(text)
    if regions:
        for region in regions:
            of_regions.setdefault(region, []).append(tag)
    else:
        of_task.append(tag)
    return _tags(text, join_tags(of_task, of_regions), "has the tag already")


def _untag(own: OwnFields, tag: str, regions: Regions) -> OwnFields | Refused:
    text = str(own.get("tags") or "")
    of_task, of_regions = split_tags(text)
    if regions:
        for region in regions:
            of_regions[region] = [one for one in of_regions.get(region, []) if one != tag]
    else:
        of_task = [one for one in of_task if one != tag]
    return _tags(text, join_tags(of_task, of_regions), "does not have the tag")


def _tags(before: str, after: str, why: str) -> OwnFields | Refused:
    return Refused(why) if after == before else {"tags": after}


FIELD_CHANGES: Final[Mapping[str, Change]] = {
    "flag": _flag,
    "clear": _clear,
    "tag": _tag,
    "untag": _untag,
}
