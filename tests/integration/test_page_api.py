"""The review page's interface against a real Label Studio, Redis and workers."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.integration.conftest import Bench, wait_for
from tests.integration.label_types import TASKS, of_boxes
from tests.integration.people import stranger
from tests.integration.samples import right, scenes, wrong_class
from tests.integration.test_approve import unlabelled
from tests.integration.test_cli import relook
from tests.integration.test_settings import save

OWN = {"X-Relook": "1"}
WRONG = 3


@dataclass
class Project:
    id: int
    tasks: list[int]
    labels: list[int]


@pytest.fixture(scope="module")
def analysed(bench: Bench) -> Project:
    made = scenes(24, seed=91)
    tasks = [wrong_class(one) if n == WRONG else right(one) for n, one in enumerate(made)]
    project, ids = bench.project("detection", tasks)
    run = bench.analyze(project)
    assert (run.state, run.errors) == ("done", {})
    bench.settle(project)
    return Project(project, ids, [len(one.label) for one in tasks])


@pytest.fixture
def signed_in(bench: Bench):
    with httpx.Client(base_url=bench.stack.url, headers=OWN, timeout=30) as client:
        answer = client.post("/api/session", json={"token": bench.server.token()})
        assert answer.status_code == 200, answer.text
        yield client


def points(client: httpx.Client, project: int, part: str = "inputs") -> dict[str, Any]:
    answer = client.get(f"/api/projects/{project}/points", params={"part": part})
    assert answer.status_code == 200, answer.text
    table = pa.ipc.open_stream(answer.content).read_all()
    return {name: table[name].to_pylist() for name in table.column_names}


def test_a_person_signs_in_with_their_token_and_out_again(bench: Bench, signed_in):
    cookie = next(one for one in signed_in.cookies.jar if one.name == "relook_session")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "strict"
    who = signed_in.get("/api/session").json()
    assert who["user"]["email"] == bench.server.account.username
    assert who["label_studio"] == bench.server.url
    for key in bench.redis.scan_iter("relook:session:*"):
        assert bench.server.token().encode() not in bench.redis.get(key)
    stolen = dict(signed_in.cookies)
    assert signed_in.delete("/api/session").status_code == 204
    again = httpx.get(bench.stack.url + "/api/session", cookies=stolen)
    assert again.status_code == 401


def test_a_project_is_listed_and_described(bench: Bench, analysed: Project, signed_in):
    listed = {one["id"]: one for one in signed_in.get("/api/projects").json()}
    assert listed[analysed.id]["tasks"] == 24
    said = signed_in.get(f"/api/projects/{analysed.id}").json()
    (control,) = said["controls"]
    assert (control["name"], control["geometry"], control["scored"]) == ("label", "box", True)
    assert control["parts"] == ["inputs", "regions"]
    assert said["may_change"] is True
    assert said["batch_to"] == ""


def test_a_project_is_listed_however_many_there_are(bench: Bench, analysed: Project, signed_in):
    others = [
        int(bench.client.projects.create(title=f"Other {n}", label_config="<View/>").id or 0)
        for n in range(101)
    ]
    try:
        # Some are connected; Label Studio lists no more than a hundred at once.
        for one in others[:2]:
            bench.mailbox.remember_setup(one, {})
        listed = [one["id"] for one in signed_in.get("/api/projects").json()]
        assert {analysed.id, *others[:2]} <= set(listed)
        assert len(listed) == len(set(listed))
        for one in others:
            bench.mailbox.remember_setup(one, {})
        listed = [one["id"] for one in signed_in.get("/api/projects").json()]
        assert {analysed.id, *others} <= set(listed)
        assert len(listed) == len(set(listed))
    finally:
        for one in others:
            bench.mailbox.forget_setup(one)
            bench.client.projects.delete(id=one)


def test_the_planted_wrong_label_is_a_point_with_its_kind(analysed: Project, signed_in):
    found = points(signed_in, analysed.id)
    assert sorted(found["task"]) == sorted(analysed.tasks)
    row = found["task"].index(analysed.tasks[WRONG])
    assert (found["kind"][row], found["flag"][row]) == ("mislabelled", "needs-review")
    assert found["priority"][row] == max(p for p in found["priority"] if p == p)
    assert found["false_positives"][row] == found["false_negatives"][row] == 1
    assert {found["region"][row], found["annotator"][row]} == {-1, found["annotator"][0]}
    assert all(-1 <= at <= 1 for at in found["x"] + found["y"])
    assert all(0 <= far <= 1 for far in found["outlier"])


def test_regions_are_points_and_the_wrong_one_is_named(analysed: Project, signed_in):
    found = points(signed_in, analysed.id, "regions")
    assert len(found["task"]) == sum(analysed.labels)
    assert np.isfinite(found["x"] + found["y"]).all()
    wrong = [row for row, kind in enumerate(found["kind"]) if kind == "mislabelled"]
    rows = [row for row in wrong if found["task"][row] == analysed.tasks[WRONG]]
    assert len(rows) == 1
    (row,) = rows
    assert found["label"][row] != found["predicted"][row] != ""
    assert found["iou"][row] > 0.5
    detail = signed_in.get(f"/api/projects/{analysed.id}/tasks/{found['task'][row]}").json()
    drawn = detail["human"][found["region"][row]]
    assert drawn["label"] == found["label"][row]
    (ring,) = drawn["outline"]
    assert len(ring) == 4
    assert found["predicted"][row] in [one["label"] for one in detail["model"]]


def test_points_are_sent_again_only_when_they_changed(analysed: Project, signed_in):
    path = f"/api/projects/{analysed.id}/points"
    tag = signed_in.get(path).headers["ETag"]
    assert signed_in.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert signed_in.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_tasks_images_and_search(analysed: Project, signed_in):
    some = ",".join(map(str, analysed.tasks[:3]))
    details = signed_in.get(f"/api/projects/{analysed.id}/tasks", params={"ids": some}).json()
    assert [one["task"] for one in details] == analysed.tasks[:3]
    assert [len(one["human"]) for one in details] == analysed.labels[:3]
    path = f"/api/projects/{analysed.id}/tasks/{analysed.tasks[0]}/image"
    whole = signed_in.get(path, params={"size": 64})
    assert whole.headers["Content-Type"] == "image/webp"
    assert max(Image.open(io.BytesIO(whole.content)).size) == 64
    cut = signed_in.get(path, params={"size": 256, "crop": "10,10,60,40"})
    assert Image.open(io.BytesIO(cut.content)).size == (50, 30)
    tag = {"If-None-Match": whole.headers["ETag"]}
    assert signed_in.get(path, params={"size": 64}, headers=tag).status_code == 304
    outside = signed_in.get(path, params={"crop": "9000,0,9100,10"})
    assert outside.status_code == 422
    assert "outside the image" in outside.json()["detail"]
    unknown = f"/api/projects/{analysed.id}/tasks/999999/image"
    assert signed_in.get(unknown).status_code == 404
    by_reason = {"q": "MODEL says"}
    found = signed_in.get(f"/api/projects/{analysed.id}/search", params=by_reason).json()
    assert analysed.tasks[WRONG] in found["tasks"]
    by_id = {"q": str(analysed.tasks[5])}
    found = signed_in.get(f"/api/projects/{analysed.id}/search", params=by_id).json()
    assert analysed.tasks[5] in found["tasks"]


def test_outlines_of_people_need_no_prediction(bench: Bench, signed_in):
    case = of_boxes("existing:theirs")
    project, tasks = bench.labelled(case, connect=False)
    some = TASKS // 2
    body = [
        {"task": task, "result": result, "score": 0.9, "model_version": "theirs"}
        for task, result in zip(tasks[:some], case.results, strict=False)
    ]
    assert bench.client.projects.import_predictions(id=project, request=body).created == some
    bench.connect(project, case)
    assert bench.analyze(project).state == "done"
    # A second run scores out of the store alone.
    assert bench.analyze(project).state == "done"
    ids = ",".join(map(str, tasks))
    details = signed_in.get(f"/api/projects/{project}/tasks", params={"ids": ids}).json()
    for detail, image, result in zip(details, case.objects, case.results, strict=True):
        assert (detail["height"], detail["width"]) == image.shape[:2]
        assert [one["label"] for one in detail["human"]] == [
            one["value"]["rectanglelabels"][0] for one in result
        ]
        for drawn, one in zip(detail["human"], result, strict=True):
            (ring,) = drawn["outline"]
            corner = [one["value"]["x"] * detail["width"], one["value"]["y"] * detail["height"]]
            assert ring[0] == pytest.approx([side / 100 for side in corner], abs=0.1)
    assert [len(detail["model"]) > 0 for detail in details] == [True] * some + [False] * some
    inputs, regions = points(signed_in, project), points(signed_in, project, "regions")
    assert "" not in inputs["label"]
    assert [one == "" for one in inputs["predicted"]] == [False] * some + [True] * some
    assert np.isnan(inputs["priority"]).tolist() == [False] * some + [True] * some
    assert len(regions["task"]) == sum(map(len, case.results))


def test_views_are_saved_and_forgotten(analysed: Project, signed_in):
    path = f"/api/projects/{analysed.id}/views"
    view = {"query": "flag=needs-review&q=ä"}
    assert signed_in.put(f"{path}/my view", json=view).status_code == 204
    assert signed_in.get(path).json() == {"my view": view["query"]}
    other = {"query": "flag=corrected"}
    assert signed_in.put(f"{path}/my view", json=view).status_code == 204
    refused = signed_in.put(f"{path}/my view", json=other)
    assert refused.status_code == 409
    assert "'my view' stands already" in refused.json()["detail"]
    assert signed_in.get(path).json() == {"my view": view["query"]}
    replaced = signed_in.put(f"{path}/my view?replace=true", json=other)
    assert replaced.status_code == 204
    assert signed_in.get(path).json() == {"my view": other["query"]}
    assert signed_in.put(f"{path}/cars%2Ftrucks", json=view).status_code == 204
    assert sorted(signed_in.get(path).json()) == ["cars/trucks", "my view"]
    for name in ("my view", "cars%2Ftrucks"):
        assert signed_in.delete(f"{path}/{name}").status_code == 204
    assert signed_in.get(path).json() == {}


def test_another_site_can_neither_sign_in_nor_act(bench: Bench, analysed: Project, signed_in):
    path = f"/api/projects/{analysed.id}/views/x"
    cookies = dict(signed_in.cookies)
    bare = httpx.put(bench.stack.url + path, json={"query": ""}, cookies=cookies)
    assert bare.status_code == 403
    assert "X-Relook" in bare.json()["detail"]
    from_elsewhere = {**OWN, "Origin": "https://evil.example"}
    assert signed_in.put(path, json={"query": ""}, headers=from_elsewhere).status_code == 403
    token = {"token": bench.server.token()}
    assert httpx.post(bench.stack.url + "/api/session", json=token).status_code == 403


def act(client: httpx.Client, project: int, action: str, tasks: list[int], **options: Any):
    body = {"action": action, "tasks": tasks, "options": options}
    return client.post(f"/api/projects/{project}/actions", json=body)


def ended(client: httpx.Client, project: int, action: str) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        listed = client.get(f"/api/projects/{project}/actions").json()
        (found,) = [one for one in listed if one["id"] == action]
        return found if found["state"] in ("done", "failed", "undone") else None

    return wait_for(find, f"the end of action {action}", 120)


def done(client: httpx.Client, project: int, action: str, tasks: list[int], **options: Any):
    answer = act(client, project, action, tasks, **options)
    assert answer.status_code == 202, answer.text
    found = ended(client, project, answer.json()["id"])
    assert (found["state"], found["done"]) == ("done", found["total"]), found
    return found


def undone(client: httpx.Client, project: int, action: str) -> dict[str, Any]:
    answer = client.post(f"/api/actions/{action}/undo")
    assert answer.status_code == 202, answer.text
    found = ended(client, project, action)
    assert found["state"] == "undone", found
    assert client.post(f"/api/actions/{action}/undo").status_code == 409
    return found


def field(bench: Bench, task: int, name: str) -> Any:
    return bench.task(task).data.get(f"relook_{name}")


def test_a_flag_set_by_hand_stands_in_label_studio_and_later_runs_keep_it(
    bench: Bench, analysed: Project, signed_in
):
    task, wrong = analysed.tasks[7], analysed.tasks[WRONG]
    would = act(signed_in, analysed.id, "flag", [task, wrong, 10**9], dry_run=True)
    assert would.status_code == 200
    assert (would.json()["count"], would.json()["examples"]) == (2, [wrong, task])
    assert list(would.json()["left_out"].values()) == [1]
    assert bench.flag(task) in (None, "")

    found = done(signed_in, analysed.id, "flag", [task, wrong])
    assert found["said"] == "2 tasks changed"
    again = act(signed_in, analysed.id, "flag", [task, wrong], dry_run=True).json()
    assert (again["count"], again["left_out"]) == (0, {"needs review already": 2})
    bench.settle(analysed.id)
    assert field(bench, wrong, "hand") == "needs-review"
    assert "flagged by hand" not in field(bench, wrong, "reason")
    assert (bench.flag(task), field(bench, task, "hand")) == ("needs-review", "needs-review")
    assert field(bench, task, "reason") == "flagged by hand"
    shown = points(signed_in, analysed.id)
    assert shown["flag"][shown["task"].index(task)] == "needs-review"

    bench.mailbox.pending.add(analysed.id, [task])
    bench.settle(analysed.id)
    assert bench.analyze(analysed.id).state == "done"
    assert bench.flag(task) == "needs-review"

    undone(signed_in, analysed.id, found["id"])
    bench.settle(analysed.id)
    assert (bench.flag(task), field(bench, task, "hand")) == ("", "")
    assert bench.flag(wrong) == "needs-review"


def test_a_reviewers_answer_ends_a_flag_set_by_hand(bench: Bench, analysed: Project, signed_in):
    task = analysed.tasks[8]
    done(signed_in, analysed.id, "flag", [task])
    bench.settle(analysed.id)
    (annotation,) = bench.task(task).annotations
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])
    wait_for(lambda: bench.flag(task) == "confirmed", "the verdict")
    bench.settle(analysed.id)
    assert field(bench, task, "hand") == ""

    mark = field(bench, task, "seen")
    found = done(signed_in, analysed.id, "flag", [task])
    bench.settle(analysed.id)
    assert (bench.flag(task), field(bench, task, "hand")) == ("needs-review", "needs-review")
    undone(signed_in, analysed.id, found["id"])
    bench.settle(analysed.id)
    assert (bench.flag(task), field(bench, task, "seen")) == ("confirmed", mark)


def test_a_flag_cleared_by_hand_stays_cleared_until_its_label_changes(
    bench: Bench, analysed: Project, signed_in
):
    task = analysed.tasks[WRONG]
    before = {name: field(bench, task, name) for name in ("kind", "flag")}
    found = done(signed_in, analysed.id, "clear", [task, analysed.tasks[0]])
    assert found["said"] == "1 task changed; 1 left out: does not need review"
    bench.settle(analysed.id)
    bench.mailbox.pending.add(analysed.id, [task])
    bench.settle(analysed.id)
    assert (bench.flag(task), field(bench, task, "kind")) == ("", "")
    assert not bench.predictions(task, "relook-suggestion")
    assert bench.analyze(analysed.id).state == "done"
    assert bench.flag(task) == ""

    undone(signed_in, analysed.id, found["id"])
    bench.settle(analysed.id)
    assert {name: field(bench, task, name) for name in before} == before
    assert field(bench, task, "priority") > 0.5
    assert "model says" in field(bench, task, "reason")
    wait_for(lambda: bench.predictions(task, "relook-suggestion"), "the suggestion")


def test_tags_of_tasks_and_of_regions(bench: Bench, analysed: Project, signed_in):
    first, second = analysed.tasks[:2]
    found = done(signed_in, analysed.id, "tag", [first, second], tag=" blurred ")
    assert field(bench, first, "tags") == "blurred"
    shown = points(signed_in, analysed.id)
    assert shown["tags"][shown["task"].index(second)] == "blurred"
    done(signed_in, analysed.id, "untag", [first], tag="blurred")
    assert field(bench, first, "tags") == ""
    undone(signed_in, analysed.id, found["id"])
    assert [field(bench, task, "tags") for task in (first, second)] == ["", ""]
    assert act(signed_in, analysed.id, "tag", [first], tag="a, b").status_code == 400

    body = {"action": "tag", "regions": [[first, 2]], "options": {"tag": "twin"}}
    begun = signed_in.post(f"/api/projects/{analysed.id}/actions", json=body).json()
    assert ended(signed_in, analysed.id, begun["id"])["state"] == "done"
    bench.settle(analysed.id)
    (annotation,) = bench.task(first).annotations
    region = annotation["result"][2]["id"]
    assert field(bench, first, "tags") == f"twin@{annotation['id']}:{region}"
    shown = points(signed_in, analysed.id, "regions")
    tagged = [row for row, tags in enumerate(shown["tags"]) if tags == "twin"]
    assert [(shown["task"][row], shown["region"][row]) for row in tagged] == [(first, 2)]


def test_a_selection_goes_out_as_a_batch_and_comes_back(bench: Bench, analysed, signed_in):
    chosen = analysed.tasks[10:13]
    found = done(signed_in, analysed.id, "batch", chosen, to="new")
    assert found["said"] == "3 tasks sent"
    (batch,) = signed_in.get(f"/api/projects/{analysed.id}/batches").json()
    assert (batch["sent"], batch["open"], batch["conflicts"]) == (3, 3, 0)
    would = act(signed_in, analysed.id, "batch", chosen, dry_run=True).json()
    assert (would["count"], would["left_out"]) == (0, {"in a batch already": 3})
    undone(signed_in, analysed.id, found["id"])
    assert signed_in.get(f"/api/projects/{analysed.id}/batches").json() == []


def would_be_approved(signed_in, here) -> int:
    options = {"confidence": 0.8, "dry_run": True}
    return act(signed_in, here.project, "approve", here.tasks, **options).json()["count"]


def test_what_the_model_is_sure_of_is_approved_and_taken_back(bench: Bench, signed_in):
    here = unlabelled(bench, 8, seed=93)
    assert bench.analyze(here.project).state == "done"
    bench.settle(here.project)
    # What is half seen is the project's own to say, on the page as on the command line.
    counts = []
    for limit in (0.02, 0.5):
        save(bench, here.project, approve_half_seen=limit)
        words = ("approve", str(here.project), "--confidence", "0.8", "--dry-run")
        typed = relook(*words, **bench.asking)
        said = re.search(r"(\d) of 8 tasks would be approved", typed.stderr)
        assert said, typed.stderr
        counts.append(int(said[1]))
        assert would_be_approved(signed_in, here) == counts[-1]
    assert counts[0] < counts[1]
    begun, skipped = here.tasks[:2]
    bench.client.annotations.create(id=skipped, result=[], was_cancelled=True)
    bench.client._client_wrapper.httpx_client.request(
        f"api/tasks/{begun}/drafts", method="POST", json={"result": []}
    ).raise_for_status()
    would = act(signed_in, here.project, "approve", here.tasks, confidence=0.8, dry_run=True).json()
    assert would["notes"] == []
    assert 0 < would["count"] == 8 - sum(would["left_out"].values())
    assert would["left_out"]["labelled or begun by somebody"] == 2
    assert not {begun, skipped} & set(would["examples"])
    assert here.labelled() == [skipped]
    found = done(signed_in, here.project, "approve", here.tasks, confidence=0.8)
    assert found["said"].startswith(f"{would['count']} task")
    assert {*would["examples"], skipped} == set(here.labelled())
    bench.settle(here.project)
    undone(signed_in, here.project, found["id"])
    assert here.labelled() == [skipped]


def test_what_looks_alike_is_found(bench: Bench, analysed: Project, signed_in):
    path = f"/api/projects/{analysed.id}/similar"
    task = analysed.tasks[0]
    found = signed_in.get(path, params={"task": task, "k": 5}).json()
    assert len(found) == 5
    assert task not in [one["task"] for one in found]
    distances = [one["distance"] for one in found]
    assert distances == sorted(distances)
    regions = signed_in.get(path, params={"task": task, "region": 1, "k": 10}).json()
    assert len(regions) == 10
    assert {"task": task, "region": 1} not in [
        {"task": one["task"], "region": one["region"]} for one in regions
    ]
    shown = points(signed_in, analysed.id, "regions")
    label = dict(zip(zip(shown["task"], shown["region"], strict=True), shown["label"], strict=True))
    same = [label[one["task"], one["region"]] == label[task, 1] for one in regions[:3]]
    assert any(same)
    assert signed_in.get(path, params={"task": 10**9}).status_code == 404


def test_the_overview_counts_what_the_points_show(bench: Bench, analysed: Project, signed_in):
    said = signed_in.get(f"/api/projects/{analysed.id}/overview").json()
    shown = points(signed_in, analysed.id)
    assert said["queue"]["open"] == shown["flag"].count("needs-review")
    assert sum(one["support"] for one in said["classes"]) == sum(analysed.labels)
    counts = np.array(said["confusion"]["counts"])
    assert counts.shape == (11, 11)
    assert counts[:10].sum() == sum(analysed.labels)
    assert sum(said["histograms"]["priority"]["counts"]) == len(analysed.tasks)
    share = said["error_share"]
    assert share["low"] <= share["estimate"] <= share["high"]
    assert said["burn_down"][-1]["open"] == said["queue"]["open"]
    strict = signed_in.get(f"/api/projects/{analysed.id}/overview", params={"iou": 0.95}).json()
    assert np.trace(strict["confusion"]["counts"]) < np.trace(counts)


@pytest.mark.parametrize(("iou", "confidence"), [(0.5, 0.3), (0.9, 0.6)])
def test_each_cell_of_the_confusion_names_what_it_counts(
    analysed: Project, signed_in, iou: float, confidence: float
):
    path = f"/api/projects/{analysed.id}"
    at = {"iou": iou, "confidence": confidence}
    matrix = signed_in.get(f"{path}/overview", params=at).json()["confusion"]
    names = [*matrix["labels"][:-1], None]
    shown = {}
    for part in ("inputs", "regions"):
        table = points(signed_in, analysed.id, part)
        rows = zip(table["task"], table["region"], strict=True)
        shown[part] = dict(zip(rows, table["label"], strict=True))
    for human, row in zip(names, matrix["counts"], strict=True):
        for model, count in zip(names, row, strict=True):
            asked = {"human": human, "model": model} | at
            wanted = {name: value for name, value in asked.items() if value is not None}
            cell = signed_in.get(f"{path}/cell", params=wanted).json()
            items = list(zip(cell["tasks"], cell["regions"], strict=True))
            assert len(items) == count, (human, model)
            assert set(items) <= shown[cell["part"]].keys()
            if human is None:
                assert cell["part"] == "inputs"
                continue
            # Each is a region of its own, labelled as its row says.
            assert len(set(items)) == count
            assert {shown["regions"][one] for one in items} <= {human}
    assert np.array(matrix["counts"])[-1].sum() > 0
    unknown = signed_in.get(f"{path}/cell", params={"human": "no such"})
    assert (unknown.status_code, unknown.json()["detail"]) == (
        404,
        "'label' has no label 'no such'",
    )


def test_events_tell_of_actions_and_points(bench: Bench, analysed: Project, signed_in):
    path = f"/api/projects/{analysed.id}/events"
    with signed_in.stream("GET", path) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        next(line for line in lines if line == "event: run")
        begun = act(signed_in, analysed.id, "tag", analysed.tasks[4:6], tag="seen").json()
        told = (line for line in lines if line.startswith("data: ") and begun["id"] in line)
        assert next(line for line in told if '"state": "done"' in line)
        assert next(line for line in lines if line == "event: points")


def test_the_interface_describes_itself(bench: Bench):
    said = httpx.get(bench.stack.url + "/api/openapi.json").json()
    assert "/api/projects/{project}/actions" in said["paths"]
    assert {"TaskDetail", "Run", "Report"} <= said["components"]["schemas"].keys()


def test_who_has_no_access_sees_and_does_nothing(bench: Bench, analysed: Project, signed_in):
    token = stranger(bench, "stranger")
    action = done(signed_in, analysed.id, "tag", analysed.tasks[20:21], tag="ours")["id"]
    with httpx.Client(base_url=bench.stack.url, headers=OWN, timeout=30) as client:
        assert client.post("/api/session", json={"token": token}).status_code == 200
        assert client.get("/api/projects").json() == []
        project = f"/api/projects/{analysed.id}"
        task = f"tasks/{analysed.tasks[0]}"
        for path in (
            *("", "/points", "/search?q=a", "/tasks?ids=1", f"/{task}", f"/{task}/image"),
            *("/similar?task=1", "/overview", "/cell", "/runs", "/batches", "/actions", "/events"),
            "/views",
        ):
            assert client.get(project + path).status_code == 403, path
        assert act(client, analysed.id, "flag", analysed.tasks[:1]).status_code == 403
        assert client.post(f"{project}/runs").status_code == 403
        assert client.put(f"{project}/views/mine", json={"query": ""}).status_code == 403
        assert client.post(f"/api/actions/{action}/undo").status_code == 403
        assert client.post("/api/actions/none/undo").status_code == 403
    assert httpx.get(f"{bench.stack.url}{project}/points").status_code == 401
