"""Runs as a caller sees them, and what is found again after something was lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from ml_backend.demo.labelstudio import LabelStudioServer
from ml_backend.labelstudio.client import access_headers
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import right, scenes, wrong_class
from tests.integration.test_cli import relook


@pytest.fixture(scope="module")
def analysed(bench: Bench):
    first, *others = scenes(3, seed=61)
    # One that is wrong: a run scores only tasks of which there is something to say.
    tasks = [wrong_class(first), *map(right, others)]
    project, ids = bench.project("detection", tasks)
    return project, ids, bench.analyze(project)


def get(bench: Bench, path: str, **headers: str) -> httpx.Response:
    return httpx.get(bench.stack.url + path, headers=headers)


def post(bench: Bench, path: str, **headers: str) -> httpx.Response:
    return httpx.post(bench.stack.url + path, headers=headers)


def pat(server: LabelStudioServer) -> dict[str, str]:
    return {"Authorization": f"Bearer {server.token()}"}


def test_runs_are_read_with_a_label_studio_credential_only(bench, analysed):
    project, _, run = analysed
    for path in (f"/api/projects/{project}/runs", f"/api/runs/{run.id}", "/api/runs/none"):
        answer = get(bench, path)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert get(bench, path, Authorization="Bearer nonsense").status_code == 401
        assert get(bench, path, Authorization="Token " + "f" * 40).status_code == 401
        assert get(bench, path, Cookie="sessionid=nonsense").status_code == 401


def test_a_personal_an_access_token_and_a_session_open_the_project(bench, analysed):
    project, _, run = analysed
    with httpx.Client(base_url=bench.server.url, follow_redirects=True) as session:
        bench.server.sign_in(session)
        cookie = {"Cookie": f"sessionid={session.cookies['sessionid']}"}
    for headers in (pat(bench.server), access_headers(bench.client), cookie):
        listed = get(bench, f"/api/projects/{project}/runs", **headers).json()["runs"]
        assert [one["id"] for one in listed] == [run.id]
        found = get(bench, f"/api/runs/{run.id}", **headers).json()
        assert (found["state"], found["stage"], found["total"]) == ("done", "done", 3)
        assert found["log"][0].endswith("predicting: 3 of 3 tasks")


def test_one_callers_session_signs_nobody_else_in(bench, analysed):
    _, _, run = analysed
    with httpx.Client(base_url=bench.server.url, follow_redirects=True) as session:
        bench.server.sign_in(session)
        cookie = {"Cookie": f"sessionid={session.cookies['sessionid']}"}
    assert get(bench, f"/api/runs/{run.id}", **cookie).status_code == 200
    # Words of its own: what Label Studio said of others is remembered for a while.
    for stranger in ("Bearer stranger", "Token " + "e" * 40):
        assert get(bench, f"/api/runs/{run.id}", Authorization=stranger).status_code == 401
        refused = post(bench, f"/api/runs/{run.id}/retry", Authorization=stranger)
        assert refused.status_code == 401


def test_a_project_that_is_not_the_callers_is_refused(bench, analysed):
    assert get(bench, "/api/projects/999999/runs", **pat(bench.server)).status_code == 403
    assert get(bench, "/api/runs/none", **pat(bench.server)).status_code == 403
    unread = bench.graph.start(999_998)
    assert get(bench, f"/api/runs/{unread.id}", **pat(bench.server)).status_code == 403


def test_job_times_of_workers_are_told_by_the_server(bench, analysed):
    text = httpx.get(bench.stack.url + "/metrics").text
    assert 'relook_job_seconds_count{job="plan",outcome="done"}' in text
    assert 'relook_job_seconds_bucket{job="score",le="+Inf",outcome="done"}' in text
    assert 'relook_jobs_running{queue="relook-runs"}' in text


@contextmanager
def workers_at_rest(bench: Bench) -> Iterator[None]:
    """A run stays where it can be cancelled. RQ's own suspension lets one more job pass."""
    workers = [worker.pid for worker in bench.stack.workers]
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)


def test_a_run_is_cancelled_and_retried_from_the_command_line(bench: Bench):
    project, _ = bench.project("detection", [right(scene) for scene in scenes(2, seed=62)])
    with workers_at_rest(bench):
        run = bench.graph.start(project)
        done = relook("cancel", run.id, **bench.asking)
        assert (done.returncode, bench.runs.read(run.id).state) == (0, "cancelled")
        again = relook("cancel", run.id, **bench.asking)
        assert again.returncode == 2
        assert "ended already (cancelled)" in again.stderr
    done = relook("retry", run.id, **bench.asking)
    assert done.returncode == 0, done.stderr
    assert f"run {run.id}: done" in done.stderr
    assert "cancelled" not in relook("runs", str(project), **bench.asking).stdout


def without_events(bench: Bench, project: int) -> None:
    """As if the backend were down: Label Studio's events go nowhere."""
    for webhook in bench.client.webhooks.list(project=str(project)):
        bench.client.webhooks.delete(id=webhook.id)


def search(bench: Bench, project: int) -> None:
    job = bench.mailbox.events.enqueue("ml_backend.jobs.events.reconcile", project)
    wait_for(lambda: job.get_status() == "finished", "the search for lost events")


def test_changes_whose_events_were_lost_are_found(bench: Bench):
    tasks = [right(scene) for scene in scenes(2, seed=63)]
    project, (wronged, emptied) = bench.project(
        "detection", [tasks[0], wrong_class(scenes(2, 63)[1])]
    )
    bench.analyze(project)
    bench.settle(project)
    search(bench, project)
    without_events(bench, project)
    assert bench.flag(wronged) is None
    assert bench.flag(emptied) == "needs-review"

    (annotation,) = bench.task(wronged).annotations
    annotation["result"][0]["value"]["rectanglelabels"] = [
        str((scenes(1, seed=63)[0].label[0] + 5) % 10)
    ]
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])
    (annotation,) = bench.task(emptied).annotations
    bench.client.annotations.delete(id=annotation["id"])
    time.sleep(1)
    assert bench.flag(wronged) is None

    search(bench, project)
    wait_for(lambda: bench.flag(wronged) == "needs-review", "the flag")
    wait_for(lambda: bench.flag(emptied) == "", "the cleared flag")
    bench.settle(project)


def test_a_killed_worker_costs_a_minute_and_nothing_else(bench: Bench):
    tasks = [wrong_class(scene) for scene in scenes(6, seed=64)]
    project, ids = bench.project("detection", tasks)
    bench.settle(project)
    run = bench.graph.start(project)
    wait_for(lambda: bench.runs.read(run.id).stage == "predicting", "predictions")
    (worker,) = bench.stack.workers
    os.killpg(worker.pid, signal.SIGKILL)
    wait_for(lambda: not worker.running, "its end")
    bench.stack.tend()
    ended = bench.wait_for_run(project)
    assert (ended.state, ended.errors) == ("done", {})
    flags = [bench.flag(task) for task in ids]
    assert flags.count("needs-review") == ended.flagged > 0
    assert bench.analyze(project).flagged == ended.flagged
    assert [bench.flag(task) for task in ids] == flags
    for task in ids:
        made = [p for p in bench.predictions(task) if p.model_version != "relook-suggestion"]
        assert len(made) == 1, "a pre-label was written twice"


def test_a_run_is_cancelled_and_retried_over_http_by_who_may_change_the_project(bench: Bench):
    project, _ = bench.project("detection", [right(scene) for scene in scenes(2, seed=65)])
    may = pat(bench.server)
    with workers_at_rest(bench):
        run = bench.graph.start(project)
        cancel, retry = f"/api/runs/{run.id}/cancel", f"/api/runs/{run.id}/retry"
        assert post(bench, cancel).status_code == 401
        assert post(bench, cancel, Authorization="Bearer nonsense").status_code == 401
        assert post(bench, "/api/runs/none/cancel", **may).status_code == 403
        assert get(bench, cancel, **may).status_code == 405
        assert bench.runs.read(run.id).state == "queued"

        assert post(bench, cancel, **may).json()["state"] == "cancelled"
        again = post(bench, cancel, **may)
        assert again.status_code == 409
        assert "ended already (cancelled)" in again.json()["detail"]
    taken_up = post(bench, retry, **may)
    assert (taken_up.status_code, taken_up.json()["attempt"]) == (200, 1)
    assert bench.wait_for_run(project).state == "done"


def test_a_cookie_alone_changes_nothing(bench: Bench, analysed):
    _, _, run = analysed
    with httpx.Client(base_url=bench.server.url, follow_redirects=True) as session:
        bench.server.sign_in(session)
        cookie = {"Cookie": f"sessionid={session.cookies['sessionid']}"}
    path = f"/api/runs/{run.id}/retry"
    refused = post(bench, path, **cookie)
    assert refused.status_code == 403
    assert "X-Relook" in refused.json()["detail"]
    elsewhere = {**cookie, "Origin": "https://elsewhere.example"}
    preflight = httpx.options(
        bench.stack.url + path,
        headers={**elsewhere, "Access-Control-Request-Headers": "x-relook"},
    )
    assert "access-control-allow-origin" not in preflight.headers
    done = post(bench, path, **cookie, **{"X-Relook": "1"})
    assert (done.status_code, "left nothing undone" in done.json()["detail"]) == (409, True)
