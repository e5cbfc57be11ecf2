"""Whether this server can do its work, for those who send it requests or hold them back.

``/health`` says that the process answers, within Label Studio's second and whatever else is down.
``/ready`` looks at what a request needs besides. It is open to all, so it names parts and nothing
of them, and however often it is asked, no part is asked more than once at a time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from ml_backend.services import Services
from ml_backend.web.numbers import NO_PROJECT

__all__ = ["Readiness", "ready_api"]

_log = logging.getLogger(__name__)

#: A part that has not answered by then is not well.
_WAIT_S: Final = 3.0
#: How long it is taken to be as it was found. A store may be another's, who counts each write.
_REDIS_KEPT_S: Final = 1.0
_STORE_KEPT_S: Final = 30.0
_BROKEN_KEPT_S: Final = 1.0


class Ready(BaseModel):
    """Whether requests may come, and which parts are in the way: redis, store, label_studio."""

    ready: bool
    failing: list[str]


class _Part:
    """Something that may be broken.

    Args:
        name: what it is called.
        check: raises while it is broken; may take any time.
        kept_s: how long it is taken to be well.
    """

    def __init__(self, name: str, check: Callable[[], None], kept_s: float) -> None:
        self._name = name
        self._check = check
        self._kept = kept_s
        self._lock = threading.Lock()
        self._asked = 0.0
        self._answer: Future[bool] | None = None

    def ask(self) -> Future[bool]:
        """Return the answer that is under way or still holds, else begin another."""
        with self._lock:
            if self._answer is None or (self._answer.done() and self._is_old(self._answer)):
                self._asked, self._answer = time.monotonic(), Future()
                # A check that hangs holds back nobody else, and not the end of the process.
                thread = threading.Thread(target=self._look, args=(self._answer,), daemon=True)
                thread.start()
            return self._answer

    def _is_old(self, answer: Future[bool]) -> bool:
        kept = self._kept if answer.result() else _BROKEN_KEPT_S
        return time.monotonic() - self._asked > kept

    def _look(self, answer: Future[bool]) -> None:
        try:
            self._check()
        except Exception as error:  # whatever it is, it is not well
            _log.warning("not ready, %s: %s", self._name, error)
            answer.set_result(False)
        else:
            answer.set_result(True)


class Readiness:
    """The parts that a request needs.

    Args:
        services: this process's parts.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._parts = {
            "redis": _Part("Redis", self._write_to_redis, _REDIS_KEPT_S),
            "store": _Part("store", self._write_to_store, _STORE_KEPT_S),
        }

    async def failing(self) -> list[str]:
        """Return the names of the parts that are not well, within seconds whatever they do."""
        asked = {name: asyncio.wrap_future(part.ask()) for name, part in self._parts.items()}
        await asyncio.wait(asked.values(), timeout=_WAIT_S)
        found = [name for name, one in asked.items() if not (one.done() and one.result())]
        return found if self._services.settings.label_studio_url else [*found, "label_studio"]

    def _write_to_redis(self) -> None:
        self._services.mailbox.redis.set("relook:ready", 1, ex=60)

    def _write_to_store(self) -> None:
        self._services.store.put_arrays(NO_PROJECT, "ready", {"ready": np.ones(1)})


def ready_api(services: Services) -> APIRouter:
    """Return the route.

    Args:
        services: this process's parts.
    """
    router = APIRouter()
    readiness = Readiness(services)

    @router.get("/ready", response_model=Ready, responses={503: {"model": Ready}})
    async def ready() -> JSONResponse:
        """Whether Redis answers, the store can be written, and Label Studio's address is set."""
        failing = await readiness.failing()
        said = Ready(ready=not failing, failing=failing)
        return JSONResponse(said.model_dump(), 503 if failing else 200)

    return router
