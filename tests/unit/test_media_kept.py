"""Files kept on disk, against a real HTTP server that stands for Label Studio."""

import gzip
import hashlib
import io
import os
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ml_backend.errors import MediaError
from ml_backend.labelstudio.files import media
from ml_backend.labelstudio.files.media import MediaReader
from ml_backend.settings import ServiceSettings


class Client:
    """A signed-in client: nothing but its headers is asked for."""

    class _client_wrapper:  # noqa: N801
        @staticmethod
        def get_headers():
            return {"Authorization": "Bearer secret"}


class Server(ThreadingHTTPServer):
    """Serves ``files`` with ETags, to the one token, and writes down what it was asked."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.storage = f"http://localhost:{self.server_port}"
        self.files = {}
        self.asked = []
        self.token, self.refusal = "Bearer secret", 403
        self.headers = {}
        self.delay = self.pause = 0.0
        self.written = 0
        self.together = self.most = 0
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        with server.lock:
            server.asked.append((self.path, self.headers))
            server.together += 1
            server.most = max(server.most, server.together)
        time.sleep(server.delay)
        with server.lock:
            server.together -= 1
        self._answer(server)

    def _answer(self, server):
        content = server.files.get(self.path)
        if self.path.startswith("/tasks/"):
            signed = f"{server.storage}/signed?{time.monotonic_ns()}"
            return self._send(303, b"", {"Location": signed})
        if self.path.startswith("/signed"):
            content = server.files["/signed"]
        elif self.headers["Authorization"] != server.token:
            return self._send(server.refusal, b"")
        if content is None:
            return self._send(404, b"")
        tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        if self.headers["If-None-Match"] == tag:
            return self._send(304, b"")
        return self._send(200, content, {"ETag": tag, **server.headers})

    def _send(self, status, content, headers=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        step = 1 if self.server.pause else max(len(content), 1)
        # Whoever is slow may be hung up on.
        with suppress(ConnectionError):
            for at in range(0, len(content), step):
                self.wfile.write(content[at : at + step])
                self.server.written += step
                time.sleep(self.server.pause)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def reader(server, tmp_path):
    return reader_of(Client(), server, tmp_path)


def reader_of(client, server, folder):
    settings = ServiceSettings(
        LABEL_STUDIO_URL=server.url,
        data_dir=folder,
        image_max_mb=1,
        media_hosts=("localhost",),
    )
    return MediaReader(client, settings)


@pytest.fixture
def later(tmp_path):
    """Let the time pass after which a kept file must be confirmed."""

    def pass_time():
        for path in (tmp_path / "images").rglob("*"):
            if path.is_file():
                os.utime(path, (time.time(), time.time() - media._FRESH_S - 1))

    return pass_time


ADDRESS = "/data/upload/1/a.txt"


def test_a_kept_file_needs_no_request_for_a_while(server, reader):
    server.files[ADDRESS] = b"one"
    assert [reader.fetch(1, ADDRESS) for _ in range(3)] == [b"one"] * 3
    assert len(server.asked) == 1


def test_then_only_the_server_can_confirm_it(server, reader, later):
    server.files[ADDRESS] = b"one"
    reader.fetch(1, ADDRESS)
    later()
    assert reader.fetch(1, ADDRESS) == b"one"
    assert "If-None-Match" in server.asked[1][1]
    assert reader.fetch(1, ADDRESS) == b"one"
    assert len(server.asked) == 2


def test_a_changed_file_is_fetched_anew(server, reader, later):
    server.files[ADDRESS] = b"one"
    reader.fetch(1, ADDRESS)
    server.files[ADDRESS] = b"two"
    later()
    assert [reader.fetch(1, ADDRESS), reader.fetch(1, ADDRESS)] == [b"two", b"two"]
    assert len(server.asked) == 2


def test_a_right_that_was_taken_back_ends_and_the_file_is_forgotten(
    server, reader, later, tmp_path
):
    server.files[ADDRESS] = b"one"
    reader.fetch(1, ADDRESS)
    server.token = "Bearer other"
    later()
    with pytest.raises(MediaError, match=r"task 1: file '/data/upload/1/a\.txt' answers HTTP 403"):
        reader.fetch(1, ADDRESS)
    assert not [path for path in (tmp_path / "images").rglob("*") if path.is_file()]


def test_a_token_that_ended_on_its_way_is_renewed(server, tmp_path):
    class Renewing:
        def __init__(self):
            self._client_wrapper = self._tokens_client = self
            self.access, self.renewed = "secret", 0

        def get_headers(self):
            return {"Authorization": f"Bearer {self.access}"}

        def refresh(self):
            self.renewed += 1
            return SimpleNamespace(access="fresh")

        def _set_access_token(self, access):
            self.access = access

    client = Renewing()
    reader = reader_of(client, server, tmp_path)
    server.files[ADDRESS] = b"one"
    server.token, server.refusal = "Bearer fresh", 401
    assert reader.fetch(1, ADDRESS) == b"one"
    assert (client.renewed, len(server.asked)) == (1, 2)
    server.token = "Bearer of nobody"
    with pytest.raises(MediaError, match="answers HTTP 401"):
        reader.fetch(1, "/data/upload/1/b.txt")
    assert len(server.asked) == 4


def test_one_tasks_file_is_not_anothers(server, reader):
    server.files["/signed"] = b"from the storage"
    for task in (1, 1, 2):
        assert reader.fetch(task, "s3://bucket/a.txt") == b"from the storage"
    paths = [path for path, _ in server.asked]
    assert [path for path in paths if path.startswith("/tasks/")] == [
        "/tasks/1/presign/?fileuri=czM6Ly9idWNrZXQvYS50eHQ=",
        "/tasks/2/presign/?fileuri=czM6Ly9idWNrZXQvYS50eHQ=",
    ]


def test_a_signed_address_changes_and_the_storage_still_confirms(server, reader, later):
    server.files["/signed"] = b"from the storage"
    reader.fetch(1, "s3://bucket/a.txt")
    later()
    assert reader.fetch(1, "s3://bucket/a.txt") == b"from the storage"
    path, headers = server.asked[-1]
    assert path.startswith("/signed")
    assert "If-None-Match" in headers


def test_what_must_not_be_kept_is_not(server, reader, tmp_path):
    server.files[ADDRESS] = b"one"
    server.headers = {"Cache-Control": "private, no-store"}
    reader.fetch(1, ADDRESS)
    assert not [path for path in (tmp_path / "images").rglob("*") if path.is_file()]


def test_a_file_that_is_too_large_is_refused_and_not_kept(server, reader, tmp_path):
    server.files[ADDRESS] = bytes(1 << 20) + b"1"
    with pytest.raises(MediaError, match="is larger than 1 MiB"):
        reader.fetch(1, ADDRESS)
    assert not [path for path in (tmp_path / "images").rglob("*") if path.is_file()]


def test_a_packed_answer_counts_as_large_as_it_unpacks(server, reader, tmp_path):
    server.files[ADDRESS] = gzip.compress(bytes(64 << 20))
    assert len(server.files[ADDRESS]) < 1 << 17
    server.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(MediaError, match="is larger than 1 MiB"):
        reader.fetch(1, ADDRESS)
    assert not [path for path in (tmp_path / "images").rglob("*") if path.is_file()]


#: A packed file that begins with a name, which has no end.
NAMED = b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 10_000


@pytest.mark.parametrize(
    ("content", "headers"),
    [(bytes(10_000), {}), (NAMED, {"Content-Encoding": "gzip"})],
    ids=["plain", "packed"],
)
def test_a_file_that_trickles_in_is_given_up(server, reader, monkeypatch, content, headers):
    server.files[ADDRESS], server.headers, server.pause = content, headers, 0.01
    monkeypatch.setattr(media, "_PATIENCE_S", 2.0)
    with pytest.raises(MediaError, match="did not arrive within"):
        reader.fetch(1, ADDRESS)
    # It hung up on the server, which had hardly begun.
    assert 0 < server.written < 1000


def test_images_are_fetched_side_by_side(server, reader):
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4), "red").save(buffer, "PNG")
    addresses = [f"/data/upload/1/{number}.png" for number in range(20)]
    server.files = dict.fromkeys(addresses, buffer.getvalue())
    server.files[addresses[3]] = b"no image"
    server.delay = 0.05
    files = reader.fetch_all(range(20), addresses)
    assert 1 < server.most <= media._PARALLEL
    assert "task 3" in str(files[3])
    assert [i for i, file in enumerate(files) if isinstance(file, MediaError)] == [3]
    images = reader.decode_all([file for file in files if not isinstance(file, MediaError)])
    assert len(images) == 19
    np.testing.assert_array_equal(images[18], np.full((4, 5, 3), (255, 0, 0)))
