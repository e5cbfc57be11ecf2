"""The HTTP interface to the report on annotators."""

from __future__ import annotations

import threading
from functools import partial
from typing import Final

import anyio
from cachetools import TTLCache
from fastapi import APIRouter, Request, Response

from ml_backend.jobs.annotators import annotators
from ml_backend.review.feedback import Report
from ml_backend.review.feedback_csv import as_csv
from ml_backend.services import Services
from ml_backend.web.access import Access
from ml_backend.web.numbers import Id

__all__ = ["annotators_api"]

#: A report reads a whole project: the page and its CSV are made of one reading.
_HOLDS_S: Final = 30.0
_MOST_KEPT: Final = 20
_AT_ONCE: Final = 2


def annotators_api(services: Services, access: Access) -> APIRouter:
    """Return the routes ``/api/projects/{project}/annotators`` and ``annotators.csv``.

    Args:
        services: this process' parts.
        access: who says which project a caller may read.
    """
    router = APIRouter(prefix="/api/projects/{project}", tags=["annotators"])
    reports = _Reports(services)
    # Whole projects are read here: other requests keep their threads.
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def permitted(project: int, request: Request) -> Report:
        await access.require(request, project)
        return await anyio.to_thread.run_sync(partial(reports.get, project), limiter=limiter)

    @router.get("/annotators")
    async def as_json(project: Id, request: Request) -> Report:
        """What review has shown about each annotator."""
        return await permitted(project, request)

    @router.get("/annotators.csv")
    async def as_table(project: Id, request: Request) -> Response:
        """The same as CSV: a row per annotator, and one per pair of labels that they mix up."""
        name = f"annotators-{project}.csv"
        return Response(
            as_csv(await permitted(project, request)),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    return router


class _Reports:
    """Reports, kept for a moment."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kept = TTLCache[int, Report](_MOST_KEPT, _HOLDS_S)
        self._lock = threading.Lock()

    def get(self, project: int) -> Report:
        with self._lock:
            known = self._kept.get(project)
        if known is None:
            known = annotators(self._services, project)
            with self._lock:
                self._kept[project] = known
        return known
