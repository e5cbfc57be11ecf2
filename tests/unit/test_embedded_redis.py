import os
import stat
import time
from functools import partial

import pytest
import redis

from ml_backend.errors import SettingsError
from ml_backend.jobs.queues import locks, pulse
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis, running_address
from ml_backend.jobs.queues.limit import retry
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.queues.sweep import sweep
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.checkpoints import Checkpoints
from ml_backend.metrics import JobTimes, Metrics


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield redis.Redis.from_url(server.url)


@pytest.fixture
def mailbox(connection):
    connection.flushall()
    return Mailbox(connection)


def test_only_its_owner_can_open_it(tmp_path):
    with EmbeddedRedis(tmp_path) as server:
        path = server.url.removeprefix("unix://")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
        connection = redis.Redis.from_url(server.url)
        assert connection.config_get("port")["port"] == "0"


def test_what_it_holds_survives_a_restart(tmp_path):
    with EmbeddedRedis(tmp_path) as server:
        redis.Redis.from_url(server.url).set("a", 1)
    with EmbeddedRedis(tmp_path) as server:
        assert redis.Redis.from_url(server.url).get("a") == b"1"
    assert not os.path.exists(server.url.removeprefix("unix://"))


def test_two_never_share_a_folder(tmp_path):
    folder = tmp_path / "redis"
    with EmbeddedRedis(folder) as server:
        with pytest.raises(SettingsError, match="another `relook start` runs with"):
            EmbeddedRedis(folder).start()
        with pytest.raises(SettingsError), EmbeddedRedis(folder):
            pass
        assert running_address(tmp_path) == server.url
        server.kill()
        server.start()
        assert redis.Redis.from_url(server.url).ping()
    with EmbeddedRedis(folder):
        pass


def test_many_events_are_one_job(mailbox):
    for task in range(1000):
        mailbox.pending.add(3, [task % 10])
    assert mailbox.events.count == 1
    assert sorted(mailbox.pending.newest(3, 100)) == list(range(10))


def test_an_event_during_the_work_is_not_forgotten(mailbox):
    mailbox.pending.add(3, [1, 2])
    seen = mailbox.pending.newest(3, 100)
    mailbox.pending.add(3, [2])
    mailbox.pending.forget(3, seen)
    assert list(mailbox.pending.newest(3, 100)) == [2]
    assert mailbox.events.count == 2


def test_setups_are_kept_as_sent(mailbox):
    assert mailbox.setup_of(3) == (False, None)
    mailbox.remember_setup(3, None)
    assert mailbox.setup_of(3) == (True, None)
    mailbox.remember_setup(3, {"model": "a.pt"})
    assert mailbox.setup_of(3) == (True, {"model": "a.pt"})


def test_one_job_at_a_time_writes_a_range(mailbox):
    with mailbox.lock(1, 0):
        assert not mailbox.lock(1, 0).acquire(blocking=False)
        assert mailbox.lock(1, 1).acquire(blocking=False)


def test_a_run_as_everyone_sees_it(mailbox):
    book = RunBook(mailbox.redis)
    run = book.open(7)
    assert (run.state, run.stage, run.project) == ("queued", "listing", 7)
    assert book.while_at(run, partial(book.begin_stage, run.id, "scoring", 0, 10))
    assert not book.while_at(run, partial(book.begin_stage, run.id, "scoring", 0, 10)), (
        "it has begun"
    )
    checkpoints = Checkpoints(mailbox.redis, run.id)
    assert checkpoints.check_off("scoring", 0, tasks=4, flagged=2)
    assert not checkpoints.check_off("scoring", 0, tasks=4, flagged=2), "a shard counts once"
    book.log(run.id, "half way")
    book.note_errors(run.id, {"5": "task 5: broken"})
    now = book.read(run.id)
    assert (now.state, now.done, now.total, now.flagged) == ("running", 4, 10, 2)
    assert now.errors == {"5": "task 5: broken"}
    assert now.log[0].endswith("half way")
    assert not book.close_at(run, "done"), "it has gone on"
    assert book.close_at(now, "done")
    assert not book.close(run.id, "failed"), "a run ends once"
    assert book.read(run.id).ended > 0
    assert not book.is_current(book.read(run.id))


def test_the_newest_run_wins(mailbox):
    book = RunBook(mailbox.redis)
    older, newer = book.open(7), book.open(7)
    assert [run.id for run in book.of_project(7)] == [newer.id, older.id]
    assert book.read(older.id).state == "superseded"
    assert book.is_current(book.read(newer.id))


def test_an_unknown_run_is_named(mailbox):
    with pytest.raises(KeyError, match="no run 'abc'"):
        RunBook(mailbox.redis).read("abc")


def test_what_a_lost_job_left_behind_is_found(mailbox):
    mailbox.pending.add(3, [1])
    mailbox.pending.add_deleted(4, [9])
    mailbox.events.empty()
    mailbox.redis.delete("relook:queued:3", "relook:queued:4")
    mailbox.pending.wake_all()
    assert mailbox.events.count == 2


def test_deleted_annotations_wait_until_their_tasks_are_found(mailbox):
    mailbox.pending.add_deleted(4, [9, 8])
    assert mailbox.pending.deleted(4) == {8, 9}
    mailbox.pending.forget_deleted(4, [9])
    assert mailbox.pending.deleted(4) == {8}


def test_a_lock_is_renewed_while_it_is_held_and_lapses_with_its_holder(mailbox, monkeypatch):
    monkeypatch.setattr(locks, "LAPSE_S", 3)
    monkeypatch.setattr(pulse, "BEAT_S", 0.2)
    with mailbox.lock(1, 0):
        time.sleep(4)
        assert not mailbox.lock(1, 0).acquire(blocking=False)
    dead = mailbox.lock(1, 0)
    assert dead.acquire(blocking=False)
    time.sleep(3.5)
    assert mailbox.lock(1, 0).acquire(blocking=False)


def test_one_sweep_takes_up_a_dead_workers_job_once_and_counts_it(mailbox):
    job = mailbox.runs.enqueue("ml_backend.jobs.work.plan", "abc", retry=retry())
    mailbox.runs.pop_job_id()
    mailbox.redis.zadd(mailbox.runs.started_job_registry.key, {f"{job.id}:run": time.time() - 1})
    sweep(mailbox, reconcile_s=600)
    sweep(mailbox, reconcile_s=600)
    assert mailbox.runs.scheduled_job_registry.get_job_ids() == [job.id]
    text = Metrics(mailbox).text().decode()
    assert 'relook_jobs_abandoned_total{job="plan"} 1.0' in text
    assert 'relook_jobs_put_off{queue="relook-runs"} 1.0' in text


def test_job_times_of_many_processes_are_one_histogram(mailbox):
    for seconds in (0.05, 0.3, 1000.0):
        JobTimes(mailbox.redis).note("ml_backend.jobs.work.score", True, seconds)
    JobTimes(mailbox.redis).note("ml_backend.jobs.work.score", False, 2.0)
    text = Metrics(mailbox).text().decode()
    name = 'relook_job_seconds_bucket{job="score",le="%s",outcome="done"} %s'
    for bound, count in (("0.1", 1.0), ("0.5", 2.0), ("900.0", 2.0), ("+Inf", 3.0)):
        assert name % (bound, count) in text
    assert 'relook_job_seconds_count{job="score",outcome="failed"} 1.0' in text
    assert 'relook_job_seconds_sum{job="score",outcome="done"} 1000.35' in text


def test_lost_events_are_searched_for_once_per_interval(mailbox):
    mailbox.remember_setup(3, None)
    mailbox.remember_setup(4, None)
    mailbox.reconcile_all(600)
    mailbox.reconcile_all(600)
    assert [job.args for job in mailbox.events.jobs] == [(3,), (4,)]
    mailbox.forget_setup(3)
    assert mailbox.projects() == [4]


def test_searches_do_not_pile_up_behind_a_long_job_nor_is_one_lost_while_one_is_at_work(mailbox):
    for project in (3, 13):
        mailbox.remember_setup(project, None)
    for _ in range(3):
        mailbox.reconcile_all(0)
    assert [job.args for job in mailbox.events.jobs] == [(3,), (13,)]
    at_work = mailbox.events.pop_job_id()
    mailbox.reconcile_all(0)
    assert [job.args for job in mailbox.events.jobs] == [(13,), (3,)]
    assert at_work not in mailbox.events.job_ids
