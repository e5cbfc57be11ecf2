"""Everything of Relook on one machine: Redis, workers and the web server, as child processes."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack

import httpx

from ml_backend.jobs.embedded_redis import EmbeddedRedis
from ml_backend.processes import ChildProcess, Started
from ml_backend.settings import ServiceSettings, variable

__all__ = ["Stack"]


class Stack(Started):
    """Redis (unless one is named), workers and the backend; all end with it.

    Args:
        settings: the service's settings.
        workers: how many workers to run.
    """

    def __init__(self, settings: ServiceSettings, workers: int = 1) -> None:
        self.url = f"http://{settings.host}:{settings.port}"
        self.redis_url = ""
        self._settings = settings
        self._count = workers
        self._parts = ExitStack()
        self._redis: EmbeddedRedis | None = None
        self._workers: dict[str, ChildProcess] = {}
        self._environment: dict[str, str] = {}

    def start(self) -> None:
        """Start all parts and wait until the backend answers.

        Raises:
            SettingsError: when no Redis can be had.
            RuntimeError: when a part does not come up.
        """
        if self._settings.redis_url is None:
            embedded = EmbeddedRedis(self._settings.data_dir / "redis")
            self._redis = self._parts.enter_context(embedded)
            self.redis_url = embedded.url
        else:
            self.redis_url = self._settings.redis_url.get_secret_value()
        self._environment = {
            **os.environ,
            **self._settings.environment(),
            variable("redis_url"): self.redis_url,
        }
        self._backend = self._parts.enter_context(self._child("backend", "serve"))
        # Stopped as they then are: a worker that ended is replaced.
        self._parts.callback(self._stop_workers)
        for number in range(self._count):
            name = f"worker-{number + 1}"
            self._workers[name] = self._child(name, "worker")
        self._backend.wait_ready(self._answers, timeout=120)

    def wait(self) -> None:
        """Wait until Ctrl-C is pressed; a part that ends (killed for memory, say) is replaced.

        Raises:
            RuntimeError: when the backend ended by itself.
        """
        try:
            while self._backend.running:
                self.tend()
                time.sleep(1)
            raise RuntimeError(f"the backend ended; see {self._backend.log}")
        except KeyboardInterrupt:
            return

    def tend(self) -> None:
        """Replace Redis and workers that ended; Redis comes back with its data."""
        if self._redis is not None and not self._redis.running:
            self._redis.start()
        for name, worker in self._workers.items():
            if not worker.running:
                self._workers[name] = self._child(name, "worker")

    def stop(self) -> None:
        """Stop all parts, Redis last."""
        self._parts.close()
        self._workers.clear()

    def _stop_workers(self) -> None:
        for worker in self._workers.values():
            worker.stop()

    def _child(self, name: str, command: str) -> ChildProcess:
        relook = [sys.executable, "-m", "ml_backend.commands.cli", command]
        log = self._settings.data_dir / "logs" / f"{name}.log"
        return ChildProcess(name, relook, log, self._environment)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False
