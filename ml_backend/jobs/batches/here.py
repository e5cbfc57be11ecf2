"""Relabel batches that stay in their project: their tasks have a field and a tab."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.batches.orders import Order, require_wanted, withdrawing
from ml_backend.jobs.batches.sent_before import note_sent
from ml_backend.jobs.queues.ranges import shards_of
from ml_backend.labelstudio.relabel.tabs import (
    BatchTab,
    batch_tabs,
    open_tab,
    put_into,
    read_flags,
    remove_tab,
)
from ml_backend.labelstudio.tasks.own_fields import read_own_fields
from ml_backend.labelstudio.tasks.reader import Project, TaskPage, read_tasks
from ml_backend.marks import SEPARATOR, Mark
from ml_backend.review.batch import Fate, fate_here
from ml_backend.review.decide import NEEDS_REVIEW
from ml_backend.services import Services

__all__ = ["HereBatches", "fates_here", "tabs_here"]

#: What the names of batches' tabs begin with.
_NAMED: Final = "batch "


class HereBatches:
    """The batches of one project that stay in it.

    Args:
        services: this process' parts.
        source: the project.
        prefix: what the names of Relook's own fields begin with.
        meanwhile: called between two shards of tasks, while none is locked.
    """

    def __init__(
        self, services: Services, source: Project, prefix: str, meanwhile: Callable[[int], None]
    ) -> None:
        self._services = services
        self._client = services.client
        self._mailbox = services.mailbox
        self._source = source
        self._prefix = prefix
        self._meanwhile = meanwhile

    def begun(self, token: str) -> set[int]:
        """Return what a job that died since has put into a batch."""
        return set(read_flags(self._client, self._source.id, self._prefix, token))

    def send(self, order: Order, tasks: NDArray[np.int64]) -> None:
        """Put tasks into an order's batch, and open its tab.

        Raises:
            BatchError: when it has been cancelled meanwhile.
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        redis, marks = self._mailbox.redis, self._note_chosen(order.token, tasks)
        try:
            self._put_into(order.token, tasks, order)
        finally:
            note_sent(redis, self._source.id, marks)
        project, keys = self._source.id, self._source.config.data_keys
        known = _known(self._services, project)
        tab = open_tab(self._client, project, self._prefix, order.token, keys, known)
        # Its title is people's to change from now on.
        self._mailbox.remember_tabs(project, {f"{_NAMED}{order.token}": tab})

    def cancel(self, batch: str, earlier: int) -> int | None:
        """Take the tasks out of a batch and close its tab.

        Args:
            batch: the batch.
            earlier: how many tasks an earlier try was withdrawing when it failed.

        Returns:
            how many were unanswered; None where no such batch is in the project.

        Raises:
            LabelStudioError: when Label Studio cannot be reached or refuses.
        """
        tabs = tabs_here(self._services, self._source.id, self._prefix)
        if not (ours := [tab for tab in tabs if tab.batch == batch]):
            return None
        stand = fates_here(self._services, self._source, self._prefix, batch)
        count = max(earlier, sum(fate == Fate.OPEN for fate in stand.values()))
        with withdrawing(self._mailbox.redis, self._source.id, batch, count):
            self._put_into("", np.array(list(stand), dtype=np.int64))
            for tab in ours:
                remove_tab(self._client, self._source.id, tab)
        self._mailbox.redis.delete(_chosen(self._source.id, batch))
        return count

    def _note_chosen(self, batch: str, tasks: NDArray[np.int64]) -> dict[int, str]:
        """Note the labels of those tasks that are not flagged; return the others' marks."""
        project, chosen = self._source, _chosen(self._source.id, batch)
        if not len(tasks):
            return {}
        own = read_own_fields(self._client, project.id, self._prefix, tasks.tolist())
        flagged = {task: one for task, one in own.items() if one.get("flag") == NEEDS_REVIEW}
        others = sorted(own.keys() - flagged.keys())
        for page in read_tasks(self._client, project, self._prefix, others) if others else ():
            for task, labels in _labels(page).items():
                # The first try has seen the labels as they were sent.
                self._mailbox.redis.hsetnx(chosen, str(task), str(labels))
        return {task: str(one.get("seen") or "") for task, one in flagged.items()}

    def _put_into(self, batch: str, tasks: NDArray[np.int64], order: Order | None = None) -> None:
        for shard, some in shards_of(np.sort(tasks)).items():
            if order is not None:
                require_wanted(self._mailbox.redis, self._source.id, order)
            with self._mailbox.lock(self._source.id, shard):
                put_into(self._client, self._source.id, self._prefix, batch, some.tolist())
            self._meanwhile(0)


def tabs_here(services: Services, project: int, prefix: str) -> list[BatchTab]:
    """Return the tabs of the batches that stayed in a project, whatever they are called by now.

    Raises:
        LabelStudioError: when they cannot be listed.
    """
    return batch_tabs(services.client, project, prefix, _known(services, project))


def _known(services: Services, project: int) -> dict[int, str]:
    """Return the tabs that were made for batches, and those."""
    tabs = services.mailbox.tabs_of(project).items()
    return {tab: name.removeprefix(_NAMED) for name, tab in tabs if name.startswith(_NAMED)}


def fates_here(services: Services, source: Project, prefix: str, batch: str) -> dict[int, str]:
    """Return what became of each task of a batch that stayed in its project, see ``fate_here``.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    client = services.client
    flags = read_flags(client, source.id, prefix, batch)
    kept = cast(dict[bytes, bytes], services.mailbox.redis.hgetall(_chosen(source.id, batch)))
    chosen = {int(task): Mark.parse(said.decode()) for task, said in kept.items()}
    labels: dict[int, Mark] = {}
    if read := sorted(chosen.keys() & flags.keys()):
        for page in read_tasks(client, source, prefix, read):
            labels |= _labels(page)
    return {
        task: fate_here(flag, chosen.get(task), labels.get(task, Mark()))
        for task, flag in flags.items()
    }


def _labels(page: TaskPage) -> dict[int, Mark]:
    """Return marks of the labels as they are, by task."""
    rows = zip(page.id.tolist(), page.digest.tolist(), page.labelled_at.tolist(), strict=True)
    return {
        task: Mark(frozenset(filter(None, said.split(SEPARATOR))), at) for task, said, at in rows
    }


def _chosen(project: int, batch: str) -> str:
    return f"relook:chosen-here:{project}:{batch}"
