"""Everything of Relook on one machine: Redis, workers and the web server, as child processes."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from contextlib import ExitStack
from typing import Final

import httpx

from ml_backend.errors import SettingsError
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.processes import ChildProcess, Started
from ml_backend.settings import ServiceSettings, variable

__all__ = ["Stack"]

_log = logging.getLogger(__name__)

_BACKEND: Final = "backend"
#: Bytes of a part's log; the part before is kept beside it.
_LONGEST_LOG: Final = 10 << 20
#: For workers to end their page, or a step over the whole project: cut off, that counts as a crash.
_STOP_S: Final = 60.0


class Stack(Started):
    """Redis (unless one is named), workers and the backend; all end with it.

    Args:
        settings: the service's settings.
        workers: how many workers to run.

    Attributes:
        children: the backend and the workers by name, as they run now.
    """

    def __init__(self, settings: ServiceSettings, workers: int = 1) -> None:
        self.url = settings.local_url
        self.redis_url = ""
        self._settings = settings
        self._count = workers
        self._parts = ExitStack()
        self._redis: EmbeddedRedis | None = None
        self.children: dict[str, ChildProcess] = {}
        self._environment: dict[str, str] = {}

    @property
    def workers(self) -> list[ChildProcess]:
        """The workers, as they run now."""
        return [one for name, one in self.children.items() if name != _BACKEND]

    def start(self) -> None:
        """Start all parts and wait until the backend answers.

        Raises:
            SettingsError: when the backend cannot listen where it is to, or no Redis can be had.
            StartError: when a part does not come up.
        """
        _require_free(self._settings.host, self._settings.port)
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
        # Stopped as they then are: one that ended is replaced.
        self._parts.callback(self._stop_children)
        for name in (_BACKEND, *(f"worker-{number + 1}" for number in range(self._count))):
            self.children[name] = self._child(name)
        self.children[_BACKEND].wait_ready(self._answers, timeout=120)

    def wait(self) -> None:
        """Wait until Ctrl-C is pressed; a part that ends (killed for memory, say) is replaced."""
        try:
            while True:
                self.tend()
                time.sleep(1)
        except KeyboardInterrupt:
            return

    def tend(self) -> None:
        """Replace what ended, and keep logs short; Redis comes back with its data."""
        if self._redis is not None and not self._redis.running:
            self._redis.start()
        for name, child in self.children.items():
            child.trim_log(_LONGEST_LOG)
            if not child.running:
                _log.warning("%s ended and is started again; see %s", name, child.log)
                self.children[name] = self._child(name)

    def stop(self) -> None:
        """Stop all parts: workers, the backend, Redis last."""
        self._parts.close()
        self.children.clear()

    def _stop_children(self) -> None:
        ChildProcess.stop_all(self.workers, _STOP_S)
        for child in self.children.values():
            child.stop()

    def _child(self, name: str) -> ChildProcess:
        command = "serve" if name == _BACKEND else "worker"
        relook = [sys.executable, "-m", "ml_backend.commands.cli", command]
        log = self._settings.data_dir / "logs" / f"{name}.log"
        return ChildProcess(name, relook, log, self._environment)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def _require_free(host: str, port: int) -> None:
    """Make sure that who answers there later is ours."""
    try:
        (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        socket.create_server(address[:2], family=family).close()
    except OSError as error:
        raise SettingsError(
            f"{variable('host')}={host} and {variable('port')}={port}: Relook cannot listen there "
            f"({error.strerror or error}). End what does, or set another port."
        ) from error
