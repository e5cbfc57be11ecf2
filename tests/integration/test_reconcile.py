"""The search for lost events: what came into sight late is found, and nothing is found for ever."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from ml_backend.jobs.batches.work import Batches
from ml_backend.jobs.changes.known import KnownChanges
from ml_backend.jobs.changes.reconcile import find_lost_events
from ml_backend.labelstudio.moments import shifted
from ml_backend.labelstudio.tasks.changes import last_change
from ml_backend.services import Services
from tests.integration.conftest import MODEL, Bench, new_order, wait_for
from tests.integration.samples import right, scenes, wrong_class
from tests.integration.test_runs import without_events


def save(bench: Bench, task: int) -> None:
    (annotation,) = bench.task(task).annotations
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])


def search(bench: Bench, project: int) -> int:
    found = find_lost_events(bench.client, bench.mailbox, project)
    bench.settle(project)
    return found


def test_what_was_stamped_earlier_may_come_into_sight_for_two_minutes(bench: Bench):
    project, (early, late) = bench.project("detection", [right(one) for one in scenes(2, seed=97)])
    bench.analyze(project)
    # Whatever was flagged is confirmed, and its suggestion gone: the saves below delete nothing.
    for task in (early, late):
        save(bench, task)
    bench.settle(project)
    search(bench, project)
    without_events(bench, project)
    save(bench, early)
    save(bench, late)
    assert search(bench, project) == 2
    assert [search(bench, project), search(bench, project)] == [0, 0]

    def come_into_sight() -> None:
        # Stamped before the newest, committed after it: nobody could see it so far.
        bench.redis.hdel(f"relook:found:{project}", str(early))

    come_into_sight()
    assert search(bench, project) == 1
    stamp, seen = KnownChanges(bench.redis, project).reconciled.split(" ")
    KnownChanges(bench.redis, project).reconciled = f"{stamp} {float(seen) - 121}"
    assert search(bench, project) == 0
    come_into_sight()
    assert search(bench, project) == 0


def test_a_stamp_of_an_older_version_is_gone_on_with(bench: Bench):
    project, (task,) = bench.project("detection", [right(scenes(1, seed=98)[0])])
    bench.analyze(project)
    bench.settle(project)
    search(bench, project)
    stamp, _ = KnownChanges(bench.redis, project).reconciled.split(" ")
    KnownChanges(bench.redis, project).reconciled = stamp
    without_events(bench, project)
    save(bench, task)
    assert search(bench, project) == 1
    KnownChanges(
        bench.redis, project
    ).reconciled = f"settled {KnownChanges(bench.redis, project).reconciled[:27]}"
    assert search(bench, project) == 0


def test_what_relook_deletes_is_looked_at_once_more_and_then_left_alone(bench: Bench):
    """Label Studio stamps a task when a prediction of it is deleted, whoever does it."""
    project, (task,) = bench.project("detection", [wrong_class(scenes(1, seed=99)[0])])
    bench.analyze(project)
    bench.settle(project)
    search(bench, project)
    save(bench, task)
    wait_for(lambda: bench.flag(task) == "confirmed", "the verdict")
    bench.settle(project)
    assert not bench.predictions(task, "relook-suggestion")
    assert search(bench, project) == 1
    stands = bench.task(task)
    assert [search(bench, project), search(bench, project)] == [0, 0]
    assert bench.task(task).updated_at == stands.updated_at
    assert bench.task(task).data == stands.data


def test_what_a_run_or_an_event_has_read_is_not_found(bench: Bench):
    project, (task,) = bench.project("detection", [right(scenes(1, seed=98)[0])])
    looks = Services(bench.settings).looks
    stamp = last_change(bench.client, project)
    bench.settle(project)
    bench.analyze(project)
    KnownChanges(bench.redis, project).reconciled = shifted(stamp, -timedelta(days=1))
    assert find_lost_events(bench.client, bench.mailbox, project, looks) == 0
    before = looks.get(project, np.array([task])).stamp
    save(bench, task)
    wait_for(lambda: looks.get(project, np.array([task])).stamp != before, "the look at the event")
    bench.settle(project)
    assert find_lost_events(bench.client, bench.mailbox, project, looks) == 0
    # Another change of the same task is another.
    without_events(bench, project)
    save(bench, task)
    assert find_lost_events(bench.client, bench.mailbox, project, looks) == 1


def test_what_a_run_has_still_to_read_is_left_to_it_and_what_it_has_read_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    project, (read, unread) = bench.project("detection", [right(one) for one in scenes(2, seed=96)])
    looks, before = Services(bench.settings).looks, last_change(bench.client, project)
    bench.analyze(project)
    bench.settle(project)
    looks.forget(project, np.array([unread]))
    without_events(bench, project)
    save(bench, read)
    save(bench, unread)
    KnownChanges(bench.redis, project).reconciled = shifted(before, -timedelta(days=1))

    added = set[int]()
    mailbox = bench.mailbox
    monkeypatch.setattr(mailbox.pending, "add", lambda _, tasks: added.update(tasks))

    def found(*, running: bool) -> set[int]:
        added.clear()
        find_lost_events(bench.client, mailbox, project, looks, running=running)
        return added.copy()

    assert found(running=True) == {read}
    assert found(running=False) == {read, unread}
    assert found(running=False) == set()


def test_an_answer_is_found_although_a_run_over_the_copies_has_read_it(bench: Bench):
    project, (task,) = bench.project("detection", [right(scenes(1, seed=98)[0])])
    batch = Batches(bench.services, project).send(new_order(tasks=(task,))).batch
    relabel = int(batch.split("-")[0])
    bench._connect(relabel, {"model": MODEL["detection"]})
    bench.rest(relabel)
    without_events(bench, relabel)
    (copy,) = bench.client.tasks.list(project=relabel)
    bench.client.annotations.create(id=copy.id, result=[])
    assert bench.analyze(relabel).state == "done"
    assert len(bench.task(task).annotations) == 1
    bench.mailbox.events.enqueue("ml_backend.jobs.events.reconcile", relabel)
    wait_for(lambda: len(bench.task(task).annotations) == 2, "the answer")
