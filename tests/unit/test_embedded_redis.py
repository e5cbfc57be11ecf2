import os
import stat

import pytest
import redis

from ml_backend.jobs.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queue import Mailbox
from ml_backend.jobs.runs import RunBook


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


def test_many_events_are_one_job(mailbox):
    for task in range(1000):
        mailbox.add_tasks(3, [task % 10])
    assert mailbox.events.count == 1
    assert sorted(mailbox.pending(3)) == list(range(10))


def test_an_event_during_the_work_is_not_forgotten(mailbox):
    mailbox.add_tasks(3, [1, 2])
    seen = mailbox.pending(3)
    mailbox.add_tasks(3, [2])
    mailbox.forget(3, seen)
    assert list(mailbox.pending(3)) == [2]
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
    book.stage(run.id, "scoring", 10)
    book.advance(run.id, 4, flagged=2)
    book.note_errors(run.id, {"5": "task 5: broken"})
    now = book.read(run.id)
    assert (now.state, now.done, now.total, now.flagged) == ("running", 4, 10, 2)
    assert now.errors == {"5": "task 5: broken"}
    book.close(run.id, "done")
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
    mailbox.add_tasks(3, [1])
    mailbox.add_deleted(4, [9])
    mailbox.events.empty()
    mailbox.redis.delete("relook:queued:3", "relook:queued:4")
    mailbox.wake_all()
    assert mailbox.events.count == 2


def test_deleted_annotations_wait_until_their_tasks_are_found(mailbox):
    mailbox.add_deleted(4, [9, 8])
    assert mailbox.deleted(4) == {8, 9}
    mailbox.forget_deleted(4, [9])
    assert mailbox.deleted(4) == {8}
