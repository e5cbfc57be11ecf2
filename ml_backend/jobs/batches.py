"""Relabel batches: sent, brought back, listed, withdrawn.

What stands is read from Label Studio each time, so each step can be repeated at any time: it finds
nothing left to do. Redis only knows which projects' events are answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BatchError, ConfigError, ProjectGoneError, SettingsError
from ml_backend.jobs.reconcile import find_lost_events
from ml_backend.jobs.take_back import known_settings, remember_relabel_project, take_back
from ml_backend.labelstudio.batch_tabs import (
    batch_tabs,
    open_tab,
    read_flags,
    withdraw_tab,
)
from ml_backend.labelstudio.batches import (
    adopt_project,
    copy_webhook,
    find_relabel_projects,
    make_relabel_project,
    read_out,
    read_waiting,
    relabel_task,
    send_tasks,
    withdraw,
)
from ml_backend.labelstudio.corrections import (
    Relabelled,
    originals,
    read_answered,
    read_relabelled,
)
from ml_backend.labelstudio.reader import TaskPage, read_project, read_tasks
from ml_backend.review.batch import Fate, Waiting, choose, confirmed, fates
from ml_backend.review.decide import CONFIRMED, CORRECTED, NEEDS_REVIEW
from ml_backend.services import Services

__all__ = ["HERE", "NEW", "Batches", "Order", "Progress"]

_log = logging.getLogger(__name__)

#: Where a batch can go besides a project that is named by its id; "" is the relabel project that
#: stands, or a new one.
HERE: Final = "here"
NEW: Final = "new"


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


@dataclass(slots=True)
class Progress:
    """How a batch stands, in tasks; ``done`` is what was corrected or confirmed.

    Attributes:
        batch: its name.
        project: where its tasks are; the source project for one that stayed there.
        ready: answered, and on the way back.
        conflicts: source tasks whose labels changed after they were sent, with the mend.
    """

    batch: str
    project: int
    sent: int = 0
    open: int = 0
    ready: int = 0
    done: int = 0
    corrected: int = 0
    confirmed: int = 0
    gone: int = 0
    conflicts: dict[int, str] = field(default_factory=dict)


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

    def send(self, order: Order) -> tuple[str, int]:
        """Send tasks; return the batch's name, "" for none, and how many went out just now.

        Tasks that wait in a batch already are not sent again.

        Raises:
            SettingsError: when the project named cannot take them.
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        order = replace(order, to=order.to or self._settings.batch_to)
        with self._services.mailbox.lock(self._source.id, "batches"):
            chosen = self._chosen(order)
            if order.to == HERE:
                return self._stay(order, chosen)
            if not len(chosen):
                return "", 0
            target = self._target(order)
            batch, count = f"{target}-{order.token}", 0
            for page in self._pages(chosen):
                tasks = [self._copy(page, row, batch) for row in range(len(page))]
                send_tasks(self._client, target, tasks)
                count += len(tasks)
        return batch, count

    def send_when_full(self, token: str) -> tuple[str, int]:
        """Send what waits in no batch, if it is as much as the project's settings ask for.

        Raises:
            SettingsError: when it is to go where nobody with rights there has sent any.
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        least, to = self._settings.batch_every, self._settings.batch_to
        if not least or self._waiting() < least:
            return "", 0
        # Who writes a project's settings may have no rights in the project that they name.
        if to.isdigit() and int(to) not in find_relabel_projects(self._client, self._source.id):
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
                find_lost_events(self._client, mailbox, target)
            except ProjectGoneError:
                _log.info("relabel project %s was deleted meanwhile", target)

    def bring_back(self) -> int:
        """Write every answer that is not yet on its source task; return how many."""
        return sum(
            take_back(self._services, target, read_answered(self._client, target))
            for target in find_relabel_projects(self._client, self._source.id)
        )

    def progress(self) -> list[Progress]:
        """Return how each batch stands.

        Raises:
            LabelStudioError: when it cannot be read.
        """
        found: dict[str, Progress] = {}
        for target in find_relabel_projects(self._client, self._source.id):
            for table in read_relabelled(self._client, target):
                if table.source == self._source.id:
                    self._count(table, target, found)
        return [*found.values(), *self._progress_here()]

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

    @property
    def _prefix(self) -> str:
        return self._settings.field_prefix

    def _waiting(self) -> int:
        """Return how many flagged tasks are in no batch."""
        waiting, out = self._queue()
        return len(choose(waiting, out))

    def _queue(self) -> tuple[Waiting, set[int]]:
        """Return the queue, and the tasks that are in a batch and unanswered."""
        waiting = read_waiting(self._client, self._source.id, self._prefix)
        out = set(waiting.task[waiting.batch != ""].tolist())
        for target in find_relabel_projects(self._client, self._source.id):
            out |= read_out(self._client, target, self._source.id)
        return waiting, out

    def _chosen(self, order: Order) -> NDArray[np.int64]:
        waiting, out = self._queue()
        if order.tasks:
            return np.array([task for task in order.tasks if task not in out], dtype=np.int64)
        chosen = choose(waiting, out, order.top, order.kinds)
        return chosen[: self._settings.batch_size or None] if order.top is None else chosen

    def _target(self, order: Order) -> int:
        note, client = f"[{order.token}]", self._client
        if order.to in ("", NEW):
            found = find_relabel_projects(client, self._source.id)
            fitting = [one for one in found if self._fits(one)] if not order.to else []
            same = [one for one, said in found.items() if note in said]
            target = next(iter([*same, *reversed(fitting)]), None)
            if target is None:
                target = make_relabel_project(client, self._source, note)
        else:
            target = int(order.to)
            adopt_project(client, self._source, target)
        mailbox = self._services.mailbox
        copy_webhook(client, self._source.id, target)
        if remember_relabel_project(mailbox, target):
            # The first look notes how the project stands; what comes later is found by the next.
            find_lost_events(client, mailbox, target)
        return target

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

    def _stay(self, order: Order, chosen: NDArray[np.int64]) -> tuple[str, int]:
        known = {tab.batch for tab in batch_tabs(self._client, self._source.id, self._prefix)}
        waiting = read_waiting(self._client, self._source.id, self._prefix)
        # A job that died between field and tab has left nothing to choose.
        if len(chosen) or (order.token not in known and order.token in waiting.batch):
            keys = self._source.config.data_keys
            open_tab(self._client, self._source.id, self._prefix, order.token, chosen, keys)
            return order.token, len(chosen)
        return (order.token, 0) if order.token in known else ("", 0)

    def _cancel_here(self, batch: str) -> int:
        client, project = self._client, self._source.id
        flags = read_flags(client, project, self._prefix, batch)
        rest = [task for task, flag in flags.items() if flag == NEEDS_REVIEW]
        for tab in batch_tabs(client, project, self._prefix):
            if tab.batch == batch:
                withdraw_tab(client, project, self._prefix, tab, rest)
        return len(rest)

    def _count(self, table: Relabelled, target: int, found: dict[str, Progress]) -> None:
        now = originals(table, list(self._pages(np.unique(table.sent.source))))
        fate = fates(table.sent, table.answers, now)
        same = confirmed(table.sent, table.answers)
        for row, (batch, became) in enumerate(
            zip(table.sent.batch.tolist(), fate.tolist(), strict=True)
        ):
            one = found.setdefault(batch, Progress(batch, target))
            one.sent += 1
            one.open += became == Fate.OPEN
            one.ready += became == Fate.READY
            one.gone += became == Fate.GONE
            one.done += became == Fate.DONE
            one.confirmed += became == Fate.DONE and bool(same[row])
            one.corrected += became == Fate.DONE and not same[row]
            if became == Fate.CONFLICT:
                source = int(table.sent.source[row])
                one.conflicts[source] = self._mend(source, target, int(table.sent.task[row]))

    def _mend(self, source: int, target: int, task: int) -> str:
        return (
            f"task {source}: its labels changed after it was sent, so the answer (task {task} of "
            f"project {target}) was not written. `relook batch {self._source.id} --task {source}` "
            "sends it again as it now stands; or take the answer over by hand."
        )

    def _progress_here(self) -> list[Progress]:
        client, project = self._client, self._source.id
        found = []
        for tab in batch_tabs(client, project, self._prefix):
            flags = list(read_flags(client, project, self._prefix, tab.batch).values())
            done = len(flags) - flags.count(NEEDS_REVIEW)
            found.append(
                Progress(
                    *(tab.batch, project),
                    sent=len(flags),
                    open=len(flags) - done,
                    done=done,
                    corrected=flags.count(CORRECTED),
                    confirmed=flags.count(CONFIRMED),
                )
            )
        return found
