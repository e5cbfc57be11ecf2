"""What somebody asks to be done with which tasks, and whether that can be meant."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import HTTPException
from pydantic import BaseModel, Field

from ml_backend.jobs.acting.book import Wish
from ml_backend.jobs.batches.orders import HERE, NEW
from ml_backend.labelstudio.tasks.tags import check_tag
from ml_backend.settings import QueueKind
from ml_backend.web.numbers import Id

__all__ = ["ActionRequest", "wish_of"]

_MOST: Final = 1_000_000
#: What an action is about: one of these, all others of tasks, regions or both.
_ABOUT: Final[dict[str, tuple[str, ...]]] = {
    "batch": ("tasks", "queue"),
    "approve": ("tasks", "filter"),
    "sync": (),
    "withdraw": (),
    "take-back": (),
}


class Options(BaseModel):
    """How an action is meant."""

    tag: str = Field("", max_length=200, description="The tag, for tag and untag.")
    to: str = Field(
        "",
        max_length=20,
        description="Where a batch goes: empty, new, here, or the id of a project.",
    )
    confidence: float | None = Field(
        None,
        ge=0.5,
        le=1,
        description="From where the model's word is enough to approve. None: the project's "
        "approve_confidence.",
    )
    control: str = Field("", max_length=200, description="Whose regions are meant.")
    batch: str = Field(
        "",
        max_length=100,
        description="The batch to withdraw, or of approvals to take back; empty: the newest of "
        "these.",
    )
    dry_run: bool = Field(False, description="Only say what would be done.")


class Queue(BaseModel, extra="forbid"):
    """What of the queue a batch takes, the most urgent first."""

    top: int | None = Field(
        None, ge=1, le=_MOST, description="How many from its top. None: the project's batch_size."
    )
    kinds: list[QueueKind] = Field(
        [], max_length=40, description="Only these kinds of findings; empty: all."
    )


class ActionRequest(BaseModel):
    """What is to be done with which tasks; regions are named as the points name them."""

    action: Literal[
        "flag", "clear", "tag", "untag", "batch", "approve", "sync", "withdraw", "take-back"
    ]
    tasks: list[Id] = Field([], max_length=_MOST)
    regions: list[tuple[Id, Id]] = Field([], max_length=_MOST)
    shown: list[tuple[Id, float, Id]] = Field(
        [],
        max_length=_MOST,
        description="Of tasks of regions: the task, its points' `updated`, and how many regions of "
        "it are points. One of which that does not hold any more is left out: its regions may have "
        "other places. Tasks that are not named are taken as they stand.",
    )
    queue: Queue | None = Field(None, description="Instead of tasks, for batch.")
    filter: dict[str, Any] | None = Field(
        None,
        description="Instead of tasks, for approve: what of those without a label a filter finds, "
        "as the Data Manager writes it. One without items finds all.",
    )
    options: Options = Options()


def wish_of(wanted: ActionRequest, sure: float | None) -> Wish:
    """Return what is asked for.

    Args:
        wanted: the request.
        sure: from where the model's word is enough to approve.

    Raises:
        HTTPException: 422 when it cannot be meant.
    """
    _require_clear(wanted)
    options, queue = wanted.options, wanted.queue or Queue()
    tag = check_tag(options.tag) if wanted.action in ("tag", "untag") else ""
    if options.to not in ("", NEW, HERE) and not options.to.isdecimal():
        raise HTTPException(422, f"to is {options.to!r}; allowed is new, here or a project's id")
    return Wish(
        action=wanted.action,
        tasks=tuple(sorted(set(wanted.tasks))),
        regions=tuple(sorted(set(wanted.regions))),
        shown=tuple(wanted.shown),
        tag=tag,
        to=options.to,
        confidence=sure or 1.0,
        control=options.control,
        top=queue.top,
        kinds=tuple(queue.kinds),
        batch=options.batch,
    )


def _require_clear(wanted: ActionRequest) -> None:
    action, about = wanted.action, _ABOUT.get(wanted.action)
    given = [
        name
        for name in ("tasks", "regions", "queue", "filter")
        if getattr(wanted, name) not in (None, [])
    ]
    allowed = ("tasks", "regions") if about is None else about
    wrong = [name for name in given if name not in allowed]
    if wrong:
        takes = f"name {' or '.join(allowed)}" if allowed else "name none"
        raise HTTPException(422, f"{action} is not about {wrong[0]}: {takes}")
    if allowed and not given:
        raise HTTPException(422, f"{action} of what? Name at least one in {' or '.join(allowed)}")
    if about and len(given) > 1:
        raise HTTPException(422, f"{' and '.join(given)} exclude each other: give one of them")
    if action == "withdraw" and not wanted.options.batch:
        raise HTTPException(422, "name the batch to withdraw in the options")
    if wanted.options.dry_run and (about == () or "queue" in given):
        raise HTTPException(422, f"{given[0] if given else action} has no dry run")
