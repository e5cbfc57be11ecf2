"""Models that are not ours, through a real Label Studio: scored and queued like our own."""

import json

import pytest

from ml_backend.demo.projects import connect_backend, upload_images
from ml_backend.labelstudio.client import access_headers
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.regions.results import encode_choices
from ml_backend.labelstudio.tasks.importing import import_tasks
from tests.hostile import HostileServer
from tests.integration import label_types, standing_model
from tests.integration.label_types import TASKS, WRONG, labels, of_boxes
from tests.integration.samples import digit, scenes
from tests.integration.test_upstream import ML_PYTHON, Served


def flagged(bench, ids):
    return [n for n, task in enumerate(ids) if bench.flag(task) == "needs-review"]


@pytest.fixture
def served(bench, tmp_path):
    """label-studio-ml's own server, with its own way to Label Studio's files."""
    assert ML_PYTHON.is_file(), f"{ML_PYTHON} is not there; run `make .venv-ml/.ready`"
    token = access_headers(bench.client)["Authorization"]
    own = {"DIGIT_BOXES_LABEL_STUDIO": bench.server.url, "DIGIT_BOXES_AUTHORIZATION": token}
    found = Served(tmp_path, own)
    yield found
    found.process.stop()


def test_a_backend_made_with_label_studio_ml_gains_scores_and_a_queue(bench, served):
    case = of_boxes(f"http://{served.host}", {"score_threshold": 0.1})
    project, ids = bench.labelled(case)
    # Label Studio writes the project's version as well while it is connected.
    bench.rest(project)
    run = bench.analyze(project)
    assert run.state == "done", run
    version = bench.client.projects.get(id=project).model_version
    assert version.startswith(f"{served.host}@"), version
    for task in ids:
        (prediction,) = bench.predictions(task, version)
        assert prediction.result
    # Nearest scans are no good model, so which of its doubts comes first is not said here.
    assert WRONG in flagged(bench, ids)
    assert bench.task(ids[WRONG]).data["relook_reason"]
    assert bench.predictions(ids[WRONG], "relook-suggestion")


def test_predictions_that_stand_are_scored_and_nothing_is_predicted(bench):
    case = of_boxes("existing:theirs")
    project, ids = bench.labelled(case, connect=False)
    results = [case.truth if n == WRONG else result for n, result in enumerate(case.results)]
    body = [
        {"task": task, "result": result, "score": 0.9, "model_version": "theirs"}
        for task, result in zip(ids, results, strict=True)
    ]
    assert bench.client.projects.import_predictions(id=project, request=body).created == TASKS
    bench.connect(project, case)
    run = bench.analyze(project)
    assert run.state == "done", run
    assert flagged(bench, ids) == [WRONG], [bench.task(task).data for task in ids]
    for n, task in enumerate(ids):
        versions = sorted(one.model_version for one in bench.predictions(task))
        assert versions == (["relook-suggestion", "theirs"] if n == WRONG else ["theirs"])
    # The choice of the admin, or of whoever imported them, stays.
    assert bench.client.projects.get(id=project).model_version != "existing@theirs"


def test_a_class_that_the_owner_allows_runs_in_the_workers(bench):
    case = of_boxes("tests.integration.standing_model:Truth")
    project, ids = bench.labelled(case, connect=False)
    results = [case.truth if n == WRONG else result for n, result in enumerate(case.results)]
    truth = {
        bench.task(task).data["object"]: result for task, result in zip(ids, results, strict=True)
    }
    standing_model.TRUTH.write_text(json.dumps(truth))
    bench.connect(project, case)
    run = bench.analyze(project)
    assert run.state == "done", run
    assert flagged(bench, ids) == [WRONG], [bench.task(task).data for task in ids]
    version = bench.client.projects.get(id=project).model_version
    assert version == "tests.integration.standing_model:Truth@looked-up"


@pytest.mark.parametrize(
    ("kind", "said"),
    [("one_short", "predictions for"), ("html", "model"), ("other_schema", "cannot be read")],
)
def test_a_backend_that_lies_costs_its_predictions_and_nothing_else(bench, kind, said):
    with HostileServer() as server:
        project, ids = bench.labelled(of_boxes(server.url(kind)))
        run = bench.analyze(project)
    assert run.state == "done", run
    assert any(said in error for error in run.errors.values()), run.errors
    assert flagged(bench, ids) == []


def test_two_models_serve_two_tags_of_one_project(bench):
    drawn, single = scenes(3, seed=21), [digit(row) for row in range(3)]
    choices = labels("0123456789", "Choice")
    config = (
        '<View><Image name="a" value="$scene"/><Image name="b" value="$single"/>'
        '<RectangleLabels name="label" toName="a" model_path="digits-detect.pt">'
        f"{labels('0123456789')}</RectangleLabels>"
        '<Choices name="digit" toName="b" model_path="digits-classify.pt">'
        f"{choices}</Choices></View>"
    )
    # Label Studio takes uploads into projects of one data key only.
    one = f"<View>{label_types.IMAGE}</View>"
    project = bench.client.projects.create(title="Two models", label_config=one).id
    images = [scene.image for scene in drawn] + [image for image, _ in single]
    at = upload_images(bench.client, bench.server.url, project, images)
    bench.client.projects.update(id=project, label_config=config)
    control = parse_config(config).controls[1]
    wrong = (single[1][1] + 1) % 10
    given = [single[0][1], wrong, single[2][1]]
    body = [
        {
            "data": {"scene": at[n], "single": at[n + 3]},
            "annotations": [{"result": encode_choices(control, [given[n]], 1.0)}],
        }
        for n in range(3)
    ]
    tasks = import_tasks(bench.client, project, body)
    connect_backend(bench.client, project, bench.stack.url, {})
    run = bench.analyze(project)
    assert run.state == "done", run
    version = bench.client.projects.get(id=project).model_version
    assert [part.split("@")[0] for part in version.split("+")] == [
        "digits-detect",
        "digits-classify",
    ]
    for n, task in enumerate(tasks):
        (prediction,) = bench.predictions(task, version)
        kinds = [item["type"] for item in prediction.result]
        assert kinds.count("choices") == 1
        assert kinds.count("rectanglelabels") == len(drawn[n].label)
    flags = {task: bench.task(task).data.get("relook_kind") for task in tasks}
    assert flags[tasks[1]] is not None, flags
    assert "labelled" in bench.task(tasks[1]).data["relook_reason"]
