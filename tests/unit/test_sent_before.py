"""What was in a batch before, in a real Redis."""

from __future__ import annotations

import numpy as np
import pytest
import redis

from ml_backend.jobs.batches.sent_before import note_sent, sent_before
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.review.batch import Waiting


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield redis.Redis.from_url(server.url)


def queue(**marks: str) -> Waiting:
    """Tasks by their number and mark, such as ``t3="m"``."""
    count = len(marks)
    return Waiting(
        np.array([int(name[1:]) for name in marks], dtype=np.int64),
        np.zeros(count),
        np.full(count, "missing"),
        np.array(list(marks.values()), dtype=np.str_),
    )


def test_a_task_was_sent_before_until_its_mark_is_another(connection):
    note_sent(connection, 5, {3: "a", 4: "b", 6: ""})
    assert sent_before(connection, 5, queue(t3="a", t4="c", t6="", t7="")) == {3, 6}
    note_sent(connection, 5, {4: "c"})
    assert sent_before(connection, 5, queue(t3="a", t4="c")) == {3, 4}
    assert sent_before(connection, 8, queue(t3="a")) == set()


def test_nothing_was_sent_where_nothing_waits(connection):
    note_sent(connection, 9, {})
    assert sent_before(connection, 9, queue()) == set()
