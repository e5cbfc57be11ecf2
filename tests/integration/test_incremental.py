"""A run looks at what changed since the last one, whatever a person did, and at nothing else."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from typing import Any, cast

import httpx
import numpy as np
import pytest

from ml_backend.jobs.project.comparison import Comparison
from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.labelstudio.tasks.filters import condition, either, every
from ml_backend.services import Services
from ml_backend.storage.store import LABELS
from ml_backend.storage.tables import named
from tests.integration.conftest import Bench
from tests.integration.samples import right, scenes, wrong_class
from tests.integration.test_cli import relook
from tests.integration.test_runs import pat, without_events

COUNT = 8


@pytest.fixture(scope="module")
def small(bench: Bench) -> int:
    """A connected project of one task."""
    return bench.project("detection", [right(scenes(1, seed=72)[0])])[0]


@pytest.fixture
def analysed(bench: Bench) -> tuple[int, list[int]]:
    """A project that was analysed, whose events go nowhere: only runs find what changed."""
    made = scenes(COUNT, seed=71)
    tasks = [wrong_class(made[0]), wrong_class(made[1]), *(right(scene) for scene in made[2:])]
    project, ids = bench.project("detection", tasks)
    without_events(bench, project)
    bench.analyze(project)
    bench.settle(project)
    return project, ids


class Traffic:
    """What Label Studio was asked since the last look."""

    def __init__(self, bench: Bench) -> None:
        self._log = bench.server.folder / "label-studio.log"
        self._seen = self._log.stat().st_size

    def read(self, project: int) -> tuple[set[int], list[str]]:
        """Return the tasks that were read whole, and all that was written."""
        with self._log.open("rb") as file:
            file.seek(self._seen)
            lines = set(file.read().decode(errors="replace").splitlines())
        read: set[int] = set()
        for line in lines:
            if f"project={project}&" in line and "fields=all" in line:
                found = re.search(r"included%22%3A\+%5B(.*?)%5D", line)
                assert found is not None, line
                read |= {int(task) for task in found[1].split("%2C+")}
        written = [
            line
            for line in lines
            if re.search(r'"(POST|PATCH|DELETE|PUT) ', line) and "/api/ml" not in line
        ]
        return read, [line for line in written if "/token/" not in line]


def test_of_an_unchanged_project_nothing_is_read_or_written(bench: Bench, analysed):
    project, ids = analysed
    flags = [bench.flag(task) for task in ids]
    traffic = Traffic(bench)
    run = bench.analyze(project)
    assert traffic.read(project) == (set(), [])
    assert (run.state, run.total, run.errors) == ("done", COUNT, {})
    assert run.flagged == flags.count("needs-review") == 2
    assert run.log[0].endswith(f"predicting: 0 of {COUNT} tasks")


def relabel(bench: Bench, task: int) -> None:
    (annotation,) = bench.task(task).annotations
    label = annotation["result"][0]["value"]["rectanglelabels"]
    label[0] = str((int(label[0]) + 5) % 10)
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])


def unlabel(bench: Bench, task: int) -> None:
    (annotation,) = bench.task(task).annotations
    bench.client.annotations.delete(id=annotation["id"])


def skip(bench: Bench, task: int) -> None:
    bench.client.annotations.create(id=task, result=[], was_cancelled=True)


def change_data(bench: Bench, task: int) -> None:
    found = bench.task(task)
    bench.client.tasks.update(id=str(task), data={**found.data, "note": "other"})


def delete_predictions(bench: Bench, task: int) -> None:
    (project,) = {one.project for one in bench.predictions(task)}
    select(bench, "delete_tasks_predictions", project, task)


def delete_predictions_uncounted(bench: Bench, task: int) -> None:
    """Label Studio's signals stay off for what is first sent while a project is deleted."""
    project = bench.predictions(task)[0].project
    other, (one, _) = bench.project("detection", [right(scene) for scene in scenes(2, seed=73)])
    without_events(bench, other)
    bench.analyze(other)
    select(bench, "delete_tasks", other, one)  # Switches all of them on.
    bench.client.projects.delete(id=other)
    delete_predictions(bench, task)
    # The task itself is not asked for: Label Studio would have it predicted as it is opened.
    listed = bench.client.tasks.list(project=project, fields="task_only")
    counts = {one.id: one.total_predictions for one in listed}
    assert counts[task] == 1, "Label Studio counts it no more"


def select(bench: Bench, action: str, project: int, task: int) -> None:
    selected = {"all": False, "included": [task]}
    bench.client.actions.create(id=action, project=project, selected_items=cast(Any, selected))


CHANGES = [
    *(relabel, unlabel, skip, change_data),
    *(delete_predictions, delete_predictions_uncounted),
]


def test_a_prediction_without_a_version_is_seen_once(bench: Bench, analysed):
    """Label Studio finds its task among those without predictions."""
    project, ids = analysed
    nameless: Any = {"task": ids[4], "result": [], "model_version": None}
    bench.client.projects.import_predictions(id=project, request=[nameless])
    assert None in [one.model_version for one in bench.predictions(ids[4])]
    for read in ({ids[4]}, set()):
        traffic = Traffic(bench)
        bench.analyze(project)
        assert traffic.read(project) == (read, [])


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_person_does_is_seen_by_the_next_run(bench: Bench, analysed, change):
    project, ids = analysed
    change(bench, ids[4])
    traffic = Traffic(bench)
    run = bench.analyze(project)
    read, _ = traffic.read(project)
    assert ids[4] in read
    assert not read - {ids[4], ids[0], ids[1]}, "only flagged tasks may have other scores now"
    assert len(bench.predictions(ids[4])) == 1 + (change is relabel)
    assert bench.flag(ids[4]) == ("needs-review" if change is relabel else None)
    assert run.total == COUNT
    traffic = Traffic(bench)
    bench.analyze(project)
    assert not traffic.read(project)[1], "nothing was left to write"


@pytest.mark.parametrize(("by", "written"), [(0.02, False), (0.05, True)])
def test_a_priority_that_hardly_moved_is_not_written_anew(bench: Bench, analysed, by, written):
    project, ids = analysed
    services = Services(bench.settings)
    looks = services.looks.get(project, np.array(ids))
    assert np.isfinite(looks.priority).tolist() == [bench.flag(task) is not None for task in ids]
    services.looks.put(project, replace(looks, priority=looks.priority - np.float32(by)))
    opened = OpenedProject.open(services, project)
    _, other = Comparison(opened).compare(looks.task, settled=False)
    assert other.tolist() == [written and bench.flag(task) is not None for task in ids]


def test_a_task_whose_kept_labels_are_lost_is_read_again(bench: Bench, analysed):
    """It would seem to be without labels, of which there is nothing to say."""
    project, ids = analysed
    services, tasks = Services(bench.settings), np.array(ids)
    services.store.tables.delete(named("labels", LABELS, project), tasks[4:5])
    comparison = Comparison(OpenedProject.open(services, project))
    _, other = comparison.compare(tasks, settled=False)
    assert tasks[other].tolist() == [ids[4]]
    comparison.settle(tasks)
    assert not comparison.settled(tasks)


def test_a_task_that_is_added_or_deleted_is_seen(bench: Bench, analysed):
    project, ids = analysed
    bench.client.tasks.delete(id=str(ids[0]))
    other = bench.task(ids[4])
    bench.client.tasks.create(project=project, data=other.data)
    run = bench.analyze(project)
    assert (run.total, run.flagged) == (COUNT, 1)


def test_a_deleted_store_is_computed_again_and_says_the_same(bench: Bench, analysed):
    project, ids = analysed
    before = [bench.task(task).data for task in ids]
    shutil.rmtree(bench.settings.data_dir / "store")
    traffic = Traffic(bench)
    run = bench.analyze(project)
    read, written = traffic.read(project)
    assert (read, written) == (set(ids), [])
    assert (run.flagged, run.errors) == (2, {})
    assert [bench.task(task).data for task in ids] == before


def test_another_config_invalidates_all(bench: Bench, analysed, configs):
    project, ids = analysed
    painted = configs["detection"].replace("<RectangleLabels", '<RectangleLabels opacity="0.9"')
    bench.client.projects.update(id=project, label_config=painted)
    traffic = Traffic(bench)
    bench.analyze(project)
    assert traffic.read(project)[0] == set(), "of another colour nothing follows"
    mapped = painted.replace('value="1"', 'value="1" predicted_values="7"')
    bench.client.projects.update(id=project, label_config=mapped)
    traffic = Traffic(bench)
    bench.analyze(project)
    assert traffic.read(project)[0] == set(ids)
    # Of the change itself a run may begin after that.
    bench.rest(project)
    bench.wait_for_run(project)


def begin_over(bench: Bench, project: int, over: dict[str, Any]) -> httpx.Response:
    address = f"{bench.stack.url}/api/projects/{project}/runs"
    return httpx.post(address, json=over, headers=pat(bench.server), timeout=30)


def analyze_by_filter(bench: Bench, project: int, task: int) -> str:
    said = json.dumps(every(condition("id", "Number", task)))
    done = relook("analyze", str(project), "--filter", said, **bench.asking)
    assert done.returncode == 0, done.stderr
    assert f" over filter {said}: done, 3 tasks need review" in done.stderr
    return f"filter {said}"


def analyze_by_tab(bench: Bench, project: int, task: int) -> str:
    # Nothing can be added to one that says "or".
    said = either(condition("id", "Number", task), condition("id", "Number", -1))
    data = {"title": "One", "type": "list", "target": "tasks", "filters": said}
    tab = bench.client.views.create(project=project, data=cast(Any, data)).id
    answer = begin_over(bench, project, {"tab": tab})
    assert (answer.status_code, answer.json()["over"]) == (202, f"tab {tab}"), answer.text
    bench.wait_for_run(project)
    return f"tab {tab}"


@pytest.mark.parametrize("analyze_one", [analyze_by_filter, analyze_by_tab])
def test_a_run_over_some_of_a_project_leaves_the_rest_to_the_next(
    bench: Bench, analysed, analyze_one
):
    project, ids = analysed
    chosen, other = ids[4], ids[6]
    relabel(bench, chosen)
    relabel(bench, other)
    traffic = Traffic(bench)
    over = analyze_one(bench, project, chosen)
    assert traffic.read(project)[0] == {chosen}
    run = bench.runs.of_project(project)[0]
    assert (run.over, run.state, run.errors) == (over, "done", {})
    assert [line.split(" ", 1)[1] for line in run.log[:2]] == [
        f"over {over}: 1 of {COUNT} tasks",
        f"predicting: 1 of {COUNT} tasks",
    ]
    assert [bench.flag(task) for task in (chosen, other)] == ["needs-review", None]
    assert [len(bench.predictions(task)) for task in (chosen, other)] == [2, 1]
    traffic = Traffic(bench)
    run = bench.analyze(project)
    assert other in traffic.read(project)[0]
    assert (run.over, run.flagged) == ("", 4)
    assert [bench.flag(task) for task in (chosen, other)] == ["needs-review"] * 2


#: Label Studio answers with all tasks.
passed_over = {"filter": "tasks:id", "operator": "equal", "type": "Number", "value": 1}


@pytest.mark.parametrize(
    ("over", "status", "said"),
    [
        ({"filter": {"conjunction": "and", "items": [{"filter": "x"}]}}, 400, "understand"),
        ({"filter": {"conjunction": "and", "items": [passed_over]}}, 400, "understand"),
        ({"filter": {}}, 400, "understand"),
        ({"tab": 999_999}, 400, "has no tab 999999; there are: "),
        ({"tab": 1, "tasks": [1]}, 400, "exclude each other"),
        ({"tasks": ["one"]}, 422, "tasks"),
        ({"filters": {}}, 422, "filters"),
    ],
)
def test_what_cannot_be_chosen_begins_no_run(bench: Bench, small, over, status, said):
    before = bench.runs.ids_of(small)
    answer = begin_over(bench, small, over)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert bench.runs.ids_of(small) == before
