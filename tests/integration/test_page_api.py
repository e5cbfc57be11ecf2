"""The review page's interface against a real Label Studio, Redis and workers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tests.integration.conftest import Bench
from tests.integration.samples import right, scenes, wrong_class

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


def test_the_planted_wrong_label_is_a_point_with_its_kind(analysed: Project, signed_in):
    found = points(signed_in, analysed.id)
    assert sorted(found["task"]) == sorted(analysed.tasks)
    row = found["task"].index(analysed.tasks[WRONG])
    assert (found["kind"][row], found["flag"][row]) == ("mislabelled", "needs-review")
    assert found["priority"][row] == max(p for p in found["priority"] if p == p)
    assert found["false_positives"][row] == found["false_negatives"][row] == 1
    assert {found["region"][row], found["annotator"][row]} == {-1, found["annotator"][0]}
    assert all(-1 <= at <= 1 for at in found["x"] + found["y"])


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
    assert signed_in.get(path.replace(str(analysed.tasks[0]), "999999")).status_code == 404
    looks = {"q": "looks like"}
    found = signed_in.get(f"/api/projects/{analysed.id}/search", params=looks).json()
    assert analysed.tasks[WRONG] in found["tasks"]
    by_id = {"q": str(analysed.tasks[5])}
    found = signed_in.get(f"/api/projects/{analysed.id}/search", params=by_id).json()
    assert analysed.tasks[5] in found["tasks"]


def test_views_are_saved_and_forgotten(analysed: Project, signed_in):
    path = f"/api/projects/{analysed.id}/views"
    view = {"query": "flag=needs-review&q=ä"}
    assert signed_in.put(f"{path}/my view", json=view).status_code == 204
    assert signed_in.get(path).json() == {"my view": view["query"]}
    assert signed_in.delete(f"{path}/my view").status_code == 204
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
