"""The HTTP interface to runs, for the review page and for scripts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from fastapi import APIRouter, HTTPException, Request

from ml_backend.errors import RunError
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.jobs.runs.run import Run
from ml_backend.web.access.owned import Name, known, permitted
from ml_backend.web.access.permission import Access
from ml_backend.web.numbers import Id

__all__ = ["runs_api"]


@dataclass(frozen=True, slots=True)
class Runs:
    """A project's runs, the newest first."""

    runs: list[Run]


def runs_api(book: RunBook, graph: RunGraph, access: Access) -> APIRouter:
    """Return the routes ``/api/projects/{project}/runs`` and ``/api/runs/{run}``.

    To cancel or retry a run is POST ``/api/runs/{run}/cancel`` or ``/api/runs/{run}/retry``; it
    answers with the run, or with 409 and the reason.

    Args:
        book: where runs are written down.
        graph: what moves runs.
        access: who says which project a caller may read or change.
    """
    router = APIRouter(prefix="/api")

    @router.get("/projects/{project}/runs")
    async def runs_of_project(project: Id, request: Request) -> Runs:
        await access.require(request, project)
        runs = await anyio.to_thread.run_sync(book.of_project, project)
        return Runs(runs)

    @router.get("/runs/{run}")
    async def one_run(run: Name, request: Request) -> Run:
        return await _permitted(run, request, access.require)

    @router.post("/runs/{run}/cancel")
    async def cancel(run: Name, request: Request) -> Run:
        return await _change(run, request, graph.cancel)

    @router.post("/runs/{run}/retry")
    async def retry(run: Name, request: Request) -> Run:
        return await _change(run, request, graph.retry)

    async def _change(run: str, request: Request, change: Callable[[str], Run]) -> Run:
        await _permitted(run, request, access.require_change)
        try:
            return await anyio.to_thread.run_sync(change, run)
        except RunError as error:
            raise HTTPException(409, str(error)) from error

    async def _permitted(
        run: str, request: Request, require: Callable[[Request, int], Awaitable[None]]
    ) -> Run:
        found: Run | None = await anyio.to_thread.run_sync(known, book.read, run)
        return await permitted(found, "run", request, require)

    return router
