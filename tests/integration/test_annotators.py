"""What annotators are told of their work: two of them, a reviewer, and somebody who has left."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest

from ml_backend.demo.projects import CONFIGS, SampleTask, human_result, upload_images
from ml_backend.demo.scenes import split_digits
from ml_backend.labelstudio.client import access_headers
from tests.integration.conftest import MODEL, Bench, connect_backend, wait_for
from tests.integration.people import Person
from tests.integration.samples import digit
from tests.integration.test_cli import relook

EACH, PLANTED = 12, 4
#: The digit that is shown and the label that it gets, each time.
TRUE, GIVEN = 3, 5


@dataclass(frozen=True)
class Team:
    """A project labelled by two people, of which a reviewer has looked at some of the queue."""

    project: int
    careless: Person
    careful: Person
    reviewer: Person
    wrong: list[int]
    shared: list[int]


def shown(label: int, count: int) -> list[int]:
    return np.flatnonzero(split_digits()[1].label == label)[:count].tolist()


def said(label: int) -> list[dict[str, Any]]:
    return human_result("classification", SampleTask(np.zeros((1, 1, 3), np.uint8), [label], None))


@pytest.fixture(scope="module")
def team(bench: Bench) -> Team:
    people = [
        Person(bench.client, bench.server.url, name)
        for name in ("=careless", "careful", "feedback-reviewer")
    ]
    careless, careful, reviewer = people
    rows = [*shown(TRUE, PLANTED), *(row for label in (0, 1, 6, 7) for row in shown(label, 5))]
    digits = [digit(row) for row in rows]
    made_project = bench.client.projects.create(
        title="Team", label_config=CONFIGS["classification"]
    )
    project = int(made_project.id or 0)
    images = [image for image, _ in digits]
    addresses = upload_images(bench.client, bench.server.url, project, images)
    made: Any = bench.client.projects.import_tasks(
        id=project, request=[{"image": one} for one in addresses], return_task_ids=True
    )
    tasks = [int(task) for task in made.task_ids]
    truth = dict(zip(tasks, (label for _, label in digits), strict=True))
    # The first twelve are the careless one's, the last twelve and three of the others' the other's.
    wrong, shared = tasks[:PLANTED], tasks[7:10]
    for task in tasks[:EACH]:
        careless.submit(task, said(GIVEN if task in wrong else truth[task]))
    for task in [*tasks[EACH:], *shared]:
        careful.submit(task, said(truth[task]))
    connect_backend(bench.client, project, bench.stack.url, {"model": MODEL["classification"]})
    run = bench.analyze(project)
    assert (run.state, run.errors) == ("done", {})
    assert {bench.flag(task) for task in wrong} == {"needs-review"}
    assert not any(bench.flag(task) for task in tasks if task not in wrong)
    # One stays in the queue; one is mended in place, two by an annotation of the reviewer's own.
    first, *others = wrong[:3]
    (annotation,) = bench.task(first).annotations
    reviewer.update(annotation["id"], said(TRUE))
    for task in others:
        reviewer.submit(task, said(TRUE))
    for task in wrong[:3]:
        wait_for(lambda task=task: bench.flag(task) == "corrected", f"the verdict on {task}")
    bench.settle(project)
    return Team(project, careless, careful, reviewer, wrong, shared)


def report(bench: Bench, team: Team, **headers: str) -> httpx.Response:
    address = f"{bench.stack.url}/api/projects/{team.project}/annotators"
    return httpx.get(address, headers=headers, timeout=60)


def test_the_share_of_errors_is_told_apart_and_the_confusion_is_named(bench: Bench, team: Team):
    answer = report(bench, team, **access_headers(bench.client))
    assert answer.status_code == 200
    found = answer.json()
    by_id = {one["id"]: one for one in found["annotators"]}
    assert set(by_id) == {team.careless.id, team.careful.id}
    one, other = by_id[team.careless.id], by_id[team.careful.id]
    assert [one["name"], other["name"]] == [
        "=careless@relook.example",
        "careful@relook.example",
    ]
    assert found["annotators"][0] == one
    assert (one["tasks"], one["findings"], one["confirmed"], one["open"]) == (EACH, 4, 3, 1)
    assert (other["tasks"], other["findings"], other["confirmed"]) == (EACH + 3, 0, 0)
    assert other["share"]["share"] < one["share"]["share"]
    assert one["share"]["low"] <= PLANTED / EACH <= one["share"]["high"]
    assert other["share"]["low"] <= 0.05
    assert one["share"]["verdicts"] == 3

    (pair,) = one["confusions"]
    assert (pair["control"], pair["given"], pair["better"]) == ("digit", str(GIVEN), str(TRUE))
    # Of the label that was mended in place Label Studio keeps no trace.
    assert (pair["confirmed"], pair["suspected"]) == (2, 1)
    assert pair["tasks"] == team.wrong[1:]
    assert other["confusions"] == []
    (week,) = one["weeks"]
    assert (week["annotations"], week["errors"]) == (EACH, 3)

    (agreement,) = found["agreement"]
    (shared,) = agreement["pairs"]
    assert {shared["first"], shared["second"]} == {one["name"], other["name"]}
    assert (shared["tasks"], shared["agreement"], shared["kappa"]) == (len(team.shared), 1, 1)


def test_the_command_line_tells_the_same_and_cells_are_no_formulas(bench: Bench, team: Team):
    served = report(bench, team, **access_headers(bench.client)).json()
    told = relook("annotators", str(team.project), "--json", **bench.asking)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout) == served
    table = relook("annotators", str(team.project), "--csv", **bench.asking)
    rows = list(csv.DictReader(io.StringIO(table.stdout)))
    # A row for each, and below it one for the pair of labels, the week, and the colleague.
    about = ("given", "week", "colleague")
    assert [(row["annotator"], *(name for name in about if row[name])) for row in rows] == [
        ("'=careless@relook.example",),
        ("'=careless@relook.example", "given"),
        ("'=careless@relook.example", "week"),
        ("'=careless@relook.example", "colleague"),
        ("careful@relook.example",),
        ("careful@relook.example", "week"),
        ("careful@relook.example", "colleague"),
    ]
    assert (rows[1]["given"], rows[1]["better"], rows[1]["confirmed_here"]) == ("5", "3", "2")
    address = f"{bench.stack.url}/api/projects/{team.project}/annotators.csv"
    fetched = httpx.get(address, headers=access_headers(bench.client), timeout=60)
    assert fetched.headers["content-type"].startswith("text/csv")
    assert list(csv.DictReader(io.StringIO(fetched.text))) == rows
    shown = relook("annotators", str(team.project), **bench.asking)
    assert "=careless@relook.example has 5 for 3 in digit: 2 confirmed, 1 suspected" in shown.stdout


def test_only_who_may_read_the_project_is_told(bench: Bench):
    # Nothing has been scored yet: who has labelled is told all the same.
    image, label = digit(0)
    project, _ = bench.project("classification", [SampleTask(image, [label], None)])
    address = f"{bench.stack.url}/api/projects/{project}/annotators"
    member, former = (
        {"Cookie": f"sessionid={person.session.cookies['sessionid']}"}
        for person in (Person(bench.client, bench.server.url, "member"), leaving(bench))
    )
    told = httpx.get(address, headers=member, timeout=60)
    assert told.status_code == 200
    (one,) = told.json()["annotators"]
    assert (one["name"], one["tasks"]) == (bench.server.account.username, 1)
    for path in (address, f"{address}.csv"):
        assert httpx.get(path, timeout=60).status_code == 401
        assert httpx.get(path, headers=former, timeout=60).status_code == 403


def leaving(bench: Bench) -> Person:
    """Somebody who is no longer a member."""
    person = Person(bench.client, bench.server.url, "former")
    bench.client.organizations.members.delete(id=1, user_pk=person.id)
    return person
