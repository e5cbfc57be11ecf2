"""Answers out of relabel projects, brought to the tasks that they are about."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from textwrap import shorten
from typing import Any, Final, cast

import numpy as np

from ml_backend.errors import ConfigError, ProjectGoneError, SettingsError
from ml_backend.jobs.changes.reconcile import before_unnamed
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.labelstudio.relabel.batches import sources_of
from ml_backend.labelstudio.relabel.corrections import (
    Relabelled,
    originals,
    read_relabelled,
    write_answers,
)
from ml_backend.labelstudio.tasks.reader import Project, TaskPage, read_project, read_tasks
from ml_backend.labelstudio.webhooks import without_payload
from ml_backend.review.batch import Fate, Originals, fates
from ml_backend.services import Services

__all__ = [
    "held_answers",
    "is_relabel_project",
    "look_again",
    "read_originals",
    "relay",
    "remember_relabel_project",
    "take_back",
    "take_back_beside",
]

_log = logging.getLogger(__name__)

#: Answers of one job, so that other jobs have their turn; fewer would leave nothing to do beside.
_PAGE: Final = 200
#: Small, because a person may change a source between the look at it and the answer's writing.
_LOT: Final = 50
#: From so many on, what sparing them costs is less than the payloads of their events.
_MANY: Final = 8
#: Seconds between two looks at what was written so far.
_LOOK_S: Final = 5.0
_MOST_SAID: Final = 300
_RELABEL: Final = "relook:relabel"


def take_back(
    services: Services, target: int, tasks: Sequence[int], ended: threading.Event | None = None
) -> int:
    """Write the answers in some tasks of a relabel project to their source tasks.

    Args:
        services: this worker's parts.
        target: the relabel project.
        tasks: the tasks there.
        ended: set when nothing more shall be written: what is left is taken back another time.

    Returns:
        how many were written; what is there already, in conflict or refused is left alone.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses all.
    """
    written, mailbox = 0, services.mailbox
    # What a task says of where it comes from, whoever may import tasks can have written.
    sources = sources_of(services.client, target)
    # Of two answers to a task the one to the newer copy is written, so that one comes first.
    newest = sorted(tasks, reverse=True)
    with _without_payload(services, sources if len(newest) >= _MANY else ()):
        for start in range(0, len(newest), _LOT):
            if ended is not None and ended.is_set():
                break
            lot, held = newest[start : start + _LOT], dict[int, str]()
            # What one job reads is written before another reads: else a first answer could be
            # written after the second that the same person gave.
            with mailbox.lock(target, "answers"):
                for table in read_relabelled(services.client, target, lot):
                    if table.source in sources:
                        written += _take_back(services, target, table, held)
                    else:
                        said = "project %s relabels nothing of project %s"
                        _log.warning(said, target, table.source)
                _keep_held(mailbox, target, lot, held)
    return written


def take_back_beside(
    services: Services, target: int, tasks: Sequence[int], meanwhile: Callable[[int], None]
) -> int:
    """Do what ``take_back`` does, and something else beside it.

    An answer is one call, and Label Studio takes its time for it: what is done meanwhile costs
    none.

    Args:
        services: this worker's parts.
        target: the relabel project.
        tasks: the tasks there.
        meanwhile: called every few seconds with the relabel project: what it does is to leave that
            one alone.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    ended = threading.Event()
    with ThreadPoolExecutor(1) as aside:
        writing = aside.submit(take_back, services, target, tasks, ended)
        try:
            while not wait([writing], _LOOK_S).done:
                meanwhile(target)
        finally:
            ended.set()
    return writing.result()


@contextmanager
def _without_payload(services: Services, sources: Collection[int]) -> Iterator[None]:
    with ExitStack() as spared:
        for source in sources:
            try:
                before_unnamed(services.client, services.mailbox, source)
                spared.enter_context(without_payload(services.client, source))
            except ProjectGoneError:
                _log.info("project %s is gone", source)
        yield


def _take_back(services: Services, target: int, table: Relabelled, held: dict[int, str]) -> int:
    """Write the answers of one table; note in ``held`` why those that wait do, by their copies."""
    try:
        source = read_project(services.client, table.source)
        prefix = services.mailbox.settings_of(source.id).field_prefix
        return _write_ready(services, target, source, prefix, table, held)
    except (ConfigError, SettingsError) as error:
        _log.warning("answers of project %s cannot go back yet: %s", target, error)
        held.update(dict.fromkeys(table.sent.task[table.answers.id >= 0].tolist(), str(error)))
    except ProjectGoneError as error:
        _log.warning("answers of project %s cannot go back: %s", target, error)
    return 0


def _write_ready(
    services: Services,
    target: int,
    source: Project,
    prefix: str,
    table: Relabelled,
    held: dict[int, str],
) -> int:
    client, copies = services.client, table.sent.task.tolist()
    answered = (table.answers.id >= 0) & (table.sent.source > 0)
    wanted = np.unique(table.sent.source[answered])
    pages = list(read_tasks(client, source, prefix, wanted))
    now = read_originals(services.mailbox, target, table, pages)
    fate = fates(table.sent, table.answers, now)
    ready = np.flatnonzero(fate == Fate.READY).tolist()
    answers = [
        (table.annotation[row], int(table.sent.source[row]), int(now.label[row])) for row in ready
    ]
    errors = dict(zip(ready, write_answers(client, answers), strict=True))
    for row, error in errors.items():
        if error is not None and not isinstance(error, ProjectGoneError):
            _log.warning("an answer waits: %s", error)
            held[copies[row]] = str(error)
    written = [row for row, error in errors.items() if error is None]
    # Written by a worker that died before it could note that, or before Redis was lost.
    there = np.flatnonzero((fate == Fate.DONE) & (now.back != "")).tolist()
    names = table.names()
    _keep_written(services.mailbox, target, {copies[row]: names[row] for row in written + there})
    return len(written)


def read_originals(
    mailbox: Mailbox, target: int, table: Relabelled, pages: Sequence[TaskPage]
) -> Originals:
    """Return how the sources of answers stand, and which answers were written to them.

    Label Studio forgets an answer that somebody deletes there, and its name is free again.

    Args:
        mailbox: the service's Redis.
        target: the relabel project.
        table: tasks there.
        pages: their sources, as they are now.
    """
    return originals(table, pages, _read_written(mailbox, target, table.sent.task.tolist()))


def _read_written(mailbox: Mailbox, target: int, tasks: Sequence[int]) -> dict[int, str]:
    """Return the names of the answers that were written, by their tasks."""
    if not tasks:
        return {}
    kept = cast(list[bytes | None], mailbox.redis.hmget(_written(target), list(map(str, tasks))))
    return {task: name.decode() for task, name in zip(tasks, kept, strict=True) if name}


def _keep_written(mailbox: Mailbox, target: int, names: Mapping[int, str]) -> None:
    if names:
        mailbox.redis.hset(_written(target), mapping=cast(Any, dict(names)))


def held_answers(mailbox: Mailbox, target: int) -> dict[int, str]:
    """Return which answers of a relabel project cannot go back now: task there to the reason."""
    kept = cast(dict[bytes, bytes], mailbox.redis.hgetall(_held(target)))
    return {int(task): why.decode() for task, why in kept.items()}


def look_again(mailbox: Mailbox, target: int) -> None:
    """Have answers looked at that could not go back: what was in their way may be mended."""
    mailbox.pending.add(target, held_answers(mailbox, target))


def _keep_held(
    mailbox: Mailbox, target: int, tasks: Sequence[int], held: Mapping[int, str]
) -> None:
    """Keep which of some tasks' answers are held, in place of what was known of these tasks."""
    with mailbox.redis.pipeline() as pipe:
        pipe.hdel(_held(target), *map(str, tasks))
        if held:
            said = {str(task): shorten(why, _MOST_SAID) for task, why in held.items()}
            pipe.hset(_held(target), mapping=cast(Any, said))
        pipe.execute()


def is_relabel_project(mailbox: Mailbox, project: int) -> bool:
    """Tell whether a project is known to hold copies of another's tasks."""
    return bool(mailbox.redis.sismember(_RELABEL, str(project)))


def relay(services: Services, target: int, meanwhile: Callable[[int], None]) -> None:
    """Look at what events named in a relabel project that no model serves: answers, for the rest.

    Args:
        services: this worker's parts.
        target: the relabel project.
        meanwhile: see ``take_back_beside``.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    mailbox = services.mailbox
    newest, deleted = mailbox.pending.newest(target, _PAGE), mailbox.pending.deleted(target)
    more = mailbox.pending.count(target) > len(newest)
    try:
        take_back_beside(services, target, list(newest), meanwhile)
    except ProjectGoneError:
        _log.info("relabel project %s is gone", target)
        mailbox.redis.srem(_RELABEL, str(target))
        mailbox.redis.delete(_held(target), _written(target))
        mailbox.pending.forget_all(target)
        return
    mailbox.pending.forget(target, newest)
    mailbox.pending.forget_deleted(target, deleted)
    if more:
        mailbox.pending.wake(target)


def remember_relabel_project(mailbox: Mailbox, target: int) -> bool:
    """Note that a project holds copies of another's tasks; true where that was not known."""
    return bool(mailbox.redis.sadd(_RELABEL, str(target)))


def _held(target: int) -> str:
    return f"relook:held-answers:{target}"


def _written(target: int) -> str:
    return f"relook:written-answers:{target}"
