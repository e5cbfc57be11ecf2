"""Redis as the workers and the web server share it: queues, pending tasks, settings, locks."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final, cast

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry as Reconnect
from rq import Queue, Worker

from ml_backend.errors import SettingsError
from ml_backend.jobs.queues.clock import SteadyJob, after
from ml_backend.jobs.queues.embedded_redis import running_address
from ml_backend.jobs.queues.limit import SHARD_S, retry, seconds_for
from ml_backend.jobs.queues.locks import LOCK_WAIT_S, LivingLock
from ml_backend.jobs.queues.pending import DOOR_S, Pending
from ml_backend.settings import ProjectSettings, ServiceSettings, project_settings

__all__ = ["EVENTS", "RUNS", "Mailbox", "living_workers", "open_redis"]

#: Queues, the one that workers empty first in front: a single task never waits for a whole run.
EVENTS: Final = "relook-events"
RUNS: Final = "relook-runs"

#: A Redis that does not answer within this time is away.
_ANSWER_S: Final = 5.0
#: So many tasks may have changed while nobody listened.
_MANY: Final = 1_000_000
#: Seconds between two looks at a webhook's key, and until the first.
_KEY_S: Final = 60
_KEY_AFTER_S: Final = 2
_AT_ONCE_S: Final = 1.0
#: In this time more may come together for one import.
_SEND_AFTER_S: Final = 5


def open_redis(settings: ServiceSettings, patient: bool = True) -> redis.Redis:
    """Return a connection to the service's Redis.

    Args:
        settings: the service's settings; where they name none, it is the one that `relook start`
            runs with the same data folder.
        patient: whether a Redis that is away is waited for a few seconds, as jobs want it; else
            it is said at once, as requests want it.

    Raises:
        SettingsError: when no address is set, or it is not an address of a Redis.
    """
    given = settings.redis_url
    address = running_address(settings.data_dir) if given is None else given.get_secret_value()
    if not address:
        raise SettingsError(
            "REDIS_URL is not set: name a Redis, or use `relook start`, which runs one of its own"
        )
    reconnect = Reconnect(ExponentialWithJitterBackoff(cap=2, base=0.1), 6 if patient else 1)
    try:
        return redis.Redis.from_url(
            address,
            socket_timeout=_ANSWER_S if patient else _AT_ONCE_S,
            socket_connect_timeout=_ANSWER_S if patient else _AT_ONCE_S,
            retry=reconnect,
        )
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {error}") from error


def living_workers(connection: redis.Redis) -> int:
    """Return how many workers take our jobs and have given a sign of life lately.

    Redis forgets what says nothing for 80 s, whatever the machines' clocks say; RQ's own count
    is of all that were ever there and did not take their leave.

    Args:
        connection: the service's Redis.
    """
    known = Worker.all_keys(queue=Queue(EVENTS, connection=connection))
    return connection.exists(*known) if known else 0


class Mailbox:
    """What web server and workers leave for each other.

    Args:
        connection: the service's Redis.
    """

    def __init__(self, connection: redis.Redis) -> None:
        self.redis = connection
        self.events, self.runs = (
            Queue(
                name,
                connection=connection,
                default_timeout=SHARD_S,
                job_class=SteadyJob,
            )
            for name in (EVENTS, RUNS)
        )
        self.pending = Pending(connection, self.events)

    def remember_setup(self, project: int, extra_params: Any) -> None:
        """Keep a project's extra params as Label Studio last sent them."""
        self.redis.hset("relook:setup", str(project), json.dumps(extra_params))

    def forget_setup(self, project: int) -> None:
        """Forget a project that is gone, or that is connected to us no more."""
        self.redis.hdel("relook:setup", str(project))

    def setup_of(self, project: int) -> tuple[bool, Any]:
        """Return whether Label Studio has sent a project's extra params, and what they are."""
        kept = cast(bytes | None, self.redis.hget("relook:setup", str(project)))
        return kept is not None, json.loads(kept) if kept is not None else None

    def settings_of(self, project: int) -> ProjectSettings:
        """Return a project's settings as Label Studio last sent them, the defaults before that.

        Raises:
            SettingsError: when they are wrong.
        """
        return project_settings(self.setup_of(project)[1])

    def note_heard(self, project: int) -> None:
        """Note that a change of a project itself was told us."""
        self.redis.hincrby("relook:heard", str(project))

    def heard(self, project: int) -> int:
        """Return how often a change of a project itself was told us."""
        return int(cast(bytes | None, self.redis.hget("relook:heard", str(project))) or 0)

    def see_to_key(self, project: int) -> None:
        """Enqueue the job that puts our key into a project's webhook, unless it ran just now."""
        # Label Studio makes the webhook right after the answer that follows.
        self._enqueue_soon(
            f"relook:key-seen:{project}", _KEY_S, _KEY_AFTER_S, "put_webhook_key", "key", project
        )

    def _enqueue_soon(
        self,
        door: str,
        shut_s: int,
        after_s: float,
        job: str,
        name: str,
        project: int,
        most_s: int | None = None,
    ) -> None:
        """Enqueue one of the events' jobs for later, unless its door is shut; then shut it."""
        if self.redis.set(door, 1, nx=True, ex=shut_s):
            self.events.enqueue_at(
                after(self.redis, after_s),
                f"ml_backend.jobs.events.{job}",
                project,
                job_id=f"{name}-{project}-{uuid.uuid4().hex[:8]}",
                retry=retry(),
                job_timeout=most_s,
            )

    def send_soon(self, project: int) -> None:
        """Enqueue the job that sends a project's waiting predictions, unless one is waiting."""
        self._enqueue_soon(
            _sending(project), DOOR_S, _SEND_AFTER_S, "send_predictions", "send", project
        )

    def sending(self, project: int) -> None:
        """Note that what is left to be sent from now on wants a job of its own."""
        self.redis.delete(_sending(project))

    def remember_tabs(self, project: int, tabs: Mapping[str, int]) -> None:
        """Keep which tabs of the project are ours: name to id."""
        if tabs:
            self.redis.hset(f"relook:tabs:{project}", mapping=cast(Any, dict(tabs)))

    def tabs_of(self, project: int) -> dict[str, int]:
        """Return which tabs of the project are ours, those that were deleted since included."""
        kept = cast(dict[bytes, bytes], self.redis.hgetall(f"relook:tabs:{project}"))
        return {name.decode(): int(tab) for name, tab in kept.items()}

    def remember_version(self, project: int, version: str) -> None:
        """Keep that Relook itself put this model version into the project."""
        self.redis.sadd(f"relook:versions:{project}", version)

    def set_version(self, project: int, version: str) -> bool:
        """Whether Relook itself once put this model version into the project."""
        return bool(self.redis.sismember(f"relook:versions:{project}", version))

    def lock(self, project: int, bucket: int | str, wait_s: float = LOCK_WAIT_S) -> LivingLock:
        """Return the lock that lets one job at a time write a range of tasks, or the tab."""
        return LivingLock(self.redis, f"relook:lock:{project}:{bucket}", wait_s)

    def projects(self) -> list[int]:
        """Return the projects that Label Studio has connected to this backend, ascending."""
        return sorted(int(key) for key in cast(list[bytes], self.redis.hkeys("relook:setup")))

    def reconcile_all(self, within_s: int) -> None:
        """Enqueue the search for each project's lost events, unless it waits in the queue already.

        Args:
            within_s: none is enqueued within so many seconds of the last ones.
        """
        begun = float(cast(bytes | None, self.redis.get(_RECONCILED_AT)) or 0)
        now = self.redis.time()[0]
        if now - begun < within_s:
            return
        self.redis.set(_RECONCILED_AT, now)
        # One that waits will see all that this one would; one at work may be past it.
        waiting = {job.rpartition("-")[0] for job in self.events.job_ids}
        for project in self.projects():
            if (name := f"reconcile-{project}") not in waiting:
                self.events.enqueue(
                    "ml_backend.jobs.events.reconcile",
                    project,
                    job_id=f"{name}-{uuid.uuid4().hex[:8]}",
                    retry=retry(),
                    job_timeout=seconds_for(_MANY),
                )

    def reconcile_soon(self, project: int, *, refused: bool = False) -> None:
        """Enqueue the look at a project whose connection is being saved, unless one is waiting.

        Label Studio saves it after our answer, and writes it back as it was where it is asked for
        the project's connections before that.

        Args:
            project: the project.
            refused: whether our answer is no: then not again soon, for the look itself has Label
                Studio ask once more.
        """
        door, shut_s = (_refused(project), _KEY_S) if refused else (_saving(project), DOOR_S)
        self._enqueue_soon(
            door, shut_s, _KEY_AFTER_S, "reconcile", "reconcile", project, seconds_for(_MANY)
        )

    def reconciling(self, project: int) -> None:
        """Note that what is saved from now on wants another look."""
        self.redis.delete(_saving(project))


_RECONCILED_AT: Final = "relook:reconciled-at"


def _saving(project: int) -> str:
    return f"relook:saving:{project}"


def _refused(project: int) -> str:
    return f"relook:refused-connection:{project}"


def _sending(project: int) -> str:
    return f"relook:sending:{project}"
