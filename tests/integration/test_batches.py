"""Relabel batches: sent, labelled by others, brought back, in conflict, withdrawn."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from typing import Any

import pytest

from ml_backend.demo.projects import CONFIGS, SampleTask
from ml_backend.errors import BatchError, SettingsError
from ml_backend.jobs.batches import work
from ml_backend.jobs.batches.take_back import held_answers
from ml_backend.jobs.batches.work import Batches
from ml_backend.jobs.changes.reconcile import find_lost_events
from ml_backend.jobs.project.outgoing import Outgoing
from ml_backend.labelstudio.relabel.batches import read_untouched
from ml_backend.labelstudio.tasks.importing import import_tasks
from ml_backend.labelstudio.tasks.reader import read_project
from ml_backend.labelstudio.webhooks import without_payload
from ml_backend.labelstudio.writer import write_field
from tests.integration.conftest import Bench, new_order, wait_for
from tests.integration.people import Person
from tests.integration.samples import digit, one_missing, right, scenes, wrong_class
from tests.integration.test_cli import relook


def batches_of(bench: Bench, project: int) -> Batches:
    return Batches(bench.services, project)


def send(bench: Bench, project: int, **wanted: Any) -> dict[str, Any]:
    return asdict(batches_of(bench, project).send(new_order(**wanted)))


def listed(bench: Bench, project: int) -> list[dict[str, Any]]:
    return [asdict(one) for one in batches_of(bench, project).progress()]


def relabel_tasks(bench: Bench, batch: str) -> dict[int, Any]:
    """Source task to relabel task."""
    project = int(batch.split("-", maxsplit=1)[0])
    tasks = bench.client.tasks.list(project=project, fields="all", page_size=100)
    return {task.data["relook_source_task"]: task for task in tasks}


def set_batches(bench: Bench, project: int, **params: Any) -> None:
    """Have batches go out by themselves from now on."""
    connection = bench.client.ml.list(project=project)[0]
    bench.client.ml.update(
        id=str(connection.id),
        url=bench.stack.url,
        project=project,
        extra_params={"model": "digits-detect.pt", **params},
    )
    bench.settle(project)


def tended(bench: Bench, project: int) -> list[dict[str, Any]]:
    """The batches after a worker has looked after them."""
    job = bench.mailbox.events.enqueue("ml_backend.jobs.events.tend_batches", project)
    # A job on its way from the queue to its worker is nowhere to be seen.
    wait_for(lambda: job.get_status() == "finished", "a look after the batches")
    bench.settle(project)
    return listed(bench, project)


def payloads(bench: Bench, project: int) -> list[bool | None]:
    return [one.send_payload for one in bench.client.webhooks.list(project=str(project))]


def current_label(task: Any) -> list[dict]:
    return next(p for p in task.predictions if p.model_version == "current-label").result


@pytest.fixture(scope="module")
def annotator(bench: Bench) -> Person:
    return Person(bench.client, bench.server.url, "annotator")


@pytest.fixture(scope="module")
def reviewer(bench: Bench) -> Person:
    return Person(bench.client, bench.server.url, "reviewer")


def flagged(bench: Bench, count: int, seed: int, **params: Any) -> tuple[int, list[int]]:
    """An analysed project of that many wrong labels and one right one."""
    wrong = [wrong_class(scene) for scene in scenes(count, seed=seed)]
    project, ids = bench.project(
        "detection", [*wrong, right(scenes(count + 1, seed=seed)[-1])], **params
    )
    run = bench.analyze(project)
    assert (run.state, run.errors) == ("done", {})
    assert [bench.flag(task) for task in ids] == ["needs-review"] * count + [None]
    return project, ids[:-1]


def test_the_queue_goes_out_and_the_answers_come_back(bench, annotator, reviewer):
    project, (fixed, kept, third) = flagged(bench, 3, seed=61)
    sent = send(bench, project)
    assert sent["sent"] == 3
    relabel = int(sent["batch"].split("-")[0])
    copies = relabel_tasks(bench, sent["batch"])
    assert set(copies) == {fixed, kept, third}

    made = bench.client.projects.get(id=relabel)
    assert (made.title, made.model_version) == ("Relabel: Test detection", "relook-suggestion")
    source, source_of_kept = bench.task(fixed), bench.task(kept).data
    data = copies[fixed].data
    assert data["image"] == source.data["image"]
    assert annotator.opens(data["image"]) == 200
    assert not {"relook_flag", "relook_priority", "relook_seen"} & set(data)
    assert data["relook_source_priority"] == source.data["relook_priority"]
    assert data["relook_source_reason"] == source.data["relook_reason"]
    there = f"{bench.server.url}/projects/{project}/data?task={fixed}"
    assert data["relook_source_url"] == there
    assert annotator.opens(data["relook_source_url"]) == 200
    (suggestion,) = bench.predictions(fixed, "relook-suggestion")
    preloaded = {p.model_version: p.result for p in copies[fixed].predictions}
    assert preloaded["current-label"] == source.annotations[0]["result"]
    assert preloaded["relook-suggestion"] == suggestion.result

    # The stream serves the most urgent first and shows the suggestion.
    order = sorted(copies, key=lambda task: bench.task(task).data["relook_priority"], reverse=True)
    served = annotator.next_task(relabel)
    assert served["data"]["relook_source_priority"] == pytest.approx(
        bench.task(order[0]).data["relook_priority"]
    )
    assert [p["model_version"] for p in served["predictions"]] == ["relook-suggestion"]

    assert send(bench, project) == {"batch": "", "sent": 0, "warning": "", "gone": 0}

    annotator.submit(copies[fixed].id, suggestion.result)
    reviewer.submit(copies[kept].id, current_label(copies[kept]))
    wait_for(lambda: bench.flag(fixed) == "corrected", "the verdict 'corrected'")
    wait_for(lambda: bench.flag(kept) == "confirmed", "the verdict 'confirmed'")
    reason = bench.task(fixed).data["relook_reason"]
    assert re.fullmatch(r"corrected: \d became \d", reason)
    assert bench.task(kept).data["relook_reason"] == source_of_kept["relook_reason"]
    for task, person in ((fixed, annotator), (kept, reviewer)):
        original, answer = sorted(bench.task(task).annotations, key=lambda one: one["id"])
        assert answer["completed_by"]["id"] == person.id
        assert answer["parent_annotation"] == original["id"]
        (given,) = bench.task(copies[task].id).annotations
        assert answer["import_id"] == given["id"]
        assert answer["lead_time"] == 2.5
    assert bench.task(fixed).annotations[0]["result"] == source.annotations[0]["result"]

    (row,) = listed(bench, project)
    assert (row["batch"], row["project"], row["sent"]) == (sent["batch"], relabel, 3)
    assert (row["open"], row["done"], row["corrected"], row["confirmed"]) == (1, 2, 1, 1)
    assert row["conflicts"] == {}

    # Repeated, nothing changes.
    assert batches_of(bench, project).bring_back() == 0
    assert [len(bench.task(task).annotations) for task in (fixed, kept, third)] == [2, 2, 1]

    # A relabeller who thinks again answers again.
    (given,) = bench.task(copies[fixed].id).annotations
    annotator.update(given["id"], current_label(copies[fixed]))
    wait_for(lambda: len(bench.task(fixed).annotations) == 3, "the second answer")
    # What people at the source have changed since is theirs.
    newest = max(bench.task(fixed).annotations, key=lambda one: one["id"])
    # Within half a second it would be taken for Label Studio's own second stamp.
    time.sleep(1)
    reviewer.update(newest["id"], suggestion.result)
    assert batches_of(bench, project).bring_back() == 0


def test_a_label_that_changed_meanwhile_is_not_overwritten(bench, annotator, reviewer):
    project, (task, _) = flagged(bench, 2, seed=62)
    batch = send(bench, project)["batch"]
    copy = relabel_tasks(bench, batch)[task]
    (original,) = bench.task(task).annotations
    reviewer.update(original["id"], original["result"][1:])
    annotator.submit(copy.id, original["result"])
    bench.settle(project, copy.project)
    (row,) = listed(bench, project)
    assert list(row["conflicts"]) == [task]
    assert f"relook batch {project} --task {task}" in next(iter(row["conflicts"].values()))
    assert len(bench.task(task).annotations) == 1

    # The mend: sent again as it now stands.
    done = relook("batch", str(project), "--task", str(task), **bench.asking)
    assert "1 task sent" in done.stderr, done.stderr
    again = relabel_tasks(bench, batch)[task]
    assert current_label(again) == original["result"][1:]
    reviewer.submit(again.id, original["result"])
    wait_for(lambda: len(bench.task(task).annotations) == 2, "the second answer")
    assert all(row["conflicts"] == {} for row in listed(bench, project))


def test_a_cancelled_batch_keeps_what_people_did(bench, annotator):
    project, tasks = flagged(bench, 4, seed=63)
    batch = send(bench, project, top=4)["batch"]
    copies = relabel_tasks(bench, batch)
    relabel = int(batch.split("-")[0])
    answered, skipped, begun, untouched = tasks
    # Nobody tells of the answer: it must come back before anything is withdrawn.
    for webhook in bench.client.webhooks.list(project=str(relabel)):
        bench.client.webhooks.delete(id=webhook.id)
    annotator.submit(copies[answered].id, current_label(copies[answered]))
    annotator.submit(copies[skipped].id, [], was_cancelled=True)
    annotator.draft(copies[begun].id, relabel, current_label(copies[begun]))
    assert batches_of(bench, project).cancel(batch) == (1, 1)
    assert len(bench.task(answered).annotations) == 2
    assert set(relabel_tasks(bench, batch)) == {answered, skipped, begun}
    assert batches_of(bench, project).cancel(batch) == (0, 0)
    for _ in range(2):
        with pytest.raises(BatchError, match="no batch 'none'"):
            batches_of(bench, project).cancel("none")
    # What was withdrawn or skipped can go out again.
    assert send(bench, project)["sent"] == 2
    again = relabel_tasks(bench, batch)
    assert untouched in again
    assert again[skipped].id != copies[skipped].id


def test_an_answer_that_nobody_told_of_is_not_lost_when_the_queue_goes_out_again(bench, annotator):
    project, (answered, skipped) = flagged(bench, 2, seed=71)
    order = new_order()
    sent = asdict(batches_of(bench, project).send(order))
    assert sent["sent"] == 2
    # Given again, as after a worker's death: the same batch, and nothing sent twice.
    assert asdict(batches_of(bench, project).send(order)) == sent
    copies = relabel_tasks(bench, sent["batch"])
    relabel = copies[answered].project
    for webhook in bench.client.webhooks.list(project=str(relabel)):
        bench.client.webhooks.delete(id=webhook.id)
    (suggestion,) = bench.predictions(answered, "relook-suggestion")
    annotator.submit(copies[answered].id, suggestion.result)
    annotator.submit(copies[skipped].id, [], was_cancelled=True)
    (row,) = listed(bench, project)
    assert (row["sent"], row["ready"], row["skipped"], row["open"]) == (2, 1, 1, 0)

    again = send(bench, project)
    assert again["sent"] == 1
    assert bench.client.projects.get(id=relabel).task_number == 3
    assert relabel_tasks(bench, again["batch"])[skipped].id != copies[skipped].id
    assert batches_of(bench, project).bring_back() == 1
    # Neither before it is scored, nor after.
    assert send(bench, project)["sent"] == 0
    wait_for(lambda: bench.flag(answered) == "corrected", "the verdict 'corrected'")
    assert send(bench, project)["sent"] == 0


def test_what_is_judged_while_the_queue_is_read_is_not_sent(bench, reviewer, monkeypatch):
    project, (judged, left) = flagged(bench, 2, seed=73)
    read_queue = work.read_queue

    def read_slowly(*args: Any) -> Any:
        queue = read_queue(*args)
        reviewer.submit(judged, bench.task(judged).annotations[0]["result"])
        wait_for(lambda: bench.flag(judged) == "confirmed", "the verdict")
        return queue

    monkeypatch.setattr(work, "read_queue", read_slowly)
    assert set(relabel_tasks(bench, send(bench, project)["batch"])) == {left}


def test_nothing_to_send_makes_no_project(bench):
    project, _ = flagged(bench, 2, seed=72)
    before = len(list(bench.client.projects.list()))
    assert send(bench, project, tasks=(10**8,))["sent"] == 0
    assert len(list(bench.client.projects.list())) == before


def test_what_is_deleted_outside_breaks_nothing(bench, annotator):
    project, (source_gone, copy_gone, left) = flagged(bench, 3, seed=64)
    batch = send(bench, project)["batch"]
    copies = relabel_tasks(bench, batch)
    annotator.submit(copies[left].id, current_label(copies[left]))
    wait_for(lambda: len(bench.task(left).annotations) == 2, "the answer")
    bench.client.tasks.delete(id=str(source_gone))
    bench.client.tasks.delete(id=str(copies[copy_gone].id))
    annotator.submit(copies[source_gone].id, [])
    bench.settle(project, copies[left].project)
    (row,) = listed(bench, project)
    assert (row["sent"], row["gone"], row["done"]) == (2, 1, 1)
    assert send(bench, project)["sent"] == 1, "a copy that was deleted goes out again"
    bench.client.projects.delete(id=copies[left].project)
    assert listed(bench, project) == []
    again = send(bench, project)
    assert (again["sent"], int(again["batch"].split("-")[0]) > copies[left].project) == (1, True)
    bench.client.projects.delete(id=project)
    annotator.submit(relabel_tasks(bench, again["batch"])[copy_gone].id, [])
    bench.settle(int(again["batch"].split("-")[0]))


def test_where_no_task_is_left_none_is_withdrawn(bench):
    emptied = bench.client.projects.create(title="Emptied", label_config=CONFIGS["detection"]).id
    assert read_untouched(bench.client, emptied, f"{emptied}-abc") == []


def test_a_lost_event_is_found_and_a_lost_redis_too(bench, annotator):
    project, (first, second) = flagged(bench, 2, seed=65)
    batch = send(bench, project)["batch"]
    copies = relabel_tasks(bench, batch)
    relabel = int(batch.split("-")[0])
    for webhook in bench.client.webhooks.list(project=str(relabel)):
        bench.client.webhooks.delete(id=webhook.id)
    annotator.submit(copies[first].id, current_label(copies[first]))
    bench.redis.delete("relook:reconciled-at")
    bench.mailbox.reconcile_all(0)
    # Every project of these tests is looked at, this one last.
    wait_for(lambda: len(bench.task(first).annotations) == 2, "the answer", 240)
    annotator.submit(copies[second].id, current_label(copies[second]))
    bench.redis.delete("relook:relabel", "relook:reconciled", "relook:reconciled-at")
    bench.mailbox.reconcile_all(0)
    wait_for(lambda: len(bench.task(second).annotations) == 2, "the answer", 240)
    assert len(bench.task(first).annotations) == 2


def test_an_answer_that_is_deleted_at_the_source_comes_back_no_more(bench, annotator):
    project, (task, _) = flagged(bench, 2, seed=65)
    copy = relabel_tasks(bench, send(bench, project, tasks=(task,))["batch"])[task]
    annotator.submit(copy.id, current_label(copy))
    wait_for(lambda: bench.flag(task) == "confirmed", "the verdict 'confirmed'")
    _, answer = sorted(bench.task(task).annotations, key=lambda one: one["id"])
    bench.client.annotations.delete(id=answer["id"])
    bench.settle(project)
    (row,) = listed(bench, project)
    assert (row["ready"], row["done"], list(row["conflicts"])) == (0, 0, [task])
    assert "somebody has deleted it there since" in row["conflicts"][task]
    assert batches_of(bench, project).bring_back() == 0
    assert len(bench.task(task).annotations) == 1
    assert task not in batches_of(bench, project).out([task])
    # Whoever saves the answer again gives another.
    (given,) = bench.task(copy.id).annotations
    annotator.update(given["id"], current_label(copy))
    wait_for(lambda: len(bench.task(task).annotations) == 2, "the second answer")


def test_an_answer_waits_while_the_settings_of_its_source_are_wrong(bench, annotator):
    project, (task, _) = flagged(bench, 2, seed=74)
    copy = relabel_tasks(bench, send(bench, project)["batch"])[task]
    bench.rest(project)
    _, settings = bench.mailbox.setup_of(project)
    bench.mailbox.remember_setup(project, {"no such setting": 1})
    annotator.submit(copy.id, current_label(copy))
    wait_for(lambda: held_answers(bench.mailbox, copy.project), "the answer's being looked at")
    assert len(bench.task(task).annotations) == 1
    bench.mailbox.remember_setup(project, settings)
    bench.mailbox.reconcile_all(0)
    wait_for(lambda: len(bench.task(task).annotations) == 2, "the answer", 240)
    wait_for(lambda: not held_answers(bench.mailbox, copy.project), "the end of the note")


def test_a_batch_can_stay_in_the_project(bench, reviewer):
    project, tasks = flagged(bench, 2, seed=66)
    batch = send(bench, project, to="here", top=1)["batch"]
    (row,) = listed(bench, project)
    assert (row["batch"], row["project"], row["sent"], row["open"]) == (batch, project, 1, 1)
    tab = bench.client.views.list(project=project)[-1]
    assert tab.data["title"] == f"Relabel {batch}"
    # Its title is people's to change, and the Data Manager drops our mark as it saves; a tab of
    # theirs with the same filter is none of ours.
    data = {key: value for key, value in tab.data.items() if key != "relook"} | {"title": "Mine"}
    bench.client.views.update(id=str(tab.id), project=project, data=data)
    theirs = bench.client.views.create(project=project, data={**data, "title": "Theirs"}).id
    (task,) = [one.id for one in bench.client.tasks.list(project=project, view=tab.id)]
    assert send(bench, project, to="here", top=1)["sent"] == 0
    other = send(bench, project, to="here")["batch"]
    (annotation,) = bench.task(task).annotations
    reviewer.update(annotation["id"], annotation["result"])
    wait_for(lambda: bench.flag(task) == "confirmed", "the verdict 'confirmed'")
    (row,) = [one for one in listed(bench, project) if one["batch"] == batch]
    assert (row["open"], row["done"], row["confirmed"]) == (0, 1, 1)
    assert batches_of(bench, project).cancel(other) == (0, 1)
    assert [one["batch"] for one in listed(bench, project)] == [batch]
    assert set(tasks) > {task}
    # A selection need not be flagged; it is out all the same.
    every = [one.id for one in bench.client.tasks.list(project=project)]
    (unflagged,) = set(every) - set(tasks)
    chosen = send(bench, project, to="here", tasks=(unflagged,))
    assert chosen["sent"] == 1
    assert send(bench, project, tasks=(unflagged,))["sent"] == 0
    (row,) = [one for one in listed(bench, project) if one["batch"] == chosen["batch"]]
    assert (row["open"], row["done"]) == (1, 0)
    # Without a flag it gets no verdict: its label, saved again, is the answer.
    (annotation,) = bench.task(unflagged).annotations
    reviewer.update(annotation["id"], annotation["result"])
    bench.settle(project)
    (row,) = [one for one in listed(bench, project) if one["batch"] == chosen["batch"]]
    assert (row["open"], row["done"], row["confirmed"]) == (0, 1, 1)
    assert not bench.flag(unflagged)
    assert batches_of(bench, project).cancel(chosen["batch"]) == (0, 0)
    assert batches_of(bench, project).cancel(batch) == (0, 0)
    left = {one.id for one in bench.client.views.list(project=project)}
    assert (theirs in left, tab.id in left) == (True, False)
    assert [bench.task(one).data.get("relook_batch") or "" for one in every] == [""] * 3
    # What another project's export brought along names no batch of this one.
    write_field(bench.client, project, "relook_batch", dict.fromkeys(tasks, "elsewhere"))
    assert send(bench, project)["sent"] == 1


def test_a_batch_goes_to_a_project_that_is_named_or_new(bench):
    project, tasks = flagged(bench, 2, seed=67)
    other, _ = bench.project("classification", [SampleTask(digit(0)[0], [0], None)])
    with pytest.raises(SettingsError, match="another labelling config"):
        send(bench, project, to=str(other))
    xml = bench.client.projects.get(id=project).label_config
    named = int(bench.client.projects.create(title="Ours", label_config=xml).id)
    first = send(bench, project, to=str(named), top=1)
    assert first["batch"].startswith(f"{named}-")
    assert f"project {named} serves its tasks by Sequential sampling" in first["warning"]
    made = send(bench, project, to="new")["batch"]
    assert int(made.split("-")[0]) > named
    assert len(listed(bench, project)) == 2
    shown = relook("batches", str(project), "--sync", **bench.asking)
    assert made in shown.stdout, shown.stderr
    assert set(relabel_tasks(bench, made)) < set(tasks)


def test_a_batch_of_one_kind_and_the_top_of_it(bench):
    first, second, third, fourth, fifth = scenes(5, seed=75)
    project, ids = bench.project(
        "detection",
        [
            *(wrong_class(first), one_missing(second), wrong_class(third)),
            *(one_missing(fourth), right(fifth)),
        ],
    )
    assert bench.analyze(project).state == "done"
    kinds = {task: bench.task(task).data.get("relook_kind") for task in ids[:4]}
    assert list(kinds.values()) == ["mislabelled", "missing"] * 2
    priority = {task: bench.task(task).data["relook_priority"] for task in ids[:4]}
    urgent = sorted(ids[:4], key=lambda task: (-priority[task], task))
    missing = [task for task in urgent if kinds[task] == "missing"]

    def order(*words: str) -> str:
        done = relook("batch", str(project), *words, **bench.asking)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def out() -> set[int]:
        return {
            task for row in listed(bench, project) for task in relabel_tasks(bench, row["batch"])
        }

    assert ": 1 task sent" in order("--kind", "missing", "--top", "1")
    assert out() == {missing[0]}
    # What is out counts as part of the top.
    assert "nothing to send" in order("--kind", "missing", "--top", "1")
    assert ": 1 task sent" in order("--kind", "missing", "--kind", "badly_drawn")
    assert out() == set(missing)
    assert "nothing to send" in order("--kind", "spurious")
    more = set(urgent[:3]) - set(missing)
    assert f": {len(more)} task" in order("--top", "3")
    assert out() == {*missing, *more}


def test_a_save_is_noticed_while_events_name_no_task(bench, reviewer):
    project, tasks = flagged(bench, 2, seed=71)
    relabel = int(send(bench, project, top=1)["batch"].split("-")[0])
    assert payloads(bench, relabel) == [False]
    find_lost_events(bench.client, bench.mailbox, project)
    with without_payload(bench.client, project):
        assert payloads(bench, project) == [False]
        for task in tasks:
            (annotation,) = bench.task(task).annotations
            reviewer.update(annotation["id"], annotation["result"])
    assert payloads(bench, project) == [True]
    for task in tasks:
        wait_for(lambda task=task: bench.flag(task) == "confirmed", "the verdict 'confirmed'")


def test_batches_go_out_by_themselves(bench):
    project, _ = flagged(bench, 2, seed=68, batch_every=2)
    (row,) = wait_for(lambda: listed(bench, project), "the batch")
    assert row["sent"] == 2


def test_what_was_skipped_or_withdrawn_goes_out_by_itself_no_more(bench, annotator):
    project, (skipped, _) = flagged(bench, 2, seed=79)
    set_batches(bench, project, batch_every=1)
    (row,) = tended(bench, project)
    assert row["sent"] == 2
    annotator.submit(relabel_tasks(bench, row["batch"])[skipped].id, [], was_cancelled=True)
    assert batches_of(bench, project).cancel(row["batch"]) == (0, 1)
    (left,) = tended(bench, project)
    assert (left["batch"], left["sent"], left["skipped"]) == (row["batch"], 1, 1)
    assert send(bench, project)["sent"] == 2


def test_nothing_goes_out_by_itself_while_a_run_is_under_way(bench):
    project, _ = flagged(bench, 2, seed=77)
    run = bench.runs.open(project)
    set_batches(bench, project, batch_every=1)
    assert tended(bench, project) == []
    bench.runs.close(run.id, "cancelled")
    (row,) = tended(bench, project)
    assert row["sent"] == 2


def test_a_batch_takes_along_the_suggestions_that_a_run_has_left_to_be_sent(bench):
    project, (task, _) = flagged(bench, 2, seed=78)
    (suggestion,) = bench.predictions(task, "relook-suggestion")
    bench.client.predictions.delete(id=suggestion.id)
    services = bench.services
    outgoing = Outgoing(
        services.store.tables,
        services.client,
        read_project(services.client, project),
        services.mailbox.lock(project, "outgoing"),
    )
    outgoing.put("relook-suggestion", {task: (suggestion.result, suggestion.score)})
    copy = relabel_tasks(bench, send(bench, project, tasks=(task,))["batch"])[task]
    (sent,) = [p for p in copy.predictions if p.model_version == "relook-suggestion"]
    assert sent.result == suggestion.result != current_label(copy)


def test_the_settings_alone_send_nothing_into_anothers_project(bench):
    project, (first, _) = flagged(bench, 2, seed=74)
    config = bench.client.projects.get(id=project).label_config
    other = int(bench.client.projects.create(title="Another's", label_config=config).id)
    set_batches(bench, project, batch_every=1, batch_to=str(other))
    assert tended(bench, project) == []
    assert not bench.client.projects.get(id=other).description
    # By somebody's order the project is chosen; from then on batches find it by themselves.
    assert send(bench, project, tasks=(first,))["sent"] == 1
    (one, more) = tended(bench, project)
    assert {one["sent"], more["sent"]} == {1}


def test_an_answer_settles_a_task_that_waits_for_more_annotators(bench, annotator):
    """With an overlap of 2 and one label, the answer is no second opinion beside it."""
    project, (task,) = flagged(bench, 1, seed=69)
    bench.client.projects.update(id=project, maximum_annotations=2)
    batch = send(bench, project)["batch"]
    copy = relabel_tasks(bench, batch)[task]
    (suggestion,) = bench.predictions(task, "relook-suggestion")
    annotator.submit(copy.id, suggestion.result)
    wait_for(lambda: bench.flag(task) == "corrected", "the verdict 'corrected'")


def test_a_batch_of_many_goes_out_and_comes_back_whole(bench, annotator):
    project, (first,) = bench.project("detection", [right(scenes(1, seed=70)[0])])
    task = bench.task(first)
    body = [{"data": task.data, "annotations": [{"result": task.annotations[0]["result"]}]}] * 99
    ids = (first, *import_tasks(bench.client, project, body))
    bench.settle(project)

    sent = send(bench, project, tasks=ids)
    relabel = int(sent["batch"].split("-")[0])
    assert sent["sent"] == 100

    annotator.accept_all(relabel)
    # Asked cheaply: a listing would read all tasks on the worker that brings them back.
    wait_for(
        lambda: bench.client.projects.get(id=project).total_annotations_number == 200,
        *("all answers back", 180),
    )
    bench.settle(project, relabel, timeout=180)
    (row,) = listed(bench, project)
    assert (row["done"], row["confirmed"]) == (100, 100)
    assert payloads(bench, project) == [True]
    assert bench.task(ids[50]).annotations[-1]["completed_by"]["id"] == annotator.id
