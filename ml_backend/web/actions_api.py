"""What a reviewer does with a selection: flag, clear, tag, send as a batch, approve; and undo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Final, Literal

import anyio
import numpy as np
from fastapi import APIRouter, HTTPException, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ml_backend.jobs.action_book import KEPT, UNDER_WAY, Action, ActionBook, Wish, enqueue
from ml_backend.jobs.batch_orders import HERE, IN_BATCH, NEW
from ml_backend.jobs.batches import Batches
from ml_backend.jobs.field_changes import FIELD_CHANGES, Refused
from ml_backend.jobs.queue import Mailbox
from ml_backend.labelstudio.tags import check_tag
from ml_backend.web.access import Access
from ml_backend.web.approval_preview import preview
from ml_backend.web.numbers import Id
from ml_backend.web.projects import Projects
from ml_backend.web.threads import Threads

__all__ = ["actions_api"]

_NO_PROJECT: Final = 0
_MOST: Final = 1_000_000
_EXAMPLES: Final = 10
#: Each is kept until it is done, with all that it names.
_MOST_WAITING: Final = 20
ActionId = Annotated[str, Path(pattern="^[0-9a-z]{1,40}$")]


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
    dry_run: bool = Field(False, description="Only say what would be done.")


class ActionRequest(BaseModel):
    """What is to be done with which tasks; regions are named as the points name them."""

    action: Literal["flag", "clear", "tag", "untag", "batch", "approve"]
    tasks: list[Id] = Field([], max_length=_MOST)
    regions: list[tuple[Id, Id]] = Field([], max_length=_MOST)
    options: Options = Options()


class DryRun(BaseModel):
    """What an action would do."""

    count: int
    examples: list[int]
    left_out: dict[str, int]


class Begun(BaseModel):
    """An action that was begun; its progress comes as events."""

    id: str


class ActionState(BaseModel):
    """An action as it stands."""

    id: str
    project: int
    action: str
    state: Literal["queued", "doing", "done", "failed", "undoing", "undone"]
    done: int
    total: int
    said: str
    by: str
    ended: float = Field(description="Seconds since 1970, 0 while it goes on.")
    undoable: bool


def actions_api(projects: Projects, access: Access, threads: Threads) -> APIRouter:
    """Return the routes of actions.

    Args:
        projects: the projects.
        access: who says which project a caller may change.
        threads: where Redis and Label Studio are asked.
    """
    router = APIRouter(prefix="/api", tags=["actions"])
    mailbox = projects.services.mailbox
    book = ActionBook(mailbox.redis)
    require_target = _target_check(projects, access, threads)

    @router.post(
        "/projects/{project}/actions",
        status_code=202,
        response_model=Begun,
        responses={200: {"model": DryRun}},
    )
    async def begin(project: Id, wanted: ActionRequest, request: Request) -> Begun | Response:
        """Begin an action, or say what it would do."""
        await access.require_change(request, project)
        sure = wanted.options.confidence
        if wanted.action == "approve" and sure is None:
            opened = await threads.light(projects.open, project)
            sure = opened.settings.approve_confidence
        wish = _wish(wanted, sure)
        await require_target(request, project, wish)
        if wanted.options.dry_run:
            found = await threads.heavy(_dry_run, projects, project, wish)
            return JSONResponse(found.model_dump())
        by = await access.name(request)
        return Begun(id=await anyio.to_thread.run_sync(_keep, mailbox, book, project, wish, by))

    @router.get("/projects/{project}/actions")
    async def listed(project: Id, request: Request) -> list[ActionState]:
        """The project's newest actions, the newest first."""
        await access.require(request, project)
        found = await threads.light(book.of_project, project)
        return [ActionState.model_validate(asdict(one)) for one in found]

    @router.post("/actions/{action}/undo", status_code=202)
    async def undo(action: ActionId, request: Request) -> Begun:
        """Take an action back, as far as nobody has changed since what it did."""
        found, wish = await threads.light(_written_down, book, action)
        # Whose action it is not may not learn either that there is none.
        await access.require_change(request, found.project if found else _NO_PROJECT)
        if found is None:
            raise HTTPException(403, "no access to this action")
        if wish is None:
            raise HTTPException(409, "this action is too long ago to be undone")
        await require_target(request, found.project, wish)
        if not await threads.light(book.claim_undo, found.id):
            raise HTTPException(409, "this action cannot be undone, or it is being undone")
        await threads.light(enqueue, mailbox, "undo", found.id)
        return Begun(id=found.id)

    return router


def _target_check(
    projects: Projects, access: Access, threads: Threads
) -> Callable[[Request, int, Wish], Awaitable[None]]:
    """Tasks are not carried to, nor taken from, where their sender may not go."""

    async def require(request: Request, project: int, wish: Wish) -> None:
        if wish.action != "batch":
            return
        # An admin of this project may have named any other in the settings.
        to = wish.to or (await threads.light(projects.open, project)).settings.batch_to
        if to.isdecimal():
            await access.require_change(request, int(to))

    return require


def _keep(mailbox: Mailbox, book: ActionBook, project: int, wish: Wish, by: str) -> str:
    waiting = [one for one in book.of_project(project, KEPT) if one.state in UNDER_WAY]
    if len(waiting) >= _MOST_WAITING:
        raise HTTPException(429, f"{len(waiting)} actions of this project wait; let one end")
    tasks = {*wish.tasks, *(task for task, _ in wish.regions)}
    opened = book.open(project, wish, len(tasks), by)
    enqueue(mailbox, "act", opened.id)
    return opened.id


def _written_down(book: ActionBook, action: str) -> tuple[Action | None, Wish | None]:
    try:
        found = book.read(action)
    except KeyError:
        return None, None
    try:
        return found, book.wish(action)
    except KeyError:
        return found, None


def _wish(wanted: ActionRequest, sure: float | None) -> Wish:
    options = wanted.options
    if not wanted.tasks and not wanted.regions:
        raise HTTPException(422, "name at least one task in tasks, or a region in regions")
    if wanted.regions and wanted.action not in FIELD_CHANGES:
        raise HTTPException(422, f"{wanted.action} is about tasks: name them in tasks")
    tag = check_tag(options.tag) if wanted.action in ("tag", "untag") else ""
    if options.to not in ("", NEW, HERE) and not options.to.isdecimal():
        raise HTTPException(422, f"to is {options.to!r}; allowed is new, here or a project's id")
    return Wish(
        action=wanted.action,
        tasks=tuple(sorted(set(wanted.tasks))),
        regions=tuple(sorted(set(wanted.regions))),
        tag=tag,
        to=options.to,
        confidence=sure or 1.0,
        control=options.control,
    )


def _dry_run(projects: Projects, project: int, wish: Wish) -> DryRun:
    """What would be done, by what the store knows of the tasks."""
    tasks = np.unique([*wish.tasks, *(task for task, _ in wish.regions)]).astype(np.int64)
    if wish.action == "approve":
        count, examples, why = preview(projects.open(project), tasks, wish.confidence)
        return DryRun(count=count, examples=examples[:_EXAMPLES], left_out=why)
    rows = projects.services.page.tasks(project, tasks, ("task", "flag", "tags"))
    out: set[int] = set()
    if wish.action == "batch":
        out = Batches(projects.services, project).out(wish.tasks)
    left: Counter[str] = Counter()
    if len(tasks) > len(rows):
        left["not in this project, or not read yet"] = len(tasks) - len(rows)
    kept = []
    change = FIELD_CHANGES.get(wish.action)
    for task, flag, tags in zip(
        *(rows[name].to_pylist() for name in rows.schema.names), strict=True
    ):
        own = {"flag": flag, "tags": ", ".join(tags.split("\n"))}
        made = change(own, wish.tag, []) if change and not wish.regions else {}
        if isinstance(made, Refused):
            left[made.why] += 1
        elif task in out:
            left[IN_BATCH] += 1
        else:
            kept.append(task)
    return DryRun(count=len(kept), examples=kept[:_EXAMPLES], left_out=dict(left))
