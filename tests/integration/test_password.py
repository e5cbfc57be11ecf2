"""A backend with a password, as Label Studio meets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from label_studio_sdk.core.api_error import ApiError
from pydantic import SecretStr

from ml_backend.commands.stack import Stack
from ml_backend.demo.projects import CONFIGS, create_project
from ml_backend.labelstudio.webhooks import KEY_HEADER, webhook_key
from ml_backend.processes import free_port
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import right, scenes, wrong_class

MODEL = {"model": "digits-detect.pt"}
USER, PASSWORD = "label-studio", "a password of these tests"


@pytest.fixture(scope="module")
def closed(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    settings = bench.settings.model_copy(
        update={
            "basic_auth_user": USER,
            "basic_auth_pass": SecretStr(PASSWORD),
            "data_dir": tmp_path_factory.mktemp("closed"),
            "port": free_port(),
        }
    )
    with Stack(settings) as stack:
        yield replace(bench, settings=settings, stack=stack)


def connect(bench: Bench, project: int, password: str) -> Any:
    return bench.client.ml.create(
        url=bench.stack.url,
        project=project,
        title="Relook",
        extra_params=MODEL,
        auth_method="BASIC_AUTH",
        basic_auth_user=USER,
        basic_auth_pass=password,
    )


def test_label_studio_is_let_in_with_the_password_only(closed: Bench):
    made = closed.client.projects.create(title="Closed A", label_config=CONFIGS["detection"])
    project = int(made.id or 0)
    with pytest.raises(ApiError) as error:
        connect(closed, project, "a password of nobody")
    assert "RELOOK_BASIC_AUTH_USER" in str(error.value.body)
    with pytest.raises(ApiError):
        closed.client.ml.create(url=closed.stack.url, project=project, title="Relook")
    assert str(connect(closed, project, PASSWORD).state) == "CO"


def test_events_arrive_with_a_key_that_is_put_into_the_webhook(closed: Bench):
    tasks = [wrong_class(scenes(1, seed=31)[0]), right(scenes(2, seed=31)[1])]
    project, ids = create_project(closed.client, closed.server.url, "detection", "Closed B", tasks)
    connect(closed, project, PASSWORD)

    def keys() -> list[str | None]:
        webhooks = closed.client.webhooks.list(project=str(project))
        return [(one.headers or {}).get(KEY_HEADER) for one in webhooks]

    wait_for(lambda: keys() == [webhook_key(PASSWORD)], "the key")
    run = closed.analyze(project)
    assert (run.state, run.flagged) == ("done", 1)
    assert closed.flag(ids[0]) == "needs-review"
    (label,) = closed.task(ids[0]).annotations
    (suggestion,) = closed.predictions(ids[0], "relook-suggestion")
    closed.client.annotations.update(id=label["id"], result=suggestion.result)
    wait_for(lambda: closed.flag(ids[0]) == "corrected", "the verdict")


def test_nobody_else_tells_events(closed: Bench):
    event = {"action": "TASKS_CREATED", "project": 1, "tasks": [{"id": 1}]}
    for headers in ({}, {KEY_HEADER: "0" * 64}):
        answer = httpx.post(closed.stack.url + "/webhook", json=event, headers=headers)
        assert answer.status_code == 401
    logs = (closed.settings.data_dir / "logs").glob("*.log")
    assert not [log for log in logs if PASSWORD in log.read_text()]
