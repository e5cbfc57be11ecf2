"""RQ's scheduler, as a worker starts and ends it."""

import os
import signal
import time

import pytest
import redis

from ml_backend.jobs.queues.clock import SteadyScheduler
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis


class LateScheduler(SteadyScheduler):
    """On a full machine it is a while until its process listens."""

    def work(self):
        time.sleep(1)
        super().work()


@pytest.fixture
def connection(tmp_path):
    with EmbeddedRedis(tmp_path / "redis") as running:
        yield redis.Redis.from_url(running.url)


@pytest.fixture
def told():
    """What this process was told to end by, as a worker is: its own children inherit that."""
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    yield heard
    signal.signal(signal.SIGTERM, before)


def test_told_to_end_before_it_listens_it_ends(connection, told):
    scheduler = LateScheduler(["relook-test"], connection=connection, logging_level="WARNING")
    assert scheduler.acquire_locks(auto_start=True)
    process = scheduler._process
    os.kill(process.pid, signal.SIGTERM)
    process.join(30)
    ended = not process.is_alive()
    process.kill()
    assert ended
    assert not connection.exists(scheduler.get_locking_key("relook-test")), "another may begin"
    assert told == []
    os.kill(os.getpid(), signal.SIGTERM)
    assert told == [1], "the worker itself still hears"
