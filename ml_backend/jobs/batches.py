"""Relabel batches: sent, brought back, listed, withdrawn.

What stands is read from Label Studio each time, so each step can be repeated at any time: it finds
nothing left to do. Redis only knows which projects' events are answers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BatchError, ConfigError, ProjectGoneError, SettingsError
from ml_backend.jobs.batch_progress import Progress, read_progress
from ml_backend.jobs.batch_queue import read_queue
from ml_backend.jobs.reconcile import find_lost_events
from ml_backend.jobs.take_back import (
    known_settings,
    look_again,
    remember_relabel_project,
    take_back,
    take_back_beside,
)
from ml_backend.labelstudio.batch_tabs import (
    batch_tabs,
    open_tab,
    read_flags,
    withdraw_tab,
)
from ml_backend.labelstudio.batches import (
    adopt_project,
    find_relabel_projects,
    make_relabel_project,
    relabel_task,
    send_tasks,
    withdraw,
)
from ml_backend.labelstudio.corrections import read_answered, read_relabelled
from ml_backend.labelstudio.reader import TaskPage, read_project, read_tasks
from ml_backend.labelstudio.sent_tasks import read_batch
from ml_backend.labelstudio.webhooks import copy_webhook
from ml_backend.review.batch import choose
from ml_backend.review.decide import CONFIRMED, CORRECTED
from ml_backend.services import Services

__all__ = ["HERE", "IN_BATCH", "NEW", "Batches", "Dispatch", "Order"]

_log = logging.getLogger(__name__)

#: Where a batch can go besides a project that is named by its id; "" is the relabel project that
#: stands, or a new one.
HERE: Final = "here"
NEW: Final = "new"
_VERDICTS: Final = (CORRECTED, CONFIRMED)
#: Why a task is not sent.
IN_BATCH: Final = "in a batch already"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent.

    Attributes:
        token: names the batch; the same order given again goes on with the same batch.
        to: "", "new", "here" or a project's id.
        top: how many from the top of the queue; None for as many as the settings say.
        kinds: only these kinds of suspicion; empty for all.
        tasks: these tasks instead of the queue's; empty for the queue.
    """

    token: str
    to: str = ""
    top: int | None = None
    kinds: tuple[str, ...] = ()
    tasks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What came of an order.

    Attributes:
        batch: the batch's name; "" where there was nothing to send.
        sent: how many tasks the order has sent, those of earlier tries too.
        warning: what whoever gave the order should know; "" for nothing.
    """

    batch: str = ""
    sent: int = 0
    warning: str = ""


class Batches:
    """The relabel batches of one source project.

    Args:
        services: this process' parts.
        project: the source project.

    Raises:
        LabelStudioError: when the project cannot be read.
        ConfigError: when its labelling config cannot be served.
        SettingsError: when its settings are wrong.
    """

    def __init__(self, services: Services, project: int) -> None:
        self._services = services
        self._client = services.client
        self._source = read_project(services.client, project)
        self._settings = known_settings(services.mailbox, project)

    def send(self, order: Order) -> Dispatch:
        """Send tasks; what an order has sent before, and what waits in a batch, is not sent again.

        Raises:
            SettingsError: when the project named cannot take them.
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        order = replace(order, to=order.to or self._settings.batch_to)
        with self._services.mailbox.lock(self._source.id, "batches"):
            if order.to == HERE:
                return self._stay(order)
            found = find_relabel_projects(self._client, self._source.id)
            target, sent = self._begun(order.token, found)
            chosen, count, warning = self._chosen(order, sent, found), len(sent), ""
            for page in self._pages(chosen):
                if not len(page):
                    continue
                if count == len(sent):
                    target, warning = self._target(order, target, found)
                batch = f"{target}-{order.token}"
                tasks = [self._copy(page, row, batch) for row in range(len(page))]
                send_tasks(self._client, target, tasks)
                count += len(tasks)
        return Dispatch(f"{target}-{order.token}", count, warning) if count else Dispatch()

    def send_when_full(self, token: str) -> Dispatch:
        """Send what waits in no batch, if it is as much as the project's settings ask for.

        Raises:
            SettingsError: when it is to go where nobody with rights there has sent any.
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        least, to = self._settings.batch_every, self._settings.batch_to
        if not least:
            return Dispatch()
        found = find_relabel_projects(self._client, self._source.id)
        waiting, out = read_queue(self._client, self._source, self._prefix, found)
        if len(choose(waiting, out)) < least:
            return Dispatch()
        # Who writes a project's settings may have no rights in the project that they name.
        if to.isdigit() and int(to) not in found:
            raise SettingsError(
                f"nothing is sent to project {to} by itself before somebody who may change it has "
                f"sent a batch there: on the review page, or `relook batch {self._source.id} "
                f"--to {to}`"
            )
        return self.send(Order(token))

    def tend(self) -> None:
        """See to it that answers whose events never arrived are looked at."""
        mailbox = self._services.mailbox
        for target in find_relabel_projects(self._client, self._source.id):
            try:
                if remember_relabel_project(mailbox, target):
                    mailbox.add_tasks(target, read_answered(self._client, target))
                look_again(mailbox, self._source.id, target)
                find_lost_events(self._client, mailbox, target)
            except ProjectGoneError:
                _log.info("relabel project %s was deleted meanwhile", target)

    def bring_back(self, meanwhile: Callable[[int], None]) -> int:
        """Write every answer that is not yet on its source task; return how many.

        Args:
            meanwhile: see ``take_back_beside``.
        """
        return sum(
            take_back_beside(self._services, target, read_answered(self._client, target), meanwhile)
            for target in find_relabel_projects(self._client, self._source.id)
        )

    def progress(self) -> list[Progress]:
        """Return how each batch stands.

        Raises:
            LabelStudioError: when it cannot be read.
        """
        return read_progress(self._client, self._source, self._prefix)

    def cancel(self, batch: str) -> tuple[int, int]:
        """Bring back what is answered and withdraw the rest.

        Returns:
            how many came back just now, and how many were withdrawn.

        Raises:
            BatchError: when there is no such batch.
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        for tab in batch_tabs(self._client, self._source.id, self._prefix):
            if tab.batch == batch:
                return 0, self._cancel_here(batch)
        for target in find_relabel_projects(self._client, self._source.id):
            for table in read_relabelled(self._client, target):
                tasks = table.sent.task[table.sent.batch == batch]
                if table.source == self._source.id and len(tasks):
                    came = take_back(self._services, target, tasks.tolist())
                    return came, withdraw(self._client, target, batch)
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
        return read_queue(self._client, self._source, self._prefix, found, tasks)[1]

    @property
    def _prefix(self) -> str:
        return self._settings.field_prefix

    def _begun(self, token: str, found: Iterable[int]) -> tuple[int, set[int]]:
        """Return where an order was begun, and what of it was sent, by a job that died since."""
        for target in found:
            if sent := read_batch(self._client, target, self._source.id, f"{target}-{token}"):
                return target, sent
        return 0, set()

    def _chosen(
        self, order: Order, sent: Collection[int], found: Iterable[int]
    ) -> NDArray[np.int64]:
        """Return what an order has still to send, in the order in which it goes out."""
        waiting, out = read_queue(self._client, self._source, self._prefix, found, order.tasks)
        out |= set(sent)
        if order.tasks:
            return np.array([task for task in order.tasks if task not in out], dtype=np.int64)
        chosen = choose(waiting, out, order.top, order.kinds)
        size = self._settings.batch_size
        return chosen if order.top or not size else chosen[: max(size - len(sent), 0)]

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

    def _copy(self, page: TaskPage, row: int, batch: str) -> dict[str, Any]:
        address = self._services.settings.people_url
        return relabel_task(page, row, self._source.id, self._prefix, batch, address)

    def _stay(self, order: Order) -> Dispatch:
        client, project = self._client, self._source.id
        begun = read_flags(client, project, self._prefix, order.token)
        found = find_relabel_projects(client, project)
        chosen = self._chosen(order, begun, found)
        count = len(begun) + len(chosen)
        if not count:
            return Dispatch()
        keys = self._source.config.data_keys
        open_tab(client, project, self._prefix, order.token, chosen, keys)
        return Dispatch(order.token, count)

    def _cancel_here(self, batch: str) -> int:
        client, project = self._client, self._source.id
        flags = read_flags(client, project, self._prefix, batch)
        for tab in batch_tabs(client, project, self._prefix):
            if tab.batch == batch:
                withdraw_tab(client, project, self._prefix, tab, list(flags))
        return sum(flag not in _VERDICTS for flag in flags.values())
