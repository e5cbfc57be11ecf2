"""An engine of real Redis and real workers, over the project of ``engine_worker``."""

import os
import sys
import time

import redis

from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.jobs.runs.run import ENDED
from ml_backend.processes import ChildProcess
from tests.nursery import ForkedWorker

TASKS = 400


def wait_for(condition, what, timeout=60.0):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {timeout:.0f} s")


class Engine:
    def __init__(self, folder, url):
        self.folder, self.url = folder, url
        self.redis = redis.Redis.from_url(url)
        self.mailbox = Mailbox(self.redis)
        self.book = RunBook(self.redis)
        self.graph = RunGraph(self.mailbox, self.book)
        self.workers = []
        self.redis.flushall()
        self.redis.set("t:tasks", TASKS)

    def work(self, count=1, before=(), **settings):
        """Start workers; like `relook start`, the fixture replaces those that are killed.

        ``before`` is what their command line begins with, ``ip netns exec``, say.
        """
        environment = {**os.environ, "REDIS_URL": self.url, **settings}
        for _ in range(count):
            self.workers.append((before, environment, None))
        self.tend()

    def tend(self):
        for at, (before, environment, process) in enumerate(self.workers):
            if process is None or not process.running:
                self.workers[at] = (before, environment, self._start(before, environment))

    def _start(self, before, environment):
        log, module = self.folder / "worker.log", "tests.unit.engine_worker"
        if not before:
            return ForkedWorker(module, log, environment)
        return ChildProcess("worker", [*before, sys.executable, "-m", module], log, environment)

    def ended(self, run, timeout=240):
        def look():
            self.tend()
            now = self.book.read(run.id)
            return now if now.state in ENDED else None

        return wait_for(look, f"the end of the run ({self.book.read(run.id)})", timeout)

    def seen(self, stage):
        return [int(task) for task in self.redis.lrange(f"t:seen:{stage}", 0, -1)]

    def stop(self):
        for *_, process in self.workers:
            process.stop()


def assert_complete(engine, run):
    """Every task was worked on in every stage, and none was written twice."""
    assert run.state == "done", run
    assert run.errors == {}
    for stage in ("predicting", "scoring"):
        assert set(engine.seen(stage)) == set(range(1, TASKS + 1))
    writes = {int(task): int(count) for task, count in engine.redis.hgetall("t:writes").items()}
    assert writes == dict.fromkeys(range(1, TASKS + 1), 1)
    assert (run.stage, run.total, run.flagged) == ("done", TASKS, TASKS)
