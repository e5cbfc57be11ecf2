"""Bulk approval in a real Label Studio: what is sure becomes a label, and can be taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from redis.exceptions import LockNotOwnedError

from ml_backend.demo.projects import CONFIGS, human_result, upload_images
from ml_backend.errors import ConfigError, SettingsError
from ml_backend.jobs.acting.book import ActionBook, Wish
from ml_backend.jobs.approvals import work as approval
from ml_backend.jobs.approvals.action import approve as approve_action
from ml_backend.jobs.approvals.undo import undo
from ml_backend.jobs.approvals.work import ApprovalWork, Tally
from ml_backend.jobs.project.comparison import Comparison
from ml_backend.jobs.queues.ranges import SHARD
from ml_backend.labelstudio import approvals
from ml_backend.labelstudio.approval_marks import approval_version, batch_of
from ml_backend.labelstudio.tasks import listing
from ml_backend.labelstudio.tasks.changes import read_states
from ml_backend.labelstudio.tasks.reader import TaskPage, read_tasks
from ml_backend.labelstudio.writer import create_predictions, write_field
from ml_backend.services import Services
from tests.integration.conftest import MODEL, Bench, wait_for
from tests.integration.samples import digit, scenes, wrong_class
from tests.integration.test_cli import relook

SURE = 0.8


@dataclass
class Unlabelled:
    bench: Bench
    project: int
    tasks: list[int]
    services: Services

    @property
    def work(self) -> ApprovalWork:
        return ApprovalWork.open(self.services, self.project)

    def approve(self, tasks: list[int] | None = None, batch: str = "b1") -> Any:
        found, _ = self.work.tasks(self.tasks if tasks is None else tasks)
        tallies = list(self.work.approve(found, SURE, batch))
        for tally in tallies[1:]:
            tallies[0].add(tally)
        self.bench.settle(self.project)
        return tallies[0] if tallies else None

    def undo(self, batch: str = "") -> int:
        _, _, pages = undo(self.services, self.project, batch, again=False)
        return sum(page.approved for page in pages)

    def annotations(self, task: int) -> list[Any]:
        return list(self.bench.task(task).annotations)

    def labelled(self) -> list[int]:
        return [task for task in self.tasks if self.annotations(task)]


def unlabelled(
    bench: Bench,
    count: int,
    seed: int,
    kind: str = "detection",
    besides: Sequence[NDArray[np.uint8]] = (),
) -> Unlabelled:
    client = bench.client
    project = int(client.projects.create(title="Unlabelled", label_config=CONFIGS[kind]).id or 0)
    images = [scene.image for scene in scenes(count, seed=seed)]
    if kind == "classification":
        images = [digit(row, seed)[0] for row in range(count)]
    addresses = upload_images(client, bench.server.url, project, [*images, *besides])
    body = [{"data": {"image": address}} for address in addresses]
    made: Any = client.projects.import_tasks(
        id=project, request=cast(Any, body), return_task_ids=True
    )
    bench._connect(project, {"model": MODEL[kind]})
    return Unlabelled(bench, project, [int(task) for task in made.task_ids], bench.services)


@pytest.fixture(scope="module")
def approved(bench: Bench):
    """Twelve scenes: one flagged, one skipped, one with a draft, one labelled; then approved."""
    here = unlabelled(bench, 12, seed=81)
    flagged, skipped, drafted, labelled = here.tasks[:4]
    write_field(bench.client, here.project, "relook_flag", {flagged: "needs-review"})
    bench.client.annotations.create(id=skipped, result=[], was_cancelled=True)
    bench.client._client_wrapper.httpx_client.request(
        f"api/tasks/{drafted}/drafts", method="POST", json={"result": []}
    ).raise_for_status()
    bench.client.annotations.create(id=labelled, result=[])
    bench.settle(here.project)
    # The events of the two annotations had nothing to do with the hand-set flag.
    assert bench.flag(flagged) == "needs-review"
    return here, here.approve()


def test_what_is_sure_becomes_a_label_that_says_it_is_the_models(bench, approved):
    here, tally = approved
    assert tally.approved > 3
    fresh = [task for task in here.labelled() if task not in here.tasks[:4]]
    assert len(fresh) == tally.approved
    for task in fresh:
        (annotation,) = here.annotations(task)
        (given,) = [p for p in bench.predictions(task) if batch_of(p.model_version)]
        assert annotation["parent_prediction"] == given.id
        assert annotation["result"] == given.result
        assert given.model_version.startswith("relook-approved@b1@digits-detect@")
        assert all(region["score"] >= SURE for region in given.result)
        assert bench.task(task).is_labeled


def test_the_labels_are_right(approved):
    here, _ = approved
    for task, scene in zip(here.tasks, scenes(12, seed=81), strict=True):
        if task in here.tasks[:4] or not here.annotations(task):
            continue
        (annotation,) = here.annotations(task)
        said = sorted(region["value"]["rectanglelabels"][0] for region in annotation["result"])
        assert said == sorted(map(str, scene.label.tolist()))


def test_flagged_skipped_begun_and_labelled_tasks_are_left_out(bench, approved):
    here, tally = approved
    flagged, skipped, drafted, labelled = here.tasks[:4]
    assert (here.annotations(flagged), here.annotations(drafted)) == ([], [])
    assert len(here.annotations(skipped)) == len(here.annotations(labelled)) == 1
    # Skipped and labelled ones are not even looked at.
    assert tally.looked_at == 10
    assert tally.left["needs review"] == tally.left["labelled or begun by somebody"] == 1


def test_a_second_approval_changes_nothing(approved):
    here, _ = approved
    before = {task: here.annotations(task) for task in here.tasks}
    assert here.approve(batch="b2").approved == 0
    assert {task: here.annotations(task) for task in here.tasks} == before
    assert list(approvals.batches(here.bench.client, here.project)) == ["b1"]


def test_nothing_is_learnt_from_what_the_model_gave_itself(bench, approved):
    here, tally = approved
    assert bench.analyze(here.project).state == "done"
    (control,) = here.work.opened.project.config.controls
    kept = here.services.store.get_labels(here.project, control)
    assert int(kept.approved.sum()) == tally.approved
    assert set(kept.of_people().task.tolist()) == {here.tasks[3]}
    assert len(set(kept.held_task.tolist())) == tally.approved + 2
    assert not [task for task in here.tasks[4:] if bench.flag(task)]


def test_an_approval_is_looked_at_as_any_label_is_and_no_run_asks_twice(bench, approved):
    here, _ = approved
    assert bench.analyze(here.project).state == "done"
    states = read_states(bench.client, here.project)
    looks = here.services.looks.get(here.project, states.task)
    assert looks.unchanged(states.stamp, states.holds, here.work.opened.setup).all()
    assert Comparison(here.work.opened).settled(states.task)
    _, other = Comparison(here.work.opened).compare(states.task, settled=False)
    assert not other.any()


def test_the_undo_takes_back_what_nobody_has_edited(bench: Bench):
    here = unlabelled(bench, 12, seed=82)
    assert here.approve().approved > 4
    edited, saved, kept, doubled = here.labelled()[:4]
    (annotation,) = here.annotations(edited)
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"][:-1])
    (annotation,) = here.annotations(saved)
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])
    (annotation,) = here.annotations(kept)
    bench.client.annotations.update(id=annotation["id"], ground_truth=True)
    mine = bench.client.annotations.create(id=doubled, result=[])
    count = len(here.labelled())
    assert here.undo() == count - 3
    assert here.labelled() == sorted([edited, saved, kept, doubled])
    assert [one["id"] for one in here.annotations(doubled)] == [mine.id]
    assert approvals.batches(bench.client, here.project) == {}
    with pytest.raises(SettingsError, match="has no batch"):
        here.undo("b1")
    # What was taken back can be approved again.
    assert here.approve(batch="b3").approved == count - 4


def test_the_undo_keeps_an_approval_that_somebody_has_begun_to_edit(bench: Bench):
    here = unlabelled(bench, 6, seed=90)
    count = here.approve().approved
    assert count > 1
    task = here.labelled()[0]
    (annotation,) = here.annotations(task)
    asking = bench.client._client_wrapper.httpx_client
    # As the editor does by itself, a moment after each change.
    made = asking.request(
        f"api/tasks/{task}/annotations/{annotation['id']}/drafts",
        method="POST",
        json={"result": annotation["result"][:-1]},
    )
    made.raise_for_status()
    draft = f"api/drafts/{made.json()['id']}/"
    assert here.undo() == count - 1
    assert here.labelled() == [task]
    asking.request(draft, method="GET").raise_for_status()
    # It is the model's word still, and of this batch alone.
    assert "b1" in {batch_of(p.model_version) for p in bench.predictions(task)}
    assert approvals.tasks_of_batch(bench.client, here.project, "b1").tolist() == [task]
    asking.request(draft, method="DELETE").raise_for_status()
    assert here.undo("b1") == 1
    assert here.labelled() == []
    assert approvals.batches(bench.client, here.project) == {}


def test_a_batch_of_the_page_is_older_than_one_that_came_after_it(bench: Bench):
    here = unlabelled(bench, 4, seed=83)
    book = ActionBook(bench.redis)
    wish = Wish("approve", (*here.tasks[:2], 10**8), confidence=SURE)
    action = book.open(here.project, wish, 3)
    page, left = approve_action(here.services, action, book, wish)
    assert page.approved
    assert page.approved + left.total() == 3
    assert left["not in this project"] == 1
    named = book.read(action.id).batch
    # Tried again, it adds to the same batch.
    approve_action(here.services, book.read(action.id), book, wish)
    assert book.read(action.id).batch == named
    newer = here.approve(batch=f"{datetime.now(UTC):%Y%m%d-%H%M%S}")
    assert newer.approved
    # Without embeddings nobody knows what is unlike all else.
    assert page.unknown == page.approved
    assert here.undo() == newer.approved
    assert here.undo(named) == page.approved


def test_a_batch_at_a_time_is_taken_back(bench: Bench):
    here = unlabelled(bench, 6, seed=83)
    first = here.approve(here.tasks[:3], batch="20260101-000000").approved
    second = here.approve(batch="20260102-000000").approved
    assert first
    assert second
    assert here.undo() == second
    assert here.undo("20260101-000000") == first
    assert here.labelled() == []


def test_an_approval_that_was_cut_short_is_done_anew(bench: Bench):
    here = unlabelled(bench, 4, seed=84)
    stale: Any = [{"from_name": "label", "to_name": "image", "type": "rectanglelabels"}]
    stale[0]["value"] = {"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["0"]}
    version = approval_version("dead", "digits-detect@0")
    create_predictions(bench.client, here.project, version, dict.fromkeys(here.tasks, (stale, 0.9)))
    tally = here.approve()
    assert tally.approved
    for task in here.labelled():
        (annotation,) = here.annotations(task)
        assert annotation["result"] != stale
        versions = [p.model_version for p in bench.predictions(task)]
        assert version not in versions


def about_to_write(here: Unlabelled) -> tuple[Callable[[], Tally], list[int]]:
    """What an approval has left to do after its last question; and which tasks it approves."""
    work = here.work
    (page,) = work._read(np.array(here.tasks))
    _, model, wanted = work._judge(page, SURE)
    return lambda: work._make(approval_version("b1", model), wanted), list(wanted)


def test_a_label_that_somebody_saved_meanwhile_counts(bench: Bench):
    here = unlabelled(bench, 3, seed=85)
    write, (raced, *others) = about_to_write(here)
    assert others
    mine = bench.client.annotations.create(id=raced, result=[])
    tally = write()
    assert (tally.approved, tally.left["labelled or begun by somebody"]) == (len(others), 1)
    assert [one["id"] for one in here.annotations(raced)] == [mine.id]


def test_what_slipped_through_twice_is_approved_once(bench: Bench):
    here = unlabelled(bench, 3, seed=85)
    write, wanted = about_to_write(here)
    assert write().approved == len(wanted) > 1
    stands = {task: here.annotations(task) for task in wanted}
    # Another try that was past its last question when it was frozen.
    assert write().approved == len(wanted)
    assert {task: here.annotations(task) for task in wanted} == stands


def test_an_approval_that_was_frozen_leaves_alone_what_another_has_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    here = unlabelled(bench, 4, seed=84)
    locks = {f"relook:lock:{here.project}:{task // SHARD}" for task in here.tasks}
    whole, stands = ApprovalWork._read, list[dict[int, list[Any]]]()

    def read(work: ApprovalWork, tasks: NDArray[np.int64]) -> Iterator[TaskPage]:
        pages = list(whole(work, tasks))
        # Frozen between what it has read and what it writes; a minute later the lock is free.
        if bench.redis.exists(*locks) and not stands:
            bench.redis.delete(*locks)
            monkeypatch.setattr(ApprovalWork, "_read", whole)
            assert here.approve(batch="b2").approved
            stands.append({task: here.annotations(task) for task in here.tasks})
        return iter(pages)

    monkeypatch.setattr(ApprovalWork, "_read", read)
    with pytest.raises(LockNotOwnedError):
        here.approve()
    assert [{task: here.annotations(task) for task in here.tasks}] == stands


def test_what_is_sure_of_many_pages_is_written_in_one_import(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    """Each bulk import has Label Studio count the whole project, 5 s in one of 10,000 tasks."""
    here = unlabelled(bench, 6, seed=82)
    imports: list[int] = []

    def create(*asked: Any) -> list[int]:
        imports.append(len(asked[3]))
        return create_predictions(*asked)

    monkeypatch.setattr(approvals, "create_predictions", create)
    monkeypatch.setattr(approval, "SHARD", 2)
    monkeypatch.setattr(listing, "_NAMED", 2)
    tally = here.approve()
    assert (tally.looked_at, imports) == (6, [tally.approved])
    assert len(here.labelled()) == tally.approved > 2


def test_an_approval_is_no_second_opinion(bench: Bench):
    here = unlabelled(bench, 3, seed=86)
    here.approve()
    task = here.labelled()[0]
    bench.client.projects.update(id=here.project, maximum_annotations=3)
    project = here.work.opened.project
    (page,) = read_tasks(bench.client, project, "relook", [task])
    assert page.annotations.approved.tolist() == [True]
    mine = bench.client.annotations.create(id=task, result=here.annotations(task)[0]["result"][:1])
    (page,) = read_tasks(bench.client, project, "relook", [task])
    assert page.annotations.id.tolist() == [mine.id]
    assert page.annotations.approved.tolist() == [False]


def test_an_outlier_of_which_the_model_is_sure_is_left_out(bench: Bench):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    here = unlabelled(bench, 40, seed=3, kind="classification", besides=[noise])
    assert bench.analyze(here.project).state == "done"
    odd = here.tasks[-1]
    (said,) = bench.predictions(odd)
    assert said.score > SURE
    tally = here.approve()
    assert tally.left["an outlier"] == 1
    assert tally.approved > 30
    assert not here.annotations(odd)


def test_a_label_is_looked_at_where_none_was_before(bench: Bench):
    here = unlabelled(bench, 3, seed=90)
    assert bench.analyze(here.project).state == "done"
    bench.settle(here.project)
    task, scene = here.tasks[0], scenes(3, seed=90)[0]
    bench.client.annotations.create(id=task, result=human_result("detection", wrong_class(scene)))
    wait_for(lambda: bench.flag(task) == "needs-review", "the flag")
    bench.settle(here.project)
    assert here.approve().looked_at == 2


def test_classes_are_approved_too(bench: Bench):
    here = unlabelled(bench, 8, seed=3, kind="classification")
    assert here.approve().approved > 3
    for row, task in enumerate(here.tasks):
        for annotation in here.annotations(task):
            assert annotation["result"][0]["value"]["choices"] == [str(digit(row, 3)[1])]


def test_half_a_label_is_refused(bench: Bench):
    here = unlabelled(bench, 1, seed=88)
    needed = '<TextArea name="note" toName="image" required="true"/></View>'
    config = CONFIGS["detection"].replace("</View>", needed)
    bench.client.projects.update(id=here.project, label_config=config)
    with pytest.raises(ConfigError, match="no model answers for 'note'"):
        ApprovalWork.open(here.services, here.project)


def test_labels_that_no_model_knows_are_approved_without_only_where_they_are_named(bench: Bench):
    here = unlabelled(bench, 1, seed=88)
    config = CONFIGS["detection"].replace("</Rect", '<Label value="smudge"/></Rect')
    bench.client.projects.update(id=here.project, label_config=config)
    with pytest.raises(ConfigError, match="no class for 'smudge', so that"):
        ApprovalWork.open(here.services, here.project)
    (connection,) = bench.client.ml.list(project=here.project)
    bench.client.ml.update(
        id=str(connection.id),
        url=bench.stack.url,
        project=here.project,
        extra_params={"model": MODEL["detection"], "approve_without": ["smudge"]},
    )
    assert ApprovalWork.open(here.services, here.project)


def test_the_command_line_approves_a_selection_and_takes_it_back(bench: Bench):
    here = unlabelled(bench, 4, seed=89)
    assert bench.analyze(here.project).state == "done"
    bench.settle(here.project)
    sure = ("--confidence", "0.7")

    def typed(command: str, *words: str) -> str:
        done = relook(command, str(here.project), *words, **bench.asking)
        assert done.returncode == 0, done.stderr
        bench.settle(here.project)
        return done.stderr

    dry = re.search(
        r"such as tasks (.+)\n(?s:.*)(\d) of 4 tasks would be", typed("approve", *sure, "--dry-run")
    )
    assert dry
    would = [int(task) for task in dry[1].split(", ")]
    assert len(would) == int(dry[2]) > 1
    assert here.labelled() == []
    first, last = would[0], would[-1]
    assert "1 task approved" in typed("approve", *sure, "--task", f"{first},{first}")
    assert here.labelled() == [first]
    only_last = {"filter": "filter:tasks:id", "operator": "equal", "type": "Number", "value": last}
    filters = json.dumps({"conjunction": "and", "items": [only_last]})
    said = typed("approve", *sure, "--filter", filters)
    assert "1 task approved" in said
    assert here.labelled() == [first, last]
    named = re.search(rf"`relook approve-undo {here.project} (\S+)`", said)
    assert named
    typed("approve", *sure)
    assert here.labelled() == would
    # The one that is named, then the newest.
    said = typed("approve-undo", named[1])
    assert f"batch {named[1]}: 1 task without a label again" in said
    while here.labelled():
        assert "without a label again" in typed("approve-undo")
    again = relook("approve-undo", str(here.project), **bench.asking)
    assert again.returncode == 2
    assert "has no batch" in again.stderr
    assert "0 tasks approved" in typed("approve", "--task", "999999999")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--filter", "{"), "--filter is not JSON"),
        (("--filter", "[]"), "--filter must be"),
        (("--filter", '{"conjunction": "and", "items": [{"filter": "x"}]}'), "filter"),
        (("--filter", '{"conjunction": "and", "items": [{"filter": "id"}]}'), "understand"),
        (("--task", "9" * 19), "--task wants"),
        (("--task", "1,two"), "not 'two'"),
        (("--task", "1", "--filter", '{"items": []}'), "tasks and filter exclude each other"),
    ],
)
def test_a_wrong_selection_is_one_line(bench, approved, given, said):
    here, _ = approved
    done = relook("approve", str(here.project), *given, "--dry-run", **bench.asking)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
