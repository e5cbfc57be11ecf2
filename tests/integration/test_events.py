"""The webhook under load and without Redis: answered in time, and nothing lost."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import httpx
import pytest
import redis

from ml_backend.demo.projects import CONFIGS
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.processes import ChildProcess, free_port
from tests.integration.conftest import MODELS, wait_for

EVENTS, CONNECTIONS = 1000, 8
# Label Studio gives up after a second; what it took is printed.
IN_TIME_S = 1.0


@dataclass
class Backend:
    """A web server and its Redis, with a Label Studio that takes calls and never answers."""

    redis: EmbeddedRedis
    process: ChildProcess
    url: str

    @property
    def mailbox(self) -> Mailbox:
        return Mailbox(redis.Redis.from_url(self.redis.url))

    def burst(self, project: int) -> list[float]:
        """Send events from several connections; return how long each answer took, ascending."""

        def send(first: int) -> list[float]:
            taken = []
            with httpx.Client(base_url=self.url, timeout=10) as client:
                for task in range(first, EVENTS, CONNECTIONS):
                    began = time.perf_counter()
                    answer = client.post("/webhook", json=event(project, task + 1))
                    taken.append(time.perf_counter() - began)
                    assert answer.status_code == 200
            return taken

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return sorted(chain.from_iterable(pool.map(send, range(CONNECTIONS))))


def event(project: int, task: int) -> dict:
    """Return an event about as large as Label Studio's own."""
    return {
        "action": "ANNOTATION_UPDATED",
        "annotation": {"id": task, "result": [{"value": {"x": 1.0}, "type": "r"}] * 20},
        "project": {"id": project, "label_config": CONFIGS["detection"]},
        "task": {"id": task, "data": {"image": "/data/upload/1/picture.png"}},
    }


def p99(taken: list[float]) -> float:
    return taken[int(0.99 * len(taken))]


def said(name: str, taken: list[float]) -> str:
    return (
        f"{name}: p50 {statistics.median(taken) * 1e3:.1f} ms, p99 {p99(taken) * 1e3:.1f} ms, "
        f"max {taken[-1] * 1e3:.1f} ms"
    )


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def backend(silent: str, tmp_path: Path) -> Iterator[Backend]:
    port = free_port()
    with EmbeddedRedis(tmp_path / "redis") as server:
        environment = {
            **os.environ,
            **{"REDIS_URL": server.url, "RELOOK_PORT": str(port)},
            **{"LABEL_STUDIO_URL": silent, "LABEL_STUDIO_API_KEY": "f" * 40},
            **{"RELOOK_DATA_DIR": str(tmp_path), "RELOOK_MODEL_DIR": str(MODELS)},
        }
        command = [sys.executable, "-m", "ml_backend.commands.cli", "serve"]
        url = f"http://127.0.0.1:{port}"
        with ChildProcess("backend", command, tmp_path / "backend.log", environment) as process:
            process.wait_ready(lambda: answers(url), timeout=240)
            yield Backend(server, process, url)


def answers(url: str) -> bool:
    try:
        return httpx.get(url + "/health", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def pending(backend: Backend, project: int) -> set[int]:
    return set(backend.mailbox.pending.newest(project, 10_000))


def test_a_burst_is_answered_in_time_and_becomes_few_jobs(backend):
    taken = backend.burst(1)
    print(said("idle", taken))
    assert statistics.median(taken) < IN_TIME_S
    assert backend.mailbox.events.count < 20
    assert pending(backend, 1) == set(range(1, EVENTS + 1))


def test_predictions_that_hang_do_not_hold_up_events(backend):
    body = {
        "tasks": [{"id": 1, "data": {"image": "/data/upload/1/picture.png"}}],
        "project": "1.1",
        "label_config": CONFIGS["detection"],
    }
    backend.mailbox.remember_setup(1, {"model": "digits-detect.pt"})

    def predict() -> None:
        try:
            # Certificates are read for nothing, by each of the threads.
            httpx.post(backend.url + "/predict", json=body, timeout=60, verify=False)
        except httpx.HTTPError:
            return

    for _ in range(60):
        threading.Thread(target=predict, daemon=True).start()
    time.sleep(3)
    taken = backend.burst(1)
    print(said("60 hanging predictions", taken))
    assert statistics.median(taken) < IN_TIME_S
    setup = {"project": "1.1", "schema": CONFIGS["detection"], "extra_params": None}
    answer = httpx.post(backend.url + "/setup", json=setup, timeout=10)
    assert answer.status_code in (200, 400)


def test_a_redis_that_hangs_delays_no_answer_and_gets_every_event_later(backend):
    frozen = backend.redis.pid
    os.kill(frozen, signal.SIGSTOP)
    try:
        taken = backend.burst(1)
    finally:
        os.kill(frozen, signal.SIGCONT)
    print(said("Redis frozen", taken))
    assert statistics.median(taken) < IN_TIME_S
    wait_for(lambda: pending(backend, 1) == set(range(1, EVENTS + 1)), "the delivery", 30)
    assert "relook_late_events_total" in httpx.get(backend.url + "/metrics").text


def test_a_redis_that_is_gone_for_a_while_gets_every_event_later(backend):
    backend.redis.kill()
    taken = backend.burst(1)
    print(said("Redis gone", taken))
    assert statistics.median(taken) < IN_TIME_S
    backend.redis.start()
    wait_for(lambda: pending(backend, 1) == set(range(1, EVENTS + 1)), "the delivery", 30)
    assert backend.mailbox.events.count >= 1
