"""Saved views of the review page: a name and the address' query that shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, cast

import redis
from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel, Field

from ml_backend.web.access.permission import Access
from ml_backend.web.numbers import Id
from ml_backend.web.threads import Threads

__all__ = ["views_api"]

_MOST: Final = 200
Name = Annotated[str, Path(min_length=1, max_length=100)]


class View(BaseModel):
    """What a view shows, as the page's address has it."""

    query: str = Field(max_length=20_000)


def views_api(connection: redis.Redis, access: Access, threads: Threads) -> APIRouter:
    """Return the routes ``/api/projects/{project}/views``.

    Views belong to the project: whoever may read it may use them, whoever may change it saves and
    deletes them. One that stands is replaced only where that is asked for: it may be a colleague's.

    Args:
        connection: the service's Redis.
        access: who says which project a caller may read or change.
        threads: where Redis is asked.
    """
    router = APIRouter(prefix="/api/projects/{project}/views", tags=["views"])

    @router.get("")
    async def listed(project: Id, request: Request) -> dict[str, str]:
        await access.require(request, project)
        raw = cast(Mapping[bytes, bytes], await threads.light(connection.hgetall, _key(project)))
        return {name.decode(): query.decode() for name, query in sorted(raw.items())}

    @router.put("/{name:path}", status_code=204)
    async def save(
        project: Id, name: Name, view: View, request: Request, replace: bool = False
    ) -> None:
        await access.require_change(request, project)
        await threads.light(_save, connection, _key(project), name, view.query, replace)

    @router.delete("/{name:path}", status_code=204)
    async def forget(project: Id, name: Name, request: Request) -> None:
        await access.require_change(request, project)
        await threads.light(connection.hdel, _key(project), name)

    return router


def _save(connection: redis.Redis, key: str, name: str, query: str, replace: bool) -> None:
    known = cast(bytes | None, connection.hget(key, name))
    if known is None and connection.hlen(key) >= _MOST:
        raise HTTPException(409, f"the project has {_MOST} views; delete one first")
    if replace:
        connection.hset(key, name, query)
    elif known != query.encode() and not connection.hsetnx(key, name, query):
        raise HTTPException(
            409, f"a view {name!r} stands already; ?replace=true puts this one in its place"
        )


def _key(project: int) -> str:
    return f"relook:page-views:{project}"
