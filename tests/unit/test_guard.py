"""A backend with a password, and bodies that are too large."""

import base64
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr, ValidationError
from starlette.responses import JSONResponse

from ml_backend.errors import SettingsError
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.labelstudio.webhooks import KEY_HEADER, webhook_key
from ml_backend.settings import ServiceSettings, service_settings, variable
from ml_backend.web.app import create_app
from ml_backend.web.server import configured

PASSWORD = "correct horse battery staple"
CLOSED = [("POST", "/setup"), ("POST", "/predict"), ("POST", "/webhook"), ("GET", "/versions")]
EVENT = {"action": "TASKS_CREATED", "project": 3, "tasks": [{"id": 7}]}


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


RIGHT = basic("label-studio", PASSWORD)
WRONG = [
    {},
    basic("label-studio", PASSWORD[:-1]),
    basic("label-studio", ""),
    basic("", PASSWORD),
    basic("Label-studio", PASSWORD),
    basic("label-studio", PASSWORD + ":"),
    {"Authorization": "Basic"},
    {"Authorization": "Basic ***"},
    {"Authorization": "Bearer " + PASSWORD},
    {KEY_HEADER: PASSWORD},
    {KEY_HEADER: webhook_key("another password, as long")},
]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running.url


def settings(redis_url, folder, **more):
    return ServiceSettings(
        LABEL_STUDIO_URL="http://127.0.0.1:9",
        REDIS_URL=SecretStr(redis_url),
        data_dir=folder,
        **more,
    )


@pytest.fixture
def client(redis_url, tmp_path):
    wanted = settings(
        redis_url,
        tmp_path,
        basic_auth_user="label-studio",
        basic_auth_pass=SecretStr(PASSWORD),
        body_max_mb=1,
    )
    with TestClient(create_app(wanted)) as client:
        yield client


@pytest.mark.parametrize("headers", WRONG, ids=str)
def test_who_does_not_know_the_password_is_refused_before_the_body_is_read(client, headers):
    for method, path in [*CLOSED, ("GET", "/metrics")]:
        answer = client.request(method, path, headers=headers, content=b"not JSON")
        assert (answer.status_code, path) == (401, path)
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
        assert PASSWORD not in answer.text


def test_who_knows_it_is_let_in(client):
    assert client.get("/versions", headers=RIGHT).status_code == 200
    assert client.get("/metrics", headers=RIGHT).status_code == 200
    assert client.post("/webhook", headers=RIGHT, json=EVENT).json() == {"status": "queued"}


@pytest.fixture
def at(redis_url, tmp_path):
    """Makes clients of one closed backend by address."""
    closed = {"basic_auth_user": "label-studio", "basic_auth_pass": SecretStr(PASSWORD)}
    app = create_app(settings(redis_url, tmp_path, **closed))
    return lambda address: TestClient(app, client=(address, 50000))


def test_who_guesses_the_password_has_to_wait_and_the_right_one_always_passes(at, caplog):
    guesser, other = at("10.3.0.1"), at("10.3.0.2")
    for number in range(10):
        # Neither what names no password nor the same one again is a guess.
        assert guesser.get("/versions").status_code == 401
        for _ in range(2):
            headers = basic("label-studio", f"guess {number}")
            assert guesser.get("/versions", headers=headers).status_code in (401, 429)
    assert "too many wrong passwords from 10.3.0.1" in caplog.text
    assert "guess" not in caplog.text.replace("guessing?", "")
    refused = guesser.post("/setup", headers=basic("label-studio", "guess 10"))
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 900
    assert PASSWORD not in refused.text
    # Label Studio may have the same address: whoever types into its dialog guesses from there.
    assert guesser.get("/versions", headers=RIGHT).status_code == 200
    key = {KEY_HEADER: webhook_key(PASSWORD)}
    assert guesser.post("/webhook", headers=key, json=EVENT).status_code == 200
    assert guesser.get("/versions", headers=basic("label-studio", "guess 11")).status_code == 429
    assert other.get("/versions", headers=basic("label-studio", "guess 11")).status_code == 401


def test_an_old_password_that_is_sent_again_and_again_makes_nobody_wait(at):
    client = at("10.3.0.3")
    for _ in range(20):
        answer = client.get("/versions", headers=basic("label-studio", "an old password"))
        assert answer.status_code == 401


def test_health_tells_anybody_that_it_is_up(client):
    assert client.get("/health").status_code == 200
    assert client.get("/").status_code == 200


def test_the_key_of_events_opens_events_and_nothing_else(client):
    key = {KEY_HEADER: webhook_key(PASSWORD)}
    assert client.post("/webhook", headers=key, json=EVENT).json() == {"status": "queued"}
    training = {"action": "START_TRAINING", "project": {"id": 3}}
    assert client.post("/webhook", headers=key, json=training).status_code == 403
    assert client.post("/webhook", headers=RIGHT, json=training).json()["status"] == "queued"
    for method, path in CLOSED:
        if path != "/webhook":
            assert client.request(method, path, headers=key).status_code == 401


def test_without_a_password_all_is_open_as_label_studio_expects(redis_url, tmp_path):
    with TestClient(create_app(settings(redis_url, tmp_path))) as client:
        assert client.post("/webhook", json=EVENT).json() == {"status": "queued"}


@pytest.mark.parametrize("path", ["/webhook", "/predict", "/setup", "/nothing"])
@pytest.mark.parametrize("told", [True, False], ids=["told", "in pieces"])
def test_a_body_that_is_too_large_is_refused(client, path, told):
    body = b'{"a": "' + b"x" * (1 << 20) + b'"}'
    content = body if told else iter([body[:1000], body[1000:]])
    answer = client.post(path, headers=RIGHT, content=content)
    if path == "/nothing" and not told:
        assert answer.status_code == 404, "nobody read it"
    else:
        assert answer.status_code == 413
        assert "RELOOK_BODY_MAX_MB" in answer.json()["detail"]


def test_a_body_of_the_largest_size_is_read(client):
    empty = len(b'{"action": "X", "project": 3, "filler": ""}')
    filler = b"x" * ((1 << 20) - empty)
    body = b'{"action": "X", "project": 3, "filler": "' + filler + b'"}'
    json = {**RIGHT, "Content-Type": "application/json"}
    answer = client.post("/webhook", headers=json, content=body)
    assert answer.json() == {"status": "ignored"}


BOTH = "go together"
WEAK = "at least 16 characters, 5 different ones among them"


@pytest.mark.parametrize(
    ("user", "password", "why"),
    [
        ("a", None, BOTH),
        (None, PASSWORD, BOTH),
        ("a", "short", WEAK),
        ("a", "abcdefghijklmno", WEAK),
        ("a", "x" * 16, WEAK),
        ("a", "abcd" * 8, WEAK),
        ("a:b", PASSWORD, "basic_auth_user"),
    ],
)
def test_half_a_password_or_a_weak_one_is_refused_and_not_shown(monkeypatch, user, password, why):
    given = {"basic_auth_user": user, "basic_auth_pass": password}
    given = {name: value for name, value in given.items() if value}
    with pytest.raises(ValidationError) as error:
        ServiceSettings(**given)
    monkeypatch.delenv("RELOOK_BASIC_AUTH_USER", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(variable(name), value)
    service_settings.cache_clear()
    with pytest.raises(SettingsError) as said:
        service_settings()
    service_settings.cache_clear()
    for text in (str(error.value), str(said.value)):
        assert why in text
        assert "basic_auth" in text.lower()
        assert not password or f"{password!r}" not in text


def test_a_secret_is_in_no_text_of_the_settings(tmp_path):
    made = ServiceSettings(basic_auth_user="a", basic_auth_pass=PASSWORD, data_dir=Path(tmp_path))
    assert PASSWORD not in repr(made)
    assert PASSWORD not in str(made)
    assert made.environment()["RELOOK_BASIC_AUTH_PASS"] == PASSWORD


@pytest.mark.parametrize("path", ["/api/session", "/api/projects/1/views/a"])
def test_bodies_that_are_read_before_rights_are_asked_are_small(client, path):
    answer = client.post(path, content=b'{"token": "' + b"x" * (64 << 10) + b'"}')
    assert answer.status_code == 413
    assert "larger than 64 KiB" in answer.json()["detail"]


@pytest.mark.parametrize("what", ["actions", "runs"])
def test_what_names_tasks_may_name_many(client, what):
    tasks = ",".join(map(str, range(100_000, 200_000)))
    content = f'{{"tasks": [{tasks}, "no task"]}}'
    answer = client.post(f"/api/projects/1/{what}", content=content)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [("127.0.0.1", ["http", "10.0.0.9"]), ("10.0.0.0/8", ["https", "192.0.2.7"])],
)
def test_who_asks_is_what_a_trusted_proxy_says(redis_url, tmp_path, proxies, seen):
    async def app(scope, receive, send):
        await JSONResponse([scope["scheme"], scope["client"][0]])(scope, receive, send)

    config = configured(app, settings(redis_url, tmp_path, trusted_proxies=proxies))
    config.load()
    said = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    client = TestClient(config.loaded_app, client=("10.0.0.9", 50000))
    assert client.get("/", headers=said).json() == seen
