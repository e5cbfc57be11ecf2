"""What is sent to Label Studio again, and what is not: against a server that fails on cue."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from pydantic import SecretStr

from ml_backend.errors import LabelStudioError, ProjectGoneError, TokenRefusedError
from ml_backend.labelstudio import transport
from ml_backend.labelstudio.client import connect, explained
from ml_backend.processes import free_port
from ml_backend.settings import ServiceSettings

PROJECT = {"id": 1, "title": "One"}


class Server(ThreadingHTTPServer):
    """Answers the requests in turn as ``script`` says, then with the project."""

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port or free_port()), Handler)
        self.script, self.got, self.busy, self.most_busy = [], [], 0, 0
        self.slow = 0.0
        self.guard = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        server = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with server.guard:
            server.got.append((self.command, self.path, self.headers.get("Authorization"), body))
            step = server.script.pop(0) if server.script else (200, PROJECT)
            server.busy += 1
            server.most_busy = max(server.most_busy, server.busy)
        time.sleep(server.slow)
        with server.guard:
            server.busy -= 1
        if step == "hang up":
            self.close_connection = True
            return
        status, said, *headers = step
        text = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - as the base class has them

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(transport, "_LONGEST_S", 0.2)
    running = Server()
    yield running
    running.shutdown()
    running.server_close()


def client_of(server, token="f" * 40):
    return connect(
        ServiceSettings(LABEL_STUDIO_URL=server.url, LABEL_STUDIO_API_KEY=SecretStr(token))
    )


def token(kind, serial=0):
    claims = {"token_type": kind, "exp": int(time.time()) + 3600, "serial": serial}
    return jwt.encode(claims, "k" * 32)


def read(client):
    with explained("reading project 1"):
        return client.projects.get(id=1).title


def write(client):
    with explained("writing predictions"):
        body = [{"task": 1, "result": [], "model_version": "v"}]
        return client.projects.import_predictions(id=1, request=body)


@pytest.mark.parametrize("fault", ["hang up", (500, {}), (502, b"<html>"), (429, {}), (503, {})])
def test_what_only_reads_is_sent_again(server, fault):
    server.script = [fault, fault]
    assert read(client_of(server)) == "One"
    assert len(server.got) == 3


@pytest.mark.parametrize("fault", ["hang up", (500, {"detail": "?"}), (502, {"detail": "?"})])
def test_what_writes_is_not_sent_again_when_nobody_knows_what_became_of_it(server, fault):
    server.script = [fault]
    with pytest.raises(LabelStudioError, match="writing predictions"):
        write(client_of(server))
    assert len(server.got) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_what_was_put_off_is_sent_again_after_the_time_it_names(server, status):
    server.script = [(status, {}, ("Retry-After", "1")), (201, {"created": 1})]
    assert write(client_of(server)).created == 1
    assert len(server.got) == 2


def test_a_request_that_never_left_is_sent_again(server, monkeypatch):
    client, came_back = client_of(server), []
    server.shutdown()
    server.server_close()

    def come_back(_):
        if not came_back:
            came_back.append(Server(server.server_port))
            came_back[0].script = [(201, {"created": 1})]

    monkeypatch.setattr(transport, "_let_go", come_back)
    assert write(client).created == 1
    assert len(came_back[0].got) == 1
    came_back[0].shutdown()
    came_back[0].server_close()


def test_patience_ends_and_says_what_to_mend(server):
    server.script = ["hang up"] * 20
    with pytest.raises(LabelStudioError, match="cannot be reached while reading project 1"):
        read(client_of(server))
    assert len(server.got) == 5


def test_a_refused_access_token_is_renewed_once(server):
    first, second = token("access", 1), token("access", 2)
    server.script = [
        (200, {"access": first}),
        (401, {"detail": "expired"}),
        (200, {"access": second}),
        (200, PROJECT),
    ]
    assert read(client_of(server, token("refresh"))) == "One"
    paths = [(path, sent) for _, path, sent, _ in server.got]
    assert paths[1][1] == f"Bearer {first}"
    assert paths[2][0] == "/api/token/refresh/"
    assert paths[3][1] == f"Bearer {second}"


def test_a_revoked_token_is_named_with_the_mend(server):
    server.script = [
        (200, {"access": token("access")}),
        (401, {"detail": "expired"}),
        (401, {"detail": "Token is blacklisted"}),
    ]
    with pytest.raises(TokenRefusedError, match="LABEL_STUDIO_API_KEY"):
        read(client_of(server, token("refresh")))
    assert len(server.got) == 3


def test_a_proxy_that_answers_for_label_studio_is_told_apart(server):
    server.script = [(200, b"<html>back soon</html>")]
    with pytest.raises(LabelStudioError):
        read(client_of(server))
    server.script = [(404, {"detail": "gone", "version": "1.23"})]
    with pytest.raises(ProjectGoneError):
        read(client_of(server))


def test_a_sign_in_page_instead_of_a_token_is_an_error_of_ours(server):
    server.script = [(200, b"<html>sign in</html>")]
    with pytest.raises(LabelStudioError, match="does not speak"):
        read(client_of(server, token("refresh")))


def test_no_more_requests_at_once_than_agreed(server):
    server.slow = 0.05
    client = client_of(server)
    threads = [threading.Thread(target=read, args=[client]) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.got) == 24
    assert server.most_busy <= 8
