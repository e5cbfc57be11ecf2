"""What happens in a project while somebody looks at it, as server-sent events."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import redis
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import StreamingResponse

from ml_backend.errors import RelookError
from ml_backend.jobs.acting.book import UNDER_WAY, Action, ActionBook
from ml_backend.services import Services
from ml_backend.web.access.permission import Access
from ml_backend.web.numbers import Id
from ml_backend.web.projects import shown_version
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
#: Each page that looks is a look at Redis a second.
_MOST_LOOKING: Final = 300
_MOST_OF_ONE: Final = 20
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
        for action in reversed(self._actions()):
            found += self._news("action", action.id, asdict(action))
        version = shown_version(services, self.project)
        now = time.monotonic()
        if version != self.points and now - self.points_at >= _POINTS_S:
            if self.points:
                found.append(_event("points", {"version": version}))
            self.points, self.points_at = version, now
        return found

    def _actions(self) -> list[Action]:
        """Return the newest actions, those under way, and those whose end is to be told."""
        kept = ActionBook(self.services.mailbox.redis).of_project(self.project)
        newest, older = kept[:_MOST_ACTIONS], kept[_MOST_ACTIONS:]
        return newest + [one for one in older if one.state in UNDER_WAY or one.id in self.told]

    def _news(self, kind: str, name: str, record: dict[str, Any]) -> list[str]:
        text = _event(kind, record)
        if self.told.get(name) == text:
            return []
        self.told[name] = text
        return [text]


class _Pages:
    """How many pages look at once, by caller."""

    def __init__(self) -> None:
        self._looking: Counter[str] = Counter()

    def full(self, who: str) -> bool:
        """Tell whether a caller may open no more."""
        return self._looking[who] >= _MOST_OF_ONE or self._looking.total() >= _MOST_LOOKING

    @contextmanager
    def one(self, who: str) -> Iterator[None]:
        """Count a page while the body runs."""
        self._looking[who] += 1
        try:
            yield
        finally:
            self._looking -= Counter({who: 1})


def events_api(services: Services, access: Access, threads: Threads) -> APIRouter:
    """Return the route ``/api/projects/{project}/events``.

    Args:
        services: this process' parts.
        access: who says which project a caller may read.
        threads: where Redis and the store are looked at.
    """
    router = APIRouter(prefix="/api/projects/{project}", tags=["events"])
    pages = _Pages()

    @router.get("/events", response_class=StreamingResponse)
    async def events(project: Id, request: Request) -> StreamingResponse:
        """Events `run`, `action` and `points`, when something changed."""
        await access.require(request, project)
        who = _who(request)
        if pages.full(who):
            raise HTTPException(429, "too many open pages; close one", {"Retry-After": "30"})

        async def told() -> AsyncIterator[str]:
            with pages.one(who):
                async for one in _told(_Looker(services, project), threads, still_allowed):
                    yield one

        async def still_allowed() -> bool:
            try:
                await access.require(request, project)
            except HTTPException as error:
                return error.status_code >= 500
            return True

        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(told(), media_type="text/event-stream", headers=headers)

    return router


async def _told(
    looker: _Looker, threads: Threads, still_allowed: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    yield "retry: 3000\n\n"
    beat = asked = time.monotonic()
    while not stopping.is_set():
        now = time.monotonic()
        if now - asked >= _ASKED_S:
            asked = now
            if not await still_allowed():
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


def _who(request: Request) -> str:
    """Tell callers apart without keeping what they are known by."""
    known_by = request.headers.get("Authorization") or request.headers.get("Cookie", "")
    return hashlib.sha256(known_by.encode()).hexdigest()


def _event(kind: str, record: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(record)}\n\n"
