"""`relook worker --check`, beside real workers and a real Redis."""

import os
import signal
import subprocess
import sys
import time

import pytest
import redis
from pydantic import SecretStr
from rq import Worker
from rq.worker_registration import clean_worker_registry

from ml_backend.checks import own_workers
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import Mailbox, living_workers
from ml_backend.processes import ChildProcess
from ml_backend.settings import ServiceSettings

RELOOK = [sys.executable, "-m", "ml_backend.commands.cli", "worker"]
#: An idle worker gives a sign of life every five.
SILENT_S = 8


@pytest.fixture
def server(tmp_path):
    with EmbeddedRedis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def environment(server, tmp_path):
    return {
        **os.environ,
        "LABEL_STUDIO_URL": "http://127.0.0.1:9",
        "LABEL_STUDIO_API_KEY": "a token of nobody",
        "REDIS_URL": server.url,
        "RELOOK_DATA_DIR": str(tmp_path),
    }


@pytest.fixture
def worker(environment, tmp_path):
    with ChildProcess("worker", RELOOK, tmp_path / "worker.log", environment) as running:
        yield running


@pytest.fixture
def check(server, monkeypatch):
    monkeypatch.setattr(own_workers, "LAPSE_S", SILENT_S)
    settings = ServiceSettings(REDIS_URL=SecretStr(server.url))
    return lambda: own_workers.check_own_workers(settings)


def until(condition, what):
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, f"waited 120 s for {what}"
        time.sleep(0.2)


def asked(environment):
    return subprocess.run(
        [*RELOOK, "--check"], env=environment, capture_output=True, text=True, check=False
    )


def test_a_living_worker_is_found_and_a_dead_one_is_not(environment, worker, check):
    until(lambda: check().well, "the worker")
    said = asked(environment)
    assert (said.returncode, "1 at work" in said.stderr) == (0, True), said.stderr
    worker.kill()
    # Redis remembers it for a while; its process is not there.
    said = asked(environment)
    assert (said.returncode, "none runs" in said.stderr) == (1, True), said.stderr


def test_a_worker_that_hangs_is_found_until_it_goes_on(worker, check):
    until(lambda: check().well, "the worker")
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        until(lambda: not check().well, "its silence")
        assert f"no sign of life of process {worker.pid}" in check().said
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    until(lambda: check().well, "its next sign of life")


def test_a_worker_that_redis_forgot_is_known_again(server, worker, check):
    until(lambda: check().well, "the worker")
    connection = redis.Redis.from_url(server.url)
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        # As time does to one that is frozen, and as other workers then clean up.
        connection.delete(*Worker.all_keys(connection))
        clean_worker_registry(Mailbox(connection).events)
        assert Worker.count(connection) == 0
        assert "none runs" in check().said
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    until(lambda: check().well, "its next sign of life")
    assert Worker.count(queue=Mailbox(connection).runs) == 1


def test_who_is_gone_or_works_for_others_is_not_counted(server, worker, check):
    until(lambda: check().well, "the worker")
    connection = redis.Redis.from_url(server.url)
    Worker(["of-others"], connection=connection).register_birth()
    assert living_workers(connection) == 1
    worker.kill()
    # As time does.
    connection.delete(*Worker.all_keys(queue=Mailbox(connection).events))
    assert (Worker.count(connection), living_workers(connection)) == (2, 0)


def test_a_worker_of_another_machine_does_not_count(worker, check, monkeypatch):
    until(lambda: check().well, "the worker")
    monkeypatch.setattr(own_workers.socket, "gethostname", lambda: "another")
    assert "none runs on another" in check().said


def test_without_redis_it_is_not_well(server, environment, check):
    server.kill()
    assert "Redis does not answer" in check().said
    said = asked(environment)
    assert (said.returncode, "Traceback" in said.stderr) == (1, False)
