"""A small project that has been scored, and a server in Label Studio's place that knows it.

For tests of what lies behind a project's routes that need thousands of answers: the real Label
Studio gives a few a second.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image
from pydantic import SecretStr

import ml_backend.demo
from ml_backend.demo.projects import CONFIGS, SampleTask, human_result
from ml_backend.jobs.project.work import ProjectWork
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.services import Services
from ml_backend.settings import ServiceSettings
from ml_backend.storage.plane import Part, Plane, get_plane, put_plane
from tests.integration.samples import one_missing, right, scenes, wrong_class

__all__ = [
    "CONTROL",
    "MODELS",
    "PROJECT",
    "TASKS",
    "LabelStudioWithOneProject",
    "connect",
    "made_services",
    "score",
]

MODELS: Final = Path(ml_backend.demo.__file__).parent / "models"
PROJECT: Final = 1
CONTROL: Final = "label"
TASKS: Final = range(1, 9)
_USER: Final = {"id": 1, "email": "ann@example.com", "username": "ann", "first_name": "Ann"}
_MISSING: Final = {"detail": "Not found.", "version": "1.23.2"}
_WRITTEN: Final = "2026-01-02T03:04:05.678901Z"


class LabelStudioWithOneProject:
    """Answers what Relook asks of Label Studio about one project, to everybody.

    Attributes:
        url: where it listens.
        tasks: task id to the task as Label Studio has it.
        images: path to the PNG file that lies there.
        title: what the project is called.
        offered: whether everybody may change everything (200), may look (403), or cannot be told
            (any other status).
    """

    def __init__(self) -> None:
        self.tasks, self.images = _tasks()
        self.url, self.title, self.offered = "", "Made", 200

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen on a free port while the body runs."""
        known = self

        class Handler(_Handler):
            studio = known

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def read(self, path: str, query: dict[str, str]) -> Any:
        """Return what stands at an address, None where nothing does."""
        parts = path.strip("/").split("/")
        match parts:
            case ["api", "projects"]:
                found = [self._project(PROJECT)] if query.get("page", "1") == "1" else []
                return {"count": 1, "next": None, "previous": None, "results": found}
            case ["api", "projects", number] if number.isdecimal():
                return self._project(int(number))
            case ["api", "current-user", "whoami"]:
                return _USER
            case ["api", "users"]:
                return [_USER]
            case ["api", "tasks"]:
                return self._listed(query)
            case ["api", "ml"] | ["api", "webhooks"] | ["api", "dm", "views"]:
                return []
        return None

    def write(self, path: str, query: dict[str, str], body: Any) -> Any:
        """Take what Relook writes; only its own fields are kept. None where nothing stands."""
        if query.get("id") == "add_data_field":
            for task in body["selectedItems"]["included"]:
                self.tasks[task]["data"][body["value_name"]] = body["value"]
            return {"processed_items": len(body["selectedItems"]["included"])}
        return {"created": len(body)} if path.endswith("/import/predictions") else {"id": 1}

    def _project(self, number: int) -> dict[str, Any]:
        return {
            **{"id": number, "title": self.title, "label_config": CONFIGS["detection"]},
            **{"task_number": len(self.tasks), "maximum_annotations": 1, "model_version": ""},
        }

    def _listed(self, query: dict[str, str]) -> dict[str, Any]:
        asked = json.loads(query.get("query", "{}"))
        wanted = asked.get("selectedItems", {}).get("included") or list(self.tasks)
        # Of its filters it knows none: they find nothing.
        here = int(query.get("page", 1)) == 1 and "filters" not in asked
        found = [self.tasks[task] for task in wanted if task in self.tasks] if here else []
        return {"tasks": found, "total": len(found), "total_annotations": 0, "total_predictions": 0}


class _Handler(BaseHTTPRequestHandler):
    studio: LabelStudioWithOneProject
    protocol_version = "HTTP/1.1"
    # Else each answer waits 40 ms for the receipt of its headers.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        at = urlsplit(self.path)
        file = self.studio.images.get(at.path)
        if file is not None:
            self._answer(200, file, "image/png")
            return
        query = {name: values[-1] for name, values in parse_qs(at.query).items()}
        found = self.studio.read(at.path, query)
        self._answer(404 if found is None else 200, _MISSING if found is None else found)

    def do_OPTIONS(self) -> None:
        offered = self.studio.offered
        # Who may only look is offered nothing.
        status = 200 if offered == 403 else offered
        self._answer(status, {"actions": {} if offered == 403 else {"PUT": {}}})

    def do_POST(self) -> None:
        at = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(at.query).items()}
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        written = self.studio.write(at.path, query, body)
        self._answer(404 if written is None else 201, _MISSING if written is None else written)

    def do_PATCH(self) -> None:
        self.do_POST()

    def _answer(self, status: int, body: Any, kind: str = "application/json") -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def made_services(
    studio: LabelStudioWithOneProject, folder: Path, models: Path = MODELS, **more: Any
) -> Iterator[Services]:
    """Open what a worker beside the made project has, in this process, with the demo's detector.

    Args:
        studio: the project's server, listening.
        folder: for Redis and the store.
        models: the model folder.
        more: settings of the service.
    """
    with EmbeddedRedis(folder / "redis") as running:
        settings = ServiceSettings(
            LABEL_STUDIO_URL=studio.url,
            LABEL_STUDIO_API_KEY=SecretStr("token"),
            REDIS_URL=SecretStr(running.url),
            data_dir=folder / "data",
            model_dir=models,
            model="digits-detect.pt",
            threads=1,
            **more,
        )
        services = Services(settings)
        connect(services)
        yield services
        services.close()


def connect(services: Services) -> None:
    """Have the project connected, as /setup would."""
    services.mailbox.remember_setup(PROJECT, {})


def score(services: Services) -> None:
    """Read, predict, embed and score the project as a worker would, and lay it out."""
    tasks = np.array(TASKS, dtype=np.int64)
    work = ProjectWork.open(services, PROJECT)
    work.score(tasks, lambda: None)
    rows = services.page.found(PROJECT, work.opened.controls[0], tasks)
    places = rows["r_place"].to_pylist()
    regions = [
        (task, one) for task, some in zip(tasks.tolist(), places, strict=True) for one in some
    ]
    _lay_out(services, "inputs", [(task, "") for task in tasks.tolist()])
    _lay_out(services, "regions", regions)


def _lay_out(services: Services, part: Part, named: list[tuple[int, str]]) -> None:
    # Anywhere: how points are laid out takes long, and where they lie is not what is meant here.
    x, y = np.random.default_rng(0).normal(size=(2, len(named))).astype(np.float32)
    plane = Plane(
        np.array([task for task, _ in named], dtype=np.int64),
        np.array([region for _, region in named], dtype=np.str_),
        x,
        y,
        np.arange(len(named)),
        np.linspace(0, 1, len(named), dtype=np.float32),
    )
    put_plane(services.store, PROJECT, CONTROL, part, plane)
    assert get_plane(services.store, PROJECT, CONTROL, part) is not None


def _tasks() -> tuple[dict[int, dict[str, Any]], dict[str, bytes]]:
    """Right labels, a wrong one, a missing one, none, and an image that is not there."""
    drawn = scenes(len(TASKS))
    samples = [wrong_class(drawn[0]), one_missing(drawn[1]), *map(right, drawn[2:])]
    tasks, images = {}, {}
    for task, sample in zip(TASKS, samples, strict=True):
        address = f"/data/upload/{PROJECT}/{task}.png"
        images[address] = _png(sample)
        tasks[task] = _task(task, address, sample, labelled=task < 7)
    del images[f"/data/upload/{PROJECT}/{TASKS[-1]}.png"]
    return tasks, images


def _task(task: int, address: str, sample: SampleTask, *, labelled: bool) -> dict[str, Any]:
    annotation = {
        **{"id": 10 * task, "result": human_result("detection", sample), "was_cancelled": False},
        **{"completed_by": 1, "created_at": _WRITTEN, "updated_at": _WRITTEN, "task": task},
    }
    return {
        **{"id": task, "project": PROJECT, "data": {"image": address}, "meta": {}},
        **{"annotations": [annotation] if labelled else [], "predictions": [], "drafts": []},
        **{"created_at": _WRITTEN, "updated_at": _WRITTEN, "overlap": 1, "draft_exists": False},
        **{"is_labeled": labelled, "total_annotations": int(labelled), "total_predictions": 0},
        "cancelled_annotations": 0,
    }


def _png(sample: SampleTask) -> bytes:
    file = io.BytesIO()
    Image.fromarray(sample.image).save(file, "PNG")
    return file.getvalue()
