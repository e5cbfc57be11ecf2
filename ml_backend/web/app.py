"""The web server: Label Studio's ML backend protocol.

Every endpoint answers within Label Studio's time-outs (1 s for /health and /webhook, 3 s for
/setup, 100 s for /predict) whatever the model does: models are run by /predict and by the workers,
and loaded beside the answer of /setup, in a thread.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import numpy as np
import redis
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from ml_backend import __version__
from ml_backend.errors import LabelStudioError, MediaError, RelookError
from ml_backend.jobs.changes.connections import Connections
from ml_backend.jobs.queues.pending import UNNAMED
from ml_backend.jobs.runs.schedule import begin_if_changed, has_changed
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.webhooks import PROJECT_HEADER
from ml_backend.metrics import Metrics
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.prediction.prelabels import prelabels
from ml_backend.predictors.registry import warm_up
from ml_backend.services import Services
from ml_backend.settings import ServiceSettings, project_settings
from ml_backend.web.access.password import BodyLimit, guarded
from ml_backend.web.access.permission import Access
from ml_backend.web.access.sessions import Attempts
from ml_backend.web.api.annotators import annotators_api
from ml_backend.web.api.runs import runs_api
from ml_backend.web.api.settings import check_names, check_prefix, settings_api
from ml_backend.web.batch_goal import BatchGoal
from ml_backend.web.model_check import ModelCheck
from ml_backend.web.outbox import Outbox
from ml_backend.web.page_app import add_page
from ml_backend.web.protocol import PredictRequest, SetupRequest, WebhookRequest
from ml_backend.web.ready import ready_api
from ml_backend.web.server import say_reason

__all__ = ["create_app"]

_log = logging.getLogger(__name__)

_PREDICTIONS_AT_ONCE: Final = 16

_CHANGES: Final = {
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_UPDATED",
    "TASKS_CREATED",
}
_KNOWN: Final = _CHANGES | {
    "START_TRAINING",
    "PROJECT_CREATED",
    "PROJECT_UPDATED",
    "PROJECT_DELETED",
    "TASKS_DELETED",
    "ANNOTATIONS_DELETED",
}
#: Mistakes of a body that are named.
_MOST_NAMED: Final = 5


class Refusal(BaseModel):
    """Why a request was refused."""

    detail: str


def create_app(settings: ServiceSettings) -> FastAPI:
    """Return the web application.

    Raises:
        SettingsError: when the service has no Redis.
    """
    services = Services(settings, patient=False)
    backend = _Backend(services)
    access = Access(settings.label_studio_url, Attempts(services.mailbox.redis))
    guesses = Attempts(services.mailbox.redis, of="password:")

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        # Before anybody is let in: an import holds up all threads, and /setup has three seconds.
        await anyio.to_thread.run_sync(warm_up)
        async with backend.outbox.delivering():
            yield
        await anyio.to_thread.run_sync(services.close)
        await access.close()

    app = FastAPI(
        title="Relook",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        responses={422: {"model": Refusal, "description": "What is wrong with the request"}},
        lifespan=running,
    )
    app.add_api_route("/", backend.health, methods=["GET"])
    app.add_api_route("/health", backend.health, methods=["GET"])
    protocol = APIRouter(route_class=guarded(settings, guesses))
    protocol.add_api_route("/setup", backend.setup, methods=["POST"])
    protocol.add_api_route("/predict", backend.predict, methods=["POST"])
    protocol.add_api_route("/webhook", backend.webhook, methods=["POST"])
    for method in ("GET", "POST"):
        protocol.add_api_route("/versions", backend.versions, methods=[method])
    protocol.add_api_route("/metrics", backend.metrics_text, methods=["GET"])
    app.include_router(protocol)
    app.include_router(runs_api(backend.runs, backend.graph, access))
    app.include_router(annotators_api(services, access))
    app.include_router(settings_api())
    app.include_router(ready_api(services))
    add_page(app, services, access)
    app.add_middleware(BodyLimit, most=settings.body_max_mb << 20)
    app.add_exception_handler(RelookError, _refuse)
    app.add_exception_handler(redis.RedisError, _no_redis)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(ValidationError, _malformed)
    return app


class _Backend:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._metrics = Metrics(services.mailbox)
        self.runs, self.graph = services.runs, services.graph
        self.outbox = Outbox(services.mailbox)
        # Predictions can fill their own threads, and nobody else's.
        self._predicting = anyio.CapacityLimiter(_PREDICTIONS_AT_ONCE)
        self._check = ModelCheck(services)

    async def health(self) -> dict[str, str]:
        return {"status": "UP", "model_class": "Relook", "version": __version__}

    def setup(self, request: SetupRequest) -> dict[str, Any]:
        settings = project_settings(request.extra_params)
        project, mailbox = request.project_id, self._services.mailbox
        connections = Connections(mailbox, project)
        connections.hear(request.extra_params)
        config = parse_config(request.label_config)
        known, before = mailbox.setup_of(project)
        told = not known or before != request.extra_params
        # What stands already is not refused: a label that went from the config stops nobody.
        if told:
            connections.require_known(request.extra_params)
            check_names(settings, config, self._services.settings)
            if known and self.runs.ids_of(project):
                check_prefix(settings, project_settings(before))
        goal = BatchGoal(self._services, project, settings.batch_to) if told else None
        version = self._check.version(project, config, settings)
        if goal is not None:
            goal.require()
        mailbox.remember_setup(project, request.extra_params)
        if not known or not settings.analyze_on_change:
            # It begins no run, but notes how settings and config stand.
            begin_if_changed(mailbox, project, request.label_config)
        if told or has_changed(mailbox, project, request.label_config):
            mailbox.reconcile_soon(project)
        if self._services.settings.basic_auth_user:
            mailbox.see_to_key(project)
        return {"model_version": version}

    async def predict(self, request: PredictRequest) -> Response:
        return await anyio.to_thread.run_sync(self._predict, request, limiter=self._predicting)

    def _predict(self, request: PredictRequest) -> Response:
        settings = self._services.mailbox.settings_of(request.project_id)
        config = parse_config(request.label_config)
        answers = self._services.choice.serving(request.project_id, config, settings)
        tasks = np.array([task.id for task in request.tasks], dtype=np.int64)
        inputs = TaskInputs(tasks, [task.model_dump() for task in request.tasks])
        with self._metrics.predict_seconds.time():
            predicted = self._services.prediction.ask(request.project_id, answers, inputs)
        for said in predicted.errors.values():
            _log.warning("project %s: %s", request.project_id, said)
        self._metrics.predicted_tasks.inc(len(tasks))
        self._metrics.unreadable_tasks.inc(len(predicted.errors))
        done = prelabels(predicted, settings, inputs)
        # Made here, because the thread of all other answers would be held up by it.
        results = [_answer(done.get(task), predicted.version) for task in tasks.tolist()]
        return JSONResponse({"results": results})

    async def webhook(self, request: Request, body: dict[str, Any]) -> dict[str, Any]:
        event = WebhookRequest.from_body(body, request.headers.get(PROJECT_HEADER))
        # Each name is kept for good, so a sender makes up none.
        self._metrics.events.labels(event.action if event.action in _KNOWN else "other").inc()
        if event.action == "START_TRAINING":
            # The key of events stands where a project's people can read it.
            if not getattr(request.state, "by_password", True):
                raise HTTPException(403, "a run is begun with the connection's Basic auth only")
            run = await anyio.to_thread.run_sync(self._services.graph.start, event.project)
            return {"status": "queued", "job": run.id}
        if event.action in _CHANGES:
            delivered = await self.outbox.add(event.project, tasks=event.tasks or [UNNAMED])
        elif event.action == "PROJECT_UPDATED":
            delivered = await self.outbox.add(event.project, config=event.config)
        elif event.action == "ANNOTATIONS_DELETED":
            tasks = [] if event.annotations else [UNNAMED]
            delivered = await self.outbox.add(event.project, tasks, event.annotations)
        else:
            return {"status": "ignored"}
        if not delivered:
            self._metrics.late_events.inc()
        return {"status": "queued"}

    def versions(self) -> dict[str, list[str]]:
        return {"versions": self._services.models.versions()}

    def metrics_text(self) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")


def _answer(prelabel: tuple[list[dict[str, Any]], float] | None, version: str) -> Any:
    # An empty list stores nothing: a task whose image is broken stays without a pre-label.
    if prelabel is None:
        return []
    result, score = prelabel
    return {"result": result, "score": score, "model_version": version}


# Coroutines, because a reason said in a thread of the pool stays in that thread.
async def _refuse(_: Request, error: Exception) -> Response:
    say_reason(str(error))
    status = 503 if isinstance(error, LabelStudioError) else 400
    status = 422 if isinstance(error, MediaError) else status
    return _said(str(error), status)


async def _no_redis(_: Request, error: Exception) -> Response:
    _log.error("Redis cannot be reached: %s", error)
    said = "Redis cannot be reached; check REDIS_URL and that Redis runs"
    say_reason(said)
    return _said(said, 503)


async def _malformed(_: Request, error: Exception) -> Response:
    say_reason("the request is not one that Label Studio sends")
    # Where and why, never what was sent: it may be a token in the wrong place, or 100 MB.
    if isinstance(error, ValidationError):
        found: Sequence[Any] = error.errors(include_input=False, include_url=False)
    else:
        found = error.errors() if isinstance(error, RequestValidationError) else []
    named = (
        f"{'.'.join(str(part)[:80] for part in one['loc'])}: {one['msg'][:200]}"
        for one in found[:_MOST_NAMED]
    )
    more = f" (and {len(found) - _MOST_NAMED} more)" if len(found) > _MOST_NAMED else ""
    return _said("; ".join(named).encode("utf-8", "replace").decode() + more, 422)


def _said(said: str, status: int) -> Response:
    # Label Studio reads neither; the page reads the one that FastAPI's own refusals have.
    return JSONResponse({"error": said, "detail": said}, status_code=status)
