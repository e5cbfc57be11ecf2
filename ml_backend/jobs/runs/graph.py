"""A run as a graph of RQ jobs, one for each stage or for each shard of it, see ``jobs.work``.

The graph stands in the run's book and checkpoints, not in RQ's dependencies: those are looked
through whole each time a job ends, which a run of ten thousand shards cannot afford, and they
cannot be taken up again. A job that is lost is found missing and enqueued again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from redis.client import Pipeline

from ml_backend.errors import RunError
from ml_backend.jobs.queues.crashes import Crashes, opening
from ml_backend.jobs.queues.limit import allow
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.queues.pulse import LAPSE_S
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.checkpoints import SHARDED, Checkpoints
from ml_backend.jobs.runs.jobs import RunJobs, job_id
from ml_backend.jobs.runs.run import ENDED, STAGES, Run
from ml_backend.labelstudio.tasks.selection import Selection

__all__ = ["RunGraph", "step_name"]

_FOLLOWING: Final = dict(pairwise(STAGES))
#: A run that is begun anew more often than this never ends.
_MOST_CHANGES: Final = 5
_POLL_S: Final = 0.2
#: For so long a worker may have taken a job out of the queue without having begun it.
_ON_ITS_WAY_S: Final = 0.5


class RunGraph:
    """What moves runs.

    Args:
        mailbox: the service's queues.
        book: where runs are written down.
    """

    def __init__(self, mailbox: Mailbox, book: RunBook) -> None:
        self._jobs = RunJobs(mailbox.runs)
        self._book = book
        self._redis = mailbox.redis

    def start(self, project: int, over: Selection | None = None) -> Run:
        """Begin a run, over all of a project or some of it.

        It takes the place of the project's run that is under way.
        """
        run = self._book.open(project, over)
        self._remove_older(run)
        self._jobs.enqueue(run, run.stage, [0])
        return run

    def find(self, run_id: str) -> Run:
        """Return a run as it stands.

        Raises:
            RunError: when there is none.
        """
        try:
            return self._book.read(run_id)
        except KeyError as error:
            raise RunError(f"there is no run {run_id!r}; `relook runs` lists them") from error

    def cancel(self, run_id: str) -> Run:
        """End a run: what waits vanishes, a shard that is being worked on ends its page.

        Raises:
            RunError: when there is none, or it has ended.
        """
        run = self.find(run_id)
        if not self._book.close(run.id, "cancelled"):
            raise RunError(f"run {run.id} has ended already ({run.state}): nothing to cancel")
        self._book.log(run.id, "cancelled")
        self._jobs.remove([run.id])
        return self._book.read(run.id)

    def retry(self, run_id: str) -> Run:
        """Take up a run that has ended where it stopped; shards that are done stay done.

        Raises:
            RunError: when there is none, it goes on, or it left nothing undone and without error.
        """
        run = self.find(run_id)
        if run.state not in ENDED:
            raise RunError(f"run {run.id} is still {run.state}: cancel it first")
        stage = self.checkpoints(run).take_up() or run.stage
        if stage == "done" and not run.errors:
            raise RunError(f"run {run.id} left nothing undone: begin a new one")
        # What single tasks failed of may be mended: the listing finds them again.
        if stage == "done" or not self.checkpoints(run).known():
            stage = STAGES[0]
        crashes = Crashes(self._redis)
        crashes.forgive_tasks(run.project)
        crashes.forgive(opening(run.project), *(step_name(run, each) for each in STAGES))
        run = self._book.reopen(run.id, stage)
        self._book.log(run.id, f"taken up again at {stage}")
        self._remove_older(run)
        # Through the first job again: it waits for what the project's runs still have at work.
        self._jobs.enqueue(run, STAGES[0], [0])
        return run

    def begin(
        self,
        run: Run,
        basis: int,
        tasks: NDArray[np.int64],
        changed: Mapping[int, NDArray[np.int64]],
        chosen: NDArray[np.int64] | None,
    ) -> bool:
        """Write down a run's tasks and what it rests on, and have them predicted.

        Args:
            run: the run as its first job read it, as in all that moves a run.
            basis: stands for all that decides what becomes of a task.
            tasks: ids of all tasks of the project, ascending.
            changed: those that must be predicted, shard number to task ids.
            chosen: those that the run is over, ascending; None for all.

        Returns:
            false when the run is not where its job began: another has moved it, or it has ended.
        """
        checkpoints = self.checkpoints(run)

        def write(pipe: Pipeline) -> None:
            checkpoints.forget(pipe)
            checkpoints.keep_all(tasks, pipe)
            checkpoints.keep("predicting", changed, pipe)
            if chosen is not None:
                checkpoints.keep_chosen(chosen, pipe)
            self._book.found(run.id, basis, pipe)

        done = len(tasks) - sum(map(len, changed.values()))
        return self._advance(run, "predicting", done, len(tasks), write)

    def begin_scoring(self, run: Run, flagged: int, other: Mapping[int, NDArray[np.int64]]) -> bool:
        """Have what was learnt from the whole project told.

        Args:
            run: the run as the job read it that has learnt.
            flagged: how many tasks need review, of those of which nothing else is to be said.
            other: those that must be scored, shard number to task ids.

        Returns:
            false when the run is not where its job began.
        """

        def write(pipe: Pipeline) -> None:
            self._book.note_flagged(run.id, flagged, pipe)
            self.checkpoints(run).keep("scoring", other, pipe)

        done = run.total - sum(map(len, other.values()))
        return self._advance(run, "scoring", done, run.total, write)

    def resume(self, run: Run) -> bool:
        """Take a run up at the stage where it stopped; false when another job has moved it."""
        return self._advance(run, run.stage, *self.checkpoints(run).count(run.stage))

    def begin_anew(self, run: Run) -> None:
        """Begin a run from its beginning, because what it rests on has changed under it."""
        times = self._book.renew(run)
        if not times:
            return
        if times > _MOST_CHANGES:
            self.fail(
                self._book.read(run.id),
                f"config, settings or model changed {times} times while the run was under way, or "
                "the workers' machines hold different models. Retry the run when they are settled.",
            )
            return
        self._book.log(run.id, "config, settings or model changed: begun anew")
        self._jobs.remove([run.id])
        self._jobs.enqueue(self._book.read(run.id), STAGES[0], [0])

    def checkpoints(self, run: Run) -> Checkpoints:
        """Return what of a run is done."""
        return Checkpoints(self._redis, run.id)

    def wait_for_others(self, run: Run, job_id: str, meanwhile: Callable[[], None]) -> bool:
        """Wait until no other job of the project's runs is at work: runs never overlap.

        Args:
            run: the run that waits.
            job_id: its job.
            meanwhile: called again and again.

        Returns:
            whether the run still goes on. One that does not must not be waited for: a newer one
            that waits would wait for it in turn.
        """
        while self._book.goes_on(run):
            if not self._jobs.at_work(self._book.ids_of(run.project), but=job_id):
                return True
            # What is waited for has a limit of its own.
            allow()
            meanwhile()
            time.sleep(_POLL_S)
        return False

    def shard_done(self, run: Run, shard: int, tasks: int, flagged: int = 0) -> None:
        """Check a shard off; the last one of a stage begins the next stage."""
        if self._book.read(run.id).attempt != run.attempt:
            return
        self.checkpoints(run).check_off(run.stage, shard, tasks, flagged)
        self._book.touch(run.id)
        self.go_on_if_complete(run)

    def shard_given_up(self, run: Run, shard: int) -> None:
        """Leave a shard out: it must not hold back the rest of the project."""
        self.checkpoints(run).give_up(run.stage, shard)
        self.go_on_if_complete(run)

    def go_on_if_complete(self, run: Run) -> None:
        """Begin the next stage if this one has nothing left to do."""
        if self.checkpoints(run).complete(run.stage):
            self.go_on(run)

    def go_on(self, run: Run) -> None:
        """Begin the next stage, or end the run after the last; unless another job has done so."""
        following = _FOLLOWING.get(run.stage)
        if following is not None:
            self._advance(run, following, *self.checkpoints(run).count(following))
        elif self._book.close_at(run, "done") and not self.checkpoints(run).any_lost():
            self.checkpoints(run).drop()

    def fail(self, run: Run, reason: str) -> None:
        """End a run that a person must mend, unless it has gone on meanwhile."""
        if not self._book.is_at(run):
            return
        self._book.note_failure(run.id, "run", reason)
        self._book.log(run.id, f"failed: {reason}")
        self._book.close_at(run, "failed")
        self._jobs.remove([run.id])

    def heal(self, after_s: float = LAPSE_S) -> None:
        """Enqueue again what runs that stand still have lost: jobs vanish with a Redis' last words.

        Args:
            after_s: seconds without a move after which a run is looked at.
        """
        suspects = [run for run in self._book.quiet(after_s) if self._seems_stuck(run)]
        if suspects:
            time.sleep(_ON_ITS_WAY_S)
        for run in suspects:
            if lost := self._lost(run):
                self._book.log(run.id, f"{run.at}: {len(lost)} lost jobs enqueued again")
                self._jobs.enqueue(run, run.at, lost)

    def _seems_stuck(self, run: Run) -> bool:
        if not self._book.is_current(run):
            # Of an older version, which could die between the new run and the old one's end.
            self._book.close(run.id, "superseded")
            return False
        self._book.touch(run.id)
        if not self._wanted(run):
            self.go_on(run)
        return bool(self._lost(run))

    def _lost(self, run: Run) -> list[int]:
        """Return which shards of a run's stage are neither done nor have a job."""
        # Asked first: what a job does is written down before the job is gone.
        left = self._jobs.left()
        if not self._book.is_at(run):
            return []
        return [one for one in self._wanted(run) if job_id(run, run.at, one) not in left]

    def _wanted(self, run: Run) -> list[int]:
        return self.checkpoints(run).waiting(run.at) if run.at in SHARDED else [0]

    def _advance(
        self,
        run: Run,
        stage: str,
        done: int,
        total: int,
        write: Callable[[Pipeline], None] = lambda _: None,
    ) -> bool:
        """Begin a stage with what there is to do in it, and enqueue that, see ``begin``."""

        def exchange(pipe: Pipeline) -> None:
            write(pipe)
            self._book.begin_stage(run.id, stage, done, total, pipe)

        # All at once: of two jobs that come to it one is the first, and one that dies leaves a run
        # that is found without jobs.
        if not self._book.while_at(run, exchange):
            return False
        now = replace(run, state="running", stage=stage, total=total)
        self._book.log(run.id, f"{stage}: {total - done} of {total} tasks")
        waiting = self._wanted(now)
        self._jobs.enqueue(now, stage, waiting)
        if not waiting:
            self.go_on(now)
        return True

    def _remove_older(self, run: Run) -> None:
        """Take away the jobs of the runs that this one supersedes, but of none that came after."""
        ids = self._book.ids_of(run.project)
        self._jobs.remove(ids[ids.index(run.id) + 1 :] if run.id in ids else [])


def step_name(run: Run, stage: str) -> str:
    """Name a stage of a run, as its crashes are counted and its errors say it."""
    return f"{stage} of run {run.id}"
