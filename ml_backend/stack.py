"""Everything of Relook on one machine: Redis, workers and the web server, as child processes."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import httpx

from ml_backend.jobs.embedded_redis import EmbeddedRedis
from ml_backend.processes import ChildProcess
from ml_backend.settings import ServiceSettings

__all__ = ["Stack"]


class Stack:
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
        self._children: list[ChildProcess] = []

    def start(self) -> None:
        """Start all parts and wait until the backend answers.

        Raises:
            SettingsError: when no Redis can be had.
            RuntimeError: when a part does not come up.
        """
        logs = self._settings.data_dir / "logs"
        if self._settings.redis_url is None:
            redis = self._parts.enter_context(EmbeddedRedis(self._settings.data_dir / "redis"))
            self.redis_url = redis.url
        else:
            self.redis_url = self._settings.redis_url.get_secret_value()
        environment = {**os.environ, **_as_environment(self._settings), "REDIS_URL": self.redis_url}
        relook = [sys.executable, "-m", "ml_backend.cli"]
        parts = {"backend": "serve", **{f"worker-{n + 1}": "worker" for n in range(self._count)}}
        for name, command in parts.items():
            child = ChildProcess(name, [*relook, command], logs / f"{name}.log", environment)
            self._children.append(self._parts.enter_context(child))
        self._children[0].wait_ready(self._answers, timeout=120)

    def wait(self) -> None:
        """Wait until a part ends or Ctrl-C is pressed.

        Raises:
            RuntimeError: when a part ended by itself.
        """
        try:
            while True:
                for child in self._children:
                    if not child.running:
                        raise RuntimeError(f"{child.name} ended; see {child.log}")
                time.sleep(0.5)
        except KeyboardInterrupt:
            return

    def stop(self) -> None:
        """Stop all parts, Redis last."""
        self._parts.close()
        self._children.clear()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _as_environment(settings: ServiceSettings) -> dict[str, str]:
    token = settings.label_studio_api_key
    return {
        "LABEL_STUDIO_URL": settings.label_studio_url,
        "LABEL_STUDIO_API_KEY": token.get_secret_value() if token else "",
        "RELOOK_DATA_DIR": str(settings.data_dir.resolve()),
        "RELOOK_MODEL_DIR": str(settings.model_dir.resolve()),
        "RELOOK_MODEL": settings.model,
        "RELOOK_HOST": settings.host,
        "RELOOK_PORT": str(settings.port),
        "RELOOK_THREADS": str(settings.threads),
    }
