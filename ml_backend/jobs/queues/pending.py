"""What changed in projects and waits to be looked at: tasks that events named, newest first."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import redis
from rq import Queue

from ml_backend.jobs.queues.limit import retry

__all__ = ["DOOR_S", "UNNAMED", "Pending"]

#: Stands for the tasks of an event that names none; no task of Label Studio has this id.
UNNAMED: Final = -1
#: Should a worker die before it opens the door for new events, it opens by itself.
DOOR_S: Final = 60
#: Long enough to find which shard it is that fails.
_SINGLY_S: Final = 600
#: What the names of their jobs begin with; the project follows.
_JOB: Final = "events-"
#: Keys that Redis looks through at once: runs leave many thousands.
_SCANNED: Final = 1000

#: Forget a pending task only if no newer event has named it since.
_FORGET = """
for i = 1, #ARGV, 2 do
  if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i])) == tonumber(ARGV[i + 1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
"""


class Pending:
    """Tasks and annotations that events have named, and the jobs that look at them.

    Each task stands once, under the number of the newest event that named it; what failed stands
    under the negative of one, behind all others.

    Args:
        connection: the service's Redis.
        events: the queue of their jobs.
    """

    def __init__(self, connection: redis.Redis, events: Queue) -> None:
        self._redis = connection
        self._events = events
        self._forget = connection.register_script(_FORGET)

    def add(self, project: int, tasks: Iterable[int]) -> None:
        """Note that tasks changed and see to it that a job will look at them.

        However many events arrive, each task is looked at once, as it then stands.
        """
        sequence = self._redis.incr(_SEQUENCE)
        if named := {str(task): sequence for task in tasks}:
            self._redis.zadd(_tasks(project), cast(Any, named))
        self.wake(project)

    def wake(self, project: int) -> None:
        """Enqueue the job that looks at a project's pending tasks, unless one is waiting."""
        if self._redis.set(_queued(project), 1, nx=True, ex=DOOR_S):
            self._events.enqueue(
                "ml_backend.jobs.events.look_at_pending",
                project,
                job_id=f"{_JOB}{project}-{uuid.uuid4().hex[:8]}",
                retry=retry(),
            )

    def wake_all(self) -> None:
        """Enqueue a job for each project with something pending and no job: one was lost."""
        jobs = [*self._events.job_ids, *self._events.scheduled_job_registry.get_job_ids()]
        jobs += self._events.started_job_registry.get_job_ids(cleanup=False)
        tended = _projects(jobs)
        for kind in (_tasks, _deleted):
            for key in self._redis.scan_iter(kind("*"), count=_SCANNED):
                project = int(key.decode().rsplit(":", 1)[1])
                if project not in tended:
                    self.wake(project)

    def woken(self) -> list[int]:
        """Return the projects whose events wait for a worker."""
        return [one for one in sorted(_projects(self._events.job_ids)) if self.busy(one)]

    def busy(self, project: int) -> bool:
        """Whether a project's events wait for a worker; not for those that have failed."""
        return bool(self._redis.exists(_queued(project)))

    def count(self, project: int) -> int:
        """Return how many tasks are pending; events that named none count as one."""
        return self._redis.zcard(_tasks(project))

    def newest(self, project: int, most: int) -> dict[int, float]:
        """Return tasks with what ``forget`` wants to see, newest first; opens the door for events.

        Args:
            project: the project.
            most: return no more.
        """
        self._redis.delete(_queued(project))
        found = self._redis.zrevrange(_tasks(project), 0, most, withscores=True)
        named = ((int(task), at) for task, at in cast(list[tuple[bytes, float]], found))
        return dict([one for one in named if one[0] != UNNAMED][:most])

    def among(self, project: int, tasks: Iterable[int]) -> dict[int, float]:
        """Return which of some tasks are pending, as ``newest`` does."""
        asked = list(tasks)
        found = self._redis.zmscore(_tasks(project), list(map(str, asked)))
        return {task: at for task, at in zip(asked, found, strict=True) if at is not None}

    def unnamed(self, project: int) -> float | None:
        """Return what ``forget`` wants to see of events that named no task; opens their door."""
        self._redis.delete(_queued(project))
        return self._redis.zscore(_tasks(project), str(UNNAMED))

    def forget(self, project: int, done: Mapping[int, float]) -> None:
        """Forget pending tasks that were looked at, but those named again meanwhile."""
        if done:
            arguments = [part for task, at in done.items() for part in (task, at)]
            self._forget(keys=[_tasks(project)], args=arguments)

    def forget_all(self, project: int) -> None:
        """Forget what is pending of a project that is gone."""
        self._redis.delete(_tasks(project), _deleted(project))

    def put_last(self, project: int, tasks: Iterable[int]) -> None:
        """Let all other pending tasks be looked at before these; they keep waiting."""
        last = -self._redis.incr(_SEQUENCE)
        self._redis.zadd(_tasks(project), cast(Any, dict.fromkeys(map(str, tasks), last)))
        if self._redis.zcount(_tasks(project), "(0", "+inf"):
            # They need not wait until the job that failed is tried again.
            self.wake(project)

    def look_singly(self, project: int) -> None:
        """Have a project's pending tasks looked at shard by shard for a while: something fails."""
        self._redis.set(_singly(project), 1, ex=_SINGLY_S)

    def looks_singly(self, project: int) -> bool:
        """Whether something has failed in a project a while ago."""
        return bool(self._redis.exists(_singly(project)))

    def add_deleted(self, project: int, annotations: Iterable[int]) -> None:
        """Note that annotations were deleted; Label Studio names them without their tasks."""
        if found := list(map(str, annotations)):
            self._redis.sadd(_deleted(project), *found)
        self.wake(project)

    def deleted(self, project: int) -> set[int]:
        """Return the deleted annotations whose tasks are still to be found."""
        found = cast(set[bytes], self._redis.smembers(_deleted(project)))
        return {int(annotation) for annotation in found}

    def forget_deleted(self, project: int, annotations: Iterable[int]) -> None:
        """Forget deleted annotations whose tasks were found."""
        if found := list(map(str, annotations)):
            self._redis.srem(_deleted(project), *found)


def _projects(jobs: Iterable[str]) -> set[int]:
    """Return the projects of those jobs that look at pending tasks."""
    return {int(job.split("-")[1]) for job in jobs if job.startswith(_JOB)}


_SEQUENCE: Final = "relook:sequence"


def _tasks(project: int | str) -> str:
    return f"relook:changed:{project}"


def _deleted(project: int | str) -> str:
    return f"relook:deleted:{project}"


def _queued(project: int | str) -> str:
    return f"relook:queued:{project}"


def _singly(project: int) -> str:
    return f"relook:singly:{project}"
