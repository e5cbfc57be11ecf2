"""`relook start` as a service: parts that end are replaced, and all end in order."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from ml_backend.processes import ChildProcess, free_port
from ml_backend.settings import ServiceSettings

START = [sys.executable, "-m", "ml_backend.commands.cli", "start"]


def until(found, what, seconds=240):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.2)
    return value


@pytest.fixture
def data(tmp_path):
    """A data folder as an earlier version left it: open to other users."""
    for folder in (tmp_path / "data", tmp_path / "data" / "redis"):
        folder.mkdir()
        folder.chmod(0o755)
    return tmp_path / "data"


def environment(data, port):
    return {
        **os.environ,
        "LABEL_STUDIO_URL": "http://127.0.0.1:9",
        "LABEL_STUDIO_API_KEY": "a token of nobody",
        "RELOOK_DATA_DIR": str(data),
        "RELOOK_PORT": str(port),
    }


@pytest.fixture
def started(data, tmp_path):
    """The process, once it says that it answers, and where."""
    env = environment(data, port := free_port())
    env.pop("REDIS_URL", None)
    said = tmp_path / "said"
    with said.open("w") as stderr, subprocess.Popen(START, env=env, stderr=stderr) as process:
        try:
            until(lambda: "Ctrl-C" in said.read_text() or process.poll() is not None, "the start")
            assert process.poll() is None, said.read_text()
            yield process, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def answers(url):
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


def child(process, command):
    """The process id of the one child that runs this command, 0 for none."""
    for one in psutil.Process(process.pid).children():
        # One that has ended has none, and may be gone between two looks.
        with suppress(psutil.NoSuchProcess):
            if command in (one.as_dict(["cmdline"])["cmdline"] or []):
                return one.pid
    return 0


def test_a_dead_backend_is_replaced_and_sigterm_stops_all_in_order(started, data):
    process, url = started
    before = child(process, "serve")
    os.kill(before, signal.SIGKILL)
    until(lambda: child(process, "serve") not in (0, before) and answers(url), "another one")

    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert not [one for one in children if one.is_running()]
    # Redis was told to end, and not killed.
    assert "User requested shutdown" in (data / "redis" / "redis.log").read_text()


def open_to_others(folder):
    """What in a folder other users may read, write or open."""
    return [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


def test_only_this_user_reads_what_a_stack_keeps(started, data):
    process, _ = started
    until(lambda: child(process, "worker"), "a worker")
    assert {path.name for path in data.iterdir()} >= {"redis", "logs"}
    assert open_to_others(data) == []


def test_a_log_does_not_grow_without_end(tmp_path):
    says = "import time\nfor n in range(1000): print(n, flush=True); time.sleep(0.001)"
    log = tmp_path / "a.log"
    with ChildProcess("a", [sys.executable, "-c", says], log) as running:
        while running.running:
            running.trim_log(500)
    running.trim_log(500)
    assert 0 <= log.stat().st_size <= 500
    assert "999" in log.read_text() + Path(f"{log}.1").read_text()


def test_a_port_that_another_holds_is_refused_by_name(data):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            START,
            env=environment(data, port),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 2
    assert f"RELOOK_HOST=127.0.0.1 and RELOOK_PORT={port}" in done.stderr
    assert "another port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:9090"),
        ("::", "http://[::1]:9090"),
        ("::1", "http://[::1]:9090"),
        ("relook.example", "http://relook.example:9090"),
    ],
)
def test_the_backend_is_found_on_its_own_machine(host, url):
    assert ServiceSettings(host=host).local_url == url
