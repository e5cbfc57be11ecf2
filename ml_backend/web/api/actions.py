"""What is done with tasks: flag, clear, tag, send as a batch, approve; and undo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Final, Literal

import anyio
import numpy as np
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from ml_backend.errors import NotConnectedError
from ml_backend.jobs.acting.book import UNDER_WAY, Action, ActionBook, Wish
from ml_backend.jobs.acting.field_changes import FIELD_CHANGES, Refused
from ml_backend.jobs.acting.queueing import enqueue
from ml_backend.jobs.batches.orders import HERE, IN_BATCH
from ml_backend.jobs.batches.work import Batches
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.labelstudio.approvals import unlabelled_tasks
from ml_backend.review.approve import of_unknown
from ml_backend.web.access.owned import Name, known, permitted
from ml_backend.web.access.permission import Access
from ml_backend.web.api.action_request import ActionRequest, wish_of
from ml_backend.web.api.approval_preview import preview
from ml_backend.web.numbers import Id
from ml_backend.web.projects import Projects
from ml_backend.web.threads import Threads

__all__ = ["actions_api"]

_EXAMPLES: Final = 10
_ENDING: Final = frozenset({"sync", "withdraw", "take-back"})
#: Each is kept until it is done, with all that it names.
_MOST_WAITING: Final = 20


class DryRun(BaseModel):
    """What an action would do."""

    count: int
    examples: list[int]
    left_out: dict[str, int]
    notes: list[str] = Field([], description="What else is to be known before it is done.")


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
    batch: str = Field(description="The batch that it made, or took back; empty: none.")


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
        do = threads.light if wanted.filter is None else threads.heavy
        wish = await do(_meant, projects, project, wanted)
        await require_target(request, project, wish)
        if wanted.options.dry_run:
            would = await threads.heavy(_dry_run, projects, project, wish)
            return JSONResponse(would.model_dump())
        by = await access.name(request)
        return Begun(id=await anyio.to_thread.run_sync(_keep, mailbox, book, project, wish, by))

    @router.get("/projects/{project}/actions")
    async def listed(project: Id, request: Request) -> list[ActionState]:
        """The project's actions that are kept, the newest first."""
        await access.require(request, project)
        found = await threads.light(book.of_project, project)
        return [_state(one) for one in found]

    @router.get("/actions/{action}")
    async def one(action: Name, request: Request) -> ActionState:
        """An action as it stands."""
        return _state(await action_of(action, request, access.require))

    @router.post("/actions/{action}/undo", status_code=202)
    async def undo(action: Name, request: Request) -> Begun:
        """Take an action back, as far as nobody has changed since what it did."""
        found = await action_of(action, request, access.require_change)
        wish = await threads.light(known, book.wish, action)
        if wish is None:
            raise HTTPException(409, "this action is too long ago to be undone")
        # Where it went, which its name says, whatever the settings have come to say.
        target = found.batch.rpartition("-")[0] or HERE
        await require_target(request, found.project, replace(wish, to=target))
        if not await threads.light(book.claim_undo, found.id):
            raise HTTPException(409, "this action cannot be undone, or it is being undone")
        await threads.light(enqueue, mailbox, "undo", found.id)
        return Begun(id=found.id)

    async def action_of(
        action: str, request: Request, require: Callable[[Request, int], Awaitable[None]]
    ) -> Action:
        found: Action | None = await threads.light(known, book.read, action)
        return await permitted(found, "action", request, require)

    return router


def _target_check(
    projects: Projects, access: Access, threads: Threads
) -> Callable[[Request, int, Wish], Awaitable[None]]:
    """Tasks are not carried to, nor taken from, where their sender may not go."""

    async def require(request: Request, project: int, wish: Wish) -> None:
        if wish.action == "batch":
            # An admin of this project may have named any other in the settings.
            to = wish.to or (await threads.light(projects.open, project)).settings.batch_to
        else:
            # A batch in another project is named after it.
            to = wish.batch.rpartition("-")[0] if wish.action == "withdraw" else ""
        if not to.isdecimal():
            return
        try:
            await access.require_change(request, int(to))
        except HTTPException as error:
            if error.status_code != HTTPStatus.FORBIDDEN:
                raise
            said = f"the batch is for project {to}, which you may not change"
            raise HTTPException(HTTPStatus.FORBIDDEN, said) from None

    return require


def _state(action: Action) -> ActionState:
    return ActionState.model_validate(asdict(action))


def _meant(projects: Projects, project: int, wanted: ActionRequest) -> Wish:
    # What is under way may be ended in a project that was taken from us; nothing else is begun.
    if wanted.action not in _ENDING and not projects.services.mailbox.setup_of(project)[0]:
        raise NotConnectedError(project)
    sure = wanted.options.confidence
    if wanted.action == "approve" and sure is None:
        sure = projects.open(project).settings.approve_confidence
    wish = wish_of(wanted, sure)
    if wanted.filter is None:
        return wish
    tasks = unlabelled_tasks(projects.services.client, project, wanted.filter)
    return replace(wish, tasks=tuple(tasks.tolist()))


def _keep(mailbox: Mailbox, book: ActionBook, project: int, wish: Wish, by: str) -> str:
    waiting = [one for one in book.of_project(project) if one.state in UNDER_WAY]
    if len(waiting) >= _MOST_WAITING:
        raise HTTPException(429, f"{len(waiting)} actions of this project wait; let one end")
    tasks = {*wish.tasks, *(task for task, _ in wish.regions)}
    opened = book.open(project, wish, len(tasks), by)
    enqueue(mailbox, "act", opened.id)
    return opened.id


def _dry_run(projects: Projects, project: int, wish: Wish) -> DryRun:
    """What would be done, by what the store knows of the tasks."""
    tasks = np.unique([*wish.tasks, *(task for task, _ in wish.regions)]).astype(np.int64)
    if wish.action == "approve":
        found = preview(projects.open(project), tasks, wish.confidence)
        return DryRun(
            count=len(found.tasks),
            examples=found.tasks[:_EXAMPLES],
            left_out=found.left,
            notes=[note for note in [of_unknown(found.unknown)] if note],
        )
    rows = projects.services.page.tasks(project, tasks, ("task", "flag", "hand", "tags"))
    out: set[int] = set()
    if wish.action == "batch":
        out = Batches(projects.services, project).out(wish.tasks)
    left: Counter[str] = Counter()
    if len(tasks) > len(rows):
        left["not in this project, or not read yet"] = len(tasks) - len(rows)
    kept = []
    # Which regions hold a tag or a flag is not known here; a clearance is the whole task's.
    unknown = wish.regions and wish.action != "clear"
    change = None if unknown else FIELD_CHANGES.get(wish.action)
    for task, flag, hand, tags in zip(
        *(rows[name].to_pylist() for name in rows.schema.names), strict=True
    ):
        own = {"flag": flag, "hand": hand, "tags": ", ".join(tags.split("\n"))}
        made = change(own, wish.tag, []) if change else {}
        if isinstance(made, Refused):
            left[made.why] += 1
        elif task in out:
            left[IN_BATCH] += 1
        else:
            kept.append(task)
    return DryRun(count=len(kept), examples=kept[:_EXAMPLES], left_out=dict(left))
