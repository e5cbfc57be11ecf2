"""Actions of the review page as they are written down, and the queue's history."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
import redis
from rq import SimpleWorker

from ml_backend.errors import ModelAwayError
from ml_backend.jobs import actions
from ml_backend.jobs.acting.book import ActionBook, Lot, Wish
from ml_backend.jobs.acting.queueing import enqueue, enqueue_lost
from ml_backend.jobs.approvals.work import Tally
from ml_backend.jobs.project.queue_history import QueueHistory
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.queues.sweep import sweep
from ml_backend.review.decide import CONFIRMED, NEEDS_REVIEW
from ml_backend.services import Services
from ml_backend.settings import ServiceSettings
from ml_backend.web.api.events import _Looker


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield redis.Redis.from_url(server.url)


def test_an_action_is_read_as_it_was_wished(connection):
    book = ActionBook(connection)
    wish = Wish("tag", (3, 5), ((5, 0),), tag="late", control="box", kinds=("missing",))
    opened = book.open(7, wish, 2, "Ada")
    assert book.wish(opened.id) == wish
    assert (opened.state, opened.total, opened.by, opened.undoable) == ("queued", 2, "Ada", False)
    assert opened.ended == 0
    book.note(opened.id, state="done", said="2 tasks changed", done=2)
    assert book.of_project(7) == [book.read(opened.id)]
    assert book.read(opened.id).said == "2 tasks changed"
    assert abs(book.read(opened.id).ended - time.time()) < 60
    with pytest.raises(KeyError):
        book.read("none")


def test_an_action_is_undone_once(connection):
    book = ActionBook(connection)
    opened = book.open(8, Wish("flag", (1,)), 1)
    assert not book.claim_undo(opened.id)
    book.note(opened.id, state="doing", undoable=1)
    assert not book.read(opened.id).undoable
    assert not book.claim_undo(opened.id)
    book.note(opened.id, state="done")
    assert book.read(opened.id).undoable
    assert [book.claim_undo(opened.id) for _ in range(2)] == [True, False]
    again = book.read(opened.id)
    assert (again.state, again.ended, again.undoable) == ("undoing", 0, False)


def test_an_undo_that_failed_can_be_tried_again(connection):
    book = ActionBook(connection)
    opened = book.open(8, Wish("flag", (1,)), 1)
    book.note(opened.id, state="done", undoable=1)
    book.claim_undo(opened.id)
    book.fail(opened.id, "Label Studio refused the token.")
    found = book.read(opened.id)
    assert (found.state, found.undoable) == ("done", True)
    assert found.said == "Not taken back: Label Studio refused the token."
    assert book.claim_undo(opened.id)


def told(looker):
    """State and name of each action that a page is told of, in that order."""
    found = [json.loads(one.partition("data: ")[2]) for one in looker.news()]
    return [(one["state"], one["id"]) for one in found]


def test_a_page_is_told_the_newest_actions_last_and_how_each_that_waits_ends(connection, tmp_path):
    book, services = ActionBook(connection), Services(ServiceSettings(data_dir=tmp_path))
    services.mailbox = Mailbox(connection)
    ids = [book.open(9, Wish("flag", (1,)), 1).id for _ in range(14)]
    for past in (ids[0], ids[4]):
        book.note(past, state="done")
    page = _Looker(services, 9)
    # The first has ended, and more than ten came after it.
    states = [("done" if one == ids[4] else "queued", one) for one in ids[1:]]
    assert told(page) == states
    book.note(ids[1], state="done")
    assert told(page) == [("done", ids[1])]
    assert told(page) == []


def test_an_action_whose_workers_all_died_has_failed(connection):
    book, mailbox = ActionBook(connection), Mailbox(connection)
    opened = book.open(8, Wish("flag", (1,)), 1)
    book.note(opened.id, state="doing")
    enqueue(mailbox, "act", opened.id)
    (job,) = mailbox.events.jobs
    job.prepare_for_execution("worker", connection.pipeline())
    for retries in (1, 0):
        assert book.read(opened.id).state == "doing"
        job.retries_left = retries
        job.save()
        connection.zadd(mailbox.events.started_job_registry.key, {f"{job.id}:execution": 1})
        connection.delete("relook:sweeping")
        sweep(mailbox, 3600)
    assert book.read(opened.id).state == "failed"


def test_an_action_whose_job_is_lost_is_enqueued_again(connection):
    connection.flushall()
    book, mailbox = ActionBook(connection), Mailbox(connection)
    done, there, lost, undone = (book.open(9, Wish("flag", (1,)), 1).id for _ in range(4))
    enqueue(mailbox, "act", there)
    book.note(done, state="done")
    book.note(undone, state="done", undoable=1)
    assert book.claim_undo(undone)
    enqueue_lost(mailbox)
    assert mailbox.events.job_ids == [f"act-{there}"]
    for _ in range(2):
        enqueue_lost(mailbox, after_s=0)
        assert set(mailbox.events.job_ids) == {f"act-{there}", f"act-{lost}", f"undo-{undone}"}
    assert mailbox.events.count == 3
    assert connection.zscore("relook:actions-waiting", done) is None


def test_an_approval_outlives_a_model_that_is_away(connection, monkeypatch):
    book, mailbox = ActionBook(connection), Mailbox(connection)
    away = [ModelAwayError("http://models/ does not answer.")]

    def approve(*_):
        if away:
            raise away.pop()
        return Tally(approved=3), {}

    monkeypatch.setattr(actions, "approve", approve)
    monkeypatch.setattr(actions, "services", lambda: SimpleNamespace(mailbox=mailbox))
    monkeypatch.setattr(SimpleWorker, "_install_signal_handlers", lambda _: None)
    mailbox.events.empty()
    opened = book.open(11, Wish("approve", (1, 2, 3)), 3)
    enqueue(mailbox, "act", opened.id)
    (job,) = mailbox.events.jobs
    worker = SimpleWorker([mailbox.events], connection=connection)
    worker.work(burst=True)
    found = book.read(opened.id)
    assert (found.state, found.said) == ("doing", "http://models/ does not answer. Tried again.")
    # It is due in some seconds.
    mailbox.events.enqueue_job(job)
    worker.work(burst=True)
    found = book.read(opened.id)
    assert (found.state, found.said) == ("done", "3 tasks approved")


def test_what_stood_before_is_kept_lot_by_lot(connection):
    book = ActionBook(connection)
    opened = book.open(9, Wish("clear", (1, 2)), 2)
    lot = Lot({1: {"flag": NEEDS_REVIEW, "priority": 0.5}}, {1: {"flag": "", "priority": 0.0}})
    book.keep_lot(opened.id, 1, lot)
    book.keep_lot(opened.id, 0, Lot({}, {}))
    book.note(opened.id, batch="12-ab")
    assert book.lots(opened.id) == [0, 1]
    assert book.lot(opened.id, 1) == lot
    assert book.lot(opened.id, 2) is None
    assert book.read(opened.id).batch == "12-ab"


def test_the_queue_burns_down(connection):
    history = QueueHistory(connection)
    assert history.burn_down(1, 0) == []
    clean, flagged = np.array(["", ""]), np.array([NEEDS_REVIEW] * 2)
    history.note(1, clean, flagged)
    history.note(1, flagged, flagged)
    history.note(1, flagged, np.array([CONFIRMED, ""]))
    (hour,) = history.burn_down(1, 0)[-1:]
    assert (hour["open"], hour["resolved"]) == (0, 1)


def test_what_was_flagged_before_a_redis_was_new_burns_down_too(connection):
    history = QueueHistory(connection)
    flagged = np.array([NEEDS_REVIEW])
    history.note(2, flagged, np.array([CONFIRMED]))
    # Of five that stood, one was answered.
    assert [hour["open"] for hour in history.burn_down(2, 4)] == [4]
    connection.hset("relook:queue-history:2", mapping={"0|came": 3, "0|went": 1, "3600|went": 2})
    told = history.burn_down(2, 4)
    assert [hour["open"] for hour in told[:2]] == [7, 5]
    assert told[-1]["open"] == 4
    # What went unseen, such as a task that was deleted, makes no queue less than empty.
    assert [hour["open"] for hour in history.burn_down(2, 0)] == [3, 1, 0]
