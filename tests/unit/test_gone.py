"""What of a project is forgotten when Label Studio has something there no more."""

import numpy as np
import pytest
from pydantic import SecretStr

from ml_backend.errors import ProjectGoneError
from ml_backend.jobs import events
from ml_backend.labelstudio.webhooks import webhook_key
from tests import made_project
from tests.made_project import PROJECT

PASSWORD = "a long enough password"
WEBHOOK = 5


class LabelStudioWithWebhook(made_project.LabelStudioWithOneProject):
    """Its project is connected to us; webhook and project may be deleted."""

    gone = ()

    def __init__(self):
        super().__init__()
        self.headers = {}

    def read(self, path, query):
        connection = {"id": 3, "url": "http://relook", "basic_auth_user": "relook"}
        webhook = {"id": WEBHOOK, "url": "http://relook/webhook", "headers": self.headers}
        match path.strip("/").split("/"):
            case ["api", "ml"]:
                return None if "project" in self.gone else [connection | {"project": PROJECT}]
            case ["api", "webhooks"]:
                return [webhook]
            case ["api", "projects", _] if "project" in self.gone:
                return None
        return super().read(path, query)

    def write(self, path, query, body):
        if path.startswith("/api/webhooks/"):
            if "webhook" in self.gone:
                return None
            self.headers = body["headers"]
        return super().write(path, query, body)


@pytest.fixture
def studio():
    made = LabelStudioWithWebhook()
    with made.listening():
        yield made


@pytest.fixture
def services(studio, tmp_path, monkeypatch):
    signed = {"basic_auth_user": "relook", "basic_auth_pass": SecretStr(PASSWORD)}
    with made_project.made_services(studio, tmp_path, **signed) as services:
        monkeypatch.setattr(events, "services", lambda: services)
        services.store.put_arrays(PROJECT, "learnt", {"much": np.zeros(1)})
        yield services


def kept(services):
    found = services.store.get_arrays(PROJECT, "learnt") is not None
    return services.mailbox.projects() == [PROJECT], found


def test_a_webhook_that_is_deleted_under_us_costs_the_project_nothing(studio, services):
    studio.gone = ("webhook",)
    with pytest.raises(ProjectGoneError):
        events.put_webhook_key(PROJECT)
    assert kept(services) == (True, True)
    studio.gone = ()
    events.put_webhook_key(PROJECT)
    assert webhook_key(PASSWORD) in studio.headers.values()


@pytest.mark.parametrize("look", [events.put_webhook_key, events.reconcile])
def test_a_project_that_is_gone_is_forgotten(studio, services, look):
    studio.gone = ("project",)
    look(PROJECT)
    assert kept(services) == (False, False)
