"""A project as the page has it: who may change it, how it is kept, and what leaves its queue."""

import numpy as np
import pytest
from fastapi.testclient import TestClient

from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.jobs.project.queue_history import QueueHistory
from ml_backend.review.decide import NEEDS_REVIEW
from ml_backend.storage.standing import Standing
from ml_backend.web.app import create_app
from ml_backend.web.projects import Projects
from tests import made_project
from tests.made_project import PROJECT, TASKS


@pytest.fixture(scope="module")
def studio():
    made = made_project.LabelStudioWithOneProject()
    with made.listening():
        yield made


@pytest.fixture(scope="module")
def services(studio, tmp_path_factory):
    with made_project.made_services(studio, tmp_path_factory.mktemp("open")) as services:
        made_project.score(services)
        yield services


def test_what_label_studio_has_told_holds_from_the_next_request_on(studio, services):
    projects = Projects(services)
    assert projects.open(PROJECT).project.title == "Made"
    studio.title = "Renamed"
    try:
        assert projects.open(PROJECT).project.title == "Made"
        services.mailbox.note_heard(PROJECT)
        assert projects.open(PROJECT).project.title == "Renamed"
        services.mailbox.remember_setup(PROJECT, {"review_threshold": 0.75})
        assert projects.open(PROJECT).settings.review_threshold == 0.75
    finally:
        studio.title = "Made"
        made_project.connect(services)


@pytest.mark.parametrize(
    ("offered", "answer"), [(200, (200, True)), (403, (200, False)), (502, (503, None))]
)
def test_only_label_studios_word_makes_a_project_one_to_look_at(studio, services, offered, answer):
    studio.offered = offered
    try:
        with TestClient(create_app(services.settings)) as client:
            headers = {"Authorization": f"Token {offered}", "X-Relook": "1"}
            said = client.get(f"/api/projects/{PROJECT}", headers=headers)
    finally:
        studio.offered = 200
    assert (said.status_code, said.json().get("may_change")) == answer
    if answer[0] == 200:
        assert said.json()["batch_to"] == ""


def test_a_task_that_is_gone_has_left_the_queue(services):
    rows = services.page.tasks(PROJECT, None, ("task", "flag")).to_pylist()
    flagged = [row["task"] for row in rows if row["flag"] == NEEDS_REVIEW]
    history = QueueHistory(services.mailbox.redis)
    (before,) = history.burn_down(PROJECT, len(flagged))
    assert before["open"] == len(flagged) >= 1
    # The last task is one that was flagged and is gone; no later one has come.
    left = np.array([row["task"] for row in rows if row["task"] != flagged[0]], dtype=np.int64)
    OpenedProject.open(services, PROJECT).noting.tidy(Standing(left, max(TASKS)))
    assert flagged[0] not in services.page.tasks(PROJECT)["task"].to_pylist()
    (after,) = history.burn_down(PROJECT, len(flagged) - 1)
    assert after["open"] == len(flagged) - 1
    # All that came and went is known: nothing has to be counted back.
    kept = services.mailbox.redis.hgetall(f"relook:queue-history:{PROJECT}")
    came, went = (
        sum(int(count) for key, count in kept.items() if key.endswith(what))
        for what in (b"|came", b"|went")
    )
    assert came - went == len(flagged) - 1
