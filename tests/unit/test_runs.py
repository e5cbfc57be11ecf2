"""How runs are written down: one is current, whatever dies, and what begins them is never lost."""

import sys
import time
from contextlib import suppress
from threading import Timer

import numpy as np
import pytest
import redis

from ml_backend.errors import RunError
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.jobs.runs.jobs import RunJobs
from ml_backend.jobs.runs.run import ENDED
from ml_backend.jobs.runs.schedule import begin_if_changed, begin_if_due
from ml_backend.labelstudio.tasks.selection import Selection

CONFIG = (
    '<View><Image name="i" value="$image"/><Choices name="c" toName="i">'
    '<Choice value="a"/>{}</Choices></View>'
)
OTHER = CONFIG.format('<Choice value="b"/>')


class Dying(redis.Redis):
    """A connection that breaks before an exchange: as a process that dies there leaves it."""

    left = 0

    def execute_command(self, *asked, **options):
        self._spend()
        return super().execute_command(*asked, **options)

    def pipeline(self, *asked, **options):
        pipe = super().pipeline(*asked, **options)
        execute = pipe.execute

        def spend_and_execute(*some, **more):
            self._spend()
            return execute(*some, **more)

        pipe.execute = spend_and_execute
        return pipe

    def _spend(self):
        if not self.left:
            raise redis.ConnectionError("gone")
        self.left -= 1


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def mailbox(server):
    connection = redis.Redis.from_url(server.url)
    connection.flushall()
    return Mailbox(connection)


@pytest.fixture
def book(mailbox):
    return RunBook(mailbox.redis)


@pytest.fixture
def graph(mailbox, book):
    return RunGraph(mailbox, book)


def states(book, project=7):
    return [run.state for run in book.of_project(project)]


def open_runs(book):
    return {run.decode() for run in book._redis.smembers("relook:runs-open")}


def each_death(server, do):
    """Let ``do`` die before its first exchange with Redis, its second, until it lives."""
    dying = Dying.from_url(server.url)
    for exchanges in range(1, 20):
        dying.left = exchanges
        try:
            do(RunBook(dying))
        except redis.ConnectionError:
            yield
        else:
            return
    raise AssertionError("it never lived")


def test_of_a_begin_that_dies_anywhere_one_run_is_left_under_way(server, book):
    book.open(7)
    deaths = 0
    for _ in each_death(server, lambda dying: dying.open(7)):
        deaths += 1
        (current,) = [run for run in book.of_project(7) if run.state not in ENDED]
        assert book.is_current(current)
        assert open_runs(book) == {current.id}
    assert deaths
    newest, *older = book.of_project(7)
    assert (newest.state, {run.state for run in older}) == ("queued", {"superseded"})
    assert open_runs(book) == {newest.id}
    assert all(run.ended for run in older)


def test_a_run_that_is_taken_up_dies_in_no_other_way(server, book):
    first = book.open(7)
    book.close(first.id, "cancelled")
    book.open(7)

    def take_up(dying):
        with suppress(RunError):  # it was taken up, and the answer was lost
            dying.reopen(first.id, "scoring")

    for _ in each_death(server, take_up):
        (current,) = [run for run in book.of_project(7) if run.state not in ENDED]
        assert open_runs(book) == {current.id}
    assert states(book) == ["queued", "superseded"]
    assert book.is_current(book.read(first.id))


def test_of_two_who_take_a_run_up_one_does(mailbox, book, graph):
    run = graph.start(7)
    graph.cancel(run.id)
    read = book.read

    def read_slowly(wanted):
        stands = read(wanted)
        book.read = read
        graph.retry(wanted)
        return stands

    book.read = read_slowly
    with pytest.raises(RunError, match="is still queued"):
        graph.retry(run.id)
    assert (book.read(run.id).attempt, mailbox.runs.count) == (1, 1)


def test_why_a_run_failed_is_said_however_many_tasks_have_errors(book, graph):
    run = graph.start(7)
    book.note_errors(run.id, {str(task): f"task {task}: broken" for task in range(999)})
    assert "more" not in book.read(run.id).errors
    book.note_errors(run.id, {"1000": "task 1000: broken", "1001": "task 1001: broken"})
    graph.fail(run, "the model is gone")
    errors = book.read(run.id).errors
    assert (errors["run"], len(errors)) == ("the model is gone", 1002)
    assert errors["more"].startswith("more than 1000 tasks")


def test_what_an_older_version_left_under_way_is_ended(mailbox, book, graph):
    left, current = book.open(7), graph.start(7)
    mailbox.redis.hset(f"relook:run:{left.id}", "state", "running")
    mailbox.redis.sadd("relook:runs-open", left.id)
    graph.heal(-1)
    assert states(book) == ["queued", "superseded"]
    assert open_runs(book) == {current.id}
    assert {job.split("-")[0] for job in mailbox.runs.job_ids} == {current.id}


def test_a_run_takes_away_the_jobs_of_older_runs_and_of_no_newer_one(mailbox, graph):
    older = graph.start(7)
    newer = graph.start(7)
    # The older one was slow to look what it supersedes.
    graph._remove_older(older)
    assert {job.split("-")[0] for job in mailbox.runs.job_ids} == {newer.id}


def test_a_job_on_its_way_to_a_worker_is_not_taken_for_lost(mailbox, graph):
    graph.start(7)
    registry = mailbox.runs.started_job_registry
    job = mailbox.redis.lpop(mailbox.runs.key).decode()
    beginning = Timer(0.05, mailbox.redis.zadd, (registry.key, {f"{job}:1": time.time() + 60}))
    beginning.start()
    graph.heal(-1)
    beginning.join()
    assert registry.get_job_ids() == [job]
    assert not mailbox.runs.job_ids
    mailbox.redis.delete(registry.key)
    graph.heal(-1)
    assert mailbox.runs.job_ids == [job]


def test_a_run_that_had_left_the_list_is_on_it_again_once_it_is_taken_up(book):
    old = book.open(7)
    for _ in range(60):
        book.open(7)
    assert old.id not in book.ids_of(7)
    for _ in range(2):
        book.reopen(old.id, "listing")
        book.close(old.id, "cancelled")
    ids = book.ids_of(7)
    assert (ids[0], ids.count(old.id), len(ids)) == (old.id, 1, 50)


def test_a_run_that_never_became_current_holds_back_no_periodic_one(mailbox, book):
    mailbox.remember_setup(7, {"analyze_every_hours": 1})
    dead = book.open(7)
    mailbox.redis.delete("relook:run-of:7", "relook:runs-open")
    mailbox.redis.hset(f"relook:run:{dead.id}", "started", dead.started - 7200)
    assert begin_if_due(mailbox, 7)
    assert not begin_if_due(mailbox, 7)
    book.close(book.of_project(7)[0].id, "done")
    # Taken up again, an old run stands in front; the hours are those since the newest.
    book.close(dead.id, "cancelled")
    book.close(book.reopen(dead.id, "listing").id, "done")
    assert not begin_if_due(mailbox, 7)


def test_the_last_whole_run_is_known_when_it_has_long_left_the_list(mailbox, book):
    mailbox.remember_setup(7, {"analyze_every_hours": 1000})
    whole = book.open(7)
    book.close(whole.id, "done")
    for _ in range(60):
        book.close(book.open(7, Selection("tasks 1", tasks=[1])).id, "done")
    # As time does.
    mailbox.redis.delete(f"relook:run:{whole.id}")
    assert not begin_if_due(mailbox, 7)
    mailbox.remember_setup(7, {"analyze_every_hours": 1})
    mailbox.redis.zincrby("relook:whole-runs", -7200, "7")
    assert begin_if_due(mailbox, 7)


def test_a_run_whose_place_another_took_is_no_whole_run(mailbox, book):
    mailbox.remember_setup(7, {"analyze_every_hours": 1})
    book.open(7)
    book.close(book.open(7, Selection("tasks 1", tasks=[1])).id, "done")
    assert begin_if_due(mailbox, 7)


def test_what_a_run_rests_on_vanishes_only_after_its_end(mailbox, book, graph):
    run, tasks = book.open(7, Selection("tasks 1", tasks=[1])), np.arange(1, 5, dtype=np.int64)
    checkpoints = graph.checkpoints(run)
    with mailbox.redis.pipeline() as pipe:
        checkpoints.keep_chosen(tasks, pipe)
        checkpoints.keep_all(tasks, pipe)
        for stage in ("predicting", "scoring"):
            checkpoints.keep(stage, {0: tasks[:1], 1: tasks[1:2], 2: tasks[2:]}, pipe)
        pipe.execute()
    checkpoints.give_up("predicting", 0)
    checkpoints.give_up("predicting", 1)
    checkpoints.check_off("predicting", 2)

    def left_days():
        keys = [key.decode() for key in mailbox.redis.keys(f"relook:run:{run.id}*")]
        found = {key.removeprefix(f"relook:run:{run.id}"): mailbox.redis.ttl(key) for key in keys}
        return {key: left / (24 * 3600) for key, left in found.items() if key != ":log"}

    assert len(left_days()) == 8
    assert set(left_days().values()) == {-1 / (24 * 3600)}
    book.close(run.id, "cancelled")
    checkpoints.check_off("scoring", 0)
    ended = left_days()
    assert ended.pop("") == ended.pop(":over") == pytest.approx(30, abs=0.1)
    assert ended.pop(":done:scoring") == pytest.approx(30, abs=0.1)
    assert list(ended.values()) == pytest.approx([7] * 6, abs=0.1)
    graph.retry(run.id)
    assert set(left_days().values()) == {-1 / (24 * 3600)}
    assert checkpoints.waiting("predicting") == [0, 1]
    book.open(7)
    assert min(left_days().values()) > 6


def test_what_a_run_that_is_gone_still_does_leaves_nothing(mailbox, book, graph):
    run = book.open(7)
    book.close(run.id, "cancelled")
    mailbox.redis.delete(f"relook:run:{run.id}")
    checkpoints = graph.checkpoints(run)
    assert not checkpoints.check_off("predicting", 0, 3)
    checkpoints.give_up("predicting", 1)
    assert not mailbox.redis.keys(f"relook:run:{run.id}*")


def test_a_run_that_is_taken_up_again_may_change_as_often_as_a_new_one(book, graph):
    run = book.open(7)
    for _ in range(3):
        graph.begin_anew(book.read(run.id))
    book.close(run.id, "failed")
    graph.retry(run.id)
    assert book.renew(book.read(run.id)) == 1


def test_a_jobs_twin_that_comes_late_changes_nothing(book, graph):
    """A queue may lose a job on its way to a worker: enqueued again, it is done twice at once."""
    queued, tasks = book.open(7), np.arange(1, 5, dtype=np.int64)
    assert graph.begin(queued, 1, tasks, {0: tasks}, tasks[:2])
    checkpoints = graph.checkpoints(queued)
    assert not graph.begin(queued, 2, tasks, {}, tasks[:0])
    assert (book.basis(queued.id), checkpoints.waiting("predicting")) == (1, [0])
    assert checkpoints.chosen().tolist() == [1, 2]
    graph.shard_done(book.read(queued.id), 0, 4)
    fitting = book.read(queued.id)
    assert (fitting.stage, fitting.total) == ("fitting", 4)
    assert not graph.begin(queued, 2, tasks, {}, None)
    assert not graph.resume(queued)
    assert graph.begin_scoring(fitting, 0, {0: tasks})
    graph.shard_done(book.read(queued.id), 0, 4, flagged=3)
    assert not graph.begin_scoring(fitting, 0, {0: tasks})
    graph.go_on(fitting)
    graph.fail(fitting, "too late")
    graph.begin_anew(fitting)
    now = book.read(queued.id)
    assert (now.state, now.stage, now.flagged, now.errors) == ("running", "finishing", 3, {})
    assert not checkpoints.waiting("scoring")


def test_an_attempt_that_was_cancelled_does_not_end_the_next_one(book, graph):
    run, tasks = book.open(7), np.arange(1, 5, dtype=np.int64)
    assert graph.begin(run, 1, tasks, {0: tasks}, None)
    graph.shard_given_up(book.read(run.id), 0)
    assert graph.begin_scoring(book.read(run.id), 0, {})
    graph.go_on(book.read(run.id))
    last = book.read(run.id)
    assert last.stage == "projecting"
    graph.cancel(run.id)
    again = graph.retry(run.id)
    graph.go_on(last)
    assert book.read(run.id).state == "queued"
    assert graph.checkpoints(run).waiting("predicting") == [0]
    assert graph.resume(again)
    assert (book.read(run.id).stage, book.read(run.id).done) == ("predicting", 0)


def test_a_run_whose_worker_dies_as_a_stage_begins_is_found_without_jobs(
    mailbox, book, graph, monkeypatch
):
    run, tasks = book.open(7), np.arange(1, 5, dtype=np.int64)
    monkeypatch.setattr(RunJobs, "enqueue", lambda *_: sys.exit())
    with pytest.raises(SystemExit):
        graph.begin(run, 1, tasks, {0: tasks}, None)
    monkeypatch.undo()
    graph.heal(-1)
    assert [job.split("-", 1)[1] for job in mailbox.runs.job_ids] == ["0-predicting-0"]


def begun(mailbox, xml):
    return begin_if_changed(mailbox, 7, xml)


@pytest.fixture
def analysed(mailbox, book):
    mailbox.remember_setup(7, None)
    assert not begun(mailbox, CONFIG.format(""))
    book.close(book.open(7).id, "done")


def test_a_change_whose_run_could_not_be_begun_is_still_one(mailbox, book, analysed, monkeypatch):
    def die(*_):
        raise redis.ConnectionError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(RunGraph, "start", die)
        with pytest.raises(redis.ConnectionError):
            begun(mailbox, OTHER)
    assert states(book) == ["done"]
    assert begun(mailbox, OTHER)
    assert not begun(mailbox, OTHER)
    assert states(book) == ["queued", "done"]


def test_of_several_that_are_told_of_a_change_one_begins_a_run(mailbox, book, analysed):
    inner = []

    class Told(Mailbox):
        """Another process is told the same while this one begins its run."""

        @property
        def runs(self):
            if not inner:
                inner.append(begun(mailbox, OTHER))
            return mailbox.runs

        @runs.setter
        def runs(self, queue):
            pass

    assert begun(Told(mailbox.redis), OTHER)
    assert inner == [False]
    assert states(book) == ["queued", "done"]
    # Nor does a change back, or one more.
    assert begun(mailbox, CONFIG.format(""))
