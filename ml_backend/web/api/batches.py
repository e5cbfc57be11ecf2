"""How relabel batches stand."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from ml_backend.jobs.batches.progress import Progress
from ml_backend.jobs.batches.work import Batches
from ml_backend.web.access.permission import Access
from ml_backend.web.kept import Kept
from ml_backend.web.numbers import Id
from ml_backend.web.projects import Projects
from ml_backend.web.threads import Threads

__all__ = ["batches_api"]


class Batch(BaseModel):
    """How a relabel batch stands, in tasks.

    ``said`` tells how to mend each conflict, by task, and what else keeps an answer from going
    back, by "project/task" of the copy.
    """

    id: str
    project: int
    url: str
    sent: int
    open: int
    skipped: int
    ready: int
    done: int
    corrected: int
    confirmed: int
    superseded: int
    gone: int
    conflicts: int
    said: dict[str, str]


def batches_api(projects: Projects, access: Access, threads: Threads) -> APIRouter:
    """Return the route ``/api/projects/{project}/batches``.

    Args:
        projects: the projects.
        access: who says which project a caller may read.
        threads: where Redis and Label Studio are asked.
    """
    router = APIRouter(prefix="/api/projects/{project}", tags=["actions"])

    async def read(project: int) -> list[Progress]:
        return await threads.light(lambda: Batches(projects.services, project).progress())

    # An action may have changed them since: kept for those alone to whom that does not matter.
    standing = Kept(read, 0.0)

    @router.get("/batches")
    async def batches(
        project: Id, request: Request, response: Response, lately: bool = False
    ) -> list[Batch]:
        """The project's relabel batches as they stand in Label Studio."""
        await access.require(request, project)
        await threads.light(projects.open, project)
        made = await standing.get(project, lately=lately)
        response.headers.update(made.age)
        return [_batch(one, projects.url) for one in made.answer]

    return router


def _batch(one: Progress, url: str) -> Batch:
    said = asdict(one)
    conflicts, held = said.pop("conflicts"), said.pop("held")
    mends = {str(task): mend for task, mend in conflicts.items()}
    mends |= {f"{one.project}/{copy}": mend for copy, mend in held.items()}
    batch = said.pop("batch")
    place = f"{url}/projects/{one.project}/data"
    return Batch(id=batch, url=place, conflicts=len(conflicts), said=mends, **said)
