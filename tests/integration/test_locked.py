"""A Label Studio whose SQLite was locked while it imported: it lost what came with the tasks.

Label Studio 1.23 takes the annotations and predictions out of the tasks, tries the whole again
where the database is locked, and finds none. What reaches it here has lost them on the way.
"""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import SecretStr

from ml_backend.demo.labelstudio import LabelStudioServer
from ml_backend.demo.projects import CONFIGS, SampleTask, create_project
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


def test_copies_keep_their_predictions(client, proxy):
    project = int(client.projects.create(title="Locked", label_config=CONFIGS["detection"]).id)
    versions = (SUGGESTION_VERSION, CURRENT_LABEL)
    tasks = [
        {
            "data": {"image": f"/data/{name}.png", "name": name},
            "predictions": [
                {"model_version": version, "result": [], "score": score} for version in versions
            ],
        }
        for name, score in (("a", 0.25), ("b", 0.5))
    ]
    send_tasks(client, project, tasks)
    assert proxy.lost.met == 1
    found = {task.data["name"]: task for task in client.tasks.list(project=project, fields="all")}
    said = {
        name: sorted((one.model_version, one.score) for one in task.predictions)
        for name, task in found.items()
    }
    assert said == {
        name: sorted((version, score) for version in versions)
        for name, score in (("a", 0.25), ("b", 0.5))
    }


def test_a_demo_keeps_its_labels(client, proxy):
    image = np.zeros((8, 8, 3), dtype=np.uint8)
    tasks = [SampleTask(image, [digit], None) for digit in (3, 7)]
    _, ids = create_project(client, proxy.url, "classification", "Locked demo", tasks)
    assert proxy.lost.met == 1
    found = [client.tasks.get(id=task).annotations for task in ids]
    assert [one["result"][0]["value"]["choices"] for (one,) in found] == [["3"], ["7"]]
