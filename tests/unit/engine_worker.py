"""A real worker over a project that is made of Redis keys: what it does can be seen and broken.

Run with ``python -m tests.unit.engine_worker``. Everything of the engine is the real thing; only
Label Studio and the model stand aside. Keys:

- ``t:tasks``: how many tasks every project has (ids from 1).
- ``t:kill:STAGE``: SIGKILL for the worker, as often as the number says, once it is in that stage;
  ``t:kill:opening``: once it opens a project.
- ``t:poison``: set of tasks that kill the worker whenever they are scored.
- ``t:pages``: of how many pages the listing is, one if there is none.
- ``t:refused``: set of tasks over which every call fails as if Label Studio could not read them.
- ``t:slow``: seconds per call of a stage; ``t:slow:STAGE``: of each call of this one.
- ``t:hang:STAGE``: how many calls of this stage never end.
- ``t:stuck:STAGE``: the same, where no Python runs that could end them.
- ``t:fail``: how many calls fail as if Label Studio were away.
- ``t:leak``: MiB that each call of a stage leaves behind.
- ``t:between``: seconds from what a scoring page reads to what it writes.
- ``t:config``: what stands for the project's config.
- ``t:seen:STAGE``: list of the task ids in the order they were worked on.
- ``t:by``: hash of a worker's ``T_NAME`` to its calls.
- ``t:settled``: there while nothing is left to say of the project.
- ``t:flag``: hash of task to flag; ``t:writes``: how often each was written;
  ``t:scored``: hash of task to the config it was scored under.

They lie in the Redis that ``T_WORLD`` names, so that a worker can lose its queue and keep them.
``T_SHARD_S``, ``T_TASKS_PER_S`` and ``T_GRACE_S`` in the environment are what a job's limit is made
of.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
import types
import zlib
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import redis

from ml_backend.jobs.queues import limit, pulse

# Sooner than in life, or each test of a killed worker would take minutes.
pulse.BEAT_S, pulse.LAPSE_S, pulse.SWEEP_S = 0.5, 3, 1

limit._RETRY_SECONDS[:] = [1] * 6

# ruff: noqa: E402 - the others take these over as they are imported
from ml_backend.errors import LabelStudioError
from ml_backend.jobs.queues import mailbox
from ml_backend.jobs.queues.crashes import Crashes
from ml_backend.jobs.queues.mailbox import Mailbox, open_redis
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.labelstudio.tasks import changes
from ml_backend.settings import service_settings


class Services:
    def __init__(self, settings):
        self.mailbox = Mailbox(open_redis(settings))
        self.redis = redis.Redis.from_url(os.environ.get("T_WORLD") or os.environ["REDIS_URL"])
        self.runs = RunBook(self.mailbox.redis)
        self.graph = RunGraph(self.mailbox, self.runs)
        self.crashes = Crashes(self.mailbox.redis)
        self.client = self
        self.choice = self

    def unmapped(self, config, settings):
        return {}


LEAK = []


def disturb(connection, stage, tasks=()):
    connection.hincrby("t:by", os.environ.get("T_NAME", ""), 1)
    connection.rpush("t:seen:" + stage, *(list(tasks) or [0]))
    time.sleep(float(connection.get(f"t:slow:{stage}") or connection.get("t:slow") or 0))
    if connection.exists(f"t:hang:{stage}") and connection.decr(f"t:hang:{stage}") >= 0:
        # A library takes whatever comes for an error of its own.
        with suppress(Exception):
            time.sleep(3600)
    if connection.exists(f"t:stuck:{stage}") and connection.decr(f"t:stuck:{stage}") >= 0:
        lock_twice()
    LEAK.append(b"x" * (int(connection.get("t:leak") or 0) << 20))
    if connection.exists("t:fail") and connection.decr("t:fail") >= 0:
        raise LabelStudioError("Label Studio cannot be reached.")
    if {int(task) for task in connection.smembers("t:refused")} & {int(task) for task in tasks}:
        raise LabelStudioError("Label Studio answers with an error 500.")
    poison = {int(task) for task in connection.smembers("t:poison")}
    if poison & {int(task) for task in tasks}:
        os.kill(os.getpid(), signal.SIGKILL)
    kill(connection, stage)


def lock_twice():
    lock = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(lock)


def kill(connection, stage):
    if connection.exists(f"t:kill:{stage}") and connection.decr(f"t:kill:{stage}") >= 0:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Outcome:
    flagged: int = 0
    errors: dict = field(default_factory=dict)


class ProjectWork:
    """Stands for all parts of one project at work."""

    def __init__(self, services, project):
        self.redis, self.project = (
            services.redis,
            types.SimpleNamespace(
                id=project,
                config=types.SimpleNamespace(left=()),
                size=int(services.redis.get("t:tasks")),
            ),
        )
        self.config = self.redis.get("t:config") or b""
        self.basis = zlib.crc32(self.config)
        self.settings = None
        self.opened = self.vectors = self.comparison = self.prelabelling = self

    @classmethod
    def open(cls, services, project, in_bulk=False):
        kill(services.redis, "opening")
        return cls(services, project)

    def changed(self, states):
        return np.ones(len(states.task), dtype=bool)

    def send(self):
        return {}

    send_lot = send

    def settled(self, tasks):
        return False

    def settle(self, tasks):
        self.redis.set("t:settled", 1)

    def unsettle(self):
        self.redis.delete("t:settled")

    def find_cut(self, pages):
        pass

    def compare(self, tasks, settled):
        self.redis.rpush("t:seen:comparing", 0)
        time.sleep(float(self.redis.get("t:slow:comparing") or 0))
        return types.SimpleNamespace(flagged=np.zeros(len(tasks), dtype=bool)), tasks > 0

    def tidy(self, tasks):
        disturb(self.redis, "finishing")

    def predict(self, tasks, before_writing):
        disturb(self.redis, "predicting", tasks.tolist())
        return {}

    def fit(self, tasks):
        disturb(self.redis, "fitting")
        return {}

    def score(self, tasks, before_writing):
        outcome = Outcome()
        # As the real one: read what stands, write the difference.
        stands = {int(task) for task in self.redis.hkeys("t:flag")}
        time.sleep(float(self.redis.get("t:between") or 0))
        before_writing()
        for task in tasks.tolist():
            if task not in stands:
                self.redis.hset("t:flag", task, "needs-review")
                self.redis.hincrby("t:writes", task, 1)
            self.redis.hset("t:scored", task, self.config)
            outcome.flagged += 1
        disturb(self.redis, "scoring", tasks.tolist())
        return outcome

    def check(self):
        pass

    def lay_out(self, tasks):
        disturb(self.redis, "projecting")

    def keep_tabs(self, *, again=False):
        pass

    def keep_model_version(self):
        pass

    def tasks_of_annotations(self, annotations):
        return sorted(annotations)


def read_states(client, project, between):
    for _ in range(int(client.redis.get("t:pages") or 1)):
        between()
        disturb(client.redis, "listing")
    tasks = np.arange(1, int(client.redis.get("t:tasks")) + 1, dtype=np.int64)
    return types.SimpleNamespace(task=tasks)


class Batches:
    """Relabel batches, of which there are none."""

    def __init__(self, services, project, meanwhile):
        pass

    def tend(self):
        pass

    def send_when_full(self, token):
        pass


def stand_in(name, **parts):
    module = types.ModuleType(name)
    module.__dict__.update(parts)
    sys.modules[name] = module


stand_in("ml_backend.services", Services=Services)
stand_in("ml_backend.jobs.project.work", ProjectWork=ProjectWork)
stand_in("ml_backend.jobs.batches.work", Batches=Batches)
stand_in(
    "ml_backend.jobs.batches.take_back",
    is_relabel_project=lambda mailbox, project: False,
    relay=None,
    take_back_beside=None,
)
changes.read_states = read_states
# Only now, so that they take the stand-ins over; and before the first job, as they are slow.
import ml_backend.jobs.work  # noqa: F401
from ml_backend.jobs.worker import work


def main():
    logging.basicConfig(level=logging.INFO)
    limit.SHARD_S = mailbox.SHARD_S = int(os.environ.get("T_SHARD_S", limit.SHARD_S))
    limit._GRACE_S = int(os.environ.get("T_GRACE_S", limit._GRACE_S))
    limit._TASKS_PER_S = int(os.environ.get("T_TASKS_PER_S", limit._TASKS_PER_S))
    work(service_settings())


if __name__ == "__main__":
    main()
