"""A server that answers as Relook's does, of a made-up project: for the page alone.

``python -m tests.page.stand_in --tasks 100000`` serves the built page with it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from ml_backend.processes import free_port
from ml_backend.review.approve import of_unknown
from ml_backend.review.feedback import (
    Agreement,
    Annotator,
    Confusion,
    Pair,
    Report,
    Share,
)
from tests.page.data import FLAGS, LABELS, Project, cells, detail, picture, points

STATIC = Path(__file__).parents[2] / "ml_backend" / "web" / "static"
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'"
)
TOKEN = "a-token"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class StandIn:
    """The state behind the answers.

    Attributes:
        project: project 1; project 2 has not been laid out.
        asked: every action that was sent.
        may_change: whether who signs in may act.
        ended: the newest action that has ended, as each page is told when it opens.
        unknown: of how many approved tasks nobody knows whether they are outliers.
        runs: the newest runs, as each page is told when it opens.
        pause: seconds between two signs of an action's progress.
        tasks_of_2: how many tasks project 2 has.
        batches: the relabel batches.
        controls: the control tags of the projects; all have the points of the first.
        approve_confidence, batch_to: the project's own.
    """

    def __init__(self, tasks: int) -> None:
        self.project = Project(tasks)
        self.asked: list[dict[str, Any]] = []
        self.may_change = True
        self.views: dict[str, str] = {}
        self.before: dict[str, np.ndarray] = {}
        self.listeners: list[asyncio.Queue[tuple[str, Any]]] = []
        self.cache: dict[str, bytes] = {}
        self.ended: dict[str, Any] = {}
        self.unknown = 0
        self.runs: list[dict[str, Any]] = []
        self.pause = 0.1
        self.tasks_of_2 = 12
        self.controls = [DIGIT]
        self.batches = [dict(one) for one in BATCHES]
        self.approve_confidence = 0.85
        self.batch_to = ""
        self.app = FastAPI()
        for routes in (
            self._guard,
            self._session,
            self._projects,
            self._samples,
            self._runs,
            self._actions,
            self._shared,
        ):
            routes(self.app)

    def tell(self, kind: str, what: Any) -> None:
        for listener in self.listeners:
            listener.put_nowait((kind, what))

    def _guard(self, app: FastAPI) -> None:
        @app.middleware("http")
        async def guard(request: Request, go_on: Any) -> Response:
            path = request.url.path
            changes = request.method != "GET"
            if changes and request.headers.get("X-Relook") != "1":
                return Response('{"detail": "not from the page"}', 403)
            is_session = path == "/api/session"
            if path.startswith("/api/") and not is_session and not _signed_in(request):
                return Response('{"detail": "sign in"}', 401)
            answer: Response = await go_on(request)
            answer.headers["Content-Security-Policy"] = POLICY
            return answer

        @app.get("/page/{path:path}")
        async def page(path: str) -> Response:
            file = STATIC / path
            if not path or not file.is_file():
                return Response((STATIC / "index.html").read_bytes(), media_type="text/html")
            return Response(file.read_bytes(), media_type=TYPES[file.suffix])

    def _session(self, app: FastAPI) -> None:
        @app.post("/api/session")
        async def sign_in(request: Request, response: Response) -> dict[str, Any]:
            if (await request.json())["token"] != TOKEN:
                raise HTTPException(401, "Label Studio does not know this token. Make a new one.")
            response.set_cookie("relook_session", TOKEN, httponly=True, samesite="strict")
            return {"user": USER}

        @app.get("/api/session")
        async def session(request: Request) -> dict[str, Any]:
            if not _signed_in(request):
                raise HTTPException(401, "sign in")
            return {"user": USER, "label_studio": "/label-studio/"}

        @app.delete("/api/session")
        async def sign_out(response: Response) -> None:
            response.delete_cookie("relook_session")

    def _projects(self, app: FastAPI) -> None:
        @app.get("/api/projects")
        async def projects() -> list[dict[str, Any]]:
            return [self._summary(1), self._summary(2)]

        @app.get("/api/projects/{p}")
        async def project(p: int) -> dict[str, Any]:
            if p not in {1, 2}:
                raise HTTPException(403, "You have no access to this project. Ask its owner.")
            settings = {"threshold": 0.5, "approve_confidence": self.approve_confidence}
            settings |= {"batch_to": self.batch_to, "may_change": self.may_change}
            return {**self._summary(p), "controls": self.controls, **settings}

        @app.get("/api/projects/{p}/points")
        def plane(p: int, control: str, part: str) -> Response:
            if p == 2:
                raise HTTPException(404, "Press Start training, or analyse the project here.")
            if part not in self.cache:
                self.cache[part] = points(self.project, part)
            return Response(self.cache[part], media_type="application/vnd.apache.arrow.stream")

    def _samples(self, app: FastAPI) -> None:
        @app.get("/api/projects/{p}/search")
        async def search(p: int, q: str) -> dict[str, Any]:
            ids = [int(task) for task in self.project.ids() if q in str(task)]
            return {"tasks": ids[:10_000], "more": len(ids) > 10_000}

        @app.get("/api/projects/{p}/tasks")
        def tasks(p: int, ids: str, control: str) -> list[dict[str, Any]]:
            return [detail(self.project, int(task)) for task in ids.split(",")]

        @app.get("/api/projects/{p}/tasks/{t}/image")
        def image(p: int, t: int, size: int, crop: str | None = None) -> Response:
            headers = {"Cache-Control": "private, max-age=3600"}
            return Response(picture(t, size, crop), media_type="image/webp", headers=headers)

        @app.get("/api/projects/{p}/similar")
        async def similar(p: int, control: str, task: int, region: int, k: int) -> list[Any]:
            near = [(task - 1 + 48 * step) % self.project.tasks + 1 for step in range(1, k + 1)]
            found = dict.fromkeys(one for one in near if one != task)
            return [
                {"task": one, "region": region, "distance": 0.01 * place}
                for place, one in enumerate(found, 1)
            ]

        @app.get("/api/projects/{p}/overview")
        async def overview(p: int, control: str, iou: float, confidence: float) -> dict[str, Any]:
            if p == 2:
                raise HTTPException(404, "nothing of 'digit' has been scored yet: start a run")
            return self._overview(iou, confidence)

        @app.get("/api/projects/{p}/cell")
        async def cell(
            p: int,
            control: str,
            iou: float,
            confidence: float,
            human: str | None = None,
            model: str | None = None,
        ) -> dict[str, Any]:
            found = cells(self.project, iou, confidence)
            here = (found["given"] == _place(human)) & (found["said"] == _place(model))
            return {
                "part": "inputs" if human is None else "regions",
                "tasks": found["task"][here].tolist(),
                "regions": found["region"][here].tolist(),
            }

    def _runs(self, app: FastAPI) -> None:
        @app.get("/api/projects/{p}/runs")
        async def runs(p: int) -> dict[str, Any]:
            return {"runs": RUNS}

        @app.post("/api/projects/{p}/runs")
        async def start(p: int) -> dict[str, Any]:
            return {**RUNS[0], "id": "new", "state": "queued", "started": time.time()}

        @app.post("/api/runs/{run}/{how}")
        async def change_run(run: str, how: str) -> dict[str, Any]:
            (found,) = (one for one in RUNS if one["id"] == run)
            return {**found, "state": "cancelled" if how == "cancel" else "queued"}

        @app.get("/api/projects/{p}/batches")
        async def batches(p: int) -> list[dict[str, Any]]:
            return self.batches

        @app.get("/api/projects/{p}/annotators")
        async def annotators(p: int) -> dict[str, Any]:
            return REPORT

    def _actions(self, app: FastAPI) -> None:
        @app.post("/api/projects/{p}/actions", status_code=202)
        async def act(p: int, request: Request, response: Response) -> dict[str, Any]:
            asked = await request.json()
            if asked["options"].get("dry_run"):
                response.status_code = 200
                ids = asked["tasks"]
                left = len(ids) // 10
                reason = {"a suggestion waits there": left} if left else {}
                approve = asked["action"] == "approve"
                return {
                    **{"count": len(ids) - left, "examples": ids[:3], "left_out": reason},
                    "notes": [of_unknown(self.unknown)] if approve and self.unknown else [],
                }
            self.asked.append(asked)
            action = f"action-{len(self.asked)}"
            work = asyncio.create_task(self._do(action, asked))
            self.working = work
            return {"id": action}

        @app.get("/api/projects/{p}/actions")
        async def listed(p: int) -> list[dict[str, Any]]:
            return [self.ended] if self.ended else []

        @app.post("/api/actions/{action}/undo")
        async def undo(action: str) -> dict[str, Any]:
            self.project.flag = self.before[action]
            self.ended |= {"state": "undone", "ended": time.time(), "undoable": False}
            self.tell("action", self.ended)
            self._changed()
            return {}

    def _shared(self, app: FastAPI) -> None:
        @app.get("/api/projects/{p}/events")
        async def events(p: int, request: Request) -> StreamingResponse:
            return StreamingResponse(self._events(request), media_type="text/event-stream")

        @app.get("/api/projects/{p}/views")
        async def views(p: int) -> dict[str, str]:
            return self.views

        @app.put("/api/projects/{p}/views/{name:path}")
        async def save(
            p: int, name: str, request: Request, replace: bool = False
        ) -> dict[str, Any]:
            query = (await request.json())["query"]
            if not replace and self.views.get(name, query) != query:
                raise HTTPException(409, f"a view {name!r} stands already")
            self.views[name] = query
            return {}

        @app.delete("/api/projects/{p}/views/{name:path}")
        async def delete(p: int, name: str) -> dict[str, Any]:
            self.views.pop(name, None)
            return {}

    def _summary(self, p: int) -> dict[str, Any]:
        title = "Digits, detection" if p == 1 else "Not analysed yet"
        tasks = self.project.tasks if p == 1 else self.tasks_of_2
        return {"id": p, "title": title, "tasks": tasks, "url": f"/label-studio/projects/{p}/data"}

    def _changed(self) -> None:
        self.cache.clear()
        self.tell("points", {})

    async def _do(self, action: str, asked: dict[str, Any]) -> None:
        ids = asked.get("tasks") or sorted({task for task, _ in asked.get("regions", [])})
        said = {
            **{"id": action, "action": asked["action"], "total": len(ids)},
            **{"said": "", "by": USER["name"], "ended": 0},
        }
        for done in range(0, len(ids), max(len(ids) // 4, 1)):
            self.tell("action", {**said, "state": "doing", "done": done, "undoable": False})
            await asyncio.sleep(self.pause)
        self.before[action] = self.project.flag.copy()
        rows = np.array(ids) - 1
        flags = {"flag": "needs-review", "clear": "", "approve": "confirmed"}
        if asked["action"] in flags:
            self.project.flag[rows] = FLAGS.index(flags[asked["action"]])
        elif asked["action"] == "tag":
            for task in ids:
                self.project.tags.setdefault(task, []).append(asked["options"]["tag"])
        said["said"] = self._batched(asked)
        end = {"state": "done", "done": len(ids), "ended": time.time(), "undoable": bool(ids)}
        self.ended = {**said, **end}
        self.tell("action", self.ended)
        self._changed()

    def _batched(self, asked: dict[str, Any]) -> str:
        if asked["action"] not in {"sync", "withdraw"}:
            return ""
        came = sum(one["ready"] for one in self.batches)
        for one in self.batches:
            one |= {"done": one["done"] + one["ready"], "ready": 0}
        if asked["action"] == "sync":
            return f"{came} answers brought back"
        (batch,) = (one for one in self.batches if one["id"] == asked["options"]["batch"])
        gone, batch["open"] = batch["open"], 0
        return f"{gone} tasks withdrawn, {came} answers brought back"

    async def _events(self, request: Request) -> AsyncIterator[str]:
        mine: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.listeners.append(mine)
        try:
            yield ": hello\n\n"
            for run in self.runs:
                yield f"event: run\ndata: {json.dumps(run)}\n\n"
            if self.ended:
                yield f"event: action\ndata: {json.dumps(self.ended)}\n\n"
            while not await request.is_disconnected():
                try:
                    kind, what = await asyncio.wait_for(mine.get(), 0.5)
                except TimeoutError:
                    continue
                yield f"event: {kind}\ndata: {json.dumps(what)}\n\n"
        finally:
            self.listeners.remove(mine)

    def _overview(self, iou: float, confidence: float) -> dict[str, Any]:
        random = np.random.default_rng(5)
        share = random.uniform(0.82, 0.99, (10, 4)) - 0.1 * abs(confidence - 0.5)
        counts = np.zeros((11, 11), dtype=np.int64)
        found = cells(self.project, iou, confidence)
        np.add.at(counts, (found["given"], found["said"]), 1)
        edges = np.linspace(0, 1, 25)
        flag = np.bincount(self.project.flag, minlength=4)

        def spread(values: np.ndarray) -> dict[str, Any]:
            return {"edges": edges.tolist(), "counts": np.histogram(values, edges)[0].tolist()}

        names = ("precision", "recall", "f1", "ap")
        return {
            "classes": [
                {
                    "label": label,
                    **dict(zip(names, map(float, share[row]), strict=True)),
                    "support": int(counts[row].sum()),
                }
                for row, label in enumerate(LABELS)
            ],
            "confusion": {"labels": [*LABELS, "background"], "counts": counts.tolist()},
            "histograms": {
                "priority": spread(self.project.priority),
                "confidence": spread(random.beta(8, 2, 3000)),
                "outlier": spread(self.project.outlier),
            },
            "error_share": {"estimate": 0.042, "low": 0.031, "high": 0.056, "reviewed": 214},
            "burn_down": [
                {"time": time.time() - 86_400 * day, "open": 40 + 6 * day, "resolved": 90 - 6 * day}
                for day in range(14, -1, -1)
            ],
            "queue": {"open": int(flag[1]), "corrected": int(flag[2]), "confirmed": int(flag[3])},
        }


DIGIT: dict[str, Any] = {
    **{"name": "digit", "geometry": "box", "labels": LABELS},
    **{"parts": ["inputs", "regions"], "scored": True, "threshold": 0.3},
}
USER = {"id": 1, "name": "Ada Lovelace", "email": "ada@example.org"}
RUNS: list[dict[str, Any]] = [
    {
        **{"id": "run-2", "project": 1, "over": "tab 3", "state": "running"},
        **{"stage": "scoring", "attempt": 0, "done": 1200, "total": 3000, "flagged": 41},
        **{"rate": 210.0, "left": 9.0, "started": time.time() - 40, "ended": 0},
        **{"errors": {}, "log": ["1.000 listing 3000 tasks", "2.000 predicting"]},
    },
    {
        **{"id": "run-1", "project": 1, "over": "", "state": "failed"},
        **{"stage": "predicting", "attempt": 1, "done": 128, "total": 3000, "flagged": 0},
        **{"rate": 0.0, "left": None, "started": time.time() - 4000, "ended": time.time() - 3900},
        **{"errors": {"17": "The image cannot be read. Upload it again."}, "log": []},
    },
]
BATCHES = [
    {
        **{"id": "1-b1", "url": "/label-studio/projects/3/data", "sent": 60, "open": 8},
        **{"skipped": 0, "superseded": 2, "gone": 1},
        **{"ready": 3, "done": 48, "corrected": 40, "confirmed": 8, "conflicts": 1},
        "said": {"17": "task 17: its labels changed; send it again as it now stands."},
    }
]
REPORT = asdict(
    Report(
        project=1,
        annotators=[
            Annotator(
                id=2,
                name="grace@example.org",
                tasks=960,
                annotations=980,
                findings=40,
                confirmed=31,
                kept=5,
                open=4,
                share=Share(0.034, 0.024, 0.047, 36),
                confusions=[Confusion("label", "7", "1", 210, 9, 2, [12, 40])],
                weeks=[],
            ),
            Annotator(
                id=1,
                name="ada@example.org",
                tasks=1204,
                annotations=1204,
                findings=3,
                confirmed=0,
                kept=1,
                open=2,
                share=Share(None, 0.0, 1.0, 1),
                confusions=[],
                weeks=[],
            ),
        ],
        agreement=[
            Agreement(
                "label", 0.91, [Pair("ada@example.org", "grace@example.org", 120, 0.94, 0.92)]
            )
        ],
    )
)


def _place(label: str | None) -> int:
    return len(LABELS) if label is None else LABELS.index(label)


def _signed_in(request: Request) -> bool:
    return request.cookies.get("relook_session") == TOKEN


@contextmanager
def serving(tasks: int, port: int = 0) -> Iterator[tuple[str, StandIn]]:
    """Serve a project of so many tasks; gives the address and the state behind it."""
    stand_in = StandIn(tasks)
    port = port or free_port()
    config = uvicorn.Config(
        stand_in.app, port=port, log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}", stand_in
    server.should_exit = True
    thread.join()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--port", type=int, default=9191)
    options = parser.parse_args()
    with serving(options.tasks, options.port) as (address, _):
        print(f"{address}/page/  token: {TOKEN}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
