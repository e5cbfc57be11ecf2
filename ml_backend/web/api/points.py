"""Points, text search and saved views: what the review page draws and filters."""

from __future__ import annotations

import hashlib
import threading
from typing import Annotated, Final, Literal

import numpy as np
from cachetools import LRUCache
from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel

from ml_backend.labelstudio.config import Control
from ml_backend.storage.plane import Part, get_plane
from ml_backend.web import points
from ml_backend.web.access.permission import WHO, Access
from ml_backend.web.numbers import Id
from ml_backend.web.projects import OpenProject, Projects, shown_version
from ml_backend.web.threads import Threads

__all__ = ["points_api"]

_ARROW: Final = "application/vnd.apache.arrow.stream"
#: Of points that were made, what is kept: 1,000,000 are 60 MB.
_KEPT_BYTES: Final = 256 << 20
_MOST_FOUND: Final = 10_000


class Found(BaseModel):
    """Tasks that a search found; ``more`` where there are more than are named."""

    tasks: list[int]
    more: bool


def points_api(projects: Projects, access: Access, threads: Threads) -> APIRouter:
    """Return the routes ``/api/projects/{project}/points`` and ``.../search``.

    Args:
        projects: the projects.
        access: who says which project a caller may read.
        threads: where columns are put together.
    """
    router = APIRouter(prefix="/api/projects/{project}", tags=["points"])
    made = _Made()

    @router.get(
        "/points",
        response_class=Response,
        responses={200: {"content": {_ARROW: {}}}, 304: {}, 404: {}},
    )
    async def all_points(
        project: Id,
        request: Request,
        control: str = "",
        part: Literal["inputs", "regions"] = "inputs",
    ) -> Response:
        """All points as an Arrow IPC stream; see docs/api.md for its columns."""
        await access.require(request, project)
        opened = await threads.light(projects.open, project)
        tag = opened.control(control)
        people = await threads.light(projects.people)
        version = await threads.light(_version, opened, tag, part, people)
        headers = {"ETag": f'"{version}"', "Cache-Control": "private, no-cache", "Vary": WHO}
        if version in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=headers)
        body = await threads.heavy(made.get, opened, tag, part, people, version)
        if body is None:
            raise HTTPException(
                404,
                f"nothing of {tag.name!r} has been scored yet: press Start training in Label "
                f"Studio, run `relook analyze {project}`, or start a run here",
            )
        return Response(body, media_type=_ARROW, headers=headers)

    @router.get("/search")
    async def search(
        project: Id, request: Request, q: Annotated[str, Query(max_length=200)]
    ) -> Found:
        """Tasks by what stands in their texts, file names, tags and reasons, or by their id."""
        await access.require(request, project)
        text = q.strip()
        if not text:
            return Found(tasks=[], more=False)
        columns = projects.services.page
        found = await threads.heavy(columns.search, project, text, _MOST_FOUND + 1)
        if text.isdecimal() and len(text) < 18:
            one = np.array([int(text)], dtype=np.int64)
            known = await threads.light(columns.tasks, project, one, ("task",))
            found = np.union1d(known["task"].to_numpy(), found)
        return Found(tasks=found[:_MOST_FOUND].tolist(), more=len(found) > _MOST_FOUND)

    return router


def _version(opened: OpenProject, control: Control, part: Part, people: dict[int, str]) -> str:
    said = (
        *(opened.id, control.name, control.labels, part, sorted(people.items())),
        shown_version(opened.services, opened.id),
    )
    return hashlib.blake2b(repr(said).encode(), digest_size=12).hexdigest()


class _Made:
    """Points that were made, as bytes, by their version."""

    def __init__(self) -> None:
        self._kept = LRUCache[str, bytes](_KEPT_BYTES, getsizeof=len)
        self._lock = threading.Lock()
        self._making = threading.Lock()

    def get(
        self,
        opened: OpenProject,
        control: Control,
        part: Part,
        people: dict[int, str],
        version: str,
    ) -> bytes | None:
        # One at a time: two who ask for the same share the work, and a million rows fit twice.
        with self._making:
            with self._lock:
                kept = self._kept.get(version)
            if kept is not None:
                return kept
            services = opened.services
            plane = get_plane(services.store, opened.id, control.name, part)
            make = points.regions if part == "regions" else points.inputs
            table = make(services.page, opened.id, control, plane, people)
            if table is None:
                return None
            body = points.stream(table)
            with self._lock:
                if len(body) <= self._kept.maxsize:
                    self._kept[version] = body
            return body
