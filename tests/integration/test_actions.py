"""Actions of the review page that meet each other, are cut short, or cannot be done."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, cast

import httpx
import numpy as np
import pytest
from redis.exceptions import LockNotOwnedError

from ml_backend.demo.projects import CONFIGS, upload_images
from ml_backend.jobs.acting import field_actions
from ml_backend.jobs.acting.book import ActionBook, Lot, Wish
from ml_backend.jobs.acting.queueing import enqueue
from ml_backend.jobs.queues.ranges import SHARD
from ml_backend.labelstudio.tasks.own_fields import read_own_fields
from tests.integration.conftest import MODEL, Bench, wait_for
from tests.integration.samples import right, scenes, wrong_class
from tests.integration.test_approve import unlabelled
from tests.integration.test_page_api import act, done, ended, field, points, signed_in, undone

__all__ = ["signed_in"]

GONE = "its regions are gone, or have changed since they were shown"


@pytest.fixture(scope="module")
def here(bench: Bench) -> tuple[int, list[int]]:
    project, tasks = bench.project("detection", [right(one) for one in scenes(6, seed=95)])
    assert bench.analyze(project).state == "done"
    bench.settle(project)
    return project, tasks


@pytest.fixture
def book(bench: Bench) -> ActionBook:
    return ActionBook(bench.redis)


def again(bench: Bench, client: httpx.Client, project: int, action: str):
    """What is told when the worker died before it could write down that it was done."""
    ActionBook(bench.redis).note(action, state="doing", undoable=0, said="")
    enqueue(bench.mailbox, "act", action)
    return ended(client, project, action)


def test_who_tags_the_same_task_meanwhile_keeps_their_tag(bench: Bench, here, signed_in, book):
    project, tasks = here
    with bench.mailbox.lock(project, tasks[0] // SHARD):
        begun = act(signed_in, project, "tag", tasks[:1], tag="mine").json()["id"]
        wait_for(lambda: book.read(begun).state == "doing", "the action's begin")
        # Longer than it takes to read one task.
        with pytest.raises(AssertionError, match="did not"):
            wait_for(lambda: book.lots(begun), "a lot", 3)
        bench.client.tasks.update(
            id=tasks[0], data={**bench.task(tasks[0]).data, "relook_tags": "theirs"}
        )
    assert ended(signed_in, project, begun)["said"] == "1 task changed"
    assert field(bench, tasks[0], "tags") == "mine, theirs"


@pytest.fixture
def scattered(bench: Bench) -> tuple[int, list[int]]:
    """A project with one task in each of four ranges of tasks that one lock covers."""
    config = CONFIGS["detection"]
    project = int(bench.client.projects.create(title="Scattered", label_config=config).id)
    (scene,) = scenes(1, seed=98)
    (address,) = upload_images(bench.client, bench.server.url, project, [scene.image])
    body: Any = [{"data": {"image": address}}] * (3 * SHARD + 1)
    made: Any = bench.client.projects.import_tasks(id=project, request=body, return_task_ids=True)
    ids = [int(task) for task in made.task_ids]
    kept = ids[::SHARD]
    gone = [task for task in ids if task not in kept]
    bench.client.actions.create(
        id="delete_tasks",
        project=project,
        filters=cast(Any, {"conjunction": "and", "items": []}),
        selected_items=cast(Any, {"all": False, "included": gone}),
    )
    bench._connect(project, {"model": MODEL["detection"]})
    bench.settle(project)
    return project, kept


def test_what_people_save_is_looked_at_while_an_action_goes_on(
    bench: Bench, scattered, signed_in, book
):
    project, (first, second, third, saved) = scattered
    waits = ExitStack()
    with bench.mailbox.lock(project, third // SHARD), waits:
        waits.enter_context(bench.mailbox.lock(project, second // SHARD))
        begun = act(signed_in, project, "tag", [first, second, third], tag="many").json()["id"]
        wait_for(lambda: book.read(begun).done == 1, "the end of the first lot")
        bench.client.annotations.create(id=saved, result=[])
        pending = bench.mailbox.pending
        wait_for(lambda: pending.count(project), "the event")
        waits.close()
        # The one worker is in the midst of the action: the third lot cannot be begun.
        wait_for(lambda: not pending.count(project), "the look at what was saved")
        found = book.read(begun)
        assert (found.state, found.done, len(book.lots(begun))) == ("doing", 2, 2)
    assert ended(signed_in, project, begun)["said"] == "3 tasks changed"


def test_what_was_written_before_a_worker_died_counts(bench: Bench, here, signed_in):
    project, tasks = here
    found = done(signed_in, project, "tag", tasks[1:4], tag="twice")
    bench.client.tasks.delete(id=tasks[3])
    retried = again(bench, signed_in, project, found["id"])
    assert retried["said"] == "2 tasks changed; 1 left out: not in this project"
    assert retried["undoable"]
    undone(signed_in, project, found["id"])
    assert [field(bench, task, "tags") for task in tasks[1:3]] == ["", ""]


def test_what_people_did_since_an_earlier_try_is_not_written_over(bench: Bench, signed_in):
    first, second, third = scenes(3, seed=94)
    drawn = [right(first), right(second), wrong_class(third)]
    project, (tagged, flagged, cleared) = bench.project("detection", drawn)
    assert bench.analyze(project).state == "done"
    bench.settle(project)
    tag = done(signed_in, project, "tag", [tagged], tag="mine")["id"]
    flag = done(signed_in, project, "flag", [flagged])["id"]
    clear = done(signed_in, project, "clear", [cleared])["id"]
    bench.settle(project)
    data = {**bench.task(tagged).data, "relook_tags": "mine, theirs"}
    bench.client.tasks.update(id=tagged, data=data)
    (label,) = bench.task(flagged).annotations
    bench.client.annotations.create(id=flagged, result=label["result"])
    wait_for(lambda: bench.flag(flagged) == "confirmed", "the reviewer's verdict")
    done(signed_in, project, "flag", [cleared])
    bench.settle(project)
    for action in (tag, flag, clear):
        said = again(bench, signed_in, project, action)["said"]
        assert said == "0 tasks changed; 1 left out: changed since"
    bench.settle(project)
    assert field(bench, tagged, "tags") == "mine, theirs"
    assert [bench.flag(task) for task in (flagged, cleared)] == ["confirmed", "needs-review"]


def test_a_run_counts_what_was_flagged_by_hand(bench: Bench, signed_in):
    project, tasks = bench.project("detection", [right(one) for one in scenes(2, seed=93)])
    before = bench.analyze(project).flagged
    bench.settle(project)
    free = next(task for task in tasks if bench.flag(task) != "needs-review")
    done(signed_in, project, "flag", [free])
    bench.settle(project)
    # Whether it looks at the task or leaves it as it is.
    assert bench.analyze(project).flagged == before + 1
    bench.services.looks.forget(project, np.array(tasks))
    assert bench.analyze(project).flagged == before + 1


def test_a_batch_that_was_sent_before_a_worker_died_counts(bench: Bench, here, signed_in):
    project, tasks = here
    found = done(signed_in, project, "batch", tasks[1:3], to="new")
    retried = again(bench, signed_in, project, found["id"])
    assert (retried["said"], retried["undoable"]) == ("2 tasks sent", True)
    (batch,) = signed_in.get(f"/api/projects/{project}/batches").json()
    undone(signed_in, project, found["id"])
    assert signed_in.get(f"/api/projects/{project}/batches").json() == []
    assert batch["sent"] == 2


@pytest.mark.parametrize("to", ["new", "here"])
def test_tasks_that_are_not_there_are_neither_sent_nor_in_a_batch(
    bench: Bench, here, signed_in, to: str
):
    project, tasks = here
    before = len(bench.client.views.list(project=project))
    found = done(signed_in, project, "batch", [10**8], to=to)
    assert (found["said"], found["batch"]) == ("0 tasks sent; 1 left out: not in this project", "")
    assert len(bench.client.views.list(project=project)) == before
    found = done(signed_in, project, "batch", [tasks[1], 10**8], to=to)
    assert found["said"] == "1 task sent; 1 left out: not in this project"
    undone(signed_in, project, found["id"])


def test_approvals_from_before_a_worker_died_count(bench: Bench, signed_in):
    blank = unlabelled(bench, 6, seed=96)
    assert bench.analyze(blank.project).state == "done"
    bench.settle(blank.project)
    found = done(signed_in, blank.project, "approve", blank.tasks, confidence=0.8)
    approved = blank.labelled()
    assert approved
    retried = again(bench, signed_in, blank.project, found["id"])
    assert (retried["said"], retried["undoable"]) == (found["said"], True)
    undone(signed_in, blank.project, found["id"])
    assert blank.labelled() == []


def test_an_action_that_was_away_writes_nothing_over_another(bench: Bench, book, monkeypatch):
    blank = unlabelled(bench, 2, seed=96)
    bucket = blank.tasks[0] // SHARD

    def read(*asked):
        page = read_own_fields(*asked)
        # While this process is frozen its lock lapses, and another has it.
        bench.redis.delete(f"relook:lock:{blank.project}:{bucket}")
        with bench.mailbox.lock(blank.project, bucket):
            return page

    monkeypatch.setattr(field_actions, "read_own_fields", read)
    wish = Wish("tag", tuple(blank.tasks), tag="late")
    action = book.open(blank.project, wish, len(blank.tasks))
    with pytest.raises(LockNotOwnedError):
        field_actions.change(blank.services, action, book, wish)
    assert book.lots(action.id) == []
    book.keep_lot(action.id, 0, Lot({}, {task: {"tags": ""} for task in blank.tasks}))
    with pytest.raises(LockNotOwnedError):
        field_actions.restore(blank.services, action, book)
    assert [field(bench, task, "tags") for task in blank.tasks] == [None, None]


def test_what_cannot_be_taken_back_stands_and_can_be_tried_again(
    bench: Bench, here, signed_in, book
):
    project, tasks = here
    found = done(signed_in, project, "batch", tasks[1:3], to="new")
    book.note(found["id"], batch="no-batch")
    assert signed_in.post(f"/api/actions/{found['id']}/undo").status_code == 202
    stands = ended(signed_in, project, found["id"])
    assert (stands["state"], stands["undoable"]) == ("done", True)
    assert stands["said"].startswith("Not taken back: ")


def test_an_action_that_breaks_at_its_last_try_has_failed(bench: Bench, here, signed_in, book):
    project, tasks = here
    found = done(signed_in, project, "tag", tasks[1:2], tag="lost")
    bench.redis.delete(f"relook:action:{found['id']}:wish")
    book.note(found["id"], state="queued")
    bench.mailbox.events.enqueue("ml_backend.jobs.actions.act", found["id"])
    failed = ended(signed_in, project, found["id"])
    assert failed["state"] == "failed"
    assert "KeyError" in failed["said"]


def test_a_flag_on_a_region_names_it_in_the_reason(bench: Bench, here, signed_in):
    project, tasks = here
    body = {"action": "flag", "regions": [[tasks[4], 1]], "options": {"control": "label"}}
    begun = signed_in.post(f"/api/projects/{project}/actions", json=body).json()
    assert ended(signed_in, project, begun["id"])["said"] == "1 task changed"
    bench.settle(project)
    (annotation,) = bench.task(tasks[4]).annotations
    assert bench.flag(tasks[4]) == "needs-review"
    assert annotation["result"][1]["id"] in field(bench, tasks[4], "reason")


def test_a_region_that_is_gone_changes_nothing(bench: Bench, here, signed_in):
    project, tasks = here
    body = {
        "action": "tag",
        "regions": [[tasks[5], 0], [tasks[5], 1], [tasks[2], 99]],
        "options": {"control": "label", "tag": "odd"},
    }
    begun = signed_in.post(f"/api/projects/{project}/actions", json=body).json()
    said = ended(signed_in, project, begun["id"])["said"]
    assert said == f"1 task changed; 1 left out: {GONE}"
    assert field(bench, tasks[5], "tags").count("odd") == 2
    assert "odd" not in (field(bench, tasks[2], "tags") or "")


def test_a_region_is_the_one_that_was_shown(bench: Bench, here, signed_in):
    """A place means another region once somebody has deleted the one before it."""
    project, tasks = here
    seen = points(signed_in, project, "regions")
    shown = [
        [task, max(seen["updated"][row] for row in rows), len(rows)]
        for task in tasks[:2]
        for rows in [[row for row, one in enumerate(seen["task"]) if one == task]]
    ]
    (annotation,) = bench.task(tasks[1]).annotations
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"][1:])
    body = {
        "action": "tag",
        "regions": [[tasks[0], 0], [tasks[1], 0]],
        "shown": shown,
        "options": {"control": "label", "tag": "meant"},
    }
    begun = signed_in.post(f"/api/projects/{project}/actions", json=body).json()
    assert ended(signed_in, project, begun["id"])["said"] == f"1 task changed; 1 left out: {GONE}"
    assert "meant" in field(bench, tasks[0], "tags")
    assert "meant" not in (field(bench, tasks[1], "tags") or "")


def test_a_dry_run_refuses_what_the_job_refuses(bench: Bench, signed_in):
    blank = unlabelled(bench, 1, seed=97)
    needed = '<TextArea name="note" toName="image" required="true"/></View>'
    config = CONFIGS["detection"].replace("</View>", needed)
    bench.client.projects.update(id=blank.project, label_config=config)
    would = act(signed_in, blank.project, "approve", blank.tasks, dry_run=True)
    assert would.status_code == 400
    assert "no model answers for 'note'" in would.json()["detail"]


def test_a_dry_run_for_regions_refuses_by_task_what_the_job_refuses(bench: Bench, signed_in, here):
    project, tasks = here
    body = {"action": "clear", "regions": [[tasks[0], 0]], "options": {"control": "label"}}
    path = f"/api/projects/{project}/actions"
    # Whatever others have left there.
    ended(signed_in, project, signed_in.post(path, json=body).json()["id"])
    wanted = {**body, "options": {**body["options"], "dry_run": True}}
    would = signed_in.post(path, json=wanted).json()
    assert (would["count"], would["left_out"]) == (0, {"does not need review": 1})
    begun = signed_in.post(path, json=body).json()
    said = ended(signed_in, project, begun["id"])["said"]
    assert said == "0 tasks changed; 1 left out: does not need review"


def test_an_action_says_who_asked_for_it(bench: Bench, here, signed_in):
    project, tasks = here
    found = done(signed_in, project, "tag", tasks[:1], tag="signed")
    me = signed_in.get("/api/session").json()["user"]["name"]
    token = {"Authorization": f"Bearer {bench.server.token()}"}
    body = {"action": "untag", "tasks": tasks[:1], "options": {"tag": "signed"}}
    path = f"{bench.stack.url}/api/projects/{project}/actions"
    by_token = httpx.post(path, json=body, headers=token).json()["id"]
    assert {found["by"], ended(signed_in, project, by_token)["by"]} == {me}
