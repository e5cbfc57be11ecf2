"""Child processes that are waited for until they answer and never outlive their parent."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from ml_backend.errors import StartError

__all__ = [
    "ChildProcess",
    "Started",
    "die_with_parent",
    "free_port",
    "remembered_port",
    "spare_loopback_the_proxy",
    "stop_in_order",
]

_PR_SET_PDEATHSIG: Final = 1
_OUTGOING_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
#: Where that file is not: RFC 6335, section 6.
_FIRST_DYNAMIC_PORT: Final = 49152
_LOWEST_PORT: Final = 20_000
_TRIES: Final = 100
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on and no outgoing connection is given.

    A server may take half a minute to bind its port: one that the kernel chose could by then be an
    outgoing connection's.
    """
    for port in random.sample(range(_LOWEST_PORT, _first_outgoing_port()), _TRIES):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise StartError(f"{_TRIES} ports of 127.0.0.1 were tried and all are in use")


def spare_loopback_the_proxy() -> None:
    """Have this process and its children ask no proxy for what is on this machine."""
    # Of the two spellings the small one counts.
    named = os.environ.get("no_proxy", os.environ.get("NO_PROXY", "")).split(",")
    # Alone it stands for all there is; among others it means nothing.
    if "*" in named:
        return
    os.environ["no_proxy"] = ",".join(dict.fromkeys(filter(None, (*named, *_LOOPBACK))))


def _first_outgoing_port() -> int:
    try:
        return int(_OUTGOING_PORTS.read_text().split()[0])
    except FileNotFoundError:
        return _FIRST_DYNAMIC_PORT


def remembered_port(file: Path) -> int:
    """Return the port noted in a file while nobody else listens there, else a new one, noted."""
    if file.exists():
        port = int(file.read_text())
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    port = free_port()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(str(port))
    return port


def stop_in_order() -> None:
    """Have SIGTERM, and Ctrl-C also where a shell had it ignored, end this process politely.

    Both raise KeyboardInterrupt, so that its children are stopped one after the other.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def die_with_parent(by: signal.Signals = signal.SIGKILL) -> None:
    """Have this process be told so once its parent ends, however it ends; on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)


class Started(ABC):
    """What is started and stopped; a context does both."""

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it, also what of it has started when the rest has not."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class ChildProcess:
    """A server run as a child, in a process group of its own, with its output in a file.

    Args:
        name: what it is called in messages.
        command: the argument vector.
        log: the file that takes its stdout and stderr.
        env: its whole environment; None inherits ours.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            # A group of its own, so that Ctrl-C reaches us first and we stop it in order.
            self._process = subprocess.Popen(  # noqa: S603 - every caller's command is our own
                list(command),
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=None if env is None else dict(env),
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads hold locks at start
            )

    @property
    def pid(self) -> int:
        """The process id, also the id of its process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def wait_ready(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until ``ready()`` is true.

        Raises:
            StartError: when it ends first or ``timeout`` seconds pass; with its last lines.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise StartError(f"{self.name} ended at once. {self._last_lines()}")
            if time.monotonic() > deadline:
                raise StartError(
                    f"{self.name} is not ready after {timeout:.0f} s. {self._last_lines()}"
                )
            time.sleep(0.1)

    def trim_log(self, most: int) -> None:
        """Begin the log anew once it is longer than ``most`` bytes; what it said is kept once."""
        if self.log.stat().st_size > most:
            shutil.copyfile(self.log, f"{self.log}.1")
            # Opened to append, so the process goes on at the new end.
            os.truncate(self.log, 0)

    def stop(self, timeout: float = 10.0) -> None:
        """End it and all it started: politely first, then for good. Safe to call twice."""
        self.stop_all([self], timeout)

    @staticmethod
    def stop_all(children: Sequence[ChildProcess], timeout: float = 10.0) -> None:
        """End several as ``stop`` does, at the same time; ``timeout`` is for all together."""
        deadline = time.monotonic() + timeout
        running = [child for child in children if child.running]
        for child in running:
            child._signal(signal.SIGTERM)
        for child in running:
            with suppress(subprocess.TimeoutExpired):
                child._process.wait(max(deadline - time.monotonic(), 0))
        for child in children:
            child.kill()

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return f"Its log {self.log} ends with:\n" + "\n".join(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
