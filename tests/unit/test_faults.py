"""Faults of machines and their network, on real workers and a real Redis."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis

from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis, _executable
from ml_backend.processes import ChildProcess, free_port
from tests.relay import Relay
from tests.unit.engine import Engine, assert_complete, wait_for


class ExternalRedis:
    """A Redis as an admin runs it: on a port, with its log of writes on disk."""

    def __init__(self, folder, host="127.0.0.1"):
        self.folder, self.host, self.port = folder, host, free_port()
        self.url = f"redis://{host}:{self.port}/0"
        self.start()

    def start(self):
        self.folder.mkdir(exist_ok=True)
        command = [_executable(), "--port", str(self.port), "--bind", self.host, "--save", ""]
        command += ["--dir", str(self.folder), "--appendonly", "yes", "--protected-mode", "no"]
        self.process = ChildProcess("Redis", command, self.folder / "redis.log")
        self.process.wait_ready(self.answers, timeout=20)

    def answers(self):
        try:
            return redis.Redis.from_url(self.url).ping()
        except redis.RedisError:
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def engine(server, tmp_path):
    made = Engine(tmp_path, server.url)
    yield made
    made.stop()


def writes(engine):
    return {int(task): int(count) for task, count in engine.redis.hgetall("t:writes").items()}


def test_an_external_redis_that_is_killed_comes_back_and_the_run_goes_on(tmp_path):
    server = ExternalRedis(tmp_path / "redis")
    engine = Engine(tmp_path, server.url)
    try:
        engine.redis.set("t:slow", 0.4)
        engine.work(2)
        run = engine.graph.start(7)
        wait_for(lambda: engine.seen("predicting"), "work")
        # Its log reaches the disk once a second; what is younger may be lost.
        server.process.kill()
        time.sleep(2)
        server.start()
        engine.redis.set("t:slow", 0)
        assert_complete(engine, engine.ended(run))
    finally:
        engine.stop()
        server.process.stop()


@contextmanager
def paused(engine):
    """Start a worker that has RQ's scheduler going, and takes no job while the body runs."""
    engine.work()
    *_, process = engine.workers[-1]
    wait_for(lambda: engine.redis.exists("rq:scheduler-lock:relook-runs"), "the scheduler")
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def clock_off_by(hours, folder):
    """Return the environment of a process whose clock is wrong."""
    compiler, made = shutil.which("cc"), folder / "skew.so"
    if compiler is None:
        pytest.skip("needs a C compiler, to set one process' clock wrong")
    source = Path(__file__).parents[1] / "skew.c"
    subprocess.run([compiler, "-shared", "-fPIC", source, "-o", made, "-ldl"], check=True)
    return {"LD_PRELOAD": str(made), "SKEW_S": str(hours * 3600)}


@pytest.mark.parametrize("hours", [3, -3])
def test_clocks_that_are_hours_apart_delay_no_retry(engine, hours):
    wrong = clock_off_by(hours, engine.folder)
    engine.redis.set("t:tasks", 10)
    engine.redis.set("t:fail", 2)
    # The machine whose clock is wrong fails; the one that is right has the scheduler.
    later = engine.mailbox.runs.scheduled_job_registry.key
    with paused(engine):
        engine.work(**wrong)
        run = engine.graph.start(7)
        ((_, due),) = wait_for(
            lambda: engine.redis.zrange(later, 0, -1, withscores=True), "a retry"
        )
        assert abs(due - engine.redis.time()[0]) < 5
    began = time.monotonic()
    ended = engine.ended(run)
    assert (ended.state, ended.errors) == ("done", {})
    assert time.monotonic() - began < 40
    assert set(writes(engine).values()) == {1}
    assert 0 < ended.ended - ended.started < 120
    assert abs(ended.started - time.time()) < 300
    log = [float(line.split()[0]) for line in ended.log]
    assert log == sorted(log)


@pytest.mark.parametrize("hours", [3, -3])
def test_clocks_that_are_hours_apart_delay_no_job_for_later(engine, hours):
    script = (
        "import sys, redis; from ml_backend.jobs.queues.mailbox import Mailbox; "
        "mailbox = Mailbox(redis.Redis.from_url(sys.argv[1])); "
        "mailbox.send_soon(7); mailbox.see_to_key(7)"
    )
    wrong = {**os.environ, **clock_off_by(hours, engine.folder)}
    subprocess.run([sys.executable, "-c", script, engine.url], env=wrong, check=True)
    later = engine.mailbox.events.scheduled_job_registry.key
    due = {
        job.decode().split("-")[0]: moment - engine.redis.time()[0]
        for job, moment in engine.redis.zrange(later, 0, -1, withscores=True)
    }
    assert due.keys() == {"send", "key"}
    assert all(abs(seconds) < 30 for seconds in due.values())


def test_two_workers_on_one_shard_write_it_once(engine):
    engine.redis.set("t:between", 0.3)
    run = engine.graph.start(7)
    engine.work(2)
    wait_for(lambda: engine.book.read(run.id).stage == "scoring", "scores")
    for shard in range(4):
        engine.mailbox.runs.enqueue(
            "ml_backend.jobs.work.score", run.id, shard, job_id=f"{run.id}-0-twin-{shard}"
        )
    assert_complete(engine, engine.ended(run))


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_worker_that_lost_its_redis_writes_nothing_late(server, tmp_path, comes_back):
    engine = Engine(tmp_path, server.url)
    engine.redis.set("t:between", 8)
    engine.redis.set("t:tasks", 10)
    with Relay(server.url.removeprefix("unix://")) as relay:
        try:
            with paused(engine):
                engine.work(REDIS_URL=f"redis://127.0.0.1:{relay.port}/0", T_WORLD=server.url)
                run = engine.graph.start(7)
                wait_for(lambda: engine.book.read(run.id).stage == "scoring", "scores")
                time.sleep(1)
                # It has read what stands and is to write in some seconds.
                relay.cut()
                cut_off = engine.workers.pop()
                engine.redis.set("t:between", 0)
            ended = engine.ended(run)
            assert set(writes(engine).values()) == {1}
            engine.workers.append(cut_off)
            if comes_back:
                relay.mend()
            time.sleep(6)
            assert writes(engine) == dict.fromkeys(range(1, 11), 1)
            assert (ended.state, ended.flagged) == ("done", 10)
            assert engine.book.read(run.id).flagged == 10
        finally:
            relay.mend()
            engine.stop()


def test_a_job_that_leaks_is_stopped_before_it_has_the_machines_memory(engine):
    engine.redis.set("t:leak", 40)
    engine.redis.set("t:slow", 0.2)
    engine.work(RELOOK_WORKER_MAX_MB="400")
    run = engine.graph.start(7)
    *_, worker = engine.workers[0]
    process, grew = psutil.Process(worker.pid), []

    def ended():
        grew.append(process.memory_info().rss >> 20)
        return engine.book.read(run.id).ended

    wait_for(ended, "the end of the run", 90)
    assert_complete(engine, engine.book.read(run.id))
    # A shard of 128 tasks is at most 16 pages of 8: so much can come on top of the limit.
    assert max(grew) < 400 + 16 * 40 + 100
    assert "starts afresh" in (engine.folder / "worker.log").read_text()
    assert worker.running, "it was replaced in its own place"


def test_a_config_that_changes_under_a_run_begins_it_anew(engine):
    engine.redis.set("t:config", "old")
    engine.redis.set("t:slow", 0.2)
    engine.work(2)
    run = engine.graph.start(7)
    wait_for(lambda: len(engine.seen("scoring")) > 100, "scores under the old config")
    engine.redis.set("t:config", "new")
    assert_complete(engine, engine.ended(run))
    assert set(engine.redis.hgetall("t:scored").values()) == {b"new"}
    ended = engine.book.read(run.id)
    assert ended.attempt == 1
    assert any("begun anew" in line for line in ended.log)


def test_a_config_that_changed_before_a_retry_begins_the_run_anew(engine):
    engine.redis.set("t:config", "old")
    engine.redis.set("t:slow", 0.2)
    engine.work()
    run = engine.graph.start(7)
    wait_for(lambda: len(engine.seen("scoring")) > 100, "scores under the old config")
    engine.graph.cancel(run.id)
    engine.redis.set("t:config", "new")
    engine.redis.set("t:slow", 0)
    engine.graph.retry(run.id)
    assert_complete(engine, engine.ended(run))
    assert set(engine.redis.hgetall("t:scored").values()) == {b"new"}


@contextmanager
def machines(number):
    """Network namespaces with addresses of their own on one bridge; yields their names."""
    ip = shutil.which("ip")
    if ip is None or os.geteuid() != 0:
        pytest.skip("needs root and iproute2 for network namespaces")
    mark = f"{os.getpid() % 10000}"
    bridge, names = f"rlk{mark}", [f"rlk{mark}-{at}" for at in range(number)]

    def run(*arguments, check=True):
        done = subprocess.run([ip, *arguments], check=False, capture_output=True, text=True)
        if check and done.returncode:
            pytest.skip(f"this sandbox lets nobody make networks: {done.stderr.strip()}")

    try:
        run("link", "add", bridge, "type", "bridge")
        run("addr", "add", "10.231.7.1/24", "dev", bridge)
        run("link", "set", bridge, "up")
        for at, name in enumerate(names):
            run("netns", "add", name)
            run("link", "add", f"v{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            run("link", "set", f"v{name}", "master", bridge)
            run("link", "set", f"v{name}", "up")
            run("-n", name, "addr", "add", f"10.231.7.{at + 2}/24", "dev", "eth0")
            run("-n", name, "link", "set", "eth0", "up")
            run("-n", name, "link", "set", "lo", "up")
        yield names, lambda name, state: run("link", "set", f"v{name}", state)
    finally:
        for name in names:
            run("netns", "del", name, check=False)
        run("link", "del", bridge, check=False)


def test_of_several_machines_one_is_cut_off_and_brought_back(tmp_path):
    with machines(3) as (names, link):
        server = ExternalRedis(tmp_path / "redis", "10.231.7.1")
        engine = Engine(tmp_path, server.url)
        try:
            engine.redis.set("t:slow", 0.5)
            # The one that is cut off comes last: RQ's scheduler is the first's for a minute more.
            for name in reversed(names):
                engine.work(before=["ip", "netns", "exec", name], T_NAME=name)
                wait_for(
                    lambda: engine.redis.exists("rq:scheduler-lock:relook-runs"), "a scheduler"
                )
            run = engine.graph.start(7)
            wait_for(lambda: engine.redis.hlen("t:by") == 3, "work on each machine")
            clients = {client["addr"].split(":")[0] for client in engine.redis.client_list()}
            assert {"10.231.7.2", "10.231.7.3", "10.231.7.4"} <= clients
            link(names[0], "down")
            time.sleep(5)
            link(names[0], "up")
            assert_complete(engine, engine.ended(run))
            # It takes work again.
            engine.redis.delete("t:by")
            engine.graph.start(8)
            wait_for(lambda: engine.redis.hexists("t:by", names[0]), "its return")
        finally:
            engine.stop()
            server.process.stop()
