"""Runs over whole projects, as everyone sees them: stage, progress, errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

__all__ = ["ENDED", "Run", "RunBook"]

ENDED: Final = ("done", "failed", "superseded")
_KEPT_S: Final = 30 * 24 * 3600
_MOST_ERRORS: Final = 1000


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one project as it stands.

    Attributes:
        id: the run.
        project: Label Studio's project id.
        state: queued, running, done, failed or superseded (a newer run took its place).
        stage: what it is at: listing, predicting, fitting, scoring, done.
        done: tasks done in this stage.
        total: tasks of the project.
        flagged: tasks that need review, once scored.
        started: seconds since 1970.
        ended: seconds since 1970, 0 while it goes on.
        errors: task id (or "run") to what is wrong and the mend.
    """

    id: str
    project: int
    state: str
    stage: str
    done: int
    total: int
    flagged: int
    started: float
    ended: float
    errors: Mapping[str, str]


class RunBook:
    """Where runs are written down.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def open(self, project: int) -> Run:
        """Begin a run; it takes the place of the project's run that is under way."""
        run = uuid.uuid4().hex[:12]
        fields = {
            "project": project,
            "state": "queued",
            "stage": "listing",
            "done": 0,
            "total": 0,
            "flagged": 0,
            "started": time.time(),
            "ended": 0,
        }
        for older in self.of_project(project):
            if older.state not in ENDED:
                self.close(older.id, "superseded")
        with self._redis.pipeline() as pipe:
            pipe.hset(_run(run), mapping=cast(Any, fields))
            pipe.expire(_run(run), _KEPT_S)
            pipe.set(f"relook:run-of:{project}", run)
            pipe.lpush(f"relook:runs-of:{project}", run)
            pipe.ltrim(f"relook:runs-of:{project}", 0, 49)
            pipe.execute()
        return self.read(run)

    def is_current(self, run: Run) -> bool:
        """Whether no newer run has taken its place and it has not ended."""
        current = cast(bytes | None, self._redis.get(f"relook:run-of:{run.project}"))
        return current is not None and current.decode() == run.id and run.state not in ENDED

    def stage(self, run: str, stage: str, total: int) -> None:
        """Begin a stage of ``total`` tasks."""
        fields = {"state": "running", "stage": stage, "done": 0, "total": total}
        self._redis.hset(_run(run), mapping=cast(Any, fields))

    def advance(self, run: str, tasks: int, flagged: int = 0) -> None:
        """Note that some more tasks are done."""
        self._redis.hincrby(_run(run), "done", tasks)
        if flagged:
            self._redis.hincrby(_run(run), "flagged", flagged)

    def note_errors(self, run: str, errors: Mapping[str, str]) -> None:
        """Note what is wrong with single tasks; the run goes on."""
        room = _MOST_ERRORS - self._redis.hlen(_errors(run))
        taken = dict(list(errors.items())[: max(room, 0)])
        if taken:
            self._redis.hset(_errors(run), mapping=cast(Any, taken))
            self._redis.expire(_errors(run), _KEPT_S)

    def close(self, run: str, state: str) -> None:
        """End a run."""
        fields = {"state": state, "ended": time.time()}
        if state == "done":
            fields["stage"] = "done"
        self._redis.hset(_run(run), mapping=cast(Any, fields))

    def read(self, run: str) -> Run:
        """Return a run as it stands.

        Raises:
            KeyError: when there is none.
        """
        raw = cast(Mapping[bytes, bytes], self._redis.hgetall(_run(run)))
        if not raw:
            raise KeyError(f"there is no run {run!r}")
        field = {key.decode(): value.decode() for key, value in raw.items()}
        said = cast(Mapping[bytes, bytes], self._redis.hgetall(_errors(run)))
        return Run(
            id=run,
            project=int(field["project"]),
            state=field["state"],
            stage=field["stage"],
            done=int(field["done"]),
            total=int(field["total"]),
            flagged=int(field["flagged"]),
            started=float(field["started"]),
            ended=float(field["ended"]),
            errors={key.decode(): value.decode() for key, value in said.items()},
        )

    def of_project(self, project: int) -> list[Run]:
        """Return a project's runs, newest first."""
        ids = cast(list[bytes], self._redis.lrange(f"relook:runs-of:{project}", 0, -1))
        kept = [run.decode() for run in ids if self._redis.exists(_run(run.decode()))]
        return [self.read(run) for run in kept]


def _run(run: str) -> str:
    return f"relook:run:{run}"


def _errors(run: str) -> str:
    return f"relook:run:{run}:errors"
