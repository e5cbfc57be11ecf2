"""More like this: inputs and regions by the vectors that the embedder gave them."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel

from ml_backend.labelstudio.config import Control
from ml_backend.web.access.permission import Access
from ml_backend.web.numbers import Id
from ml_backend.web.projects import OpenProject, Projects
from ml_backend.web.threads import Threads

__all__ = ["similar_api"]


class Similar(BaseModel):
    """A point that looks alike; ``region`` as in the points, -1 for a whole input."""

    task: int
    region: int
    distance: float


def similar_api(projects: Projects, access: Access, threads: Threads) -> APIRouter:
    """Return the route ``/api/projects/{project}/similar``.

    Args:
        projects: the projects.
        access: who says which project a caller may read.
        threads: where vectors are searched.
    """
    router = APIRouter(prefix="/api/projects/{project}", tags=["points"])

    @router.get("/similar")
    async def similar(
        project: Id,
        request: Request,
        task: Id,
        control: str = "",
        region: Annotated[int, Query(ge=-1)] = -1,
        k: Annotated[int, Query(ge=1, le=500)] = 60,
    ) -> list[Similar]:
        """What looks most like a point, nearest first; it itself is left out."""
        await access.require(request, project)
        opened = await threads.light(projects.open, project)
        tag = opened.control(control)
        return await threads.heavy(_search, opened, tag, task, region, k)

    return router


def _search(
    opened: OpenProject, control: Control, task: int, region: int, count: int
) -> list[Similar]:
    key = ""
    if region >= 0:
        places = _places(opened, control, [task]).get(task, [])
        key = places[region] if region < len(places) else ""
        if not key:
            raise HTTPException(404, f"task {task} has no region {region} that was embedded")
    found, keys, distance = opened.services.embeddings.nearest(
        opened.id, control.name, task, key, count
    )
    if not len(found):
        raise HTTPException(
            404,
            f"task {task} has no vector to compare: the project has no embedder, or no run has "
            "embedded the task yet",
        )
    if not key:
        return [
            Similar(task=one, region=-1, distance=far)
            for one, far in zip(found.tolist(), distance.tolist(), strict=True)
        ]
    places_of = _places(opened, control, found.tolist())
    return [
        Similar(task=one, region=places_of[one].index(place), distance=far)
        for one, place, far in zip(found.tolist(), keys, distance.tolist(), strict=True)
        # A region that was deleted since keeps its vector until the next run.
        if place in places_of.get(one, [])
    ]


def _places(opened: OpenProject, control: Control, tasks: list[int]) -> dict[int, list[str]]:
    """The keys of tasks' regions, in the order of the points."""
    wanted = np.unique(np.array(tasks, dtype=np.int64))
    columns = ("task", "control", "r_place")
    rows = opened.services.page.found(opened.id, control, wanted, columns)
    return dict(zip(rows["task"].to_pylist(), rows["r_place"].to_pylist(), strict=True))
