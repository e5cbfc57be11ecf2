"""Relabel batches: sent, brought back, listed, withdrawn.

What stands is read from Label Studio each time, so each step can be repeated at any time: it finds
nothing left to do. Redis only knows which projects' events are answers.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import BatchError, ConfigError, ProjectGoneError
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
    read_batch,
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
from ml_backend.marks import Mark
from ml_backend.review.batch import Fate, Waiting, choose, confirmed, fates
from ml_backend.review.decide import CONFIRMED, CORRECTED, NEEDS_REVIEW
from ml_backend.services import Services

__all__ = ["HERE", "NEW", "Batches", "Dispatch", "Order", "Progress"]

_log = logging.getLogger(__name__)

#: Where a batch can go besides a project that is named by its id; "" is the relabel project that
#: stands, or a new one.
HERE: Final = "here"
NEW: Final = "new"
_VERDICTS: Final = (CORRECTED, CONFIRMED)


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


@dataclass(slots=True)
class Progress:
    """How a batch stands, in tasks: ``sent`` is the sum of all others but the two verdicts.

    Attributes:
        batch: its name.
        project: where its tasks are; the source project for one that stayed there.
        open: nobody has answered yet.
        skipped: whoever looked at it skipped it; it can go out again.
        ready: answered, and on the way back.
        done: corrected or confirmed.
        superseded: never written back, and sent again since.
        gone: the source task was deleted.
        conflicts: source tasks whose labels changed after they were sent, with the mend.
    """

    batch: str
    project: int
    sent: int = 0
    open: int = 0
    skipped: int = 0
    ready: int = 0
    done: int = 0
    corrected: int = 0
    confirmed: int = 0
    superseded: int = 0
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
            target, sent = self._begun(order.token)
            chosen, count, warning = self._chosen(order, sent), len(sent), ""
            for page in self._pages(chosen):
                if not len(page):
                    continue
                if count == len(sent):
                    target, warning = self._target(order, target)
                batch = f"{target}-{order.token}"
                tasks = [self._copy(page, row, batch) for row in range(len(page))]
                send_tasks(self._client, target, tasks)
                count += len(tasks)
        return Dispatch(f"{target}-{order.token}", count, warning) if count else Dispatch()

    def send_when_full(self, token: str) -> Dispatch:
        """Send what waits in no batch, if it is as much as the project's settings ask for."""
        least = self._settings.batch_every
        if not least or self._waiting() < least:
            return Dispatch()
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

    def _queue(self, chosen: Iterable[int] = ()) -> tuple[Waiting, set[int]]:
        """Return the queue, and which of it and of chosen tasks are in a batch without a verdict.

        That is from when they are sent until their answers are written back and scored.
        """
        client, source = self._client, self._source.id
        waiting, out = read_waiting(client, source, self._prefix), set[int]()
        for tab in batch_tabs(client, source, self._prefix):
            flags = read_flags(client, source, self._prefix, tab.batch)
            out |= {task for task, flag in flags.items() if flag not in _VERDICTS}
        asked = {*waiting.task.tolist(), *chosen}
        for target in find_relabel_projects(client, source):
            unanswered, answered = read_out(client, target, source)
            out |= unanswered
            out |= self._on_the_way(target, [one for one, of in answered.items() if of in asked])
        return waiting, out

    def _on_the_way(self, target: int, copies: list[int]) -> set[int]:
        """Return the sources of those copies whose answers nobody has written back and scored."""
        found: set[int] = set()
        for table in read_relabelled(self._client, target, copies):
            if table.source == self._source.id:
                pages = list(self._pages(np.unique(table.sent.source)))
                fate = fates(table.sent, table.answers, originals(table, pages))
                found |= set(table.sent.source[fate == Fate.READY].tolist())
                done = table.sent.source[fate == Fate.DONE]
                found |= {task for page in pages for task in _unscored(page, done)}
        return found

    def _begun(self, token: str) -> tuple[int, set[int]]:
        """Return where an order was begun, and what of it was sent, by a job that died since."""
        for target in find_relabel_projects(self._client, self._source.id):
            if sent := read_batch(self._client, target, self._source.id, f"{target}-{token}"):
                return target, sent
        return 0, set()

    def _chosen(self, order: Order, sent: Collection[int]) -> NDArray[np.int64]:
        """Return what an order has still to send, in the order in which it goes out."""
        waiting, out = self._queue(order.tasks)
        out |= set(sent)
        if order.tasks:
            return np.array([task for task in order.tasks if task not in out], dtype=np.int64)
        chosen = choose(waiting, out, order.top, order.kinds)
        size = self._settings.batch_size
        return chosen if order.top or not size else chosen[: max(size - len(sent), 0)]

    def _target(self, order: Order, begun: int) -> tuple[int, str]:
        """Return the project that an order's tasks go to, and what is to be known of it."""
        note, client, warning = f"[{order.token}]", self._client, ""
        if begun:
            target = begun
        elif order.to in ("", NEW):
            found = find_relabel_projects(client, self._source.id)
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
        address = self._services.settings.label_studio_url
        return relabel_task(page, row, self._source.id, self._prefix, batch, address)

    def _stay(self, order: Order) -> Dispatch:
        client, project = self._client, self._source.id
        begun = read_flags(client, project, self._prefix, order.token)
        chosen = self._chosen(order, begun)
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
            one.skipped += became == Fate.SKIPPED
            one.ready += became == Fate.READY
            one.done += became == Fate.DONE
            one.superseded += became == Fate.SUPERSEDED
            one.gone += became == Fate.GONE
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
            done = sum(flag in _VERDICTS for flag in flags)
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


def _unscored(page: TaskPage, tasks: NDArray[np.int64]) -> list[int]:
    """Return which of these tasks are flagged for labels that have been answered since."""
    seen = np.array([Mark.parse(str(mark or "")).labelled_at for mark in page.own["seen"]])
    flagged = np.array([flag == NEEDS_REVIEW for flag in page.own["flag"]], dtype=np.bool_)
    found = page.id[flagged & (page.labelled_at > seen) & np.isin(page.id, tasks)]
    return [int(task) for task in found]
