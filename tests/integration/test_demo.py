"""`relook demo`, as the README's first command runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import wait_for

COMMAND = [sys.executable, "-m", "ml_backend.commands.cli", "demo"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("demo")


def processes_of(folder: Path) -> list[str]:
    """Every process that works in the demo's folder, by its environment or its arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            said = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if any(str(folder) in part for part in said):
            found.append(" ".join(process.cmdline()))
    return found


def test_check_finds_the_planted_errors(folder):
    done = subprocess.run(
        [*COMMAND, "--check", "--folder", str(folder)],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = done.stdout.splitlines()
    report = json.loads(line)
    for kind, planted in (("detection", 48), ("classification", 40)):
        assert report[kind]["planted"] == planted
        assert report[kind]["precision"] >= 0.9
        assert report[kind]["recall"] >= 0.9
    assert processes_of(folder) == []


def test_a_second_start_finds_what_is_there_and_ctrl_c_leaves_nothing(folder, tmp_path):
    said = tmp_path / "stderr"
    began = time.monotonic()
    with said.open("w") as stderr:
        demo = subprocess.Popen([*COMMAND, "--folder", str(folder)], stderr=stderr)
    try:
        wait_for(lambda: "Ctrl-C" in said.read_text() or demo.poll(), "a second start", 240)
        text = said.read_text()
        assert demo.poll() is None, text
        assert "needs review" in text
        assert "password" in text
        print(f"second start: {time.monotonic() - began:.1f} s")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    finally:
        demo.kill()
    assert processes_of(folder) == []
