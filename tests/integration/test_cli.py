"""The command line, as an operator types it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import httpx
import pytest

from ml_backend.demo.projects import CONFIGS
from ml_backend.processes import free_port
from tests.integration.conftest import Bench, wait_for
from tests.integration.people import access_of, stranger
from tests.integration.samples import right, scenes

RELOOK = [sys.executable, "-m", "ml_backend.commands.cli"]


def relook(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RELOOK, *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, **environment},
    )


def said_in_one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    # The terminal's width is no part of what is said.
    return " ".join(done.stderr.split())


def test_analyze_follows_a_run_and_runs_lists_it(bench: Bench):
    project, _ = bench.project("detection", [right(scenes(1, seed=51)[0])])
    done = relook("analyze", str(project), **bench.asking)
    assert done.returncode == 0, done.stderr
    assert "finishing" in done.stderr
    listed = relook("runs", str(project), **bench.asking)
    assert "done" in listed.stdout


def test_a_run_that_fails_says_why(bench: Bench):
    project, _ = bench.project("detection", [right(scenes(1, seed=51)[0])])
    bench.rest(project)
    _, settings = bench.mailbox.setup_of(project)
    bench.mailbox.remember_setup(project, {"model": "none.pt"})
    done = relook("analyze", str(project), **bench.asking)
    bench.mailbox.remember_setup(project, settings)
    assert done.returncode == 1, done.stderr
    assert "none.pt" in done.stderr
    assert ": failed, 0 tasks need review" in done.stderr


def test_a_run_is_shown_with_its_log_and_what_is_wrong_with_which_task(bench: Bench):
    project, _ = bench.project("detection", [right(scenes(1, seed=51)[0])])
    run = bench.runs.open(project)
    bench.runs.while_at(run, partial(bench.runs.begin_stage, run.id, "scoring", 0, 10))
    bench.runs.log(run.id, "scoring: 10 of 10 tasks")
    bench.runs.log(run.id, "model [tiny] has no class 'cab'")
    bench.runs.note_errors(run.id, {"5": "task 5: its image cannot be read"})
    shown = relook("run", run.id, **bench.asking)
    assert shown.returncode == 0, shown.stderr
    said = shown.stdout.splitlines()
    assert said[0] == f"run {run.id} of project {project}: running, scoring"
    assert said[2].endswith(" scoring: 10 of 10 tasks")
    assert said[3].endswith(" model [tiny] has no class 'cab'")
    assert said[4:] == ["task 5: its image cannot be read"]
    bench.graph.cancel(run.id)


def test_who_interrupts_a_run_is_told_how_to_end_it(bench: Bench):
    project, _ = bench.project("detection", [right(scenes(1, seed=51)[0])])
    with subprocess.Popen(
        [*RELOOK, "analyze", str(project)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **bench.asking},
    ) as following:
        run = wait_for(lambda: bench.runs.of_project(project), "the run")[0]
        # It asks for the run before it follows it.
        time.sleep(2)
        following.send_signal(signal.SIGINT)
        _, said = following.communicate(timeout=60)
    # The run may have ended first.
    assert (following.returncode, f"`relook cancel {run.id}` ends it" in said) in (
        (130, True),
        (0, False),
    )
    assert bench.wait_for_run(project).state == "done"


def test_without_a_backend_the_mend_is_named():
    nobody = {"RELOOK_URL": f"http://127.0.0.1:{free_port()}", "LABEL_STUDIO_API_KEY": "e" * 40}
    said = said_in_one_line(relook("runs", "1", **nobody))
    assert f"no backend answers at {nobody['RELOOK_URL']}" in said
    assert all(mend in said for mend in ("`relook start`", "`relook serve`", "RELOOK_URL"))


def test_what_is_no_backend_is_named(bench: Bench):
    label_studio = {**bench.asking, "RELOOK_URL": f"{bench.server.url}/user/login"}
    said = said_in_one_line(relook("runs", "1", **label_studio))
    assert "does not speak Relook's language (HTTP 404)" in said


@pytest.mark.parametrize(
    ("name", "value", "mend"),
    [
        ("LABEL_STUDIO_API_KEY", "", "LABEL_STUDIO_API_KEY is not set"),
        ("LABEL_STUDIO_API_KEY", "secret\nsecret", "LABEL_STUDIO_API_KEY is no token"),
        ("LABEL_STUDIO_API_KEY", "secret" * 7, "Label Studio does not accept this credential"),
        ("RELOOK_URL", "relook.example:9090", "RELOOK_URL"),
        ("RELOOK_URL", "http://me:secret@relook.example", "RELOOK_URL"),
    ],
)
def test_a_wrong_way_to_the_backend_is_named_and_no_secret_shown(
    bench: Bench, name: str, value: str, mend: str
):
    said = said_in_one_line(relook("runs", "1", **{**bench.asking, name: value}))
    assert mend in said
    assert "secret" not in said
    if name == "LABEL_STUDIO_API_KEY":
        assert "personal access token" in said


def test_who_has_no_access_is_told_so_by_every_command(bench: Bench):
    project, tasks = bench.project("detection", [right(scenes(1, seed=51)[0])])
    run = bench.graph.start(project).id
    bench.wait_for_run(project)
    asking = {**bench.asking, "LABEL_STUDIO_API_KEY": stranger(bench, "elsewhere")}
    of_project = {
        "analyze": (),
        "runs": (),
        "annotators": (),
        "approve": ("--dry-run",),
        "approve-undo": (),
        "batch": ("--task", str(tasks[0])),
        "batches": ("--sync",),
        "batch-cancel": ("3-abc",),
    }
    commands = [(name, str(project), *words) for name, words in of_project.items()]
    for words in [*commands, ("run", run), ("cancel", run), ("retry", run), ("run", "none")]:
        assert said_in_one_line(relook(*words, **asking)) == "no access to this project", words
    assert len(bench.runs.of_project(project)) == 1


def test_no_batch_goes_to_a_project_that_its_sender_may_not_change(bench: Bench):
    project, tasks = bench.project("detection", [right(scenes(1, seed=51)[0])])
    theirs = httpx.post(
        f"{bench.server.url}/api/projects/",
        json={"title": "Theirs", "label_config": CONFIGS["detection"]},
        headers=access_of(bench.server.url, stranger(bench, "others")),
    )
    other, task = str(theirs.json()["id"]), str(tasks[0])
    refused = f"the batch is for project {other}, which you may not change"
    done = relook("batch", str(project), "--task", task, "--to", other, **bench.asking)
    assert said_in_one_line(done) == refused
    done = relook("batch-cancel", str(project), f"{other}-abc", **bench.asking)
    assert said_in_one_line(done) == refused


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
