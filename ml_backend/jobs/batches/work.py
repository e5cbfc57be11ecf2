"""Relabel batches: sent, brought back, listed, withdrawn.

What stands is read from Label Studio each time, so each step can be repeated at any time: it finds
nothing left to do. Redis only knows what Label Studio cannot tell: which projects' events are
answers, which orders were cancelled, which answers were written, which are held and why.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis.exceptions import LockError

from ml_backend.errors import BatchError, ConfigError, ProjectGoneError, SettingsError
from ml_backend.jobs.batches.here import HereBatches
from ml_backend.jobs.batches.orders import (
    HERE,
    NEW,
    Dispatch,
    Order,
    forget_cancelled,
    require_wanted,
    withdrawing,
)
from ml_backend.jobs.batches.orders import cancel as note_cancelled
from ml_backend.jobs.batches.progress import Progress, read_progress
from ml_backend.jobs.batches.queue import read_queue
from ml_backend.jobs.batches.sent_before import note_sent, sent_before
from ml_backend.jobs.batches.take_back import (
    look_again,
    remember_relabel_project,
    take_back_beside,
)
from ml_backend.jobs.changes.reconcile import find_lost_events
from ml_backend.jobs.project.prelabelling import send_waiting
from ml_backend.jobs.queues.locks import LOCK_WAIT_S, LivingLock
from ml_backend.labelstudio.relabel.batches import (
    adopt_project,
    find_relabel_projects,
    make_relabel_project,
    read_untouched,
    relabel_task,
    send_tasks,
    withdraw,
    withdraw_bare,
)
from ml_backend.labelstudio.relabel.corrections import read_answered, read_relabelled
from ml_backend.labelstudio.relabel.sent_tasks import read_batch
from ml_backend.labelstudio.tasks.listing import those_there
from ml_backend.labelstudio.tasks.reader import TaskPage, read_project, read_tasks
from ml_backend.labelstudio.webhooks import copy_webhook
from ml_backend.review.batch import Waiting, choose
from ml_backend.review.decide import NEEDS_REVIEW
from ml_backend.services import Services

__all__ = ["Batches"]

_log = logging.getLogger(__name__)


class Batches:
    """The relabel batches of one source project.

    Args:
        services: this process' parts.
        project: the source project.
        meanwhile: called now and then within a longer work, while it locks no task, with a relabel
            project that it is to leave alone, 0 for none.

    Raises:
        LabelStudioError: when the project cannot be read.
        ConfigError: when its labelling config cannot be served.
        SettingsError: when its settings are wrong.
    """

    def __init__(
        self,
        services: Services,
        project: int,
        meanwhile: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._services = services
        self._meanwhile = meanwhile
        self._client = services.client
        self._source = read_project(services.client, project)
        self._settings = services.mailbox.settings_of(project)
        self._here = HereBatches(services, self._source, self._prefix, meanwhile)

    def send(self, order: Order) -> Dispatch:
        """Send tasks; what an order has sent before, and what waits in a batch, is not sent again.

        Raises:
            SettingsError: when the project named cannot take them.
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        with self._lock():
            return self._send(order)

    def send_when_full(self, token: str) -> Dispatch:
        """Send what waits in no batch, if it is as much as the project's settings ask for.

        Raises:
            SettingsError: when it is to go where nobody with rights there has sent any.
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        least, to = self._settings.batch_every, self._settings.batch_to
        if not least:
            return Dispatch()
        with ExitStack() as held:
            try:
                held.enter_context(self._lock(wait_s=0))
            except LockError:
                # A batch goes out at this moment: what it leaves is counted the next time.
                return Dispatch()
            found = find_relabel_projects(self._client, self._source.id)
            order = Order(token, by_itself=True)
            waiting, out = self._queue(order, found)
            if len(choose(waiting, out)) < least:
                return Dispatch()
            # Who writes a project's settings may have no rights in the project that they name.
            if to.isdigit() and int(to) not in found:
                raise SettingsError(
                    f"nothing is sent to project {to} by itself before somebody who may change it "
                    "has sent a batch there: on the review page, or `relook batch "
                    f"{self._source.id} --to {to}`"
                )
            return self._send(order)

    def tend(self) -> None:
        """See to it that answers whose events never arrived are looked at."""
        mailbox = self._services.mailbox
        for target in find_relabel_projects(self._client, self._source.id):
            try:
                if remember_relabel_project(mailbox, target):
                    mailbox.pending.add(target, read_answered(self._client, target))
                look_again(mailbox, target)
                find_lost_events(self._client, mailbox, target)
            except ProjectGoneError:
                _log.info("relabel project %s was deleted meanwhile", target)

    def bring_back(self) -> int:
        """Write every answer that is not yet on its source task; return how many."""
        return sum(
            self._take_back(target, read_answered(self._client, target))
            for target in find_relabel_projects(self._client, self._source.id)
        )

    def progress(self) -> list[Progress]:
        """Return how each batch stands.

        Raises:
            LabelStudioError: when it cannot be read.
        """
        return read_progress(self._services, self._source, self._prefix)

    def cancel(self, batch: str) -> tuple[int, int]:
        """Bring back what is answered and withdraw the rest; done again, there is nothing left.

        Returns:
            how many came back just now, and how many were withdrawn, with those of a try that
            failed before it could say so.

        Raises:
            BatchError: when there is no such batch, and none was cancelled.
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        # Noted first: whatever job still sends it holds the lock until then.
        earlier = note_cancelled(self._services.mailbox.redis, self._source.id, batch)
        with self._lock():
            if (count := self._here.cancel(batch, earlier or 0)) is not None:
                return 0, count
            for target in find_relabel_projects(self._client, self._source.id):
                for table in read_relabelled(self._client, target):
                    tasks = table.sent.task[table.sent.batch == batch]
                    if table.source == self._source.id and len(tasks):
                        came = self._take_back(target, tasks.tolist())
                        return came, self._withdraw(target, batch, earlier or 0)
            if earlier is not None:
                # Label Studio may have withdrawn it all, and its answer was lost.
                with withdrawing(self._services.mailbox.redis, self._source.id, batch, earlier):
                    return 0, earlier
        forget_cancelled(self._services.mailbox.redis, self._source.id, batch)
        raise BatchError(
            f"project {self._source.id} has no batch {batch!r}; `relook batches "
            f"{self._source.id}` lists them. One of which nothing is left is not listed."
        )

    def out(self, tasks: Collection[int]) -> set[int]:
        """Return the tasks that are in a batch and unanswered, of these and of the queue.

        Raises:
            LabelStudioError: when they cannot be read.
        """
        found = find_relabel_projects(self._client, self._source.id)
        return read_queue(self._services, self._source, self._prefix, found, tasks)[1]

    @property
    def _prefix(self) -> str:
        return self._settings.field_prefix

    def _lock(self, wait_s: float = LOCK_WAIT_S) -> LivingLock:
        return self._services.mailbox.lock(self._source.id, "batches", wait_s)

    def _require_wanted(self, order: Order) -> None:
        require_wanted(self._services.mailbox.redis, self._source.id, order)

    def _take_back(self, target: int, tasks: Sequence[int]) -> int:
        return take_back_beside(self._services, target, tasks, self._meanwhile)

    def _send(self, order: Order) -> Dispatch:
        order = replace(order, to=order.to or self._settings.batch_to)
        self._require_wanted(order)
        if order.to == HERE:
            return self._stay(order)
        found = find_relabel_projects(self._client, self._source.id)
        target, sent = self._begun(order.token, found)
        (chosen, gone), count, warning = self._chosen(order, sent, found), len(sent), ""
        if len(chosen):
            # A copy takes its suggestion along, which a run leaves to be sent behind the flag.
            send_waiting(self._services, self._source)
        for page in self._pages(chosen):
            if not (rows := self._wanted(order, page)):
                continue
            self._require_wanted(order)
            if count == len(sent):
                target, warning = self._target(order, target, found)
            batch = f"{target}-{order.token}"
            tasks = [self._copy(page, row, batch) for row in rows]
            send_tasks(self._client, target, tasks)
            marks = dict(zip(page.id[rows].tolist(), page.said("seen")[rows].tolist(), strict=True))
            note_sent(self._services.mailbox.redis, self._source.id, marks)
            count += len(tasks)
            self._meanwhile(0)
        return Dispatch(f"{target}-{order.token}" if count else "", count, warning, gone)

    def _begun(self, token: str, found: Iterable[int]) -> tuple[int, set[int]]:
        """Return where an order was begun, and what of it was sent, by a job that died since."""
        for target in found:
            batch = f"{target}-{token}"
            if read_batch(self._client, target, self._source.id, batch):
                withdraw_bare(self._client, target, batch)
                return target, read_batch(self._client, target, self._source.id, batch)
        return 0, set()

    def _chosen(
        self, order: Order, sent: Collection[int], found: Iterable[int]
    ) -> tuple[NDArray[np.int64], int]:
        """Return what an order has still to send, in this order, and how many tasks are gone."""
        waiting, out = self._queue(order, found)
        out |= set(sent)
        if order.tasks:
            there = those_there(self._client, self._source.id, order.tasks)
            free = [task for task in order.tasks if task in there and task not in out]
            return np.array(free, dtype=np.int64), len({*order.tasks} - {*sent} - there)
        chosen = choose(waiting, out, order.top, order.kinds)
        size = self._settings.batch_size
        return chosen if order.top or not size else chosen[: max(size - len(sent), 0)], 0

    def _queue(self, order: Order, found: Iterable[int]) -> tuple[Waiting, set[int]]:
        """Return the queue, and which of it and of an order's tasks are not to be sent."""
        waiting, out = read_queue(self._services, self._source, self._prefix, found, order.tasks)
        if order.by_itself:
            out |= sent_before(self._services.mailbox.redis, self._source.id, waiting)
        return waiting, out

    def _target(self, order: Order, begun: int, found: Mapping[int, str]) -> tuple[int, str]:
        """Return the project that an order's tasks go to, and what is to be known of it."""
        note, client, warning = f"[{order.token}]", self._client, ""
        if begun:
            target = begun
        elif order.to in ("", NEW):
            fitting = [one for one in found if self._fits(one)] if not order.to else []
            same = [one for one, said in found.items() if note in said]
            target = next(iter([*same, *reversed(fitting)]), 0)
            target = target or make_relabel_project(client, self._source, note)
        else:
            target = int(order.to)
            warning = adopt_project(client, self._source, target)
        mailbox = self._services.mailbox
        copy_webhook(client, self._source.id, target)
        if remember_relabel_project(mailbox, target):
            # The first look notes how the project stands; what comes later is found by the next.
            find_lost_events(client, mailbox, target)
        return target, warning

    def _fits(self, target: int) -> bool:
        try:
            found = read_project(self._client, target)
        except (ProjectGoneError, ConfigError):
            return False
        return found.config.controls == self._source.config.controls

    def _pages(self, tasks: NDArray[np.int64]) -> Iterator[TaskPage]:
        return read_tasks(self._client, self._source, self._prefix, tasks)

    def _wanted(self, order: Order, page: TaskPage) -> list[int]:
        """Return which rows are to be sent: what was in the queue may have its verdict by now."""
        wanted = (page.said("flag") == NEEDS_REVIEW) | bool(order.tasks)
        return [int(row) for row in np.flatnonzero(wanted)]

    def _copy(self, page: TaskPage, row: int, batch: str) -> dict[str, Any]:
        address = self._services.settings.people_url
        return relabel_task(page, row, self._source.id, self._prefix, batch, address)

    def _stay(self, order: Order) -> Dispatch:
        begun = self._here.begun(order.token)
        found = find_relabel_projects(self._client, self._source.id)
        chosen, gone = self._chosen(order, begun, found)
        if count := len(begun) + len(chosen):
            self._here.send(order, chosen)
        return Dispatch(order.token if count else "", count, gone=gone)

    def _withdraw(self, target: int, batch: str, earlier: int) -> int:
        tasks = read_untouched(self._client, target, batch)
        count = max(earlier, len(tasks))
        with withdrawing(self._services.mailbox.redis, self._source.id, batch, count):
            withdraw(self._client, target, batch, tasks)
        return count
