"""Tasks by their ids: in addresses that no server finds too long, with their data as it stands."""

import json

import numpy as np
import pytest
from pydantic import SecretStr

from ml_backend.labelstudio.approvals import unlabelled_among
from ml_backend.labelstudio.client import connect
from ml_backend.labelstudio.tasks.listing import list_tasks, named_tasks
from ml_backend.labelstudio.tasks.own_fields import read_own_fields
from ml_backend.settings import ServiceSettings
from tests.made_project import PROJECT, TASKS, LabelStudioWithOneProject

MANY = np.arange(1, 1001)


class Listening(LabelStudioWithOneProject):
    """Remembers how it was asked for tasks."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def read(self, path, query):
        if path.strip("/") == "api/tasks":
            self.asked.append(query)
        return super().read(path, query)


@pytest.fixture
def studio():
    made = Listening()
    with made.listening():
        yield made


@pytest.fixture
def client(studio):
    settings = ServiceSettings(LABEL_STUDIO_URL=studio.url, LABEL_STUDIO_API_KEY=SecretStr("token"))
    return connect(settings)


def named(studio):
    """How many tasks each request named."""
    return [len(json.loads(one["query"])["selectedItems"]["included"]) for one in studio.asked]


def test_many_ids_are_named_some_hundred_at_a_time(studio, client):
    found = [task.id for page in named_tasks(client, PROJECT, MANY, "id") for task in page]
    assert found == list(TASKS)
    assert named(studio) == [200] * 5


@pytest.mark.parametrize(
    "read",
    [
        lambda client: unlabelled_among(client, PROJECT, MANY.tolist()),
        lambda client: read_own_fields(client, PROJECT, "relook", MANY.tolist()),
    ],
    ids=["approval", "own fields"],
)
def test_everybody_who_names_tasks_names_as_many(studio, client, read):
    read(client)
    assert named(studio) == [200] * 5


def test_an_address_in_a_storage_is_read_as_it_stands(studio, client):
    list(named_tasks(client, PROJECT, [1], "id,data"))
    list(list_tasks(client, PROJECT, "id,data"))
    assert [one["resolve_uri"] for one in studio.asked] == ["false", "false"]
