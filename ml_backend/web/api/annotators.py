"""The HTTP interface to the report on annotators."""

from __future__ import annotations

from typing import Final

import anyio
from fastapi import APIRouter, Request, Response

from ml_backend.jobs.project.annotators import annotators
from ml_backend.review.feedback import Report
from ml_backend.review.feedback_csv import as_csv
from ml_backend.services import Services
from ml_backend.web.access.permission import Access
from ml_backend.web.kept import Kept, Made
from ml_backend.web.numbers import Id

__all__ = ["annotators_api"]

#: A report reads a whole project: the page and its CSV are made of one reading.
_HOLDS_S: Final = 30.0
_AT_ONCE: Final = 2


def annotators_api(services: Services, access: Access) -> APIRouter:
    """Return the routes ``/api/projects/{project}/annotators`` and ``annotators.csv``.

    Args:
        services: this process' parts.
        access: who says which project a caller may read.
    """
    router = APIRouter(prefix="/api/projects/{project}", tags=["annotators"])
    # Whole projects are read here: other requests keep their threads.
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def read(project: int) -> Report:
        return await anyio.to_thread.run_sync(annotators, services, project, limiter=limiter)

    reports = Kept(read, _HOLDS_S)

    async def permitted(project: int, request: Request, lately: bool) -> Made[Report]:
        await access.require(request, project)
        return await reports.get(project, lately=lately)

    @router.get("/annotators")
    async def as_json(
        project: Id, request: Request, response: Response, lately: bool = False
    ) -> Report:
        """What review has shown about each annotator."""
        made = await permitted(project, request, lately)
        response.headers.update(made.age)
        return made.answer

    @router.get("/annotators.csv")
    async def as_table(project: Id, request: Request, lately: bool = False) -> Response:
        """The same as CSV: a row per annotator, pair of mixed-up labels, week, and colleague."""
        made, name = await permitted(project, request, lately), f"annotators-{project}.csv"
        return Response(
            as_csv(made.answer),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"', **made.age},
        )

    return router
