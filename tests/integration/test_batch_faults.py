"""Relabel batches while workers die, people save again or cancel, and Label Studio refuses."""

# ruff: noqa: F811 - fixtures of another module are named as they are used

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from typing import Any

import pytest

from ml_backend.errors import BatchError, LabelStudioError
from ml_backend.jobs.acting.book import ActionBook, Wish
from ml_backend.jobs.approvals import action as approval_action
from ml_backend.jobs.approvals import undo as approval_undo
from ml_backend.jobs.approvals.undo import undo
from ml_backend.jobs.batches.take_back import held_answers, take_back
from ml_backend.jobs.batches.work import Batches
from ml_backend.jobs.queues.ranges import SHARD
from ml_backend.jobs.queues.stopping import ToldToStop
from ml_backend.labelstudio.approval_marks import approval_version
from ml_backend.labelstudio.approvals import approve
from ml_backend.labelstudio.relabel.batches import find_relabel_projects
from ml_backend.labelstudio.tasks import listing
from ml_backend.labelstudio.tasks.importing import import_tasks
from ml_backend.labelstudio.writer import create_predictions
from ml_backend.services import Services
from tests.faulty_proxy import bare
from tests.integration.conftest import new_order, wait_for
from tests.integration.test_faults import (  # noqa: F401 - fixtures among them
    ANSWER,
    Site,
    predictions,
    send_all,
    site,
    suggested,
    worker,
)

COPIES = r"POST /api/projects/\d+/import(\?|$)"
FIELD = r"POST /api/dm/actions.*id=add_data_field"


def many(site: Site, count: int) -> tuple[int, tuple[int, ...]]:
    """A project of that many tasks, all labelled alike."""
    project, (first,) = site.project(wrong=0, good=1)
    task = site.client.tasks.get(id=str(first))
    body: Any = [
        {"data": task.data, "annotations": [{"result": task.annotations[0]["result"]}]}
    ] * (count - 1)
    return project, (first, *import_tasks(site.client, project, body))


def listed(site: Site, project: int) -> list[Any]:
    return list(site.client.tasks.list(project=project, fields="task_only", page_size=1000))


def copies(site: Site, project: int) -> Counter[int]:
    """How many copies of each task of a project there are."""
    (target,) = find_relabel_projects(site.client, project)
    return Counter(task.data["relook_source_task"] for task in listed(site, target))


def results(site: Site, task: int) -> list[Any]:
    """What the annotations of a task say, oldest first."""
    found = site.client.tasks.get(id=str(task)).annotations
    return [one["result"] for one in sorted(found, key=lambda one: one["id"])]


def answered(site: Site) -> tuple[int, list[int], dict[int, Any]]:
    """A project whose queue is out and answered: project, sources, source to copy."""
    project, ids = site.project()
    site.ended(site.graph.start(project))
    sent = send_all(site, project)
    for copy in sent.values():
        site.client.annotations.create(id=copy.id, result=suggested(copy))
    return project, [task for task in ids if task in sent], sent


def test_copies_that_came_without_suggestion_are_sent_once_more(worker: Site):
    """Label Studio lost what came with them, and the worker died before it took them out."""

    def lost(body: bytes) -> bytes:
        worker.workers.pop().kill()
        return bare(body)

    project, ids = many(worker, 3)
    fault = worker.proxy.add(COPIES, "change", action=lost)
    action = worker.act(project, "batch", tasks=ids)
    wait_for(lambda: fault.met and not worker.workers, "the worker's end", 180)
    (target,) = find_relabel_projects(worker.client, project)
    wait_for(lambda: len(listed(worker, target)) == 3, "the bare copies")
    assert predictions(worker, target) == []
    worker.work()
    assert worker.acted(action).said == "3 tasks sent"
    assert copies(worker, project) == Counter(ids)
    assert len(predictions(worker, target)) == 6


@pytest.mark.parametrize("page", [1, 2])
def test_a_worker_that_is_killed_as_a_batch_goes_out_sends_nothing_twice(worker: Site, page: int):
    """Label Studio takes the page that was on its way; nobody is left to read its answer."""
    project, ids = many(worker, 250)
    if page > 1:
        worker.proxy.add(COPIES, "call", times=page - 1, action=lambda: None)
    fault = worker.proxy.add(COPIES, "call", action=lambda: worker.workers.pop().kill())
    action = worker.act(project, "batch", tasks=ids)
    wait_for(lambda: fault.met and not worker.workers, "the worker's end", 180)
    # From this thread: a child ends with the thread that started it.
    worker.work()
    assert worker.acted(action).said == "250 tasks sent"
    assert copies(worker, project) == Counter(ids)
    (row,) = worker.batches(project).progress()
    assert (row.sent, row.open) == (250, 250)


def test_a_batch_that_is_cancelled_before_its_dead_sender_is_made_up_for_is_not_sent_anew(
    worker: Site,
):
    project, ids = many(worker, 250)
    fault = worker.proxy.add(COPIES, "call", action=lambda: worker.workers.pop().kill())
    action = worker.act(project, "batch", tasks=ids)
    wait_for(lambda: fault.met and not worker.workers, "the worker's end", 180)
    sent = wait_for(lambda: sum(copies(worker, project).values()), "the page that was sent")
    assert sent < 250
    batch = listed(worker, *find_relabel_projects(worker.client, project))[0].data
    # It waits in front of the sender's job, which is taken up once it is missed.
    cancelled = worker.act(project, "withdraw", batch=batch["relook_sent_batch"])
    worker.work()
    assert worker.acted(cancelled).said == f"{sent} tasks withdrawn, 0 answers brought back"
    with pytest.raises(BatchError, match="was cancelled"):
        worker.acted(action)
    assert not copies(worker, project)
    # Another order is another batch.
    assert worker.acted(worker.act(project, "batch", tasks=ids[:3])).said == "3 tasks sent"


def test_a_batch_that_is_cancelled_while_it_goes_out_ends(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    site.proxy.clear()
    monkeypatch.setattr(listing, "_NAMED", 2)
    project, ids = many(site, 6)
    services, order = Services(site.settings()), new_order(tasks=ids)
    came: list[tuple[int, int]] = []

    def cancel() -> None:
        (target,) = find_relabel_projects(site.client, project)
        came.append(Batches(services, project).cancel(f"{target}-{order.token}"))

    cancelling = threading.Thread(target=cancel, daemon=True)

    def meanwhile(_: int) -> None:
        cancelling.start()
        noted = f"relook:cancelled:{project}:{order.token}"
        wait_for(lambda: site.redis.exists(noted), "the note of the cancellation")

    with pytest.raises(BatchError, match="was cancelled"):
        Batches(services, project, meanwhile).send(order)
    cancelling.join(60)
    assert came == [(0, 2)]
    assert not copies(site, project)


def test_an_undo_whose_answer_was_lost_is_done(site: Site):
    site.proxy.clear()
    project, ids = site.project(wrong=1, good=0)
    services = Services(site.settings())
    batch = Batches(services, project).send(new_order(tasks=tuple(ids))).batch
    site.proxy.add(r"POST /api/dm/actions.*id=delete_tasks", "cut answer")
    with pytest.raises(LabelStudioError):
        Batches(services, project).cancel(batch)
    assert Batches(services, project).cancel(batch) == (0, 1)
    assert Batches(services, project).cancel(batch) == (0, 0)
    assert not copies(site, project)

    version = approval_version("b1", "m")
    assert not create_predictions(site.client, project, version, {ids[0]: ([], 0.9)})
    _, total, pages = undo(services, project, "b1", again=False)
    site.proxy.add(r"DELETE /api/projects/\d+/model-versions", "cut answer")
    with pytest.raises(LabelStudioError):
        list(pages)
    assert total == 1
    assert undo(services, project, "b1", again=True)[1] == 0


def test_an_undo_of_approvals_says_what_all_its_tries_took_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    site.proxy.clear()
    # They would find an action that nobody is at, and finish it.
    site.stop_workers()
    monkeypatch.setattr(approval_undo, "_UNDO_PAGE", 2)
    project, (first,) = site.project(wrong=0, good=1)
    body: Any = [{"data": site.client.tasks.get(id=str(first)).data}] * 5
    made: Any = site.client.projects.import_tasks(id=project, request=body, return_task_ids=True)
    said = {int(task): ([], 0.9) for task in made.task_ids}
    assert not approve(site.client, project, approval_version("b1", "m"), said)
    starred, _, _, late, _ = (site.client.annotations.list(id=task)[0].id for task in said)
    site.client.annotations.update(id=int(starred or 0), ground_truth=True)
    services, book = Services(site.settings()), ActionBook(site.redis)
    action = book.open(project, Wish("take-back", batch="b1"), 0)

    def told_to_stop() -> None:
        raise ToldToStop

    def attempt(between: Any = lambda: None) -> tuple[int, int]:
        return approval_action.take_back(services, book.read(action.id), book, "b1", between)

    with pytest.raises(ToldToStop):
        attempt(told_to_stop)
    site.proxy.add(rf"DELETE /api/annotations/{late}/", "status", status=400)
    with pytest.raises(LabelStudioError):
        attempt()
    site.proxy.add(r"DELETE /api/projects/\d+/model-versions", "cut answer")
    with pytest.raises(LabelStudioError):
        attempt()
    assert attempt() == (4, 1)


def test_fields_of_a_batch_are_written_under_the_locks_of_their_tasks(site: Site):
    site.proxy.clear()
    project, ids = site.project(wrong=2, good=0)
    services, held = Services(site.settings()), []

    def look() -> None:
        locks = [f"relook:lock:{project}:{task // SHARD}" for task in ids]
        held.append(site.redis.exists(*locks))

    site.proxy.add(FIELD, "call", times=10, action=look)
    batch = Batches(services, project).send(new_order(to="here", tasks=tuple(ids))).batch
    assert {task.data["relook_batch"] for task in listed(site, project)} == {batch}
    sent = len(held)
    assert Batches(services, project).cancel(batch) == (0, 2)
    assert {task.data["relook_batch"] for task in listed(site, project)} == {""}
    assert 0 < sent < len(held)
    assert all(held)


@pytest.mark.parametrize("of", ["one worker", "two workers"])
def test_a_second_answer_to_a_task_comes_back_after_the_first(site: Site, of: str):
    """The relabeller saves again after the first answer was read, and before it is written."""
    site.proxy.clear()
    project, (task,) = site.project(wrong=1, good=0)
    services = Services(site.settings())
    Batches(services, project).send(new_order(tasks=(task,)))
    (target,) = find_relabel_projects(site.client, project)
    (copy,) = listed(site, target)
    (sent,) = results(site, task)
    first, second = sent[1:], sent[:1]
    given = site.client.annotations.create(id=copy.id, result=first)

    def second_worker() -> None:
        take_back(Services(site.settings()), target, [copy.id])

    other = threading.Thread(target=second_worker, daemon=True)

    def save_again() -> None:
        site.client.annotations.update(id=given.id, result=second)
        if of == "two workers":
            other.start()
            # As long as it would need to write it.
            other.join(3)

    fault = site.proxy.add(ANSWER, "call", action=save_again)
    assert take_back(services, target, [copy.id]) == 1
    assert fault.met == 1
    if of == "two workers":
        other.join(60)
    else:
        assert results(site, task) == [sent, first]
        (row,) = Batches(services, project).progress()
        assert (row.ready, row.done) == (1, 0)
        assert take_back(services, target, [copy.id]) == 1
    assert results(site, task) == [sent, first, second]
    assert take_back(services, target, [copy.id]) == 0
    (row,) = Batches(services, project).progress()
    assert (row.ready, row.done) == (0, 1)


def test_an_answer_that_is_refused_is_shown_and_holds_up_no_other(worker: Site):
    project, sources, sent = answered(worker)
    copy, target = sent[sources[0]].id, sent[sources[0]].project
    refusal = worker.proxy.add(
        rf"POST /api/tasks/{sources[0]}/annotations", "status", status=400, times=100
    )
    worker.mailbox.pending.add(target, [one.id for one in sent.values()])
    wait_for(lambda: not worker.mailbox.pending.count(target), "all looked at")
    assert [len(results(worker, task)) for task in sources] == [1, 2, 2, 2]
    assert refusal.met == 1
    (row,) = worker.batches(project).progress()
    assert (row.ready, row.conflicts) == (1, {})
    (said,) = row.held.values()
    assert f"task {sources[0]}: the answer (task {copy} of project {target}) waits" in said
    assert "HTTP 400" in said
    # Nobody tries it again at once, but whoever looks after the project's batches does.
    worker.proxy.clear()
    worker.mailbox.events.enqueue("ml_backend.jobs.events.tend_batches", project)
    wait_for(lambda: len(results(worker, sources[0])) == 2, "the answer")
    wait_for(lambda: not held_answers(worker.mailbox, target), "the end of the note")
    (row,) = worker.batches(project).progress()
    assert (row.ready, row.held) == (0, {})


def test_an_answer_that_a_busy_database_refuses_once_is_written_all_the_same(worker: Site):
    project, sources, _ = answered(worker)
    fault = worker.proxy.add(ANSWER, "status", status=500)
    said = f"{len(sources)} answers brought back"
    assert worker.acted(worker.act(project, "sync")).said == said
    assert fault.met == 1
    assert [len(results(worker, task)) for task in sources] == [2] * len(sources)


@pytest.mark.parametrize("of", ["text", None, 7.5, True, 10**30])
def test_a_copy_that_names_its_source_no_longer_is_shown_and_breaks_nothing(site: Site, of: Any):
    site.proxy.clear()
    project, ids = site.project(wrong=2, good=0)
    services = Services(site.settings())
    assert Batches(services, project).send(new_order(tasks=tuple(ids))).sent == 2
    (target,) = find_relabel_projects(site.client, project)
    broken, whole = listed(site, target)
    data = {**broken.data, "relook_source_task": of}
    site.client.tasks.update(id=str(broken.id), data=data)
    for copy in (broken, whole):
        site.client.annotations.create(id=copy.id, result=[])
    again = Batches(services, project)
    assert again.bring_back() == 1
    again.tend()
    (row,) = again.progress()
    assert (row.sent, row.gone, row.done) == (2, 1, 1)
    assert f"task {broken.id} of project {target} names its source no longer" in row.held[broken.id]
    # Its source is free to go out again.
    lost = broken.data["relook_source_task"]
    assert again.send(new_order(tasks=(lost,))).sent == 1
    assert copies(site, project)[lost] == 1


def asked_of(site: Site, project: int) -> list[int]:
    """When Label Studio was asked about a project's tasks: places in the list of requests."""
    return [
        at
        for at, said in enumerate(site.proxy.requests)
        if said.startswith("GET /api/tasks") and f"project={project}&" in said + "&"
    ]


def test_events_of_others_pass_while_a_batch_goes_out(worker: Site):
    other, (task, *_) = worker.project(wrong=1, good=0)
    worker.ended(worker.graph.start(other))
    project, ids = many(worker, 250)
    worker.proxy.clear()
    worker.proxy.add(COPIES, "call", action=lambda: worker.mailbox.pending.add(other, [task]))
    assert worker.acted(worker.act(project, "batch", tasks=ids)).said == "250 tasks sent"
    pages = [at for at, said in enumerate(worker.proxy.requests) if re.search(COPIES, said)]
    assert len(pages) == 2
    assert any(pages[0] < at < pages[1] for at in asked_of(worker, other))


def test_events_of_others_pass_while_answers_come_back(worker: Site):
    other, (task, *_) = worker.project(wrong=1, good=0)
    worker.ended(worker.graph.start(other))
    project, ids = many(worker, 24)
    assert worker.acted(worker.act(project, "batch", tasks=ids)).said == "24 tasks sent"
    (target,) = find_relabel_projects(worker.client, project)
    for copy in listed(worker, target):
        worker.client.annotations.create(id=copy.id, result=[])
    worker.proxy.clear()
    worker.proxy.add(ANSWER, "call", action=lambda: worker.mailbox.pending.add(other, [task]))
    # Slower than in life, so that there is a meanwhile.
    worker.proxy.add(ANSWER, "call", times=23, action=lambda: time.sleep(1))
    assert worker.acted(worker.act(project, "sync")).said == "24 answers brought back"
    writes = [at for at, said in enumerate(worker.proxy.requests) if "/annotations" in said]
    assert any(writes[0] < at < writes[-1] for at in asked_of(worker, other))
