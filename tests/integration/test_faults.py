"""Label Studio fails, forgets or changes under a run: no task lost, none written twice."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis
from label_studio_sdk import LabelStudio
from pydantic import SecretStr

from ml_backend.demo.labelstudio import LabelStudioServer
from ml_backend.demo.projects import create_project
from ml_backend.errors import BatchError
from ml_backend.jobs.acting.book import Action, ActionBook, Wish
from ml_backend.jobs.acting.queueing import enqueue
from ml_backend.jobs.batches.work import Batches
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.queues.ranges import SHARD
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.jobs.runs.run import ENDED, Run
from ml_backend.labelstudio.client import connect
from ml_backend.labelstudio.tasks import listing
from ml_backend.labelstudio.tasks.changes import last_change, read_changes, read_states
from ml_backend.labelstudio.writer import create_predictions
from ml_backend.processes import ChildProcess
from ml_backend.services import Services
from ml_backend.settings import ServiceSettings
from tests.faulty_proxy import FaultyProxy
from tests.integration.conftest import MODELS, wait_for
from tests.integration.people import Person
from tests.integration.samples import right, scenes, wrong_class
from tests.nursery import ForkedWorker

WRONG, RIGHT = 4, 2
IMPORT = r"POST /api/projects/\d+/import/predictions"
ACTION = r"POST /api/dm/actions"
TASKS = r"GET /api/tasks"
READ = r"GET /api/tasks.*fields=all"
ANSWER = r"POST /api/tasks/\d+/annotations"
CLEARING = r"POST /api/dm/actions.*id=delete_tasks_predictions"


@dataclass
class Site:
    """A real Label Studio behind a faulty proxy, a Redis, and workers that look through it."""

    label_studio: LabelStudioServer
    proxy: FaultyProxy
    redis_url: str
    folder: Path
    client: LabelStudio
    workers: list[ChildProcess] = field(default_factory=list)

    @property
    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url)

    @property
    def mailbox(self) -> Mailbox:
        return Mailbox(self.redis)

    @property
    def book(self) -> RunBook:
        return RunBook(self.redis)

    @property
    def graph(self) -> RunGraph:
        return RunGraph(self.mailbox, self.book)

    def settings(self, token: str | None = None) -> ServiceSettings:
        return ServiceSettings(
            LABEL_STUDIO_URL=self.proxy.url,
            LABEL_STUDIO_API_KEY=SecretStr(token or self.label_studio.token()),
            REDIS_URL=SecretStr(self.redis_url),
            data_dir=self.folder,
            model_dir=MODELS,
            threads=1,
            reconcile_s=86_400,
        )

    def work(self, token: str | None = None, **more: str) -> None:
        environment = {**os.environ, **self.settings(token).environment(), **more}
        log = self.folder / "worker.log"
        self.workers.append(ForkedWorker("tests.integration.quick_worker", log, environment))

    def stop_workers(self) -> None:
        while self.workers:
            self.workers.pop().stop()

    def project(self, wrong: int = WRONG, good: int = RIGHT) -> tuple[int, list[int]]:
        drawn = scenes(wrong + good, seed=81)
        tasks = [wrong_class(one) for one in drawn[:wrong]] + [right(one) for one in drawn[wrong:]]
        made, ids = create_project(self.client, self.label_studio.url, "detection", "Faults", tasks)
        self.connect(made, {"model": "digits-detect.pt"})
        return made, ids

    def batches(self, project: int) -> Batches:
        return Batches(Services(self.settings()), project)

    def act(self, project: int, action: str, **wish: Any) -> str:
        """Give an action to the workers."""
        opened = ActionBook(self.redis).open(project, Wish(action, **wish), 0)
        enqueue(self.mailbox, "act", opened.id)
        return opened.id

    def acted(self, action: str) -> Action:
        """Wait for an action's end; raise what it failed of."""
        book = ActionBook(self.redis)
        wait_for(lambda: book.read(action).ended, f"the end of action {action}", 180)
        if (found := book.read(action)).state == "failed":
            raise BatchError(found.said)
        return found

    def connect(self, project: int, settings: dict[str, str]) -> None:
        """Connect a backend that is away by now: nobody here talks to one."""
        with _backend() as url:
            self.client.ml.create(url=url, project=project, title="Relook", extra_params=settings)
        for webhook in self.client.webhooks.list(project=str(project)):
            self.client.webhooks.delete(id=int(webhook.id or 0))
        self.mailbox.remember_setup(project, settings)

    def ended(self, run: Run, timeout: float = 180) -> Run:
        wait_for(lambda: self.book.read(run.id).state in ENDED, f"the end of {run}", timeout)
        return self.book.read(run.id)

    def assert_whole(self, project: int, ids: list[int], wrong: int = WRONG) -> None:
        """Each wrong task flagged with all that belongs to it, one pre-label per task."""
        found: Any = self.client.tasks.list(project=project, fields="all", page_size=200)
        tasks = {task.id: task for task in found}
        assert set(tasks) == set(ids)
        made = Counter((one.task, one.model_version) for one in predictions(self, project))
        assert set(made.values()) == {1}, made
        for at, task in enumerate(ids):
            own = {k: v for k, v in tasks[task].data.items() if k.startswith("relook_")}
            assert any(of == task and "digits" in str(version) for of, version in made)
            if at < wrong:
                assert own["relook_flag"] == "needs-review", own
                assert all(own[f"relook_{name}"] for name in ("priority", "kind", "reason", "seen"))
            else:
                assert own.get("relook_flag") in (None, ""), own


class _Agreeing(BaseHTTPRequestHandler):
    """Answers whatever Label Studio asks before it takes a connection."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _backend() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Agreeing) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def predictions(site: Site, project: int) -> list[Any]:
    return list(site.client.predictions.list(project=project))


@pytest.fixture(scope="module")
def site(
    label_studio: LabelStudioServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("faults")
    direct = ServiceSettings(
        LABEL_STUDIO_URL=label_studio.url, LABEL_STUDIO_API_KEY=SecretStr(label_studio.token())
    )
    with EmbeddedRedis(folder / "redis") as server, FaultyProxy(label_studio.port) as proxy:
        made = Site(label_studio, proxy, server.url, folder, connect(direct))
        try:
            yield made
        finally:
            made.stop_workers()


@pytest.fixture
def worker(site: Site) -> Site:
    """The site with one worker, which stays warm from test to test."""
    site.proxy.clear()
    if not site.workers:
        site.work()
    return site


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 429, "headers": (("Retry-After", "1"),)},
        {"kind": "status", "status": 429},
        {"kind": "hang", "seconds": 6},
        {"kind": "cut"},
        {"kind": "cut answer"},
    ],
    ids=lambda fault: f"{fault['kind']} {fault.get('status', '')}{len(fault.get('headers', ()))}",
)
def test_requests_that_fail_are_made_up_for(worker: Site, fault: dict[str, Any]):
    project, ids = worker.project()
    faults = [worker.proxy.add(what, **fault) for what in (IMPORT, ACTION, TASKS)]
    run = worker.ended(worker.graph.start(project))
    assert (run.state, run.errors, run.flagged) == ("done", {}, WRONG)
    worker.assert_whole(project, ids)
    assert all(one.met == 1 for one in faults)


@pytest.mark.parametrize(
    ("call", "at"),
    [(IMPORT, 1), (IMPORT, 2), (ACTION, 1), (ACTION, 4)],
    ids=["pre-labels", "suggestions", "the first field", "a later field"],
)
def test_a_worker_that_is_killed_in_its_writes_is_made_up_for(worker: Site, call: str, at: int):
    """Label Studio takes what was sent; nobody is left to read its answer."""
    project, ids = worker.project()
    if at > 1:
        worker.proxy.add(call, "call", times=at - 1, action=lambda: None)
    fault = worker.proxy.add(call, "call", action=lambda: worker.workers.pop().kill())
    started = worker.graph.start(project)
    wait_for(lambda: fault.met and not worker.workers, "the worker's end", 180)
    # From this thread: a child ends with the thread that started it.
    worker.work()
    run = worker.ended(started)
    assert (run.state, run.errors, run.flagged) == ("done", {}, WRONG)
    worker.assert_whole(project, ids)


@pytest.mark.parametrize("stage", ["listing", "fitting", "finishing", "projecting"])
def test_a_worker_that_is_killed_in_a_step_over_the_project_is_made_up_for(
    worker: Site, stage: str
):
    """Killed as Label Studio is first asked for something in that stage."""
    project, ids = worker.project()
    one_at_a_time = threading.Lock()

    def kill() -> None:
        (run,) = worker.book.of_project(project)
        with one_at_a_time:
            if run.stage == stage and worker.workers:
                worker.workers.pop().kill()

    worker.proxy.add(".", "call", times=10_000, action=kill)
    started = worker.graph.start(project)
    wait_for(lambda: not worker.workers, "the worker's end", 180)
    worker.proxy.clear()
    worker.work()
    run = worker.ended(started)
    assert (run.state, run.errors, run.flagged) == ("done", {}, WRONG)
    worker.assert_whole(project, ids)


def test_two_lots_of_equal_prelabels_become_one(worker: Site):
    project, ids = worker.project()
    worker.ended(worker.graph.start(project))
    body = [
        {"task": one.task, "result": one.result, "score": 0.5, "model_version": one.model_version}
        for one in predictions(worker, project)
    ]
    worker.client.projects.import_predictions(id=project, request=body)
    assert len(predictions(worker, project)) == 2 * len(body)
    run = worker.ended(worker.graph.start(project))
    assert run.state == "done"
    worker.assert_whole(project, ids)


def test_a_prediction_that_the_bulk_import_drops_is_named_by_reading_its_own_tasks(site: Site):
    site.proxy.clear()
    project, ids = site.project()
    good: Any = [
        {
            **{"from_name": "label", "to_name": "image", "type": "rectanglelabels"},
            **{"original_width": 128, "original_height": 128, "id": "a"},
            "value": {"x": 10, "y": 10, "width": 9, "height": 9, "rectanglelabels": ["3"]},
        }
    ]
    bad = [{**good[0], "value": {**good[0]["value"], "rectanglelabels": ["no such label"]}}]
    made = {task: (bad if task == ids[1] else good, 0.5) for task in ids}
    # Another of that version stands on it already, saying something else.
    site.client.predictions.create(task=ids[1], result=good, score=0.1, model_version="tried@1")
    refused = create_predictions(connect(site.settings()), project, "tried@1", made)
    assert refused == [ids[1]]
    stand = Counter(one.task for one in predictions(site, project))
    assert stand == dict.fromkeys(ids, 1)
    assert not [said for said in site.proxy.requests if said.startswith("GET /api/predictions")]
    assert sum(bool(re.match(IMPORT, said)) for said in site.proxy.requests) == 1


def test_a_task_that_is_deleted_under_a_listing_hides_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    site.proxy.clear()
    project, ids = site.project()
    monkeypatch.setattr(listing, "_PAGE", 2)
    client = connect(site.settings())

    def delete(task: int) -> None:
        site.client.tasks.delete(id=str(task))

    def on_the_second_page(task: int) -> None:
        site.proxy.clear()
        site.proxy.add(TASKS, "call", action=lambda: None)
        site.proxy.add(TASKS, "call", action=lambda: delete(task))

    on_the_second_page(ids[0])
    assert set(read_states(client, project).task.tolist()) >= set(ids[1:])
    on_the_second_page(ids[1])
    assert set(read_changes(client, project, "2000-01-01T00:00:00.000000Z")) >= set(ids[2:])
    assert last_change(client, project) > "2026"


def test_a_project_that_is_deleted_under_a_run_ends_it(worker: Site):
    project, _ = worker.project()
    worker.proxy.add(ACTION, "call", action=lambda: worker.client.projects.delete(id=project))
    run = worker.ended(worker.graph.start(project))
    assert run.state == "failed"
    assert f"project {project}" in run.errors["run"]
    assert "404" in run.errors["run"]
    assert worker.mailbox.runs.count == 0


def test_a_config_that_changes_under_a_run_is_what_counts_at_its_end(worker: Site):
    project, ids = worker.project()
    config = worker.client.projects.get(id=project).label_config
    # The same labels in another order: what was kept as "label 3" is another one now.
    labels = re.findall(r"<Label [^>]*/>", config)
    turned = config.replace("".join(labels), "".join(reversed(labels)))
    assert turned != config

    def change() -> None:
        worker.client.projects.update(id=project, label_config=turned)

    worker.proxy.add(IMPORT, "call", action=change)
    run = worker.ended(worker.graph.start(project))
    assert (run.state, run.attempt, run.flagged) == ("done", 1, WRONG)
    assert any("begun anew" in line for line in run.log)
    worker.assert_whole(project, ids)


def test_settings_that_change_under_a_run_are_what_counts_at_its_end(worker: Site):
    project, ids = worker.project()

    def change() -> None:
        worker.mailbox.remember_setup(
            project, {"model": "digits-detect.pt", "review_threshold": 1.0}
        )

    worker.proxy.add(ACTION, "call", action=change)
    run = worker.ended(worker.graph.start(project))
    assert (run.state, run.attempt, run.flagged) == ("done", 1, 0)
    flags = [worker.client.tasks.get(id=str(task)).data.get("relook_flag") for task in ids]
    assert "needs-review" not in flags
    gone = worker.ended(worker.graph.start(project))
    assert gone.state == "done"


def test_a_config_that_nothing_can_serve_any_more_ends_the_run(worker: Site):
    project, _ = worker.project()
    text = '<View><Text name="t" value="$image"/><TextArea name="a" toName="t"/></View>'
    made = worker.client.projects

    def change() -> None:
        for annotation in worker.client.tasks.list(project=project, fields="all"):
            worker.client.tasks.delete(id=str(annotation.id))
        made.update(id=project, label_config=text)

    worker.proxy.add(IMPORT, "call", action=change)
    run = worker.ended(worker.graph.start(project))
    assert run.state == "failed"
    assert "no control tag that Relook serves" in run.errors["run"]


def test_a_label_studio_that_crashes_under_a_run_comes_back_and_the_run_goes_on(worker: Site):
    project, ids = worker.project()
    crashed = threading.Event()

    def crash() -> None:
        worker.label_studio.kill()
        crashed.set()

    worker.proxy.add(ACTION, "call", action=crash)
    started = worker.graph.start(project)
    wait_for(crashed.is_set, "the crash", 180)
    # From this thread: a child ends with the thread that started it.
    worker.label_studio.start()
    run = worker.ended(started)
    assert (run.state, run.errors, run.flagged) == ("done", {}, WRONG)
    worker.assert_whole(project, ids)


@pytest.fixture
def small_disk(site: Site) -> Iterator[Path]:
    """The store on a disk of 3 MiB, with an empty cache of models' answers."""
    site.stop_workers()
    folder = site.folder / "store"
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "relook-test", str(folder)]
    made = subprocess.run(mount, check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"needs the right to mount a small disk: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        site.stop_workers()
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_the_run_with_its_name_and_a_retry_goes_on(small_disk: Path, worker: Site):
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"\0" * 4096)
            except OSError:
                break
    project, ids = worker.project()
    run = worker.ended(worker.graph.start(project))
    assert run.state == "failed"
    assert f"{small_disk} cannot be written: No space left on device" in run.errors["run"]
    assert "retry the run" in run.errors["run"]
    ballast.unlink()
    worker.graph.retry(run.id)
    again = worker.ended(run)
    assert (again.state, again.errors, again.flagged) == ("done", {}, WRONG)
    worker.assert_whole(project, ids)
    assert not list(small_disk.rglob("*.part"))


def test_a_token_that_is_revoked_under_a_run_is_named_and_a_new_one_goes_on(site: Site):
    site.stop_workers()
    site.proxy.clear()
    project, ids = site.project()
    robot = Person(site.client, site.label_studio.url, "robot")
    token = robot.make_token()

    def revoke() -> None:
        robot.revoke(token)
        # Label Studio lets access tokens that are out live on for minutes; here they end at once.
        site.proxy.add(ACTION, "status", status=401, times=100)

    site.work(token)
    site.proxy.add(ACTION, "call", action=revoke)
    run = site.ended(site.graph.start(project))
    assert run.state == "failed"
    assert "LABEL_STUDIO_API_KEY" in run.errors["run"]
    assert "retry the run" in run.errors["run"]
    assert token not in (site.folder / "worker.log").read_text()
    site.stop_workers()
    site.proxy.clear()
    site.work()
    site.graph.retry(run.id)
    again = site.ended(run)
    assert (again.state, again.errors) == ("done", {})
    site.assert_whole(project, ids)


def test_two_real_workers_on_one_shard_write_everything_once(worker: Site):
    # Those that other tests have killed are still in the book.
    wait_for(lambda: worker.redis.scard("rq:workers") > 0, "the first worker")
    before = worker.redis.smembers("rq:workers")
    worker.work()
    wait_for(lambda: worker.redis.smembers("rq:workers") - before, "the second worker")
    project, ids = worker.project()
    met = []

    def meet(job: str, stage: str) -> None:
        """While one worker is in the midst of a shard, send the other one into it."""
        runs, (run,) = worker.mailbox.runs, worker.book.of_project(project)
        twins = [
            runs.enqueue(
                f"ml_backend.jobs.work.{job}",
                run.id,
                shard,
                job_id=f"{run.id}-0-{stage}-{shard}-twin",
            )
            for shard in worker.graph.checkpoints(run).waiting(stage)
        ]
        wait_for(lambda: any(twin.get_status() != "queued" for twin in twins), "the second worker")
        met.append(stage)

    # The workers also look at what other tests have left.
    for pattern, job, stage in (
        (READ, "predict", "predicting"),
        (ACTION, "score", "scoring"),
    ):
        own = rf"{pattern}.*project={project}\b"
        worker.proxy.add(own, "call", action=lambda job=job, stage=stage: meet(job, stage))
    run = worker.ended(worker.graph.start(project))
    assert met == ["predicting", "scoring"]
    assert (run.state, run.errors, run.flagged) == ("done", {}, WRONG)
    worker.assert_whole(project, ids)


def test_workers_with_disks_of_their_own_share_a_store(site: Site, tmp_path: Path):
    """As on two machines: nothing in common but Redis, Label Studio and the store's folder."""
    site.stop_workers()
    site.proxy.clear()

    def work(name: str) -> None:
        site.work(RELOOK_DATA_DIR=str(tmp_path / name), RELOOK_STORE=str(tmp_path / "store"))

    def analysed(project: int) -> Run:
        run = site.ended(site.graph.start(project))
        assert (run.state, run.errors) == ("done", {})
        return run

    try:
        work("first")
        work("second")
        made = [site.project() for _ in range(3)]
        runs = [site.graph.start(project) for project, _ in made]
        for run, (project, ids) in zip(runs, made, strict=True):
            ended = site.ended(run)
            assert (ended.state, ended.errors, ended.flagged) == ("done", {}, WRONG)
            site.assert_whole(project, ids)
        site.stop_workers()
        # A third knows what they have kept, and does none of it again.
        work("third")
        for project, ids in made:
            assert any("predicting: 0 of" in line for line in analysed(project).log)
            site.assert_whole(project, ids)
        assert not (tmp_path / "third" / "store").exists()
    finally:
        site.stop_workers()


def test_a_task_that_fails_holds_up_no_other_event(worker: Site):
    """They are looked at together; when that fails, shard by shard."""
    project, (first,) = worker.project(wrong=1, good=0)
    body: Any = [{"data": worker.client.tasks.get(id=str(first)).data}] * (2 * SHARD)
    made: Any = worker.client.projects.import_tasks(id=project, request=body, return_task_ids=True)
    bad, *good = made.task_ids[0], *made.task_ids[SHARD::40]
    fault = worker.proxy.add(rf"{READ}.*(%5B|\+){bad}%", "status", status=400, times=1000)
    worker.mailbox.pending.add(project, [bad, *good])

    def pending() -> set[int]:
        return set(worker.mailbox.pending.newest(project, 1000))

    wait_for(lambda: pending() == {bad}, "a look at all others", 120)
    # It goes last, so the others may be done a moment before it is tried again.
    wait_for(lambda: fault.met > 1, "another look at it", 120)
    worker.proxy.clear()
    wait_for(lambda: not pending(), "a look at the one that failed", 120)


def send_all(site: Site, project: int) -> dict[int, Any]:
    """Send the queue; return source task to its copy."""
    batch = site.acted(site.act(project, "batch")).batch
    target = int(batch.split("-")[0])
    copies: Any = site.client.tasks.list(project=target, fields="all", page_size=100)
    return {task.data["relook_source_task"]: task for task in copies}


def suggested(copy: Any) -> list[dict]:
    return next(one.result for one in copy.predictions if one.model_version == "relook-suggestion")


@pytest.mark.parametrize("meanwhile", ["added", "edited"])
def test_who_labels_a_source_as_its_answer_is_written_is_not_overwritten(
    worker: Site, meanwhile: str
):
    """Label Studio has taken neither when Relook looks; then it takes both."""
    project, ids = worker.project()
    worker.ended(worker.graph.start(project))
    task = ids[0]
    copy = send_all(worker, project)[task]
    worker.client.annotations.create(id=copy.id, result=suggested(copy))
    (wrong,) = worker.client.tasks.get(id=str(task)).annotations
    others = wrong["result"][1:]

    def label() -> None:
        if meanwhile == "added":
            worker.client.annotations.create(id=task, result=others)
        else:
            worker.client.annotations.update(id=wrong["id"], result=others)

    fault = worker.proxy.add(ANSWER, "call", action=label)
    assert worker.acted(worker.act(project, "sync")).said == "1 answers brought back"
    assert fault.met == 1
    (row,) = worker.batches(project).progress()
    (said,) = row.conflicts.values()
    assert (row.done, row.ready, row.open) == (0, 0, WRONG - 1)
    assert f"task {task}: somebody labelled it while the answer" in said
    held = worker.client.tasks.get(id=str(task)).annotations
    assert others in [one["result"] for one in held]
    # It is not written again.
    assert worker.acted(worker.act(project, "sync")).said == "0 answers brought back"
    assert len(worker.client.tasks.get(id=str(task)).annotations) == len(held)

    # The mend: as it now stands, it goes out again.
    assert worker.acted(worker.act(project, "batch", tasks=(task,))).said == "1 task sent"
    again = worker.client.tasks.list(project=copy.project, fields="all", page_size=100)
    newest = max(again, key=lambda one: one.id)
    label = next(p.result for p in newest.predictions if p.model_version == "current-label")
    assert label == (others if meanwhile == "added" else suggested(copy))
    for row in worker.batches(project).progress():
        assert row.conflicts == {}


@pytest.mark.parametrize(
    ("call", "at"), [(ANSWER, 3), (CLEARING, 1), (IMPORT, 1)], ids=["answers", "clearing", "after"]
)
def test_a_worker_that_is_killed_as_answers_come_back_is_made_up_for(
    worker: Site, call: str, at: int
):
    """So many at once that suggestions go in bulk, and the pre-labels beside them come again."""
    project, ids = worker.project(wrong=20, good=30)
    worker.ended(worker.graph.start(project))
    copies = send_all(worker, project)
    assert len(copies) >= 16, "the fewest that go in bulk"
    for copy in copies.values():
        worker.client.annotations.create(id=copy.id, result=suggested(copy))
    if at > 1:
        worker.proxy.add(call, "call", times=at - 1, action=lambda: None)
    fault = worker.proxy.add(call, "call", action=lambda: worker.workers.pop().kill())
    target = next(iter(copies.values())).project
    worker.mailbox.pending.add(target, [copy.id for copy in copies.values()])

    def back() -> bool:
        tasks: Any = worker.client.tasks.list(project=project, page_size=100)
        return sum(task.total_annotations for task in tasks) == len(ids) + len(copies)

    if call != ANSWER:
        wait_for(back, "the answers", 180)
        worker.mailbox.pending.add(project, copies)
    wait_for(lambda: fault.met and not worker.workers, "the worker's end", 180)
    # From this thread: a child ends with the thread that started it.
    worker.work()
    if call == ANSWER:
        wait_for(back, "the answers", 180)
        worker.mailbox.pending.add(project, copies)

    def whole() -> bool:
        made = Counter((one.task, one.model_version) for one in predictions(worker, project))
        tasks: Any = worker.client.tasks.list(project=project, page_size=100)
        flags = [task.data.get("relook_flag") for task in tasks]
        return len(made) == len(ids) and flags.count("corrected") == len(copies)

    wait_for(whole, "verdicts, and one prediction a task", 180)
    made = Counter((one.task, one.model_version) for one in predictions(worker, project))
    assert set(made.values()) == {1}
    assert not any(version == "relook-suggestion" for _, version in made)
    assert {task for task, _ in made} == set(ids)
    tasks: Any = worker.client.tasks.list(project=project, fields="all", page_size=100)
    for task in tasks:
        assert len(task.annotations) == (2 if task.id in copies else 1)
