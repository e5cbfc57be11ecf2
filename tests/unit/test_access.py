"""Who may change a project, where Label Studio knows people who may only read it."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import redis
from fastapi import HTTPException
from starlette.requests import Request

from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.web.access.permission import Access
from ml_backend.web.access.sessions import Attempts


class Handler(BaseHTTPRequestHandler):
    """The open edition gives every member all rights; this one has a reader and a manager."""

    def do_GET(self):
        self.answer({"id": 1})

    def do_OPTIONS(self):
        manager = self.headers["Authorization"] == "Token manager"
        self.answer({"name": "Project", **({"actions": {"PUT": {}}} if manager else {})})

    def answer(self, body):
        signed_in = self.headers["Authorization"] in ("Token manager", "Token reader")
        known = signed_in or "sessionid=manager" in self.headers.get("Cookie", "")
        content = json.dumps(body).encode()
        self.server.asked.append(self.command)
        self.send_response(200 if known else 401)
        if known:
            self.send_header("Set-Cookie", "sessionid=manager; HttpOnly; Path=/")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield Attempts(redis.Redis.from_url(running.url))


@pytest.fixture
def server(attempts):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked, running.attempts = [], attempts
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def status(server, *asked, **headers):
    """Return what each of several requests of one caller gets, 200 where it passes."""
    return statuses(server, *((require, headers) for require in asked))


def statuses(server, *requests, address="10.0.0.1"):
    """Return what each of several requests gets, 200 where it passes."""

    async def ask():
        access, found = Access(f"http://127.0.0.1:{server.server_port}", server.attempts), []
        for require, headers in requests:
            raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            try:
                scope = {"type": "http", "headers": raw, "client": (address, 1)}
                await getattr(access, require)(Request(scope), 1)
                found.append(200)
            except HTTPException as error:
                found.append(error.status_code)
        await access.close()
        return found

    return asyncio.run(ask())


def test_who_may_read_may_not_therefore_change(server):
    both = ("require", "require_change", "require")
    assert status(server, *both, Authorization="Token reader") == [200, 403, 200]
    assert status(server, *both, Authorization="Token manager") == [200, 200, 200]
    assert status(server, *both, Authorization="Token nobody") == [401, 401, 401]
    assert status(server, *both) == [401, 401, 401]


def test_label_studio_is_asked_nothing_that_changes_and_not_twice(server):
    asked = ("require_change",) * 3
    assert status(server, *asked, Authorization="Token manager") == [200] * 3
    assert server.asked == ["GET", "OPTIONS"]


def test_a_session_that_label_studio_hands_out_signs_nobody_else_in(server):
    session, stranger = {"Cookie": "sessionid=manager"}, {"Authorization": "Token stranger"}
    assert statuses(server, ("require", session), ("require", stranger)) == [200, 401]


@pytest.mark.parametrize("kind", ["Token", "Bearer"])
def test_who_guesses_on_any_route_has_to_wait(server, kind):
    guesses = [("require", {"Authorization": f"{kind} guess {n}"}) for n in range(10)]
    manager = ("require", {"Authorization": "Token manager"})
    address = f"10.1.0.{len(kind)}"
    found = statuses(server, *guesses[:5], manager, *guesses, address=address)
    # The manager's answer is known for a while, and begins no count anew.
    assert found == [401] * 5 + [200] + [401] * 10
    assert statuses(server, manager, guesses[0], address=address) == [429, 429]
    assert len(server.asked) == 11
    assert statuses(server, manager, address="10.2.0.1") == [200]
