"""A run looks at what changed since the last one, whatever a person did, and at nothing else."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.integration.conftest import Bench
from tests.integration.samples import right, scenes, wrong_class
from tests.integration.test_runs import without_events

COUNT = 8


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
    bench.client.actions.create(
        id="delete_tasks_predictions",
        project=project,
        selected_items={"all": False, "included": [task]},
    )


@pytest.mark.parametrize("change", [relabel, unlabel, skip, change_data, delete_predictions])
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
