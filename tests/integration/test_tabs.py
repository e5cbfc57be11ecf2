"""The review tabs in a real Data Manager."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ml_backend.demo.projects import CONFIGS
from ml_backend.labelstudio.relabel.tabs import BatchTab, batch_tabs, open_tab
from ml_backend.labelstudio.views import ensure_tabs, review_tabs
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import one_missing, right, scenes, wrong_class

TABS = review_tabs("Needs review", ("missing", "mislabelled"))


@pytest.fixture(scope="module")
def analysed(bench: Bench):
    first, second, third, fourth = scenes(4, seed=71)
    tasks = [right(first), wrong_class(second), one_missing(third), wrong_class(fourth)]
    kinds = cast(Any, ["missing", "mislabelled"])
    project, ids = bench.project("detection", tasks, kind_tabs=kinds)
    assert bench.analyze(project).state == "done"
    return project, ids


def views(bench: Bench, project: int) -> dict[str, Any]:
    return {view.data["title"]: view for view in bench.client.views.list(project=project)}


def shown(bench: Bench, project: int, title: str) -> list[int]:
    view = views(bench, project)[title]
    return [task.id for task in bench.client.tasks.list(project=project, view=view.id)]


def snapshot(bench: Bench, project: int) -> list[Any]:
    return [(view.id, view.data) for view in bench.client.views.list(project=project)]


def test_each_kind_that_was_asked_for_has_its_tab(bench, analysed):
    project, (_, wrong, missing, also_wrong) = analysed
    assert list(views(bench, project)) == [
        "Default",
        "Needs review",
        "Needs review: missing",
        "Needs review: mislabelled",
        "Reviewed",
    ]
    assert set(shown(bench, project, "Needs review")) == {wrong, missing, also_wrong}
    assert shown(bench, project, "Needs review: missing") == [missing]
    by_priority = sorted(
        (wrong, also_wrong), key=lambda task: -bench.task(task).data["relook_priority"]
    )
    assert shown(bench, project, "Needs review: mislabelled") == by_priority
    assert shown(bench, project, "Reviewed") == []


def test_what_was_reviewed_last_is_on_top(bench, analysed):
    project, (_, wrong, _, also_wrong) = analysed
    for task in (also_wrong, wrong):
        (annotation,) = bench.task(task).annotations
        bench.client.annotations.update(id=annotation["id"], result=annotation["result"])
        wait_for(lambda task=task: bench.flag(task) == "confirmed", "the verdict")
        bench.settle(project)
    assert shown(bench, project, "Reviewed") == [wrong, also_wrong]


def test_a_second_run_changes_no_tab(bench, analysed):
    project, _ = analysed
    before = snapshot(bench, project)
    assert bench.analyze(project).state == "done"
    assert snapshot(bench, project) == before


def test_a_tab_that_an_admin_arranged_stays_as_they_left_it(bench, analysed):
    project, _ = analysed
    queue = views(bench, project)["Needs review: missing"]
    data = {**queue.data, "title": "My gaps", "hiddenColumns": {"explore": [], "labeling": []}}
    # The Data Manager drops what it does not know when it saves a tab.
    del data["relook"]
    bench.client.views.update(id=str(queue.id), project=project, data=data)
    before = snapshot(bench, project)
    assert bench.analyze(project).state == "done"
    assert snapshot(bench, project) == before


def test_a_deleted_tab_is_made_again_by_the_next_run_only(bench, analysed):
    project, (clean, *_) = analysed
    bench.client.views.delete(id=str(views(bench, project)["Needs review"].id))
    (annotation,) = bench.task(clean).annotations
    result = annotation["result"]
    result[0]["value"]["rectanglelabels"] = [str((scenes(1, seed=71)[0].label[0] + 5) % 10)]
    bench.client.annotations.update(id=annotation["id"], result=result)
    wait_for(lambda: bench.flag(clean) == "needs-review", "the flag")
    bench.settle(project)
    assert "Needs review" not in views(bench, project)
    assert bench.analyze(project).state == "done"
    assert clean in shown(bench, project, "Needs review")


def test_tabs_of_people_are_not_touched_whatever_they_are_called(bench: Bench):
    project, _ = bench.project("detection", [right(scenes(1, seed=72)[0])])
    for view in bench.client.views.list(project=project):
        bench.client.views.delete(id=str(view.id))
    theirs: Any = {"title": "Needs review", "type": "list", "ordering": ["tasks:id"]}
    made = bench.client.views.create(project=project, data=theirs)
    before = snapshot(bench, project)
    tabs = ensure_tabs(bench.client, project, TABS, "relook", data_keys=["image"])
    assert made.id not in tabs.values()
    after = snapshot(bench, project)
    assert after[:1] == before
    assert [data["title"] for _, data in after].count("Needs review") == 2
    # Redis forgot all of them; they are known by their marks.
    assert ensure_tabs(bench.client, project, TABS, "relook", data_keys=["image"]) == tabs
    assert snapshot(bench, project) == after


def test_a_tab_sorted_otherwise_is_a_queue_again_after_the_next_run(bench, analysed):
    project, _ = analysed
    reviewed = views(bench, project)["Reviewed"]
    data = {**reviewed.data, "ordering": ["tasks:id"]}
    bench.client.views.update(id=str(reviewed.id), project=project, data=data)
    assert bench.analyze(project).state == "done"
    assert views(bench, project)["Reviewed"].data["ordering"] == ["-tasks:updated_at"]


def test_a_batchs_tab_stays_one_whatever_somebody_makes_of_it(bench):
    config = CONFIGS["detection"]
    project = int(bench.client.projects.create(title="Tabs", label_config=config).id)
    tab = open_tab(bench.client, project, "relook", "ab12cd", [], {})
    ours = [BatchTab(tab, "ab12cd")]
    assert batch_tabs(bench.client, project, "relook", {}) == ours
    (data,) = [one.data for one in bench.client.views.list(project=project) if one.id == tab]
    more = {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": 0}
    items = [*data["filters"]["items"], more]
    data = data | {"filters": {"conjunction": "and", "items": items}}
    bench.client.views.update(id=str(tab), project=project, data=data)
    for known in ({}, {tab: "ab12cd"}):
        assert batch_tabs(bench.client, project, "relook", known) == ours
    bench.client.views.update(id=str(tab), project=project, data=data | {"title": "Mine"})
    assert batch_tabs(bench.client, project, "relook", {tab: "ab12cd"}) == ours
    assert batch_tabs(bench.client, project, "relook", {}) == []
