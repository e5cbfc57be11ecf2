"""Who may change a project, where Label Studio knows people who may only read it."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fastapi import HTTPException
from starlette.requests import Request

from ml_backend.web.access import Access


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


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def status(server, *asked, **headers):
    """Return what each of several requests of one caller gets, 200 where it passes."""
    return statuses(server, *((require, headers) for require in asked))


def statuses(server, *requests):
    """Return what each of several requests gets, 200 where it passes."""

    async def ask():
        access, found = Access(f"http://127.0.0.1:{server.server_port}"), []
        for require, headers in requests:
            raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
            try:
                await getattr(access, require)(Request({"type": "http", "headers": raw}), 1)
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
