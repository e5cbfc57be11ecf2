"""An admin's settings, from the dialog to what they change."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from label_studio_sdk.core.api_error import ApiError

from ml_backend.demo.projects import CONFIGS
from ml_backend.jobs.runs.run import Run
from ml_backend.jobs.runs.schedule import begin_if_due
from ml_backend.labelstudio.tasks.selection import Selection
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import one_missing, right, scenes, wrong_class
from tests.integration.test_incremental import Traffic

MODEL = {"model": "digits-detect.pt"}


@pytest.fixture(scope="module")
def project(bench: Bench) -> tuple[int, list[int]]:
    """Two labels of the wrong class, two missing ones, two tasks that are right."""
    made = scenes(6, seed=91)
    tasks = [
        *(wrong_class(scene) for scene in made[:2]),
        *(one_missing(scene) for scene in made[2:4]),
        *(right(scene) for scene in made[4:]),
    ]
    number, ids = bench.project("detection", tasks)
    bench.analyze(number)
    bench.settle(number)
    return number, ids


def save(bench: Bench, project: int, **params: Any) -> None:
    """Save the connection's extra params, as the dialog does."""
    connection = bench.client.ml.list(project=project)[0]
    settings = {"model": "digits-detect.pt", **params}
    bench.client.ml.update(
        id=str(connection.id), url=bench.stack.url, project=project, extra_params=settings
    )


def begun_by(bench: Bench, project: int, **params: Any) -> tuple[Run, set[int]]:
    """Save settings; return the run that began by itself, and which tasks it read."""
    before = bench.runs.of_project(project)[0].id
    traffic = Traffic(bench)
    save(bench, project, **params)
    wait_for(lambda: bench.runs.of_project(project)[0].id != before, "a run")
    run = bench.wait_for_run(project)
    assert run.state == "done"
    bench.settle(project)
    return run, traffic.read(project)[0]


def flags(bench: Bench, ids: list[int]) -> list[bool]:
    return [bench.flag(task) == "needs-review" for task in ids]


def test_what_counts_takes_effect_at_once_and_touches_no_other_task(bench: Bench, project):
    number, ids = project
    assert flags(bench, ids) == [True] * 4 + [False] * 2

    _, read = begun_by(bench, number, checks=["missing"])
    assert flags(bench, ids) == [False, False, True, True, False, False]
    # Where other suspicions stood beside the missing one, something else is said now too.
    assert set(ids[:2]) <= read <= set(ids[:4])

    _, read = begun_by(bench, number, kind_thresholds={"missing": 1.0})
    assert not read & set(ids[4:])
    assert flags(bench, ids) == [True, True, False, False, False, False]

    run, _ = begun_by(bench, number, review_share=0.2)
    assert (run.flagged, sum(flags(bench, ids))) == (1, 1)
    (left,) = [task for task in ids if bench.flag(task) == "needs-review"]

    _, read = begun_by(bench, number)
    assert flags(bench, ids) == [True] * 4 + [False] * 2
    # Learnt anew, another digit may be said of what is flagged; of the rest there is no news.
    assert not read & set(ids[4:])
    priorities = {task: bench.task(task).data["relook_priority"] for task in ids[:4]}
    assert priorities[left] == max(priorities.values())


def test_a_thresholds_change_writes_other_pre_labels(bench: Bench, project):
    number, ids = project
    drawn = scenes(6, seed=91)[5]
    most = str(drawn.label[0])

    def pre_labelled() -> list[str]:
        version = bench.client.projects.get(id=number).model_version
        (one,) = bench.predictions(ids[5], version)
        return [region["value"]["rectanglelabels"][0] for region in one.result]

    before = pre_labelled()
    assert most in before
    _, read = begun_by(bench, number, class_thresholds={most: 1.0})
    assert read == set(ids)
    assert pre_labelled() == [label for label in before if label != most]
    begun_by(bench, number)
    assert pre_labelled() == before


def test_a_saved_config_is_looked_at_again_and_a_colour_is_not(bench: Bench, project):
    number, ids = project
    runs = len(bench.runs.of_project(number))
    painted = CONFIGS["detection"].replace("<RectangleLabels", '<RectangleLabels opacity="0.9"')
    bench.client.projects.update(id=number, label_config=painted)
    mapped = painted.replace('value="1"', 'value="1" predicted_values="7"')
    traffic = Traffic(bench)
    bench.client.projects.update(id=number, label_config=mapped)
    wait_for(lambda: len(bench.runs.of_project(number)) > runs, "a run")
    bench.wait_for_run(number)
    assert len(bench.runs.of_project(number)) == runs + 1
    assert traffic.read(number)[0] == set(ids)
    bench.client.projects.update(id=number, label_config=CONFIGS["detection"])
    bench.settle(number)
    wait_for(lambda: len(bench.runs.of_project(number)) == runs + 2, "a run")
    bench.wait_for_run(number)


def test_where_the_admin_wants_none_a_change_begins_no_run(bench: Bench, project):
    number, _ = project
    runs = len(bench.runs.of_project(number))
    save(bench, number, analyze_on_change=False, review_threshold=0.9)
    save(bench, number, analyze_on_change=False)
    assert len(bench.runs.of_project(number)) == runs
    save(bench, number)


def test_a_tab_that_is_asked_for_is_made_without_a_run(bench: Bench, project):
    number, _ = project
    runs = len(bench.runs.of_project(number))
    save(bench, number, kind_tabs=["missing"])

    def titles() -> list[str]:
        return [view.data["title"] for view in bench.client.views.list(project=number)]

    wait_for(lambda: "Needs review: missing" in titles(), "the tab")
    assert len(bench.runs.of_project(number)) == runs
    save(bench, number)


def test_a_full_run_begins_when_its_hours_are_over_and_not_before(bench: Bench, project):
    number, _ = project
    bench.wait_for_run(number)
    runs = len(bench.runs.of_project(number))
    assert not begin_if_due(bench.mailbox, number)
    save(bench, number, analyze_every_hours=24)
    assert not begin_if_due(bench.mailbox, number), "the last run is minutes old"
    bench.redis.zincrby("relook:whole-runs", -25 * 3600, str(number))
    bench.graph.start(number, Selection("tasks 1", tasks=[1]))
    assert bench.wait_for_run(number).over == "tasks 1"
    runs += 1
    bench.mailbox.events.enqueue("ml_backend.jobs.events.reconcile", number)
    wait_for(lambda: len(bench.runs.of_project(number)) == runs + 1, "a run")
    assert bench.wait_for_run(number).state == "done"
    assert not begin_if_due(bench.mailbox, number)
    save(bench, number)


def test_batches_are_as_large_as_the_admin_wants_and_go_where(bench: Bench, project):
    number, ids = project
    assert sum(flags(bench, ids)) == 4
    save(bench, number, batch_every=2, batch_size=3, batch_to="here")
    bench.mailbox.events.enqueue("ml_backend.jobs.events.reconcile", number)

    def in_a_batch() -> list[int]:
        return [task for task in ids if bench.task(task).data.get("relook_batch")]

    wait_for(in_a_batch, "a batch")
    bench.settle(number)
    sent = in_a_batch()
    assert len(sent) == 3
    urgent = sorted(ids, key=lambda task: -(bench.task(task).data.get("relook_priority") or 0))
    assert set(sent) == set(urgent[:3])
    # One is left, fewer than the two that make a batch.
    bench.mailbox.events.enqueue("ml_backend.jobs.events.reconcile", number)
    bench.settle(number)
    assert in_a_batch() == sent


def test_batches_are_sent_to_no_project_that_is_not_there_or_is_this_one(bench: Bench, project):
    number, _ = project
    before = bench.mailbox.setup_of(number)
    for to, said in (
        (str(number), "which is this project itself"),
        ("999999", "there is no project 999999 that Relook's user may read"),
    ):
        with pytest.raises(ApiError) as error:
            save(bench, number, batch_to=to)
        assert f"batch_to is '{to}'" in str(error.value.body)
        assert said in str(error.value.body)
    assert bench.mailbox.setup_of(number) == before
    other = bench.client.projects.create(title="Goal", label_config=CONFIGS["detection"])
    save(bench, number, batch_to=str(other.id))
    save(bench, number)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"checks": ["missing", "ugly"]}, "checks.1 is 'ugly'"),
        ({"kind_thresholds": {"missing": 3}}, "kind_thresholds.missing is 3"),
        ({"class_thresholds": {"dog": 0.5}}, "class_thresholds names 'dog', which is no label"),
        ({"approve_without": ["dog"]}, "approve_without names 'dog', which is no label"),
        ({"embedder": "gone.onnx"}, "embedder: model 'gone.onnx' is not in the model folder"),
        ({"embedder": "digits-detect.pt"}, "is of no known kind"),
        ({"batch_to": "there"}, "batch_to is 'there'"),
        ({"batch_every": True}, "batch_every is True"),
        ({"queue_tab": "x" * 5000}, "String should have at most 100 characters"),
        ({"analyze_every_hours": -1}, "analyze_every_hours is -1"),
        ({"review_share": 0}, "review_share is 0"),
        ({"approve_half_seen": 0.6}, "approve_half_seen is 0.6"),
        ({"approve_outlier": 0}, "approve_outlier is 0"),
        ({"field_prefix": "second"}, "stand in fields that begin with 'relook'"),
    ],
)
def test_wrong_ones_are_refused_on_saving_and_nothing_changes(bench: Bench, project, params, said):
    number, _ = project
    before = bench.mailbox.setup_of(number)
    with pytest.raises(ApiError) as error:
        save(bench, number, **params)
    assert said in str(error.value.body)
    assert bench.mailbox.setup_of(number) == before


def test_the_schema_that_is_served_tells_right_from_wrong(bench: Bench):
    schema = httpx.get(bench.stack.url + "/settings.schema.json").json()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    validator.validate({**MODEL, "checks": ["missing"], "class_thresholds": {"1": 0.5}})
    for wrong in ({"checks": ["ugly"]}, {"modle": "a"}, {"kind_thresholds": {"ugly": 0.5}}):
        assert not validator.is_valid(wrong), wrong
