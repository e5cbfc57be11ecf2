"""Sessions of the review page: kept sealed, opened by their cookie alone, not by another site."""

import pytest
import redis
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.web.access.guard import COOKIE, Guard
from ml_backend.web.access.permission import Access
from ml_backend.web.access.sessions import SESSION_S, Attempts, Session, Sessions
from ml_backend.web.api.session import session_api

TOKEN = "a" * 40
MINE = Session(TOKEN, 7, "Ann", "ann@example.com")
OWN = {"X-Relook": "1"}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield redis.Redis.from_url(server.url)


@pytest.fixture
def connection(running):
    running.flushall()
    return running


class KnowsAnn(Access):
    """Asks nobody: one token is Ann's."""

    async def whoami(self, token):
        return {"id": 7, "first_name": "Ann", "email": MINE.email} if token == TOKEN else None


@pytest.fixture
def client(connection):
    app, sessions = FastAPI(), Sessions(connection)
    access = KnowsAnn("http://127.0.0.1:9", Attempts(connection))
    app.include_router(session_api(sessions, access, "http://ls"))

    @app.api_route("/api/echo", methods=["GET", "POST"])
    async def echo(request: Request) -> dict[str, str]:
        return {"authorization": request.headers.get("Authorization", "")}

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {}

    app.add_middleware(Guard, sessions=sessions)
    with TestClient(app, base_url="http://relook.example") as client:
        yield client


def sign_in(client, token=TOKEN, **headers):
    return client.post("/api/session", json={"token": token}, headers={**OWN, **headers})


def test_a_session_is_found_by_its_secret_and_no_token_stands_in_redis(connection):
    sessions = Sessions(connection)
    secret = sessions.open(MINE)
    assert sessions.find(secret) == MINE
    (key,) = connection.keys("relook:session:*")
    assert TOKEN.encode() not in connection.get(key)
    assert secret.encode() not in key + connection.get(key)
    assert 0 < connection.ttl(key) <= SESSION_S
    other = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    assert [sessions.find(one) for one in ("", other, "x" * 10_000)] == [None] * 3
    sessions.close(secret)
    assert sessions.find(secret) is None


def test_what_was_changed_in_redis_opens_nothing(connection):
    sessions = Sessions(connection)
    first, second = sessions.open(MINE), sessions.open(MINE)
    keys = connection.keys("relook:session:*")
    values = [connection.get(key) for key in keys]
    connection.mset(dict(zip(keys, reversed(values), strict=True)))
    assert sessions.find(first) is None
    assert sessions.find(second) is None


def test_signing_in_gives_a_new_secret_each_time_and_ends_the_one_before(client, connection):
    secrets = []
    for _ in range(2):
        assert sign_in(client).json()["user"] == {"id": 7, "name": "Ann", "email": MINE.email}
        secrets.append(client.cookies[COOKIE])
    assert secrets[0] != secrets[1]
    assert Sessions(connection).find(secrets[0]) is None


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client):
    said = sign_in(client).headers["Set-Cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "secure" not in said
    safe = "https://relook.example/api/session"
    again = client.post(safe, json={"token": TOKEN}, headers=OWN)
    assert "secure" in again.headers["Set-Cookie"].lower()


def test_a_session_stands_for_its_token_unless_a_credential_is_sent(client):
    assert client.get("/api/echo").json() == {"authorization": ""}
    sign_in(client)
    assert client.get("/api/echo").json() == {"authorization": f"Token {TOKEN}"}
    sent = client.get("/api/echo", headers={"Authorization": "Bearer other"})
    assert sent.json() == {"authorization": "Bearer other"}


@pytest.mark.parametrize("sent", ["Basic YTpi", "basic YTpi", "Negotiate abc", ""])
def test_what_a_proxy_or_the_browser_adds_is_no_credential(client, sent):
    headers = {"Authorization": sent}
    assert client.get("/api/echo", headers=headers).json() == {"authorization": sent}
    sign_in(client)
    said = client.get("/api/echo", headers=headers).json()
    assert said == {"authorization": f"Token {TOKEN}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Authorization": "Basic YTpi"}, 403),
        ({**OWN, "Authorization": "Basic YTpi"}, 200),
        ({**OWN, "Authorization": "Basic YTpi", "Origin": "https://evil.example"}, 403),
        (OWN, 200),
        ({**OWN, "Origin": "http://relook.example"}, 200),
        ({**OWN, "Origin": "http://relook.example:81"}, 403),
        ({**OWN, "Origin": "https://evil.example"}, 403),
        ({**OWN, "Origin": "null"}, 403),
        ({**OWN, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**OWN, "Sec-Fetch-Site": "same-site"}, 403),
        ({"Authorization": "Bearer script"}, 200),
    ],
)
def test_what_changes_something_must_come_from_the_page_itself(client, headers, status):
    sign_in(client)
    said = client.post("/api/echo", headers=headers)
    assert said.status_code == status
    # A proxy that hides the host looks like another site: the mend is named.
    if status == 403 and "Origin" in headers:
        assert "have it pass on the Host header" in said.json()["detail"]


def test_another_site_signs_nobody_in(client):
    assert client.post("/api/session", json={"token": TOKEN}).status_code == 403
    assert sign_in(client, Origin="https://evil.example").status_code == 403


def test_who_guesses_tokens_has_to_wait(client, connection):
    for number in range(9):
        assert sign_in(client, f"{number}" * 40).status_code == 401
    # A token of one's own does not begin the count anew.
    assert sign_in(client).status_code == 200
    client.cookies.clear()
    assert sign_in(client, "9" * 40).status_code == 401
    refused = sign_in(client)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 900
    (key,) = connection.keys("relook:refused:*")
    connection.delete(key)
    assert sign_in(client).status_code == 200


def test_a_script_that_repeats_an_old_token_makes_nobody_wait(client):
    for _ in range(20):
        assert sign_in(client, "b" * 40).status_code == 401
    assert sign_in(client).status_code == 200


def test_addresses_of_one_network_wait_together(connection):
    attempts = Attempts(connection)
    for last in range(10):
        attempts.note(f"2001:db8::{last:x}", f"guess {last}")
    assert attempts.wait_s("2001:db8::ffff") > 0
    assert attempts.wait_s("2001:db8:0:1::1") == 0


def test_every_answer_of_the_page_carries_its_headers(client):
    for path in ("/api/echo", "/api/nowhere", "/page/", "/api/session"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-inline" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert client.get("/api/echo").headers["Cache-Control"] == "no-store"
    assert "Content-Security-Policy" not in client.get("/health").headers
