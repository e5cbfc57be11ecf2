"""What happens in a project while somebody looks at it, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import redis
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse

from ml_backend.errors import RelookError
from ml_backend.jobs.action_book import ActionBook
from ml_backend.services import Services
from ml_backend.web.access import Access
from ml_backend.web.server import stopping
from ml_backend.web.threads import Threads

__all__ = ["events_api"]

_LOOK_S: Final = 1.0
_BEAT_S: Final = 15.0
#: Points change with every page of a run: nobody wants a million again each second.
_POINTS_S: Final = 5.0
#: Who has lost the project meanwhile is told no more.
_ASKED_S: Final = 60.0
_MOST_RUNS: Final = 3
_MOST_ACTIONS: Final = 10


@dataclass(slots=True)
class _Looker:
    """What one page was told last."""

    services: Services
    project: int
    told: dict[str, str] = field(default_factory=dict)
    points: str = ""
    points_at: float = 0.0

    def news(self) -> list[str]:
        """Return what has changed, as events."""
        services = self.services
        found = []
        for run in services.runs.ids_of(self.project)[:_MOST_RUNS]:
            try:
                found += self._news("run", run, asdict(services.runs.read(run)))
            except KeyError:
                continue
        for action in ActionBook(services.mailbox.redis).of_project(self.project, _MOST_ACTIONS):
            found += self._news("action", action.id, asdict(action))
        version = services.page.version(self.project)
        now = time.monotonic()
        if version != self.points and now - self.points_at >= _POINTS_S:
            if self.points:
                found.append(_event("points", {"version": version}))
            self.points, self.points_at = version, now
        return found

    def _news(self, kind: str, name: str, record: dict[str, Any]) -> list[str]:
        text = _event(kind, record)
        if self.told.get(name) == text:
            return []
        self.told[name] = text
        return [text]


def events_api(services: Services, access: Access, threads: Threads) -> APIRouter:
    """Return the route ``/api/projects/{project}/events``.

    Args:
        services: this process' parts.
        access: who says which project a caller may read.
        threads: where Redis and the store are looked at.
    """
    router = APIRouter(prefix="/api/projects/{project}", tags=["events"])

    @router.get("/events", response_class=StreamingResponse)
    async def events(project: int, request: Request) -> StreamingResponse:
        """Events `run`, `action` and `points`, when something changed."""
        await access.require(request, project)

        async def told() -> AsyncIterator[str]:
            looker = _Looker(services, project)
            yield "retry: 3000\n\n"
            beat = asked = time.monotonic()
            while not stopping.is_set():
                now = time.monotonic()
                if now - asked >= _ASKED_S:
                    asked = now
                    try:
                        await access.require(request, project)
                    except HTTPException as error:
                        if error.status_code < 500:
                            return
                try:
                    news = await threads.light(looker.news)
                except (redis.RedisError, OSError, RelookError):
                    news = []
                for one in news:
                    yield one
                if news or now - beat >= _BEAT_S:
                    beat = now
                    yield ": beat\n\n"
                await asyncio.sleep(_LOOK_S)

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(told(), media_type="text/event-stream", headers=headers)

    return router


def _event(kind: str, record: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(record)}\n\n"
