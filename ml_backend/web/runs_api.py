"""The HTTP interface to runs, for the review page and for scripts: read only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import anyio
from fastapi import APIRouter, HTTPException, Request

from ml_backend.jobs.runs import RunBook
from ml_backend.web.access import Access

__all__ = ["runs_api"]

_NO_PROJECT: Final = 0


def runs_api(book: RunBook, access: Access) -> APIRouter:
    """Return the routes ``/api/projects/{project}/runs`` and ``/api/runs/{run}``.

    Args:
        book: where runs are written down.
        access: who says which project a caller may read.
    """
    router = APIRouter(prefix="/api")

    @router.get("/projects/{project}/runs")
    async def runs_of_project(project: int, request: Request) -> dict[str, Any]:
        await access.require(request, project)
        runs = await anyio.to_thread.run_sync(book.of_project, project)
        return {"runs": [asdict(run) for run in runs]}

    @router.get("/runs/{run}")
    async def one_run(run: str, request: Request) -> dict[str, Any]:
        try:
            found = await anyio.to_thread.run_sync(book.read, run)
            await access.require(request, found.project)
        except KeyError:
            # Whose run it is not may not learn either that there is none.
            await access.require(request, _NO_PROJECT)
            raise HTTPException(403, "no access to this run") from None
        return asdict(found)

    return router
