"""The ML backend protocol, spoken with a real Label Studio."""

from __future__ import annotations

import time

import httpx
import pytest
from label_studio_sdk.core.api_error import ApiError

from ml_backend.demo.projects import CONFIGS
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import right, scenes


@pytest.fixture(scope="module")
def connected(bench: Bench):
    project, ids = bench.project("detection", [right(scene) for scene in scenes(3, seed=21)])
    bench.settle(project)
    return project, ids


def connection(bench: Bench, project: int):
    return bench.client.ml.list(project=project)[0]


def refusal(bench: Bench, config: str, params) -> str:
    project = bench.client.projects.create(title="Refused", label_config=config).id
    with pytest.raises(ApiError) as error:
        bench.client.ml.create(
            url=bench.stack.url, project=project, title="Relook", extra_params=params
        )
    assert error.value.status_code == 400
    return str(error.value.body)


def test_label_studio_calls_it_connected(bench, connected):
    assert str(connection(bench, connected[0]).state) == "CO"


def test_health_names_the_backend(bench, connected):
    for path in ("/", "/health"):
        answer = httpx.get(bench.stack.url + path)
        assert answer.json()["status"] == "UP"


def test_versions_are_those_of_the_model_folder(bench, connected):
    versions = bench.client.ml.list_model_versions(id=str(connection(bench, connected[0]).id))
    assert any(str(version).startswith("digits-detect@") for version in versions.versions)


def test_metrics_are_prometheus_text(bench, connected):
    body = {"action": "TASKS_CREATED", "project": connected[0], "tasks": []}
    httpx.post(bench.stack.url + "/webhook", json=body)
    text = httpx.get(bench.stack.url + "/metrics").text
    assert 'relook_jobs_waiting{queue="relook-events"}' in text
    assert 'relook_events_total{action="TASKS_CREATED"}' in text


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"modle": "digits-detect.pt"}, "'modle' is not a setting, did you mean 'model'"),
        ('{"review_threshold": 7}', "review_threshold is 7"),
        ({"model": "../secret.pt"}, "is not in the model folder; there are: "),
        ({}, "no model is named"),
    ],
)
def test_wrong_settings_are_refused_where_the_admin_typed_them(bench, params, said):
    assert said in refusal(bench, CONFIGS["detection"], params)


def test_a_config_without_a_served_tag_is_refused(bench):
    config = '<View><Text name="t" value="$t"/><TextArea name="a" toName="t"/></View>'
    assert "no control tag that Relook serves" in refusal(bench, config, {"model": "x.pt"})


def test_params_typed_as_text_work_as_the_dialog_sends_them(bench: Bench):
    project = bench.client.projects.create(title="Text", label_config=CONFIGS["detection"]).id
    made = bench.client.ml.create(
        url=bench.stack.url,
        project=project,
        title="Relook",
        extra_params='{"model": "digits-detect.pt"}',
    )
    assert str(made.state) == "CO"


def test_new_tasks_get_their_pre_labels_in_the_background(bench, connected):
    project, ids = connected
    image = bench.task(ids[0]).data["image"]
    created = bench.client.projects.import_tasks(
        id=project, request=[{"data": {"image": image}}] * 5, return_task_ids=True
    )
    for task in created.task_ids:
        wait_for(lambda task=task: bench.predictions(task), "a pre-label in the background")
        (prediction,) = bench.predictions(task)
        assert prediction.result
        assert all("score" in region for region in prediction.result)


def test_opening_and_retrieving_ask_the_backend(bench: Bench):
    """Predictions deleted, then asked for as the editor and the Data Manager do."""
    project, ids = bench.project("detection", [right(scene) for scene in scenes(4, seed=22)])
    bench.settle(project)
    for task in ids:
        for prediction in bench.predictions(task):
            bench.client.predictions.delete(id=prediction.id)
    opened, *selected = ids
    assert len(bench.task(opened).predictions) == 1
    bench.client.actions.create(
        id="retrieve_tasks_predictions",
        project=project,
        selected_items={"all": False, "included": selected},
    )
    for task in selected:
        (prediction,) = bench.predictions(task)
        assert prediction.model_version.startswith("digits-detect@")
        assert prediction.result


def prelabels(bench: Bench, config: str, params=None):
    project = bench.client.projects.create(title="Mapping", label_config=config).id
    bench.client.ml.create(
        url=bench.stack.url, project=project, title="Relook", extra_params=params or {}
    )
    source, ids = bench.project("detection", [right(scenes(1, seed=23)[0])])
    bench.settle(source)
    image = bench.task(ids[0]).data["image"]
    (task,) = bench.client.projects.import_tasks(
        id=project, request=[{"data": {"image": image}}], return_task_ids=True
    ).task_ids
    wait_for(lambda: bench.predictions(task), "a pre-label")
    (prediction,) = bench.predictions(task)
    return prediction.result


def boxes(attributes: str, labels: str) -> str:
    return (
        '<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image" '
        f'model_path="digits-detect.pt" {attributes}>{labels}</RectangleLabels></View>'
    )


def test_predicted_values_map_classes_to_labels(bench: Bench):
    labels = '<Label value="even" predicted_values="0,2,4,6,8"/>'
    labels += '<Label value="odd" predicted_values="1, 3, 5, 7, 9"/>'
    result = prelabels(bench, boxes("", labels))
    said = sorted(region["value"]["rectanglelabels"][0] for region in result)
    truth = sorted("even" if digit % 2 == 0 else "odd" for digit in scenes(1, seed=23)[0].label)
    assert said == truth


def test_score_threshold_on_the_tag_holds_back_weak_pre_labels(bench: Bench):
    labels = "".join(f'<Label value="{digit}"/>' for digit in range(10))
    assert prelabels(bench, boxes('model_score_threshold="0.999"', labels)) == []


def test_model_skip_leaves_a_tag_to_people(bench: Bench):
    labels = "".join(f'<Label value="{digit}"/>' for digit in range(10))
    skipped = '<Choices name="c" toName="image" model_skip="true"><Choice value="1"/></Choices>'
    result = prelabels(bench, boxes("", labels).replace("</View>", f"{skipped}</View>"))
    assert {region["from_name"] for region in result} == {"label"}


def test_webhooks_are_answered_at_once(bench, connected):
    project, ids = connected
    body = {"action": "ANNOTATION_UPDATED", "project": {"id": project}, "task": {"id": ids[0]}}
    began = time.monotonic()
    for _ in range(50):
        assert httpx.post(bench.stack.url + "/webhook", json=body).json()["status"] == "queued"
    assert time.monotonic() - began < 50


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"action": 1, "project": "x"}'])
def test_malformed_bodies_are_refused(bench, connected, body):
    for path in ("/webhook", "/setup", "/predict"):
        answer = httpx.post(bench.stack.url + path, content=body)
        assert answer.status_code == 422
        assert "Traceback" not in answer.text
