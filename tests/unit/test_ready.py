"""Whether the server says that it can do its work, and what it says where it cannot."""

import os
import signal
import threading
import time

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.settings import ServiceSettings
from ml_backend.storage.store import Store
from ml_backend.web import ready
from ml_backend.web.app import create_app


@pytest.fixture
def server(tmp_path):
    with EmbeddedRedis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def client(server, tmp_path):
    """Makes clients of a server with these settings."""
    opened = []

    def make(**changed):
        settings = {
            "LABEL_STUDIO_URL": "http://127.0.0.1:9",
            "LABEL_STUDIO_API_KEY": SecretStr("token"),
            "REDIS_URL": SecretStr(server.url),
            "data_dir": tmp_path / "data",
        }
        opened.append(TestClient(create_app(ServiceSettings(**settings | changed))))
        return opened[-1].__enter__()

    yield make
    for one in opened:
        one.__exit__(None, None, None)


def until(client, failing):
    """Wait until the server says that these parts are not well."""
    end = time.monotonic() + 60
    while (said := client.get("/ready")).json()["failing"] != failing:
        assert time.monotonic() < end, said.text
        time.sleep(0.1)
    assert said.json() == {"ready": not failing, "failing": failing}
    assert said.status_code == (503 if failing else 200)


def test_it_is_ready_when_all_that_it_needs_is_there(client):
    until(client(), [])


def test_a_redis_that_is_away_is_named_until_it_is_back(server, client):
    here = client()
    until(here, [])
    server.kill()
    until(here, ["redis"])
    assert here.get("/health").status_code == 200
    server.start()
    until(here, [])


def test_a_redis_that_hangs_is_named_and_holds_back_nobody(server, client):
    here = client()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        until(here, ["redis"])
        assert here.get("/health").status_code == 200
    finally:
        os.kill(server.pid, signal.SIGCONT)
    until(here, [])


def test_a_store_that_cannot_be_written_is_named(client, tmp_path):
    (tmp_path / "file").touch()
    here = client(store=str(tmp_path / "file" / "store"))
    until(here, ["store"])
    (tmp_path / "file").unlink()
    until(here, [])


def test_an_address_that_is_not_set_is_named(client):
    until(client(LABEL_STUDIO_URL=""), ["label_studio"])


def test_anybody_may_ask_and_learns_no_more_than_names(server, client):
    here = client(
        LABEL_STUDIO_URL="", basic_auth_user="u", basic_auth_pass=SecretStr("sixteen letters!")
    )
    assert here.get("/metrics").status_code == 401
    server.kill()
    until(here, ["redis", "label_studio"])


def test_many_who_ask_write_once(client, tmp_path, monkeypatch):
    monkeypatch.setattr(ready, "_STORE_KEPT_S", 3600.0)
    here = client()
    askers = [threading.Thread(target=here.get, args=("/ready",)) for _ in range(20)]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    until(here, [])
    store = Store(tmp_path / "data" / "store")
    written = store.arrays_version(0)
    until(here, [])
    assert store.arrays_version(0) == written
    # Made, and written to once.
    assert written == 2
