"""The main job: analyse, queue, fix or confirm, cleared."""

from __future__ import annotations

import json

import pytest

from ml_backend.demo.projects import SampleTask
from ml_backend.labelstudio.tasks.importing import import_tasks
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import digit, one_missing, right, scenes, wrong_class

SUGGESTION = "relook-suggestion"


@pytest.fixture(scope="module")
def queue(bench: Bench):
    """Four scenes: right, wrong class, missing box, right; analysed."""
    first, second, third, fourth = scenes(4)
    tasks = [right(first), wrong_class(second), one_missing(third), right(fourth)]
    project, ids = bench.project("detection", tasks)
    run = bench.analyze(project)
    assert run.state == "done", run
    return project, ids


def snapshot(bench: Bench, project: int) -> list[dict]:
    tasks = bench.client.tasks.list(project=project, fields="all", page_size=100)
    return [
        {
            "id": task.id,
            "data": task.data,
            "annotations": task.annotations,
            "predictions": sorted(
                (p.id, p.model_version, json.dumps(p.result)) for p in task.predictions
            ),
        }
        for task in tasks
    ]


def tabs(bench: Bench, project: int) -> list:
    found = bench.client.views.list(project=project)
    return found if len(found) == 3 else []


def without_own_fields(data: dict) -> dict:
    return {key: value for key, value in data.items() if not key.startswith("relook_")}


def test_suspicious_tasks_say_why_and_others_say_nothing(bench, queue):
    _, (clean, mislabelled, missing, _) = queue
    data = bench.task(mislabelled).data
    assert data["relook_flag"] == "needs-review"
    assert data["relook_kind"] == "mislabelled"
    assert 0.5 <= data["relook_priority"] <= 1
    assert "model says" in data["relook_reason"]
    data = bench.task(missing).data
    assert (data["relook_flag"], data["relook_kind"]) == ("needs-review", "missing")
    assert data["relook_reason"].startswith("missing: ")
    assert list(bench.task(clean).data) == ["image"]


def test_the_suggestion_is_the_persons_regions_with_the_fix(bench, queue):
    _, (_, mislabelled, missing, _) = queue
    (suggestion,) = bench.predictions(mislabelled, SUGGESTION)
    (annotation,) = bench.task(mislabelled).annotations
    differing = [
        (old["value"]["rectanglelabels"], new["value"]["rectanglelabels"])
        for old, new in zip(annotation["result"], suggestion.result, strict=True)
        if old != new
    ]
    truth = scenes(4)[1].label[0]
    assert differing == [([str((truth + 5) % 10)], [str(truth)])]
    (suggestion,) = bench.predictions(missing, SUGGESTION)
    (annotation,) = bench.task(missing).annotations
    assert suggestion.result[:-1] == annotation["result"]
    assert suggestion.result[-1]["value"]["rectanglelabels"] == [str(scenes(4)[2].label[0])]


def test_the_tab_shows_the_worst_first(bench, queue):
    project, (_, mislabelled, missing, _) = queue
    default, view, reviewed = bench.client.views.list(project=project)
    titles = [tab.data["title"] for tab in (default, view, reviewed)]
    assert titles == ["Default", "Needs review", "Reviewed"]
    tasks = list(bench.client.tasks.list(project=project, view=view.id))
    assert {task.id for task in tasks} == {mislabelled, missing}
    priorities = [task.data["relook_priority"] for task in tasks]
    assert priorities == sorted(priorities, reverse=True)


def test_every_task_has_its_pre_label(bench, queue):
    _, ids = queue
    versions = {p.model_version for task in ids for p in bench.predictions(task)} - {SUGGESTION}
    assert len(versions) == 1
    assert versions.pop().startswith("digits-detect@")


def test_a_second_run_changes_nothing(bench, queue):
    project, _ = queue
    before = snapshot(bench, project)
    assert bench.analyze(project).state == "done"
    assert snapshot(bench, project) == before


def test_the_project_scores_by_our_predictions(bench, queue):
    project, _ = queue
    version = bench.client.projects.get(id=project).model_version
    assert version.startswith("digits-detect@")


def test_a_fixed_label_is_corrected_and_a_kept_one_confirmed(bench: Bench):
    first, second, third = scenes(3, seed=11)
    tasks = [wrong_class(first), wrong_class(second), right(third)]
    project, (fixed, kept, _) = bench.project("detection", tasks)
    bench.analyze(project)
    assert bench.flag(fixed) == bench.flag(kept) == "needs-review"
    other = {task: without_own_fields(bench.task(task).data) for task in (fixed, kept)}

    (annotation,) = bench.task(fixed).annotations
    result = annotation["result"]
    result[0]["value"]["rectanglelabels"] = [str(first.label[0])]
    bench.client.annotations.update(id=annotation["id"], result=result)
    (annotation,) = bench.task(kept).annotations
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])

    wait_for(lambda: bench.flag(fixed) == "corrected", "the verdict 'corrected'")
    wait_for(lambda: bench.flag(kept) == "confirmed", "the verdict 'confirmed'")
    for task in (fixed, kept):
        assert bench.predictions(task, SUGGESTION) == []
        assert without_own_fields(bench.task(task).data) == other[task]

    # The model still disagrees with what was confirmed; it is not asked again.
    bench.analyze(project)
    assert (bench.flag(fixed), bench.flag(kept)) == ("corrected", "confirmed")


def test_accepting_the_suggestion_as_a_new_annotation_corrects(bench: Bench):
    (scene,) = scenes(1, seed=12)
    project, (task,) = bench.project("detection", [wrong_class(scene)])
    bench.analyze(project)
    (suggestion,) = bench.predictions(task, SUGGESTION)
    bench.client.annotations.create(id=task, result=suggestion.result)
    wait_for(lambda: bench.flag(task) == "corrected", "the verdict 'corrected'")
    assert len(bench.task(task).annotations) == 2


def test_a_label_still_wrong_stays_in_the_queue(bench: Bench):
    (scene,) = scenes(1, seed=13)
    project, (task,) = bench.project("detection", [wrong_class(scene)])
    bench.analyze(project)
    reason = bench.task(task).data["relook_reason"]
    (annotation,) = bench.task(task).annotations
    annotation["result"][0]["value"]["rectanglelabels"] = [str((scene.label[0] + 3) % 10)]
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])
    wait_for(lambda: bench.task(task).data["relook_reason"] != reason, "a new reason")
    bench.settle(project)
    assert bench.flag(task) == "needs-review"


def test_a_deleted_label_clears_the_flag(bench: Bench):
    (scene,) = scenes(1, seed=14)
    project, (task,) = bench.project("detection", [wrong_class(scene)])
    bench.analyze(project)
    (annotation,) = bench.task(task).annotations
    bench.client.annotations.delete(id=annotation["id"])
    wait_for(lambda: bench.flag(task) == "", "a cleared flag")
    data = bench.task(task).data
    assert (data["relook_kind"], data["relook_reason"], data["relook_priority"]) == ("", "", 0)
    assert bench.predictions(task, SUGGESTION) == []


def test_a_wrong_label_is_flagged_as_it_is_made(bench: Bench):
    """No run at all: the event of the annotation is enough."""
    (scene,) = scenes(1, seed=15)
    project, (task,) = bench.project("detection", [right(scene)])
    (annotation,) = bench.task(task).annotations
    result = annotation["result"]
    result[0]["value"]["rectanglelabels"] = [str((scene.label[0] + 5) % 10)]
    bench.client.annotations.update(id=annotation["id"], result=result)
    wait_for(lambda: bench.flag(task) == "needs-review", "the flag")
    _, view, _ = wait_for(lambda: tabs(bench, project), "the tabs")
    assert [t.id for t in bench.client.tasks.list(project=project, view=view.id)] == [task]


def test_classification_end_to_end(bench: Bench):
    drawn = [digit(row) for row in range(12)]
    tasks = [SampleTask(image, [label], None) for image, label in drawn]
    image, label = drawn[4]
    tasks[4] = SampleTask(image, [(label + 5) % 10], None)
    project, ids = bench.project("classification", tasks)
    bench.analyze(project)
    data = bench.task(ids[4]).data
    assert (data["relook_flag"], data["relook_kind"]) == ("needs-review", "mislabelled")
    assert data["relook_reason"].startswith(f"labelled {(label + 5) % 10}, model says {label} (")
    (suggestion,) = bench.predictions(ids[4], SUGGESTION)
    assert suggestion.result[0]["value"] == {"choices": [str(label)]}
    (annotation,) = bench.task(ids[4]).annotations
    bench.client.annotations.update(id=annotation["id"], result=suggestion.result)
    wait_for(lambda: bench.flag(ids[4]) == "corrected", "the verdict 'corrected'")


def test_of_two_annotators_the_wrong_one_is_found(bench: Bench):
    (scene,) = scenes(1, seed=16)
    project, (task,) = bench.project("detection", [right(scene)])
    bench.client.projects.update(id=project, maximum_annotations=2)
    (annotation,) = bench.task(task).annotations
    wrong = annotation["result"]
    wrong[0]["value"]["rectanglelabels"] = [str((scene.label[0] + 5) % 10)]
    bench.client.annotations.create(id=task, result=wrong)
    wait_for(lambda: bench.flag(task) == "needs-review", "the flag")
    first, second = sorted(bench.task(task).annotations, key=lambda one: one["id"])
    bench.client.annotations.update(id=second["id"], result=first["result"])
    wait_for(lambda: bench.flag(task) == "corrected", "the verdict 'corrected'")


def test_two_control_tags_with_a_model_each(bench: Bench):
    (scene,) = scenes(1, seed=17)
    source, (task,) = bench.project("detection", [right(scene)])
    labels = "".join(f'<Label value="{digit}"/>' for digit in range(10))
    choices = "".join(f'<Choice value="{digit}"/>' for digit in range(10))
    config = (
        '<View><Image name="image" value="$image"/>'
        '<RectangleLabels name="label" toName="image" model_path="digits-detect.pt">'
        f"{labels}</RectangleLabels>"
        '<Choices name="whole" toName="image" model_path="digits-classify.pt">'
        f"{choices}</Choices></View>"
    )
    project = bench.client.projects.create(title="Two tags", label_config=config).id
    bench.client.ml.create(url=bench.stack.url, project=project, title="Relook")
    (annotation,) = bench.task(task).annotations
    result = annotation["result"]
    result[0]["value"]["rectanglelabels"] = [str((scene.label[0] + 5) % 10)]
    body = [{"data": bench.task(task).data, "annotations": [{"result": result}]}]
    (both,) = import_tasks(bench.client, project, body)
    wait_for(lambda: bench.flag(both) == "needs-review", "the flag")
    pre_label = next(p for p in bench.predictions(both) if p.model_version != SUGGESTION)
    assert "+digits-classify@" in pre_label.model_version
    assert {region["from_name"] for region in pre_label.result} >= {"label"}
    assert source != project
