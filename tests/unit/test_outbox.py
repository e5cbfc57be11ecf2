"""Events between Label Studio's call and Redis."""

import asyncio
import logging
import time

import pytest
from pydantic import SecretStr

from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import Mailbox, open_redis
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.schedule import begin_if_changed
from ml_backend.settings import ServiceSettings
from ml_backend.web.outbox import Outbox


@pytest.fixture
def server(tmp_path):
    with EmbeddedRedis(tmp_path) as running:
        yield running


def outbox_of(server):
    settings = ServiceSettings(REDIS_URL=SecretStr(server.url))
    mailbox = Mailbox(open_redis(settings, patient=False))
    return Outbox(mailbox), mailbox


def test_equal_events_are_one(server):
    outbox, mailbox = outbox_of(server)

    async def send():
        async with outbox.delivering():
            answers = [outbox.add(3, tasks=[task % 10]) for task in range(200)]
            await asyncio.gather(*answers, outbox.add(4, deleted=[9]))
            for _ in range(100):
                if len(mailbox.pending.newest(3, 100)) == 10 and mailbox.pending.deleted(4):
                    break
                await asyncio.sleep(0.1)

    asyncio.run(send())
    assert sorted(mailbox.pending.newest(3, 100)) == list(range(10))
    assert mailbox.pending.deleted(4) == {9}


def test_what_redis_did_not_take_is_offered_again(server):
    outbox, mailbox = outbox_of(server)

    async def send():
        async with outbox.delivering():
            await asyncio.sleep(0.2)
            server.kill()
            began = time.monotonic()
            delivered = await outbox.add(3, tasks=[1])
            taken = time.monotonic() - began
            server.start()
            await outbox.add(3, tasks=[2])
            for _ in range(100):
                if len(mailbox.pending.newest(3, 100)) == 2:
                    break
                await asyncio.sleep(0.1)
            return delivered, taken

    delivered, taken = asyncio.run(send())
    assert not delivered
    assert taken < 1
    assert sorted(mailbox.pending.newest(3, 100)) == [1, 2]


def config(labels):
    choices = "".join(map('<Choice value="{}"/>'.format, labels))
    return (
        '<View><Image name="i" value="$image"/>'
        f'<Choices name="c" toName="i">{choices}</Choices></View>'
    )


@pytest.fixture
def analysed(server):
    _, mailbox = outbox_of(server)
    mailbox.remember_setup(3, None)
    begin_if_changed(mailbox, 3, config("ab"))
    book = RunBook(mailbox.redis)
    book.close(book.open(3).id, "done")
    return mailbox


def looked_at_soon(mailbox):
    registry = mailbox.events.scheduled_job_registry
    jobs = [mailbox.events.fetch_job(name) for name in registry.get_job_ids()]
    return [(job.func_name, job.args) for job in jobs]


def test_a_config_that_redis_did_not_take_is_looked_at_later(server, analysed):
    outbox, mailbox = outbox_of(server)

    async def send():
        async with outbox.delivering():
            await asyncio.sleep(0.2)
            server.kill()
            delivered = await outbox.add(3, config=config("abc"))
            server.start()
            for _ in range(100):
                if mailbox.heard(3):
                    break
                await asyncio.sleep(0.1)
            return delivered

    assert not asyncio.run(send())
    assert looked_at_soon(mailbox) == [("ml_backend.jobs.events.reconcile", (3,))]
    # What may have arrived is sent again.
    assert mailbox.heard(3) >= 1


def test_a_config_that_an_event_brings_begins_no_run(analysed):
    async def send(*labels):
        outbox = Outbox(analysed)
        async with outbox.delivering():
            for said in labels:
                await outbox.add(3, config=config(said))

    asyncio.run(send("ab"))
    assert looked_at_soon(analysed) == []
    # Label Studio is asked, once, whatever is sent.
    asyncio.run(send("abc", "abd", "abe"))
    assert looked_at_soon(analysed) == [("ml_backend.jobs.events.reconcile", (3,))]
    assert [run.state for run in RunBook(analysed.redis).of_project(3)] == ["done"]


def test_what_is_left_at_the_end_is_delivered_or_said(server, caplog):
    outbox, mailbox = outbox_of(server)

    async def send(outbox, task):
        async with outbox.delivering():
            asyncio.get_running_loop().create_task(outbox.add(3, tasks=[task]))
            await asyncio.sleep(0)

    asyncio.run(send(outbox, 1))
    assert list(mailbox.pending.newest(3, 100)) == [1]
    server.kill()
    with caplog.at_level(logging.ERROR):
        asyncio.run(send(outbox_of(server)[0], 2))
    assert "1 changes never reached Redis; the next reconcile finds them" in caplog.text


def test_a_server_that_starts_has_lost_events_searched_for(server):
    outbox, mailbox = outbox_of(server)
    mailbox.remember_setup(5, None)

    async def start():
        async with outbox.delivering():
            await asyncio.sleep(0.2)

    asyncio.run(start())
    (job,) = mailbox.events.jobs
    assert (job.func_name, job.args) == ("ml_backend.jobs.events.reconcile", (5,))
