"""A reviewer's day: an annotator, a reviewer and an admin, each in a session of their own."""

from __future__ import annotations

import pytest

from ml_backend.demo.projects import CONFIGS, human_result, upload_images
from tests.integration.conftest import MODEL, Bench, connect_backend, wait_for
from tests.integration.people import Person
from tests.integration.samples import one_missing, right, scenes, wrong_class
from tests.integration.test_batches import current_label, listed, relabel_tasks, send
from tests.integration.test_tabs import shown, views


@pytest.fixture(scope="module")
def people(bench: Bench) -> tuple[Person, Person]:
    return (
        Person(bench.client, bench.server.url, "day-annotator"),
        Person(bench.client, bench.server.url, "day-reviewer"),
    )


def test_from_the_annotators_label_to_the_reviewers_verdict(bench: Bench, people):
    annotator, reviewer = people
    first, second, third, fourth = scenes(4, seed=64)
    samples = [wrong_class(first), one_missing(second), wrong_class(third), right(fourth)]
    # The admin makes the project, the annotator labels it, the admin connects and analyses it.
    made = bench.client.projects.create(title="Day", label_config=CONFIGS["detection"])
    project = int(made.id or 0)
    images = [sample.image for sample in samples]
    addresses = upload_images(bench.client, bench.server.url, project, images)
    imported = bench.client.projects.import_tasks(
        id=project, request=[{"image": one} for one in addresses], return_task_ids=True
    )
    tasks = [int(task) for task in imported.task_ids]
    for task, sample in zip(tasks, samples, strict=True):
        annotator.submit(task, human_result("detection", sample))
    given = {task: bench.task(task).annotations[0] for task in tasks}
    connect_backend(bench.client, project, bench.stack.url, {"model": MODEL["detection"]})
    assert bench.analyze(project).state == "done"

    # 1. The reviewer's tab has what is wrong, the most urgent first.
    tab = views(bench, project)["Needs review"]
    assert reviewer.opens(f"/projects/{project}/data?tab={tab.id}") == 200
    queue = reviewer.queue(project, tab.id)
    assert set(queue) == set(tasks[:3])
    priority = [bench.task(task).data["relook_priority"] for task in queue]
    assert priority == sorted(priority, reverse=True)

    # 2. One click turns the suggestion into an annotation; then it is gone.
    fixed, kept, sent = queue
    (suggestion,) = bench.predictions(fixed, "relook-suggestion")
    reviewer.submit(fixed, suggestion.result, parent_prediction=suggestion.id)
    wait_for(lambda: bench.flag(fixed) == "corrected", "the verdict 'corrected'")
    wait_for(lambda: not bench.predictions(fixed, "relook-suggestion"), "the suggestion's end")

    # 3. A label that is saved as it is, is confirmed, and not asked again.
    reviewer.update(given[kept]["id"], given[kept]["result"])
    wait_for(lambda: bench.flag(kept) == "confirmed", "the verdict 'confirmed'")
    bench.settle(project)
    assert bench.analyze(project).state == "done"
    assert [bench.flag(task) for task in (fixed, kept)] == ["corrected", "confirmed"]
    assert shown(bench, project, "Needs review") == [sent]
    assert set(shown(bench, project, "Reviewed")) == {fixed, kept}

    # 4. The rest goes out, and what the annotator answers there comes back as theirs.
    batch = send(bench, project)
    assert batch["sent"] == 1
    (copy,) = relabel_tasks(bench, batch["batch"]).values()
    assert annotator.next_task(int(batch["batch"].split("-")[0]))["id"] == copy.id
    annotator.submit(copy.id, current_label(copy))
    wait_for(lambda: bench.flag(sent) == "confirmed", "the verdict out of the batch")
    original, answer = sorted(bench.task(sent).annotations, key=lambda one: one["id"])
    assert answer["completed_by"]["id"] == annotator.id
    assert answer["parent_annotation"] == original["id"]
    (row,) = listed(bench, project)
    assert (row["sent"], row["done"], row["confirmed"], row["open"]) == (1, 1, 1, 0)

    # What people have labelled stands as they left it.
    for task in (fixed, sent, tasks[3]):
        mine = next(one for one in bench.task(task).annotations if one["id"] == given[task]["id"])
        assert mine["result"] == given[task]["result"]
    assert bench.flag(tasks[3]) is None
