"""RQ's scheduler, as a worker starts and ends it."""

import os
import signal
import subprocess
import sys
import time

import psutil
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
def redis_url(tmp_path):
    with EmbeddedRedis(tmp_path / "redis") as running:
        yield running.url


@pytest.fixture
def connection(redis_url):
    return redis.Redis.from_url(redis_url)


#: A worker whose scheduler is at work, and says which process that is.
WORKER = """
import sys, time
import redis
from ml_backend.jobs.queues.clock import SteadyScheduler

connection, own = (redis.Redis.from_url(sys.argv[1]) for _ in range(2))
scheduler = SteadyScheduler(["relook-test"], connection=connection, logging_level="WARNING")
scheduler.acquire_locks(auto_start=True)
while not own.exists(scheduler.key):
    time.sleep(0.1)
print(scheduler._process.pid, flush=True)
time.sleep(600)
"""


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


def test_it_ends_with_a_worker_that_was_killed(connection, redis_url):
    command = [sys.executable, "-c", WORKER, redis_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        scheduler = psutil.Process(int(worker.stdout.readline()))
        worker.kill()
    psutil.wait_procs([scheduler], 60)
    assert not scheduler.is_running()
    lock = SteadyScheduler.get_locking_key("relook-test")
    assert not connection.exists(lock), "another may begin at once"
