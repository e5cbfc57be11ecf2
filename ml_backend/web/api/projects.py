"""Which projects a caller may see, and what each of them is made of."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

from ml_backend.jobs.runs.run import Run
from ml_backend.labelstudio.tasks.selection import select
from ml_backend.outlines import WITH_REGIONS, Geometry
from ml_backend.services import Services
from ml_backend.web.access.permission import Access
from ml_backend.web.numbers import NO_PROJECT, Id
from ml_backend.web.projects import OpenProject, Projects
from ml_backend.web.threads import Threads

__all__ = ["projects_api"]

#: Label Studio lists no more at once, whatever it is asked for.
_AT_ONCE: Final = 100
_LISTED: Final = f"/api/projects/?page_size={_AT_ONCE}&include=id,title,task_number&ids="
_MOST: Final = 1_000_000


class Summary(BaseModel):
    """One project of a list; ``url`` is where Label Studio shows it."""

    id: int
    title: str
    tasks: int
    url: str


class ControlInfo(BaseModel):
    """A control tag.

    ``scored``: whether there are points to show; ``threshold``: the confidence from which a
    prediction counts as one.
    """

    name: str
    geometry: Geometry
    labels: list[str]
    parts: list[str]
    scored: bool
    threshold: float


class ProjectInfo(Summary):
    """One project.

    ``threshold`` is the priority from which a task needs review, ``approve_confidence`` that from
    which the model's word is enough, ``batch_to`` where relabel batches go; ``may_change`` whether
    the caller may act, or only look.
    """

    controls: list[ControlInfo]
    threshold: float
    approve_confidence: float
    batch_to: str
    may_change: bool


class Over(BaseModel, extra="forbid"):
    """What of a project a run is over: one of these, or none for all of it.

    ``filter`` is as the Data Manager writes it, ``tab`` the id of one of its tabs.
    """

    filter: dict[str, Any] | None = None
    tab: Id | None = None
    tasks: list[Id] | None = Field(None, max_length=_MOST)


def projects_api(projects: Projects, access: Access, threads: Threads) -> APIRouter:
    """Return the routes ``/api/projects`` and ``/api/projects/{project}``.

    Args:
        projects: the projects.
        access: who says which project a caller may read or change.
        threads: where look-ups are done.
    """
    router = APIRouter(prefix="/api/projects", tags=["projects"])

    @router.get("")
    async def listed(request: Request) -> list[Summary]:
        # The newest first, as Label Studio has them; who is not signed in is told so all the same.
        known = (await threads.light(projects.services.mailbox.projects))[::-1] or [NO_PROJECT]
        found: dict[int, Summary] = {}
        for start in range(0, len(known), _AT_ONCE):
            some = known[start : start + _AT_ONCE]
            answer = await access.ask(request, _LISTED + ",".join(map(str, some)))
            found |= {
                one["id"]: Summary(
                    id=one["id"],
                    title=one.get("title") or "",
                    tasks=one.get("task_number") or 0,
                    url=f"{projects.url}/projects/{one['id']}/data",
                )
                for one in (answer.get("results", []) if isinstance(answer, dict) else answer)
                if one["id"] in some
            }
        return list(found.values())

    @router.get("/{project}")
    async def one(project: Id, request: Request) -> ProjectInfo:
        await access.require(request, project)
        may_change = await _may_change(request, project)
        opened = await threads.light(projects.open, project)
        return await threads.light(_info, opened, may_change)

    @router.post("/{project}/runs", status_code=202, tags=["runs"])
    async def start(project: Id, request: Request, over: Over | None = None) -> Run:
        """Begin a run; it takes the place of one under way."""
        await access.require_change(request, project)
        await threads.light(projects.open, project)
        return await threads.light(_start, projects.services, project, over or Over())

    async def _may_change(request: Request, project: int) -> bool:
        try:
            await access.require_change(request, project)
        except HTTPException as error:
            # Whatever else is wrong is no answer, and passes.
            if error.status_code != HTTPStatus.FORBIDDEN:
                raise
            return False
        return True

    return router


def _start(services: Services, project: int, over: Over) -> Run:
    chosen = select(services.client, project, over.filter, over.tab, over.tasks)
    return services.graph.start(project, chosen)


def _info(opened: OpenProject, may_change: bool) -> ProjectInfo:
    columns = opened.services.page
    controls = [
        ControlInfo(
            name=one.name,
            geometry=one.geometry,
            labels=list(one.labels),
            parts=["inputs", "regions"] if one.geometry in WITH_REGIONS else ["inputs"],
            scored=columns.any_found(opened.id, one),
            threshold=opened.threshold(one),
        )
        for one in opened.project.config.controls
    ]
    return ProjectInfo(
        id=opened.id,
        title=opened.project.title,
        tasks=opened.project.size,
        url=opened.address(),
        controls=controls,
        threshold=opened.settings.review_threshold,
        approve_confidence=opened.settings.approve_confidence,
        batch_to=opened.settings.batch_to,
        may_change=may_change,
    )
