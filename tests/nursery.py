"""Workers that are forked from a process which has imported all they need, sparing each seconds.

Run with ``python -m tests.nursery MODULE``: it imports the module, and for each line on stdin, an
environment and a log, forks a process that calls the module's ``main()``.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

from ml_backend.processes import ChildProcess, die_with_parent


class Nursery:
    """A process that workers of one kind are forked from.

    Args:
        module: what they run.
    """

    def __init__(self, module: str) -> None:
        command = [sys.executable, "-m", "tests.nursery", module]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._turn = threading.Lock()
        atexit.register(self._process.kill)

    def fork(self, env: Mapping[str, str], log: Path) -> int:
        """Fork a worker; return its process id."""
        asked, said = self._process.stdin, self._process.stdout
        assert asked is not None
        assert said is not None
        with self._turn:
            asked.write(json.dumps([dict(env), str(log)]) + "\n")
            asked.flush()
            return int(said.readline())


@cache
def nursery(module: str) -> Nursery:
    """The one nursery of a module."""
    return Nursery(module)


class ForkedWorker(ChildProcess):
    """A worker out of a nursery: a child to the tests, though another process' to the kernel.

    Args:
        module: what it runs.
        log: the file that takes its stdout and stderr.
        env: its whole environment.
    """

    def __init__(self, module: str, log: Path, env: Mapping[str, str]) -> None:
        self.name = "worker"
        self.log = log
        log.touch()
        self._process = cast(Any, _Process(nursery(module).fork(env, log)))


class _Process:
    """What ``ChildProcess`` asks of a ``Popen``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def poll(self) -> int | None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return None
        return 0

    def wait(self, timeout: float = 60.0) -> None:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)


def _reap(*_: object) -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _be_born(env: Mapping[str, str], log: str, module: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    die_with_parent()
    for number, file in enumerate((os.devnull, log, log)):
        os.dup2(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644), number)
    os.environ.update(env)
    # As a worker that starts afresh reads it.
    sys.argv[:] = [module]
    sys.orig_argv[:] = [sys.executable, "-m", module]


def _keep(module: str) -> None:
    die_with_parent()
    worker = importlib.import_module(module)
    signal.signal(signal.SIGCHLD, _reap)
    while line := sys.stdin.readline():
        pid = os.fork()
        if not pid:
            _be_born(*json.loads(line), module)
            worker.main()
            sys.exit()
        print(pid, flush=True)


if __name__ == "__main__":
    _keep(sys.argv[1])
