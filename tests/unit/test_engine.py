"""Runs on real RQ workers and a real Redis: cancelled, retried, superseded, killed."""

import itertools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ml_backend.errors import RunError
from ml_backend.jobs.queues.crashes import Crashes
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.runs.run import STAGES
from ml_backend.labelstudio.tasks.selection import Selection
from tests.unit.engine import TASKS, Engine, assert_complete, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def engine(server, tmp_path):
    made = Engine(tmp_path, server.url)
    yield made
    made.stop()


def test_a_run_goes_through_its_stages_and_does_each_shard_once(engine):
    engine.work(2)
    run = engine.ended(engine.graph.start(7))
    assert_complete(engine, run)
    assert run.flagged == TASKS
    assert len(engine.seen("predicting")) == len(engine.seen("scoring")) == TASKS
    # On a full machine the workers come late, and what a run waits for is taken for lost.
    said = [line.split(" ", 1)[1] for line in run.log if "lost jobs" not in line]
    assert said[0] == "predicting: 400 of 400 tasks"
    assert engine.redis.scard("relook:runs-open") == 0


def test_a_run_over_some_of_a_project_does_these_alone_and_settles_nothing(engine):
    engine.work()
    whole = engine.ended(engine.graph.start(7))
    assert (whole.over, engine.redis.exists("t:settled")) == ("", 1)
    engine.redis.delete("t:seen:predicting", "t:seen:scoring")
    run = engine.ended(engine.graph.start(7, Selection("tasks 3, 300, 9999", tasks=[3, 300, 9999])))
    assert (run.state, run.over, run.total, run.errors) == ("done", "tasks 3, 300, 9999", TASKS, {})
    assert engine.seen("predicting") == engine.seen("scoring") == [3, 300]
    assert run.log[0].endswith("over tasks 3, 300, 9999: 2 of 400 tasks")
    assert not engine.redis.exists("t:settled")
    whole = engine.ended(engine.graph.start(7))
    assert set(engine.seen("scoring")) == set(range(1, TASKS + 1))
    assert engine.redis.exists("t:settled")


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_killed_in_any_stage_costs_nothing_but_time(engine, stage):
    engine.redis.set(f"t:kill:{stage}", 1)
    engine.work()
    assert_complete(engine, engine.ended(engine.graph.start(7)))


def test_a_task_that_kills_every_worker_is_given_up_by_name_and_the_others_are_done(engine):
    engine.redis.sadd("t:poison", 17)
    engine.work()
    run = engine.ended(engine.graph.start(7))
    assert run.state == "done"
    assert set(run.errors) == {"17"}
    assert "task 17: given up" in run.errors["17"]
    assert set(engine.seen("scoring")) == set(range(1, TASKS + 1)) - {17}
    # A new run does not bring it back, a retry does, once it is mended.
    engine.redis.srem("t:poison", 17)
    assert set(engine.ended(engine.graph.start(7)).errors) == {"17"}
    engine.graph.retry(run.id)
    assert_complete(engine, engine.ended(run))


def test_a_task_that_was_given_up_has_another_chance_whatever_goes_on_beside_it(engine):
    crashes, done = Crashes(engine.redis), []
    engine.redis.hset("relook:crashed:7", "17", 3)
    engine.redis.expire("relook:crashed:7", 2)
    given_up = crashes.each(7, np.array([5, 17]), lambda some: done.extend(some.tolist()))
    assert (done, set(given_up)) == ([5], {"17"})
    time.sleep(2.1)
    assert crashes.each(7, np.array([17]), lambda some: done.extend(some.tolist())) == {}
    assert (done, engine.redis.exists("relook:crashed:7")) == ([5, 17], 0)


def test_a_step_that_kills_every_worker_ends_the_run_with_its_name(engine):
    engine.redis.set("t:kill:fitting", 99)
    engine.work()
    run = engine.ended(engine.graph.start(7))
    assert run.state == "failed"
    assert f"fitting of run {run.id} is given up" in run.errors["run"]


def test_events_that_kill_workers_in_the_midst_of_a_step_are_not_its_fault(engine):
    engine.redis.set("t:slow:fitting", 2)
    engine.work()
    run = engine.graph.start(7)

    def fitted(times):
        engine.tend()
        return len(engine.seen("fitting")) >= times

    for times in (1, 2, 3):
        wait_for(lambda: fitted(times), f"step {times}")  # noqa: B023
        engine.redis.set("t:kill:scoring", 1)
        engine.mailbox.pending.add(9, [5000 + times])
    run = engine.ended(run)
    assert (run.state, run.errors) == ("done", {})
    assert len(engine.seen("fitting")) == 4


def test_a_model_that_kills_every_worker_is_given_up_by_events_until_a_run_opens_it(engine):
    engine.redis.set("t:kill:opening", 99)
    engine.mailbox.pending.add(9, [5000])
    engine.work()

    def given_up():
        engine.tend()
        return "opening project 9 is given up" in (engine.folder / "worker.log").read_text()

    wait_for(given_up, "the end of it", 180)
    assert int(engine.redis.get("t:kill:opening")) == 96
    engine.redis.delete("t:kill:opening")
    assert engine.ended(engine.graph.start(9)).state == "done"
    engine.mailbox.pending.add(9, [5001])
    wait_for(lambda: {5000, 5001} <= set(engine.seen("scoring")), "the events' work")


def test_what_comes_while_a_run_learns_is_learnt_from_by_the_next(engine):
    engine.redis.set("t:slow:fitting", 2)
    engine.work()
    run = engine.graph.start(7)
    wait_for(lambda: engine.seen("fitting"), "its learning")
    engine.mailbox.pending.add(7, [5])
    assert engine.ended(run).state == "done"
    assert not engine.redis.exists("t:settled")
    # What comes before it learns holds back nothing.
    engine.mailbox.pending.add(7, [6])
    wait_for(lambda: not engine.mailbox.pending.newest(7, 100), "the event's work")
    assert engine.ended(engine.graph.start(7)).state == "done"
    assert engine.redis.exists("t:settled")


def test_no_event_writes_a_task_while_a_run_compares_it(engine):
    engine.redis.set("t:slow:comparing", 8)
    engine.work(2)
    run = engine.graph.start(7)
    wait_for(lambda: engine.seen("comparing"), "the comparison")
    engine.mailbox.pending.add(9, [5000])
    wait_for(lambda: 5000 in engine.seen("scoring"), "another project's event", 6)
    engine.mailbox.pending.add(7, [5])
    time.sleep(1)
    assert 5 not in engine.seen("scoring")
    assert engine.ended(run).state == "done"
    wait_for(lambda: engine.seen("scoring").count(5) == 2, "the event's own work")


def test_a_cancelled_run_stops_and_a_retry_does_only_the_rest(engine):
    engine.redis.set("t:slow", 0.5)
    engine.work()
    run = engine.graph.start(7)
    wait_for(lambda: len(engine.seen("predicting")) >= 128, "a shard of predictions")
    engine.graph.cancel(run.id)
    assert engine.mailbox.runs.count == 0
    time.sleep(1.5)
    before = engine.seen("predicting")
    assert len(before) < TASKS
    assert engine.book.read(run.id).state == "cancelled"
    engine.redis.set("t:slow", 0)
    again = engine.graph.retry(run.id)
    assert (again.id, again.attempt) == (run.id, 1)
    assert_complete(engine, engine.ended(run))
    # What was done before was not done again, but for the shard whose end was cut off.
    assert len(engine.seen("predicting")) <= TASKS + 128
    assert len(engine.seen("listing")) == 1


def test_the_newest_run_wins_and_runs_never_overlap(engine):
    engine.redis.set("t:slow", 0.4)
    engine.work(2)
    first = engine.graph.start(7)
    wait_for(lambda: engine.seen("predicting"), "the first run's work")
    second, third = engine.graph.start(7), engine.graph.start(7)
    assert engine.ended(first).state == engine.ended(second).state == "superseded"
    wait_for(lambda: engine.book.read(third.id).state == "running", "the newest run")
    working = engine.mailbox.runs.started_job_registry.get_job_ids(cleanup=False)
    assert all(job.startswith(third.id) for job in working)
    assert engine.ended(third).state == "done"


def test_runs_that_begin_one_after_the_other_never_wait_for_each_other(engine):
    # One shard, so that the second worker is free for the second run.
    engine.redis.set("t:tasks", 10)
    engine.redis.set("t:slow:predicting", 4)
    engine.work(2)
    engine.graph.start(7)
    wait_for(lambda: engine.seen("predicting"), "the first run's work")
    second = engine.graph.start(7)

    def waits():
        at_work = engine.mailbox.runs.started_job_registry.get_job_ids(cleanup=False)
        return any(job.startswith(second.id) for job in at_work)

    wait_for(waits, "the second run's first job")
    engine.redis.delete("t:slow:predicting")
    third = engine.graph.start(7)
    assert engine.ended(third, 60).state == "done"
    assert engine.book.read(second.id).state == "superseded"


def test_a_run_that_is_taken_up_twice_never_waits_for_itself(engine):
    engine.redis.set("t:tasks", 10)
    engine.redis.set("t:slow:predicting", 4)
    engine.work(2)
    # A second one that comes late finds nothing to wait for.
    wait_for(lambda: engine.redis.scard("rq:workers") == 2, "two workers")
    run = engine.graph.start(7)
    wait_for(lambda: engine.seen("predicting"), "the run's work")
    engine.graph.cancel(run.id)
    engine.graph.retry(run.id)
    at_work = engine.mailbox.runs.started_job_registry.get_job_ids
    wait_for(lambda: f"{run.id}-1-listing-0" in at_work(cleanup=False), "the first retry")
    engine.redis.delete("t:slow:predicting")
    engine.graph.cancel(run.id)
    engine.graph.retry(run.id)
    assert engine.ended(run, 60).state == "done"


def test_a_worker_that_was_cut_off_and_comes_back_does_no_harm(engine):
    engine.redis.set("t:slow:scoring", 3)
    engine.work()
    run = engine.graph.start(7)
    wait_for(lambda: engine.seen("scoring"), "scores")
    *_, frozen = engine.workers[0]
    os.kill(frozen.pid, signal.SIGSTOP)
    engine.redis.delete("t:slow:scoring")
    engine.work()
    # Its lock and its job have lapsed: the other worker ends the run.
    ended = engine.ended(run)
    os.kill(frozen.pid, signal.SIGCONT)
    assert_complete(engine, ended)
    time.sleep(3)
    assert_complete(engine, engine.book.read(run.id))
    assert engine.ended(engine.graph.start(7)).state == "done"


def test_a_step_over_the_whole_project_may_take_as_long_as_its_tasks_need(engine):
    for stage in ("listing", "fitting", "finishing", "projecting"):
        engine.redis.set(f"t:slow:{stage}", 5)
    # Four seconds for a shard, eight for a step over all 400 tasks.
    engine.work(T_SHARD_S="4", T_TASKS_PER_S="100")
    run = engine.ended(engine.graph.start(7))
    assert_complete(engine, run)
    assert not [line for line in run.log if "Tried again" in line]
    assert [len(engine.seen(stage)) for stage in ("listing", "fitting", "projecting")] == [1, 1, 1]


@pytest.mark.parametrize("stage", ["listing", "predicting", "fitting", "projecting"])
def test_a_job_that_hangs_is_ended_and_the_run_goes_on(engine, stage):
    engine.redis.set(f"t:hang:{stage}", 1)
    # Long enough for what does not hang on a full machine.
    engine.work(T_SHARD_S="6", T_TASKS_PER_S="400")
    run = engine.ended(engine.graph.start(7))
    assert_complete(engine, run)
    # Where the map alone failed, the queue stands all the same.
    assert [line for line in run.log if "longer than it may" in line]


def test_a_job_that_hangs_where_no_python_runs_ends_with_its_process(engine):
    engine.redis.set("t:stuck:predicting", 1)
    engine.work(T_SHARD_S="6", T_GRACE_S="2")
    assert_complete(engine, engine.ended(engine.graph.start(7)))
    said = (engine.folder / "worker.log").read_text()
    assert "Timeout (0:00:08)!" in said
    assert "in lock_twice" in said


def listing(engine, pages, seconds):
    """Begin a run whose listing is of so many pages, each of so many seconds; it is at one."""
    engine.redis.set("t:pages", pages)
    engine.redis.set("t:slow:listing", seconds)
    engine.work()
    run = engine.graph.start(7)
    wait_for(lambda: engine.seen("listing"), "the run's first page")
    return run


def test_the_listing_of_a_run_that_was_cancelled_ends_at_its_next_page(engine):
    run = listing(engine, pages=60, seconds=0.3)
    engine.graph.cancel(run.id)
    assert engine.ended(engine.graph.start(8, Selection("tasks 3", tasks=[3])), 60).state == "done"
    assert len(engine.seen("listing")) < 120


def test_an_event_overtakes_a_run_on_its_only_worker(engine):
    engine.redis.set("t:slow", 0.3)
    engine.work()
    run = engine.graph.start(7)
    wait_for(lambda: engine.seen("predicting"), "the run's work")
    taken = []
    for task in range(5000, 5010):
        began = time.monotonic()
        engine.mailbox.pending.add(9, [task])
        wait_for(lambda: task in engine.seen("scoring"), "the event's work")  # noqa: B023
        taken.append(time.monotonic() - began)
    # Two waits of 0.3 s are the stand-in's own: the page under way and the event.
    assert sorted(taken)[5] < 2
    assert engine.book.read(run.id).stage == "predicting"
    engine.graph.cancel(run.id)


def test_events_that_never_end_do_not_hold_up_a_run(engine):
    engine.redis.set("t:slow", 0.1)
    engine.work()
    ended = threading.Event()

    def keep_on():
        for task in itertools.cycle(range(5000, 9000)):
            if ended.wait(0.01):
                return
            engine.mailbox.pending.add(9, [task])

    with ThreadPoolExecutor(1) as annotators:
        annotators.submit(keep_on)
        wait_for(lambda: engine.seen("scoring"), "the events' work")
        try:
            run = engine.ended(engine.graph.start(7))
        finally:
            ended.set()
    assert (run.state, run.errors, run.flagged) == ("done", {}, TASKS)


def test_an_event_overtakes_the_listing_of_a_project(engine):
    run = listing(engine, pages=20, seconds=0.5)
    engine.mailbox.pending.add(9, [5000])
    wait_for(lambda: 5000 in engine.seen("scoring"), "the event's work")
    assert len(engine.seen("listing")) < 20
    engine.graph.cancel(run.id)


def test_an_event_does_not_wait_for_a_run_that_waits_for_another(engine):
    engine.redis.set("t:tasks", 10)
    engine.redis.set("t:hang:predicting", 1)
    engine.work(2)
    first = engine.graph.start(7)
    wait_for(lambda: engine.seen("predicting"), "the first run's work")
    second = engine.graph.start(7)

    def at_work(run):
        jobs = engine.mailbox.runs.started_job_registry.get_job_ids(cleanup=False)
        return any(job.startswith(run.id) for job in jobs)

    wait_for(lambda: at_work(second), "the second run's first job")
    engine.mailbox.pending.add(9, [5000])
    wait_for(lambda: 5000 in engine.seen("scoring"), "the event's work", 20)
    assert at_work(first)
    assert at_work(second)


def test_a_task_that_cannot_be_looked_at_holds_up_no_other(engine):
    engine.redis.sadd("t:refused", 5000)
    # The newest goes first, and fails each time.
    engine.mailbox.pending.add(9, [10])
    engine.mailbox.pending.add(9, [300])
    engine.mailbox.pending.add(9, [5000])
    engine.work()
    wait_for(lambda: {10, 300} <= set(engine.seen("scoring")), "the others' turn", 30)
    engine.redis.delete("t:refused")
    before = len(engine.seen("scoring"))
    wait_for(lambda: 5000 in engine.seen("scoring")[before:], "its own turn", 30)
    wait_for(lambda: engine.mailbox.pending.newest(9, 100) == {}, "an empty mailbox", 30)


def test_what_cannot_be_cancelled_or_retried_is_said(engine):
    with pytest.raises(RunError, match="there is no run 'abc'"):
        engine.graph.cancel("abc")
    run = engine.graph.start(7)
    with pytest.raises(RunError, match="is still queued"):
        engine.graph.retry(run.id)
    engine.work()
    engine.ended(run)
    with pytest.raises(RunError, match="has ended already"):
        engine.graph.cancel(run.id)
    with pytest.raises(RunError, match="left nothing undone"):
        engine.graph.retry(run.id)


def test_jobs_that_vanished_from_the_queue_are_found_missing(engine):
    run = engine.graph.start(7)
    engine.mailbox.runs.empty()
    engine.work()
    assert_complete(engine, engine.ended(run))


def test_a_redis_that_crashes_under_a_run_comes_back_and_the_run_goes_on(tmp_path):
    with EmbeddedRedis(tmp_path / "redis") as server:
        engine = Engine(tmp_path, server.url)
        try:
            engine.redis.set("t:slow", 0.5)
            engine.work(2)
            run = engine.graph.start(7)
            wait_for(lambda: engine.seen("predicting"), "work")
            server.kill()
            time.sleep(2)
            server.start()
            assert_complete(engine, engine.ended(run))
        finally:
            engine.stop()


def test_a_worker_starts_afresh_after_its_jobs_and_when_it_grew(engine):
    engine.redis.set("t:tasks", 10)
    engine.work(RELOOK_WORKER_MAX_JOBS="2")
    assert engine.ended(engine.graph.start(7)).state == "done"
    *_, process = engine.workers[0]
    assert process.running
    engine.stop()
    engine.workers.clear()
    engine.work(RELOOK_WORKER_MAX_MB="1")
    assert engine.ended(engine.graph.start(8)).state == "done"
    assert "starts afresh" in (engine.folder / "worker.log").read_text()


def test_a_worker_that_is_told_to_stop_ends_its_page_and_another_goes_on(engine):
    engine.redis.set("t:slow:predicting", 2)
    engine.work()
    run = engine.graph.start(7)
    wait_for(lambda: engine.seen("predicting"), "work")
    *_, process = engine.workers.pop(0)
    os.kill(process.pid, signal.SIGTERM)
    wait_for(lambda: not process.running, "the worker's end")
    assert len(engine.seen("predicting")) < 128
    assert engine.mailbox.runs.started_job_registry.get_job_ids(cleanup=False) == []
    assert (
        engine.mailbox.runs.count == len(engine.graph.checkpoints(run).waiting("predicting")) == 4
    )
    assert engine.redis.keys("relook:crashed*") == []
    engine.redis.delete("t:slow:predicting")
    engine.work()
    ended = engine.ended(run)
    assert_complete(engine, ended)
    assert not [line for line in ended.log if "Tried again" in line or "lost" in line]


@pytest.mark.parametrize("stage", ["listing", "predicting"])
def test_no_number_of_stops_ends_a_run(engine, stage):
    engine.redis.set("t:pages", 100)
    engine.redis.set(f"t:slow:{stage}", 0.3)
    run = engine.graph.start(7)
    for _ in range(8):
        engine.work()
        before = len(engine.seen(stage))
        wait_for(lambda: len(engine.seen(stage)) > before, "work")  # noqa: B023
        *_, process = engine.workers.pop(0)
        os.kill(process.pid, signal.SIGTERM)
        wait_for(lambda: not process.running, "the worker's end")  # noqa: B023
    engine.redis.delete(f"t:slow:{stage}", "t:pages")
    engine.work()
    assert_complete(engine, engine.ended(run))


def test_of_a_run_that_left_nothing_undone_no_shards_are_kept(engine):
    def kept(run):
        return {key.decode().split(":")[3] for key in engine.redis.keys(f"relook:run:{run.id}:*")}

    engine.work()
    first = engine.ended(engine.graph.start(7))
    assert kept(first) <= {"log", "errors"}
    engine.redis.set("t:slow", 0.3)
    second = engine.graph.start(7)
    wait_for(lambda: engine.seen("predicting")[TASKS:], "the second run's work")
    assert {"tasks", "shards"} <= kept(second)
    engine.graph.cancel(second.id)
    # Kept for a retry; once they are gone too, a retry begins from the beginning.
    assert {"tasks", "shards"} <= kept(second)
    engine.redis.delete(*engine.redis.keys(f"relook:run:{second.id}:[std]*"))
    engine.redis.set("t:slow", 0)
    engine.graph.retry(second.id)
    ended = engine.ended(second)
    assert (ended.state, ended.total, ended.flagged) == ("done", TASKS, TASKS)
    assert len(engine.seen("listing")) == 3


def test_a_run_knows_its_rate_and_time_left(engine):
    book = engine.book
    run = book.open(7)
    checkpoints = engine.graph.checkpoints(run)
    tasks = np.arange(1, 101, dtype=np.int64)
    with engine.redis.pipeline() as pipe:
        checkpoints.keep_all(tasks, pipe)
        checkpoints.keep("scoring", {0: tasks[:25], 1: tasks[25:]}, pipe)
        book.begin_stage(run.id, "scoring", 0, 100, pipe)
        pipe.execute()
    checkpoints.check_off("scoring", 0, tasks=25)
    time.sleep(1.2)
    now = book.read(run.id)
    assert 10 < now.rate < 25
    assert now.left == pytest.approx(75 / now.rate, rel=0.2)
