"""Two annotators of one task who disagree: found, shown in a tab of its own, and settled."""

from __future__ import annotations

from tests.integration.conftest import Bench, wait_for
from tests.integration.people import Person
from tests.integration.samples import right, scenes, wrong_class


def test_annotators_who_disagree_are_a_kind_of_their_own(bench: Bench):
    project, (alike, split) = bench.project(
        "detection",
        [right(scene) for scene in scenes(2, seed=73)],
        kind_tabs=["disagreement"],
        checks=["disagreement"],
    )
    bench.client.projects.update(id=project, maximum_annotations=2)
    second = Person(bench.client, bench.server.url, "second")
    for task, left_out in ((alike, 0), (split, 1)):
        (first,) = bench.task(task).annotations
        second.submit(task, first["result"][left_out:])
    assert bench.analyze(project).errors == {}

    data = bench.task(split).data
    (missed, *_) = bench.task(split).annotations[0]["result"]
    (label,) = missed["value"]["rectanglelabels"]
    assert (data["relook_flag"], data["relook_kind"]) == ("needs-review", "disagreement")
    assert f"annotators disagree: {label}, given by 1 of 2" in data["relook_reason"]
    assert bench.flag(alike) is None
    tabs = {view.data["title"]: view.id for view in bench.client.views.list(project=project)}
    assert second.queue(project, tabs["Needs review: disagreement"]) == [split]

    # Somebody completes the shorter label: now both say the same.
    shorter = min(bench.task(split).annotations, key=lambda one: len(one["result"]))
    longer = max(bench.task(split).annotations, key=lambda one: len(one["result"]))
    second.update(shorter["id"], longer["result"])
    wait_for(lambda: bench.flag(split) == "corrected", "the verdict 'corrected'", 150)
    assert bench.task(split).data["relook_reason"] == f"corrected: {label} added"


def test_the_second_of_two_annotators_is_no_reviewer(bench: Bench):
    project, (task,) = bench.project("detection", [wrong_class(scenes(1, seed=74)[0])])
    bench.client.projects.update(id=project, maximum_annotations=2)
    bench.analyze(project)
    assert bench.flag(task) == "needs-review"
    bench.settle(project)
    (first,) = bench.task(task).annotations
    second = Person(bench.client, bench.server.url, "second-of-two")
    second.submit(task, first["result"])
    bench.settle(project)
    assert bench.flag(task) == "needs-review"
    # The reviewer saves a label as it is, whosever it was.
    second.update(first["id"], first["result"])
    wait_for(lambda: bench.flag(task) == "confirmed", "the verdict 'confirmed'")
