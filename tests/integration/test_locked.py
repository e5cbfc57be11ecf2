"""A Label Studio whose SQLite was locked while it imported: it lost what came with the tasks.

Label Studio 1.23 takes the annotations and predictions out of the tasks, tries the whole again
where the database is locked, and finds none. What reaches it here has lost them on the way.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from pydantic import SecretStr

from ml_backend.demo.labelstudio import LabelStudioServer
from ml_backend.demo.projects import CONFIGS, SampleTask, create_project
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import connect
from ml_backend.labelstudio.regions.suggestions import SUGGESTION_VERSION
from ml_backend.labelstudio.relabel.batches import CURRENT_LABEL, send_tasks
from ml_backend.settings import ServiceSettings
from tests.faulty_proxy import FaultyProxy, bare


@pytest.fixture
def proxy(label_studio: LabelStudioServer):
    with FaultyProxy(label_studio.port) as proxy:
        proxy.lost = proxy.add(r"POST .*/import\?.*return_task_ids", "change", action=bare)
        yield proxy


@pytest.fixture
def client(label_studio: LabelStudioServer, proxy):
    key = SecretStr(label_studio.token())
    return connect(ServiceSettings(LABEL_STUDIO_URL=proxy.url, LABEL_STUDIO_API_KEY=key))


VERSIONS = sorted((SUGGESTION_VERSION, CURRENT_LABEL))
SCORES = [("a", 0.25), ("b", 0.5)]
COPIES = [
    {
        "data": {"image": f"/data/{name}.png", "name": name},
        "predictions": [
            {"model_version": version, "result": [], "score": score} for version in VERSIONS
        ],
    }
    for name, score in SCORES
]


def new_project(client):
    return int(client.projects.create(title="Locked", label_config=CONFIGS["detection"]).id)


def tasks_of(client, project):
    return list(client.tasks.list(project=project, fields="all"))


def miscount(server, task):
    """As after a deletion in just that moment, which no test can time."""
    with closing(sqlite3.connect(server.folder / "label_studio.sqlite3", timeout=60)) as base:
        (changed,) = base.execute(
            "UPDATE task SET total_annotations = 0 WHERE id = ? RETURNING 1", (task,)
        ).fetchone()
        base.commit()
    assert changed


def test_copies_keep_their_predictions(client, proxy):
    project = new_project(client)
    send_tasks(client, project, COPIES)
    assert proxy.lost.met == 1
    said = [
        (task.data["name"], sorted((one.model_version, one.score) for one in task.predictions))
        for task in sorted(tasks_of(client, project), key=lambda task: task.id)
    ]
    assert said == [(name, [(one, score) for one in VERSIONS]) for name, score in SCORES]


def test_copies_that_are_lost_each_time_are_said_and_none_stays(client, proxy):
    project = new_project(client)
    proxy.lost.times = 9
    with pytest.raises(LabelStudioError, match=r"2 tasks into project \d+ 3 times.*PostgreSQL"):
        send_tasks(client, project, COPIES)
    assert proxy.lost.met == 3
    assert tasks_of(client, project) == []


@pytest.mark.parametrize("counted", [True, False])
def test_what_somebody_is_at_already_stays(client, proxy, label_studio, counted):
    """Label Studio counts no annotation that is saved while it deletes a project."""
    project = new_project(client)
    seen = []

    def at_once():
        first = min(task.id for task in tasks_of(client, project))
        client.annotations.create(id=first, result=[])
        if not counted:
            miscount(label_studio, first)
        seen.append(first)

    proxy.add(r"POST /api/dm/actions.*id=delete_tasks", "call", action=at_once)
    send_tasks(client, project, COPIES)
    found = {task.id: task for task in tasks_of(client, project)}
    assert len(found) == 3
    assert len(found[seen[0]].annotations) == 1


def test_a_demo_keeps_its_labels(client, proxy):
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    tasks = [SampleTask(image, [digit], None) for digit in (3, 7)]
    _, ids = create_project(client, proxy.url, "classification", "Locked demo", tasks)
    assert proxy.lost.met == 1
    found = [client.tasks.get(id=task).annotations for task in ids]
    assert [one["result"][0]["value"]["choices"] for (one,) in found] == [["3"], ["7"]]
