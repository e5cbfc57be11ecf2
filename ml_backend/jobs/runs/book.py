"""Where runs over projects are written down: stage, progress, errors, log.

All times are those of Redis: the machines' own clocks need not agree.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final, cast

import redis
from redis.client import Pipeline

from ml_backend.errors import RunError
from ml_backend.jobs.queues import clock
from ml_backend.jobs.runs import scripts
from ml_backend.jobs.runs.checkpoints import PARTS
from ml_backend.jobs.runs.run import ENDED, STAGES, Run
from ml_backend.labelstudio.tasks.selection import Selection

__all__ = ["RunBook"]

_KEPT_S: Final = 30 * 24 * 3600
#: Within which a run that was cut short can be taken up where it stopped.
_STEPS_KEPT_S: Final = 7 * 24 * 3600
_MOST_RUNS: Final = 50
_MOST_ERRORS: Final = 1000
_MOST_LINES: Final = 200


class RunBook:
    """Where runs are written down.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection
        self._take_place = connection.register_script(scripts.TAKE_PLACE)
        self._close = connection.register_script(scripts.CLOSE)

    def now(self) -> float:
        """Return the time by Redis' clock, seconds since 1970."""
        return clock.now(self._redis)

    def open(self, project: int, over: Selection | None = None) -> Run:
        """Begin a run, over all of a project or some of it.

        It takes the place of the project's run that is under way.
        """
        run = uuid.uuid4().hex[:12]
        now = self.now()
        fields = {
            **{"project": project, "over": over.said if over else ""},
            **{"state": "queued", "stage": STAGES[0]},
            **{"attempt": 0, "done": 0, "total": 0, "flagged": 0, "moved": now},
            **{"stage_began": 0, "stage_base": 0, "started": now, "ended": 0},
        }
        with self._redis.pipeline() as pipe:
            pipe.hset(_run(run), mapping=cast(Any, fields))
            if over:
                pipe.set(_over(run), json.dumps(asdict(over)))
            self._make_current(pipe, run, project, now)
            pipe.execute()
        return self.read(run)

    def reopen(self, run: str, stage: str) -> Run:
        """Take up again a run that has ended, from a stage on; it becomes the newest.

        Raises:
            KeyError: when there is none.
            RunError: when it goes on: of two who take it up, one does.
        """
        found, now = self.read(run), self.now()
        fields = {"state": "queued", "stage": stage, "ended": 0, "moved": now}

        def take_up(pipe: Pipeline) -> None:
            state = cast(bytes, pipe.hget(_run(run), "state")).decode()
            if state not in ENDED:
                raise RunError(f"run {run} is still {state}: cancel it first")
            pipe.multi()
            pipe.hset(_run(run), mapping=cast(Any, fields))
            pipe.hincrby(_run(run), "attempt", 1)
            pipe.hdel(_run(run), "renewed")
            pipe.delete(_errors(run))
            for part in _ENDED_KEPT_S:
                pipe.persist(_run(run) + part)
            self._make_current(pipe, run, found.project, now)

        self._redis.transaction(take_up, _run(run))
        return self.read(run)

    def renew(self, run: Run) -> int:
        """Queue a run anew from its beginning, as another attempt.

        Returns:
            how often that has happened to it; 0 when it is no longer where a job began.
        """
        queued = {"state": "queued", "stage": STAGES[0], "moved": self.now()}

        def write(pipe: Pipeline) -> None:
            pipe.hset(_run(run.id), mapping=cast(Any, queued))
            pipe.hincrby(_run(run.id), "attempt", 1)
            pipe.hincrby(_run(run.id), "renewed", 1)
            pipe.delete(_errors(run.id))

        if not self.while_at(run, write):
            return 0
        return int(cast(bytes, self._redis.hget(_run(run.id), "renewed")))

    def is_at(self, run: Run) -> bool:
        """Whether a run is still where it was when it was read."""
        now = self.read(run.id)
        return (now.state, now.stage, now.attempt) == (run.state, run.stage, run.attempt)

    def while_at(self, run: Run, write: Callable[[Pipeline], object]) -> bool:
        """Write what a stage has found, all at once, while the run is still where a job began.

        A job may have a twin: its worker is taken for dead, or its queue lost it on the way.

        Args:
            run: the run as the job read it when it began.
            write: gives the commands to a transaction.

        Returns:
            false when the run has gone on or ended; nothing is written then.
        """
        began = [run.state.encode(), run.stage.encode(), str(run.attempt).encode()]
        there = False

        def exchange(pipe: Pipeline) -> None:
            nonlocal there
            there = pipe.hmget(_run(run.id), "state", "stage", "attempt") == began
            pipe.multi()
            if there:
                write(pipe)

        self._redis.transaction(exchange, _run(run.id))
        return there

    def found(self, run: str, basis: int, pipe: Pipeline) -> None:
        """Note what a run rests on, and that it has found nothing yet."""
        pipe.hset(_run(run), mapping={"basis": basis, "flagged": 0})

    def basis(self, run: str) -> int | None:
        """Return what a run rests on; None before it began."""
        kept = cast(bytes | None, self._redis.hget(_run(run), "basis"))
        return int(kept) if kept is not None else None

    def over(self, run: str) -> Selection | None:
        """Return what of its project a run is over, None for all of it."""
        kept = cast(bytes | None, self._redis.get(_over(run)))
        return Selection(**json.loads(kept)) if kept is not None else None

    def is_current(self, run: Run) -> bool:
        """Whether no newer run has taken its place and it has not ended."""
        return run.state not in ENDED and self._current(run.project) == run.id

    def goes_on(self, run: Run) -> bool:
        """Whether this attempt of a run is still the one under way."""
        now = self.read(run.id)
        return self.is_current(now) and now.attempt == run.attempt

    def under_way(self, project: int) -> bool:
        """Whether a run over a project will still send predictions."""
        current = self._current(project)
        if not current or not self._redis.sismember(_OPEN, current):
            return False
        return self.read(current).stage != "projecting"

    def begin_stage(self, run: str, stage: str, done: int, total: int, pipe: Pipeline) -> None:
        """Note that a stage begins, with ``done`` of ``total`` tasks done by an earlier attempt."""
        now = self.now()
        fields = {
            **{"state": "running", "stage": stage, "done": done, "total": total},
            **{"stage_base": done, "stage_began": now, "moved": now},
        }
        pipe.hset(_run(run), mapping=cast(Any, fields))

    def note_flagged(self, run: str, flagged: int, pipe: Pipeline) -> None:
        """Note how many tasks need review, of those that the run leaves as they are."""
        pipe.hset(_run(run), "flagged", str(flagged))

    def touch(self, run: str) -> None:
        """Note that somebody has seen to the run."""
        self._redis.hset(_run(run), "moved", str(self.now()))

    def note_errors(self, run: str, errors: Mapping[str, str]) -> None:
        """Note what is wrong with single tasks; the run goes on."""
        room = max(_MOST_ERRORS - self._redis.hlen(_errors(run)), 0)
        taken = dict(list(errors.items())[:room])
        if len(taken) < len(errors):
            taken["more"] = f"more than {_MOST_ERRORS} tasks failed: the others are not named here."
        if taken:
            self._keep_errors(run, taken)

    def note_failure(self, run: str, about: str, reason: str) -> None:
        """Note what is wrong with a run, or with much of it, however much is wrong with tasks."""
        self._keep_errors(run, {about: reason})

    def log(self, run: str, line: str) -> None:
        """Write a line into the run's log; the oldest lines go first."""
        with self._redis.pipeline() as pipe:
            pipe.rpush(_log(run), f"{self.now():.3f} {line}")
            pipe.ltrim(_log(run), -_MOST_LINES, -1)
            pipe.expire(_log(run), _KEPT_S)
            pipe.execute()

    def close(self, run: str, state: str) -> bool:
        """End a run, wherever it is; false when it had ended before."""
        return bool(self._end(run, state, self._redis))

    def close_at(self, run: Run, state: str) -> bool:
        """End a run while it is still where a job began, see ``while_at``."""
        return self.while_at(run, lambda pipe: self._end(run.id, state, pipe))

    def last_whole(self, project: int) -> float:
        """Return when the newest run over all of a project that came to an end began.

        Returns:
            seconds since 1970; 0 for none. One that a newer run took the place of does not count.
        """
        return self._redis.zscore(_WHOLE, str(project)) or 0.0

    def quiet(self, seconds: float) -> list[Run]:
        """Return the runs under way in which nothing has moved for so long."""
        since = self.now() - seconds
        ids = [run.decode() for run in cast(set[bytes], self._redis.smembers(_OPEN))]
        moved = {run: cast(bytes | None, self._redis.hget(_run(run), "moved")) for run in ids}
        return [self.read(run) for run, at in moved.items() if at and float(at) < since]

    def read(self, run: str) -> Run:
        """Return a run as it stands.

        Raises:
            KeyError: when there is none.
        """
        with self._redis.pipeline() as pipe:
            pipe.hgetall(_run(run))
            pipe.hgetall(_errors(run))
            pipe.lrange(_log(run), 0, -1)
            raw, said, lines = pipe.execute()
        if not raw:
            raise KeyError(f"there is no run {run!r}")
        return Run.of(run, _text(raw), _text(said), [line.decode() for line in lines], self.now())

    def of_project(self, project: int) -> list[Run]:
        """Return a project's runs, the last one begun or taken up again first."""
        return [self.read(run) for run in self.ids_of(project) if self._redis.exists(_run(run))]

    def ids_of(self, project: int) -> list[str]:
        """Return the ids of a project's runs, in the order of ``of_project``."""
        ids = cast(list[bytes], self._redis.lrange(_runs_of(project), 0, -1))
        return [run.decode() for run in ids]

    def _keep_errors(self, run: str, errors: Mapping[str, str]) -> None:
        self._redis.hset(_errors(run), mapping=cast(Any, dict(errors)))
        self._redis.expire(_errors(run), _KEPT_S)

    def _end(self, run: str, state: str, connection: redis.Redis) -> object:
        keys, args = [_run(run), _OPEN, _WHOLE], (" ".join(ENDED), state, self.now(), run, _LET_GO)
        return self._close(keys, args, client=connection)

    def _make_current(self, pipe: Pipeline, run: str, project: int, now: float) -> None:
        keys = [_run_of(project), _OPEN, _runs_of(project)]
        args = (run, _MOST_RUNS, " ".join(ENDED), now, _run(""), _LET_GO)
        self._take_place(keys, args, client=pipe)

    def _current(self, project: int) -> str:
        return (cast(bytes | None, self._redis.get(_run_of(project))) or b"").decode()


#: What is kept of a run, and for how long after its end.
_ENDED_KEPT_S: Final = {
    **{"": _KEPT_S, ":over": _KEPT_S},
    **{f":{part}": _STEPS_KEPT_S for part in PARTS},
}
_LET_GO: Final = json.dumps(_ENDED_KEPT_S)
_OPEN: Final = "relook:runs-open"
_WHOLE: Final = "relook:whole-runs"


def _run(run: str) -> str:
    return f"relook:run:{run}"


def _run_of(project: int) -> str:
    return f"relook:run-of:{project}"


def _runs_of(project: int) -> str:
    return f"relook:runs-of:{project}"


def _errors(run: str) -> str:
    return f"relook:run:{run}:errors"


def _log(run: str) -> str:
    return f"relook:run:{run}:log"


def _over(run: str) -> str:
    return f"relook:run:{run}:over"


def _text(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in raw.items()}
