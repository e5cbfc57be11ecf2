"""Where a file's address may lead: from Label Studio to its storage, and nowhere else."""

import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ml_backend.errors import MediaError
from ml_backend.labelstudio.files.media import MediaReader
from ml_backend.settings import ServiceSettings
from tests.unit.test_media_kept import Client

ADDRESS = "s3://bucket/a.txt"


class Host(ThreadingHTTPServer):
    """Redirects to ``to``, or has a file below /data/, and writes down what it was sent."""

    daemon_threads = True

    def __init__(self, address):
        super().__init__((address, 0), _Handler)
        self.url = f"http://{address}:{self.server_port}"
        self.to = ""
        self.sent = []
        self.paths = []


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.sent.append(self.headers)
        self.server.paths.append(self.path)
        to = "" if self.path.startswith("/data/") else self.server.to
        self.send_response(303 if to else 200)
        self.send_header("Location", to)
        self.end_headers()
        self.wfile.write(b"" if to else b"a file")

    def log_message(self, *_):
        pass


@pytest.fixture
def host():
    with ExitStack() as running:

        def start(address):
            server = running.enter_context(Host(address))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            running.callback(server.shutdown)
            return server

        yield start


@pytest.fixture
def label_studio(host):
    return host("127.0.0.1")


def reader(label_studio, folder, **settings):
    given = ServiceSettings(LABEL_STUDIO_URL=label_studio.url, data_dir=folder, **settings)
    return MediaReader(Client(), given)


def test_the_token_never_leaves_label_studio(host, label_studio, tmp_path):
    storage = host("127.0.0.2")
    label_studio.to = f"{storage.url}/a.txt"
    listed = reader(label_studio, tmp_path, media_hosts=("127.0.0.2",))
    assert listed.fetch(1, ADDRESS) == b"a file"
    assert [one["Authorization"] for one in label_studio.sent] == ["Bearer secret"]
    assert [one["Authorization"] for one in storage.sent] == [None]


def test_a_port_beside_label_studio_gets_no_token(host, label_studio, tmp_path):
    storage = host("127.0.0.1")
    label_studio.to = f"{storage.url}/a.txt"
    port = f"127.0.0.1:{storage.server_port}"
    listed = reader(label_studio, tmp_path, media_hosts=(port,))
    assert listed.fetch(1, ADDRESS) == b"a file"
    assert [one["Authorization"] for one in storage.sent] == [None]


@pytest.mark.parametrize("listed", [(), ("127.0.0.1:1",), ("127.0.0.2",)])
def test_a_port_beside_label_studio_is_closed_unless_it_is_listed(
    host, label_studio, tmp_path, listed
):
    database = host("127.0.0.1")
    label_studio.to = f"{database.url}/secrets"
    with pytest.raises(MediaError, match=r"lies at 127\.0\.0\.1, inside this machine.*host:port"):
        reader(label_studio, tmp_path, media_hosts=listed).fetch(1, ADDRESS)
    assert not database.sent


def test_a_storage_may_not_send_us_on(host, label_studio, tmp_path):
    storage, other = host("127.0.0.1"), host("127.0.0.1")
    label_studio.to, storage.to = storage.url, other.url
    listed = reader(label_studio, tmp_path, media_hosts=("127.0.0.1",))
    with pytest.raises(MediaError, match="which only Label Studio may"):
        listed.fetch(1, ADDRESS)
    assert not other.sent


@pytest.mark.parametrize("name", ["127.0.0.2", "localhost", "[::ffff:127.0.0.2]"])
def test_no_name_leads_into_this_machine(host, label_studio, tmp_path, name):
    inside = host("0.0.0.0")
    label_studio.to = f"http://{name}:{inside.server_port}/a.txt"
    with pytest.raises(MediaError, match=r"lies at 127\.0\.0\.[12], inside this machine"):
        reader(label_studio, tmp_path).fetch(1, ADDRESS)
    assert not inside.sent


def test_label_studio_sends_us_round_a_few_times_only(label_studio, tmp_path):
    label_studio.to = "/tasks/1/presign/"
    with pytest.raises(MediaError, match="again and again"):
        reader(label_studio, tmp_path).fetch(1, ADDRESS)


def test_a_file_named_as_people_name_label_studio_is_one_of_its_own(label_studio, tmp_path):
    own = reader(label_studio, tmp_path, LABEL_STUDIO_PUBLIC_URL="https://labels.example")
    assert own.fetch(1, "https://labels.example/data/upload/1/a.txt") == b"a file"
    assert [one["Authorization"] for one in label_studio.sent] == ["Bearer secret"]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        # An endpoint that names Label Studio itself makes such addresses.
        *("/api/projects/7/export?X-Amz-Signature=0", "/api/users/", "/", "/user/login/"),
        *("/data/../api/users/", "/data/%2e%2e/api/users/", "/data/local-files/?d=../secret"),
        "/tasks/2/presign/?fileuri=czM6Ly9hL2I=",
    ],
)
def test_label_studio_sends_us_to_no_page_of_its_own(label_studio, tmp_path, whole, path):
    label_studio.to = (label_studio.url if whole else "") + path
    with pytest.raises(MediaError, match=r"task 1: .* page of Label Studio itself .* endpoint"):
        reader(label_studio, tmp_path).fetch(1, ADDRESS)
    assert len(label_studio.sent) == 1


@pytest.mark.parametrize("path", ["/data/upload/1/a%20b.txt", "/data/local-files/?d=a/b.txt"])
def test_label_studio_sends_us_to_a_file_of_its_own(label_studio, tmp_path, path):
    label_studio.to = label_studio.url + path
    assert reader(label_studio, tmp_path).fetch(1, ADDRESS) == b"a file"
    assert label_studio.paths[1:] == [path]
    assert {one["Authorization"] for one in label_studio.sent} == {"Bearer secret"}


def test_a_proxy_in_the_environment_is_not_asked(host, label_studio, tmp_path, monkeypatch):
    proxy = host("127.0.0.1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert reader(label_studio, tmp_path).fetch(1, "/data/upload/1/a.txt") == b"a file"
    assert len(label_studio.sent) == 1
    assert not proxy.sent
