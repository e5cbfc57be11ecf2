"""Events on their way to Redis: taken at once, delivered as soon as Redis takes them.

Label Studio waits one second for a webhook and never repeats it, and it waits inside the request
of the person who saved a label. So an event is kept in memory first, and its sender is answered
when Redis has it or when the patience of one event is over. What Redis does not take is offered
again and again. Should this process end before that, the next reconcile finds the tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import anyio
import redis

from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.runs.schedule import has_changed

__all__ = ["Outbox"]

_log = logging.getLogger(__name__)

#: Well below what a person notices, and far below Label Studio's second.
_PATIENCE_S: Final = 0.05
_AGAIN_S: Final = 1.0
#: Of several servers and workers that start at once, one has lost events searched for.
_LOOK_BACK_S: Final = 30


@dataclass(slots=True)
class _Mail:
    """What happened to projects since the last delivery; equal events are one."""

    tasks: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    deleted: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    configs: dict[int, str] = field(default_factory=dict)
    senders: list[asyncio.Future[None]] = field(default_factory=list)

    def __len__(self) -> int:
        lots = (*self.tasks.values(), *self.deleted.values(), self.configs)
        return sum(map(len, lots))

    def add(self, other: _Mail) -> None:
        """Take what an earlier delivery left."""
        for project, tasks in other.tasks.items():
            self.tasks[project] |= tasks
        for project, ids in other.deleted.items():
            self.deleted[project] |= ids
        self.configs = other.configs | self.configs


class Outbox:
    """Events of one web server.

    Args:
        mailbox: where they go.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._mail = _Mail()
        self._filled = asyncio.Event()
        # A thread of its own: those of /predict can all be busy for minutes.
        self._limiter = anyio.CapacityLimiter(1)
        # What happened while no server was there to be told.
        self._looked_back = False

    async def add(
        self,
        project: int,
        tasks: Sequence[int] = (),
        deleted: Sequence[int] = (),
        config: str | None = None,
    ) -> bool:
        """Take what happened to a project's tasks and annotations, and its config where it is told.

        Returns:
            whether Redis has it already; else it is delivered later.
        """
        self._mail.tasks[project].update(tasks)
        self._mail.deleted[project].update(deleted)
        if config is not None:
            self._mail.configs[project] = config
        sender = asyncio.get_running_loop().create_future()
        self._mail.senders.append(sender)
        self._filled.set()
        await asyncio.wait([sender], timeout=_PATIENCE_S)
        return sender.done()

    @asynccontextmanager
    async def delivering(self) -> AsyncIterator[None]:
        """Deliver while the body runs, and what is left at its end."""
        self._filled.set()
        delivery = asyncio.create_task(self._deliver_for_ever())
        try:
            yield
        finally:
            delivery.cancel()
            with suppress(asyncio.CancelledError):
                await delivery
            if not await self._deliver() and len(self._mail):
                _log.error(
                    "%s changes never reached Redis; the next reconcile finds them", len(self._mail)
                )

    async def _deliver_for_ever(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            if not await self._deliver():
                await asyncio.sleep(_AGAIN_S)
                self._filled.set()

    async def _deliver(self) -> bool:
        mail, self._mail = self._mail, _Mail()
        try:
            await anyio.to_thread.run_sync(self._hand_over, mail, limiter=self._limiter)
        except (redis.RedisError, OSError) as error:
            _log.warning("%s changes wait for Redis: %s", len(mail), error)
            self._mail.add(mail)
            return False
        except asyncio.CancelledError:
            self._mail.add(mail)
            raise
        for sender in mail.senders:
            if not sender.done():
                sender.set_result(None)
        return True

    def _hand_over(self, mail: _Mail) -> None:
        if not self._looked_back:
            self._mailbox.reconcile_all(_LOOK_BACK_S)
            self._looked_back = True
        for project, tasks in mail.tasks.items():
            if tasks:
                self._mailbox.pending.add(project, tasks)
        for project, ids in mail.deleted.items():
            if ids:
                self._mailbox.pending.add_deleted(project, ids)
        for project, config in mail.configs.items():
            # Whoever has the key of one project's events can send any config for any project.
            if has_changed(self._mailbox, project, config):
                self._mailbox.reconcile_soon(project)
            self._mailbox.note_heard(project)
