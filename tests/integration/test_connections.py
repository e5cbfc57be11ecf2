"""A project's connections in Label Studio: removed, made again, and two that differ."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from label_studio_sdk.core.api_error import ApiError

from ml_backend.checks.finding import Findings
from ml_backend.checks.labelstudio import check_project
from ml_backend.services import Services
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import right, scenes, wrong_class
from tests.integration.test_page_api import act, signed_in

__all__ = ["signed_in"]

MODEL = {"model": "digits-detect.pt"}


def reconcile(bench: Bench, project: int) -> None:
    job = bench.mailbox.events.enqueue("ml_backend.jobs.events.reconcile", project)
    wait_for(lambda: job.get_status(refresh=True) == "finished", "the look at the project")


def connections(bench: Bench, project: int) -> list[Any]:
    return sorted(bench.client.ml.list(project=project), key=lambda one: one.id)


def edit(bench: Bench, project: int, connection: Any, **params: Any) -> None:
    bench.client.ml.update(
        id=str(connection.id), url=bench.stack.url, project=project, extra_params=params
    )


def mislabel(bench: Bench, task: int) -> None:
    (annotation,) = bench.task(task).annotations
    for region in annotation["result"]:
        region["value"]["rectanglelabels"] = [
            str((int(label) + 5) % 10) for label in region["value"]["rectanglelabels"]
        ]
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])


def test_nothing_is_written_once_the_connection_is_removed(bench: Bench, signed_in: httpx.Client):
    project, (good, bad) = bench.project(
        "detection", [right(scenes(1, seed=71)[0]), wrong_class(scenes(2, seed=71)[1])]
    )
    bench.analyze(project)
    bench.settle(project)
    reconcile(bench, project)
    assert project in bench.mailbox.projects()
    stood = bench.task(good).data
    (connection,) = connections(bench, project)
    bench.client.ml.delete(id=str(connection.id))
    assert bench.client.webhooks.list(project=str(project)), "Label Studio leaves the webhook"
    reconcile(bench, project)
    assert project not in bench.mailbox.projects()
    mislabel(bench, good)
    bench.settle(project)
    assert bench.task(good).data == stood
    refused = act(signed_in, project, "flag", [good])
    assert refused.status_code == 400
    assert "is not connected to this backend" in refused.text
    # Connected again, it goes on where it stopped.
    bench.client.ml.create(url=bench.stack.url, project=project, title="B", extra_params=MODEL)
    wait_for(lambda: bench.flag(good) == "needs-review", "the look at what changed meanwhile")
    assert bench.flag(bad) == "needs-review"


def test_a_run_under_way_ends_with_the_connection(bench: Bench):
    project, _ = bench.project("detection", [right(one) for one in scenes(1, seed=72)])
    (connection,) = connections(bench, project)
    bench.client.ml.delete(id=str(connection.id))
    run = bench.runs.open(project)
    reconcile(bench, project)
    ended = bench.runs.read(run.id)
    assert ended.state == "cancelled"
    assert "model connection was removed" in " ".join(ended.log)


def test_a_connection_that_is_refused_by_now_is_ours_all_the_same(bench: Bench, model_dir: Path):
    project, _ = bench.project("detection", [right(one) for one in scenes(1, seed=73)])
    shutil.copy(model_dir / "digits-detect.pt", model_dir / "leaving.pt")
    (connection,) = connections(bench, project)
    edit(bench, project, connection, model="leaving.pt")
    (model_dir / "leaving.pt").unlink()
    reconcile(bench, project)
    assert [one.state for one in connections(bench, project)] == ["ER"]
    assert project in bench.mailbox.projects()


def test_of_two_connections_that_differ_the_older_holds_and_no_run_begins(bench: Bench):
    project, _ = bench.project("detection", [right(one) for one in scenes(2, seed=74)])
    bench.analyze(project)
    bench.settle(project)
    (older,) = connections(bench, project)
    count = len(bench.runs.of_project(project))
    other = MODEL | {"review_threshold": 0.9}
    newer = bench.client.ml.create(
        url=bench.stack.url, project=project, title="Second", extra_params=other
    )

    def refused() -> bool:
        return [one.state for one in connections(bench, project)] == ["CO", "ER"]

    wait_for(refused, "the refusal of the second connection")
    for _ in range(3):
        assert refused()
    assert "different extra params" in connections(bench, project)[1].error_message
    assert bench.mailbox.setup_of(project) == (True, MODEL)
    assert len(bench.runs.of_project(project)) == count
    with pytest.raises(ApiError, match="Remove the others in Settings > Model"):
        edit(bench, project, newer, **MODEL, review_threshold=0.8)
    found = Findings()
    check_project(found, Services(bench.settings), project, events=False)
    assert any(
        "several connections to Relook" in one.said for one in found.lines if one.well is False
    )

    bench.client.ml.delete(id=str(older.id))
    reconcile(bench, project)
    assert bench.mailbox.setup_of(project) == (True, other)
    wait_for(lambda: len(bench.runs.of_project(project)) == count + 1, "the run that follows")
    bench.wait_for_run(project)
    assert [one.state for one in connections(bench, project)] == ["CO"]
    edit(bench, project, newer, **MODEL)
    wait_for(lambda: len(bench.runs.of_project(project)) == count + 2, "the run that follows")
    bench.wait_for_run(project)
