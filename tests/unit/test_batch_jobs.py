"""Whoever gave an order learns that nobody is there to do it."""

from __future__ import annotations

import pytest
import redis
from rq.job import JobStatus

from ml_backend.errors import BatchError
from ml_backend.jobs.batch_jobs import enqueue, list_batches, wait_for
from ml_backend.jobs.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queue import Mailbox


def test_without_a_worker_that_is_said_once_and_the_order_is_withdrawn(tmp_path):
    said: list[str] = []
    with EmbeddedRedis(tmp_path) as running:
        job = enqueue(Mailbox(redis.Redis.from_url(running.url)), list_batches, 7)
        with pytest.raises(BatchError, match=r"no worker runs.*nothing was done"):
            wait_for(job, said.append, patience_s=(0.0, 1.0))
        assert job.get_status(refresh=True) == JobStatus.CANCELED
    assert len(said) == 1
    assert "relook worker" in said[0]
