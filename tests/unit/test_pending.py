"""What waits to be looked at, in a real Redis."""

from __future__ import annotations

import pytest

from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import Mailbox, open_redis
from ml_backend.jobs.queues.pending import UNNAMED, Pending
from ml_backend.settings import ServiceSettings


@pytest.fixture
def mailbox(tmp_path):
    with EmbeddedRedis(tmp_path) as server:
        yield Mailbox(open_redis(ServiceSettings(REDIS_URL=server.url)))


@pytest.fixture
def pending(mailbox) -> Pending:
    return mailbox.pending


def test_the_newest_go_first_and_no_more_than_asked_for(pending):
    for task in (4, 9, 2, 7, 9):
        pending.add(3, [task])
    assert list(pending.newest(3, 3)) == [9, 7, 2]
    assert pending.count(3) == 4


def test_what_has_failed_goes_last_and_wakes_the_others(pending, mailbox):
    pending.add(3, [1])
    pending.add(3, [2])
    pending.newest(3, 1)
    mailbox.events.empty()
    pending.put_last(3, [2])
    assert list(pending.newest(3, 9)) == [1, 2]
    assert pending.newest(3, 9)[2] < 0
    assert mailbox.events.count == 1


def test_nobody_is_woken_for_what_has_failed_alone(pending, mailbox):
    pending.add(3, [1])
    pending.newest(3, 1)
    mailbox.events.empty()
    pending.put_last(3, [1])
    assert mailbox.events.count == 0


def test_some_tasks_are_looked_up_by_name(pending):
    pending.add(3, [5, 6])
    assert pending.among(3, range(10)) == pending.newest(3, 9)
    assert pending.among(3, [8]) == {}


def test_events_without_a_task_stand_apart(pending):
    pending.add(3, [UNNAMED])
    assert pending.newest(3, 9) == {}
    seen = pending.unnamed(3)
    pending.add(3, [5])
    assert list(pending.newest(3, 1)) == [5]
    pending.forget(3, {UNNAMED: seen})
    assert pending.unnamed(3) is None
    assert list(pending.newest(3, 9)) == [5]


def test_projects_are_woken_for_as_long_as_nobody_has_looked(pending, mailbox):
    for project in (12, 3, 12):
        pending.add(project, [5])
    mailbox.remember_setup(7, None)
    mailbox.reconcile_all(0)
    assert pending.woken() == [3, 12]
    # In the midst of another job: their own still waits.
    pending.newest(12, 9)
    assert pending.woken() == [3]
    mailbox.events.empty()
    assert pending.woken() == []
    # Their jobs were lost: the door that is shut opens by itself.
    mailbox.redis.delete("relook:queued:3")
    pending.wake_all()
    assert pending.woken() == [3, 12]


def test_other_keys_in_redis_cost_no_round_trips(pending, mailbox):
    mailbox.redis.mset({f"others:{number}": 1 for number in range(20_000)})
    pending.add(3, [5])

    def commands():
        return mailbox.redis.info("stats")["total_commands_processed"]

    before = commands()
    pending.woken()
    assert commands() - before < 5
    before = commands()
    pending.wake_all()
    assert commands() - before < 100


def test_of_a_project_that_is_gone_nothing_waits(pending, mailbox):
    pending.add(3, [5, UNNAMED])
    pending.add_deleted(3, [9])
    pending.forget_all(3)
    assert (pending.count(3), pending.deleted(3)) == (0, set())
    mailbox.redis.delete("relook:queued:3")
    mailbox.events.empty()
    pending.wake_all()
    assert mailbox.events.count == 0


def test_a_hundred_thousand_tasks_are_named_at_once(pending):
    pending.add(3, range(100_000))
    assert pending.count(3) == 100_000
    assert len(pending.newest(3, 128)) == 128
