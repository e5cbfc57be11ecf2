"""What people with a right to one project, or with none, send to the web server to break it."""

import base64
import json

import pytest
import redis
from fastapi import HTTPException
from fastapi.testclient import TestClient
from pydantic import SecretStr

from ml_backend.commands.choosing import require_kinds
from ml_backend.errors import ConfigError, SettingsError
from ml_backend.jobs.acting.book import KEPT, ActionBook, Wish
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.labelstudio.config import parse_config
from ml_backend.settings import ServiceSettings
from ml_backend.web import server
from ml_backend.web.access.permission import Access
from ml_backend.web.api import events as events_api
from ml_backend.web.app import create_app

SIGNED_IN = {"Authorization": "Token reader"}
MINE, THEIRS = 1, 2
HUGE = 10**30


async def _only_mine(_self, _credential, project, _may):
    if project != MINE:
        raise HTTPException(403, "no access to this project")


async def _my_name(_self, _request):
    return "me"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running.url


@pytest.fixture(scope="module")
def app(redis_url, tmp_path_factory):
    return create_app(
        ServiceSettings(
            LABEL_STUDIO_URL="http://127.0.0.1:9",
            LABEL_STUDIO_API_KEY=SecretStr("service-token"),
            REDIS_URL=SecretStr(redis_url),
            data_dir=tmp_path_factory.mktemp("data"),
        )
    )


@pytest.fixture(scope="module")
def running(app):
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(running, redis_url, monkeypatch):
    redis.Redis.from_url(redis_url).flushall()
    monkeypatch.setattr(Access, "_require", _only_mine)
    monkeypatch.setattr(Access, "name", _my_name)
    monkeypatch.setattr(running, "headers", running.headers.copy())
    running.headers.update(SIGNED_IN)
    return running


@pytest.fixture
def book(redis_url):
    return ActionBook(redis.Redis.from_url(redis_url))


def test_a_token_of_brackets_is_refused_as_any_other(running):
    claims = base64.urlsafe_b64encode(b"[" * 20_000).decode()
    headers = {"Authorization": f"Bearer head.{claims}.end"}
    answer = running.get("/api/projects/1", headers=headers)
    assert answer.status_code == 503  # Label Studio, which says what it is worth, is not there.


@pytest.mark.parametrize(
    "path",
    [
        f"/api/projects/{HUGE}",
        f"/api/projects/1/tasks/{HUGE}",
        f"/api/projects/1/tasks/-{HUGE}/image",
        f"/api/projects/1/similar?task={HUGE}",
        f"/api/projects/1/overview?confidence={HUGE}",
        "/api/projects/1/overview?iou=nan",
        "/api/runs/a:errors",
    ],
)
def test_numbers_and_names_that_nothing_has_are_refused(client, path):
    assert client.get(path).status_code == 422


@pytest.mark.parametrize("path", ["/page/%00", "/page/" + "a" * 5000, "/page/%00/" + "../" * 50])
def test_a_path_that_no_file_can_have_is_no_error_of_the_server(client, path):
    assert client.get(path).status_code in (200, 404)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", {"tasks": [], "project": "abc", "label_config": "<View/>"}),
        ("/predict", {"tasks": [], "project": "9" * 5000, "label_config": "<View/>"}),
        (
            "/predict",
            {"tasks": [{"id": HUGE, "data": {}}], "project": "1.2", "label_config": "<View/>"},
        ),
        ("/setup", {"project": "", "schema": "<View/>"}),
        ("/webhook", {"action": "TASKS_CREATED", "project": HUGE}),
        ("/webhook", {"action": "TASKS_CREATED", "project": 1, "tasks": [{"id": -1}]}),
        ("/webhook", {"action": "a" * 1000, "project": 1}),
    ],
)
def test_a_body_with_what_cannot_be_is_refused(client, path, body):
    assert client.post(path, json=body).status_code == 422


@pytest.mark.parametrize("sent", [b'{"token": "\\ud800' + b"a" * 30 + b'"}', b'{"token": NaN}'])
def test_what_is_no_text_is_refused(client, sent):
    headers = {"Content-Type": "application/json", "X-Relook": "1"}
    assert client.post("/api/session", content=sent, headers=headers).status_code in (401, 422, 503)


def test_a_refused_body_is_not_repeated(client):
    body = {"tokn": "a-secret-in-the-wrong-place", "token": 5}
    answer = client.post("/api/session", json=body, headers={"X-Relook": "1"})
    assert answer.status_code == 422
    assert "token" in answer.json()["detail"]
    assert "a-secret" not in answer.text


def test_events_of_made_up_names_are_counted_as_one(client):
    for n in range(5):
        event = {"action": f"MADE_UP_{n}", "project": 1}
        assert client.post("/webhook", json=event).status_code == 200
    text = client.get("/metrics").text
    assert "MADE_UP" not in text
    assert 'action="other"' in text


def test_a_reason_is_one_line_that_every_client_reads():
    server.say_reason("no\x00 \r\nX-Evil: \x1b[31m1\x7f")
    assert server._reason.get() == b"no? X-Evil: ?[31m1?"


def test_a_reason_tells_labels_of_any_alphabet():
    server.say_reason("no label '\u72d7', '\U0001f415' or 'M\xfcnze'")
    assert server._reason.get() == rb"no label '\u72d7', '\U0001f415' or 'M" + b"\xfcnze'"
    server.say_reason("\u72d7" * 700)
    assert len(server._reason.get()) == 600


def test_anothers_project_is_closed_on_every_route(client):
    routes = client.get("/api/openapi.json").json()["paths"]
    closed = [
        (method, path.replace("{project}", str(THEIRS)).replace("{task}", "1"))
        for path, methods in routes.items()
        for method in methods
        if "{project}" in path
    ]
    assert len(closed) > 12
    body = {"action": "flag", "tasks": [1], "query": ""}
    for method, path in closed:
        # A run takes nothing that it does not know: misspelt, it would be over the whole project.
        sent = {"tasks": [1]} if path.endswith("/runs") else body
        given = {"json": sent} if method in ("post", "put") else {}
        query = {"ids": "1", "task": "1", "q": "a"}
        answer = client.request(method, path.replace("{name}", "a"), params=query, **given)
        assert answer.status_code == 403, (method, path, answer.text)


def test_an_action_of_another_project_is_neither_undone_nor_told(client, book):
    theirs = book.open(THEIRS, Wish("flag", (1,)), 1)
    book.note(theirs.id, state="done", undoable=1)
    for action in (theirs.id, "none"):
        assert client.post(f"/api/actions/{action}/undo").status_code == 403
    assert book.read(theirs.id).undoable


def test_a_batch_is_not_taken_from_where_the_caller_may_not_go(client, book):
    # The settings named the other project when it was sent, and name none by now.
    sent = book.open(MINE, Wish("batch", (1,)), 1)
    book.note(sent.id, batch=f"{THEIRS}-{sent.id[:6]}")
    book.note(sent.id, state="done", undoable=1)
    assert client.post(f"/api/actions/{sent.id}/undo").status_code == 403
    assert book.read(sent.id).undoable


def test_a_batch_that_stayed_is_taken_back_wherever_others_go_by_now(client, book):
    stayed = book.open(MINE, Wish("batch", (1,), to=str(THEIRS)), 1)
    book.note(stayed.id, batch=stayed.id[:6])
    book.note(stayed.id, state="done", undoable=1)
    assert client.post(f"/api/actions/{stayed.id}/undo").status_code == 202


def test_a_batch_of_a_kind_that_is_none_is_refused_by_name(client):
    asked = {"action": "batch", "queue": {"kinds": ["flagged", "mislabeled"]}}
    answer = client.post("/api/projects/1/actions", json=asked)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("body.queue.kinds.1: Input should be 'mislabelled',")
    with pytest.raises(SettingsError, match=r"--kind wants one of .*, flagged, not 'mislabeled'"):
        require_kinds(["flagged", "mislabeled"])


def test_actions_that_wait_are_counted(client, book, redis_url):
    Mailbox(redis.Redis.from_url(redis_url)).remember_setup(MINE, None)
    asked = {"action": "flag", "tasks": [1]}
    codes = [client.post("/api/projects/1/actions", json=asked).status_code for _ in range(22)]
    assert codes == [202] * 20 + [429] * 2
    for one in book.of_project(MINE):
        book.note(one.id, state="done")
    assert client.post("/api/projects/1/actions", json=asked).status_code == 202


def test_old_actions_are_forgotten_with_all_that_they_named(book, redis_url):
    connection = redis.Redis.from_url(redis_url)
    connection.flushall()
    first = book.open(MINE, Wish("flag", (1,)), 1)
    for _ in range(KEPT):
        book.open(MINE, Wish("flag", (1,)), 1)
    assert not list(connection.scan_iter(f"relook:action:{first.id}*"))
    assert len(book.of_project(MINE)) == KEPT


def test_pages_that_look_are_counted_by_caller(monkeypatch):
    monkeypatch.setattr(events_api, "_MOST_OF_ONE", 2)
    pages = events_api._Pages()
    with pages.one("a"):
        with pages.one("a"):
            assert (pages.full("a"), pages.full("b")) == (True, False)
        assert not pages.full("a")
    assert not pages._looking


def test_a_config_of_tags_within_tags_is_refused_at_once():
    deep = "<Choices name='c' toName='i'><Choice value='a'/>" * 9000 + "</Choices>" * 9000
    with pytest.raises(ConfigError, match="deeper than"):
        parse_config(f"<View><Image name='i' value='$i'/>{deep}</View>")
    with pytest.raises(ConfigError, match="more than"):
        parse_config("<View>" + " " * (8 << 20) + "</View>")


def test_the_number_of_a_key_point_has_few_digits():
    label = f"<Label value='a' model_index='{'9' * 5000}'/>"
    with pytest.raises(ConfigError, match="model_index="):
        parse_config(
            "<View><Image name='i' value='$i'/><KeyPointLabels name='k' toName='i'>"
            f"{label}</KeyPointLabels></View>"
        )


def test_brackets_within_brackets_are_refused(client):
    content = b'{"tasks": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    headers = {"Content-Type": "application/json"}
    for path in ("/predict", "/webhook", "/api/projects/1/actions"):
        assert client.post(path, content=content, headers=headers).status_code in (400, 422)


def test_an_event_that_a_foreign_form_sends_is_no_event(client):
    event = json.dumps({"action": "TASKS_CREATED", "project": 1}).encode()
    answer = client.post("/webhook", content=event, headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422
