"""The command line, as an operator types it."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.integration.conftest import Bench
from tests.integration.samples import right, scenes


def relook(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ml_backend.commands.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, **environment},
    )


def test_analyze_follows_a_run_and_runs_lists_it(bench: Bench):
    project, _ = bench.project("detection", [right(scenes(1, seed=51)[0])])
    done = relook("analyze", str(project), REDIS_URL=bench.stack.redis_url)
    assert done.returncode == 0, done.stderr
    assert "finishing" in done.stderr
    listed = relook("runs", str(project), REDIS_URL=bench.stack.redis_url)
    assert "done" in listed.stdout


def test_a_run_that_fails_says_why(bench: Bench):
    done = relook("analyze", "999998", REDIS_URL=bench.stack.redis_url)
    assert done.returncode == 1
    assert "project 999998" in done.stderr


def test_a_missing_setting_is_one_line_without_a_traceback():
    done = relook("serve", REDIS_URL="", RELOOK_REDIS_URL="")
    assert done.returncode == 2
    assert "REDIS_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_variable_is_named():
    done = relook("worker", RELOOK_PORT="ninety")
    assert done.returncode == 2
    assert "'ninety'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_is_no_redis_is_one_line_without_a_traceback():
    done = relook("serve", REDIS_URL="localhost:6379")
    assert done.returncode == 2
    assert "REDIS_URL" in done.stderr
    assert "Traceback" not in done.stderr
