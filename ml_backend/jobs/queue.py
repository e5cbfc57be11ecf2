"""Redis as the workers and the web server share it: queues, pending tasks, settings, locks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import redis
from redis.lock import Lock
from rq import Queue, Retry

from ml_backend.errors import SettingsError
from ml_backend.settings import ServiceSettings

__all__ = ["EVENTS", "RUNS", "Mailbox", "open_redis", "retry"]

#: Queues, the one that workers empty first in front: a single task never waits for a whole run.
EVENTS: Final = "relook-events"
RUNS: Final = "relook-runs"

#: Label Studio may be down for a while: about half an hour of tries before a job is given up.
_RETRY_SECONDS: Final = [2, 10, 30, 120, 600, 1200]
#: A job is about one bucket of tasks; one that takes longer hangs. RQ takes a dead worker's job
#: up again after this time, and a lock must outlive the job that holds it.
_JOB_TIMEOUT_S: Final = 900
_LOCK_S: Final = 960
#: Should a worker die before it opens the door for new events, it opens by itself.
_DOOR_S: Final = 300

#: Forget a pending task only if no newer event has named it since.
_FORGET = """
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
"""


def open_redis(settings: ServiceSettings) -> redis.Redis:
    """Return a connection to the service's Redis.

    Raises:
        SettingsError: when no address is set, or it is not an address of a Redis.
    """
    if settings.redis_url is None:
        raise SettingsError(
            "REDIS_URL is not set: name a Redis, or use `relook start`, which runs one of its own"
        )
    try:
        return redis.Redis.from_url(settings.redis_url.get_secret_value())
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {error}") from error


def retry() -> Retry:
    """Return how often and when a failed job is tried again."""
    return Retry(max=len(_RETRY_SECONDS), interval=_RETRY_SECONDS)


class Mailbox:
    """What web server and workers leave for each other.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self.redis = connection
        self.events = Queue(EVENTS, connection=connection, default_timeout=_JOB_TIMEOUT_S)
        self.runs = Queue(RUNS, connection=connection, default_timeout=_JOB_TIMEOUT_S)
        self._forget = connection.register_script(_FORGET)

    def remember_setup(self, project: int, extra_params: Any) -> None:
        """Keep a project's extra params as Label Studio last sent them."""
        self.redis.hset("relook:setup", str(project), json.dumps(extra_params))

    def setup_of(self, project: int) -> tuple[bool, Any]:
        """Return whether Label Studio has sent a project's extra params, and what they are."""
        kept = cast(bytes | None, self.redis.hget("relook:setup", str(project)))
        return kept is not None, json.loads(kept) if kept is not None else None

    def add_tasks(self, project: int, tasks: Iterable[int]) -> None:
        """Note that tasks changed and see to it that a job will look at them.

        However many events arrive, each task is looked at once, as it then stands.
        """
        sequence = self.redis.incr("relook:sequence")
        pending = {str(task): sequence for task in tasks}
        if pending:
            self.redis.hset(_pending(project), mapping=cast(Any, pending))
        self.wake(project)

    def wake(self, project: int) -> None:
        """Enqueue the job that looks at a project's pending tasks, unless one is waiting."""
        if self.redis.set(_queued(project), 1, nx=True, ex=_DOOR_S):
            self.events.enqueue("ml_backend.jobs.work.look_at_pending", project, retry=retry())

    def start_run(self, run: str) -> None:
        """Enqueue the first job of a run."""
        self.runs.enqueue("ml_backend.jobs.work.plan", run, retry=retry())

    def add_deleted(self, project: int, annotations: Iterable[int]) -> None:
        """Note that annotations were deleted; Label Studio names them without their tasks."""
        found = [str(annotation) for annotation in annotations]
        if found:
            self.redis.sadd(_deleted(project), *found)
        self.wake(project)

    def deleted(self, project: int) -> set[int]:
        """Return the deleted annotations whose tasks are still to be found."""
        found = cast(set[bytes], self.redis.smembers(_deleted(project)))
        return {int(annotation) for annotation in found}

    def forget_deleted(self, project: int, annotations: Iterable[int]) -> None:
        """Forget deleted annotations whose tasks were found."""
        found = [str(annotation) for annotation in annotations]
        if found:
            self.redis.srem(_deleted(project), *found)

    def wake_all(self) -> None:
        """Enqueue a job for every project with something pending: what a lost job left behind."""
        for kind in ("pending", "deleted"):
            for key in self.redis.scan_iter(f"relook:{kind}:*"):
                self.wake(int(key.decode().rsplit(":", 1)[1]))

    def pending(self, project: int) -> dict[int, str]:
        """Return the pending tasks with what ``forget`` wants to see; opens the door for events."""
        self.redis.delete(_queued(project))
        found = cast(Mapping[bytes, bytes], self.redis.hgetall(_pending(project)))
        return {int(task): sequence.decode() for task, sequence in found.items()}

    def forget(self, project: int, done: Mapping[int, str]) -> None:
        """Forget pending tasks that were looked at, but those named again meanwhile."""
        arguments = [part for task, sequence in done.items() for part in (task, sequence)]
        if arguments:
            self._forget(keys=[_pending(project)], args=arguments)

    def remember_tab(self, project: int, tab: int) -> None:
        """Keep which tab of the project is ours."""
        self.redis.hset("relook:tabs", str(project), tab)

    def tab_of(self, project: int) -> int | None:
        """Return which tab of the project is ours, if it was ever made."""
        kept = cast(bytes | None, self.redis.hget("relook:tabs", str(project)))
        return int(kept) if kept is not None else None

    def remember_version(self, project: int, version: str) -> None:
        """Keep that Relook itself put this model version into the project."""
        self.redis.sadd(f"relook:versions:{project}", version)

    def set_version(self, project: int, version: str) -> bool:
        """Whether Relook itself once put this model version into the project."""
        return bool(self.redis.sismember(f"relook:versions:{project}", version))

    def lock(self, project: int, bucket: int | str) -> Lock:
        """Return the lock that lets one job at a time write a range of tasks, or the tab."""
        name = f"relook:lock:{project}:{bucket}"
        return Lock(self.redis, name, timeout=_LOCK_S, blocking_timeout=_LOCK_S)


def _pending(project: int) -> str:
    return f"relook:pending:{project}"


def _deleted(project: int) -> str:
    return f"relook:deleted:{project}"


def _queued(project: int) -> str:
    return f"relook:queued:{project}"
