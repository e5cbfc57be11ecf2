"""Answers out of relabel projects, brought to the tasks that they are about."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from typing import Final, cast

import numpy as np

from ml_backend.errors import ConfigError, ProjectGoneError, SettingsError
from ml_backend.jobs.queue import Mailbox
from ml_backend.jobs.reconcile import before_unnamed
from ml_backend.labelstudio.batches import sources_of
from ml_backend.labelstudio.corrections import (
    Relabelled,
    originals,
    read_relabelled,
    write_answers,
)
from ml_backend.labelstudio.reader import Project, read_project, read_tasks
from ml_backend.labelstudio.webhooks import without_payload
from ml_backend.review.batch import Fate, fates
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings, project_settings

__all__ = [
    "is_relabel_project",
    "known_settings",
    "look_again",
    "relay",
    "remember_relabel_project",
    "take_back",
    "take_back_beside",
]

_log = logging.getLogger(__name__)

_PAGE: Final = 200
#: Small, because a person may change a source between the look at it and the answer's writing.
_LOT: Final = 32
#: From so many on, what sparing them costs is less than the payloads of their events.
_MANY: Final = 8
#: Seconds between two looks at what was written so far.
_LOOK_S: Final = 5.0
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
        how many were written; what is there already, or in conflict, is left alone.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    written = 0
    # What a task says of where it comes from, whoever may import tasks can have written.
    sources = sources_of(services.client, target)
    for start in range(0, len(tasks), _PAGE):
        for table in read_relabelled(services.client, target, tasks[start : start + _PAGE]):
            if table.source not in sources:
                _log.warning("project %s relabels nothing of project %s", target, table.source)
                continue
            try:
                source = read_project(services.client, table.source)
                prefix = known_settings(services.mailbox, source.id).field_prefix
            except (ConfigError, SettingsError) as error:
                _log.warning("answers of project %s cannot go back yet: %s", target, error)
                if held := table.sent.task[table.answers.id >= 0].tolist():
                    services.mailbox.redis.sadd(_held(table.source, target), *held)
                continue
            except ProjectGoneError as error:
                _log.warning("answers of project %s cannot go back: %s", target, error)
                continue
            written += _write_ready(services, source, prefix, table, ended or threading.Event())
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


def _write_ready(
    services: Services, source: Project, prefix: str, table: Relabelled, ended: threading.Event
) -> int:
    client, written = services.client, 0
    answered = np.flatnonzero(table.answers.id >= 0)
    many = len(answered) >= _MANY
    if many:
        before_unnamed(client, services.mailbox, source.id)
    with without_payload(client, source.id) if many else nullcontext():
        for lot in np.split(answered, range(_LOT, len(answered), _LOT)):
            if ended.is_set():
                break
            wanted = np.unique(table.sent.source[lot])
            now = originals(table, list(read_tasks(client, source, prefix, wanted)))
            ready = np.flatnonzero(fates(table.sent, table.answers, now) == Fate.READY)
            answers = [
                (table.annotation[row], int(table.sent.source[row]), int(now.label[row]))
                for row in ready.tolist()
            ]
            written += len(write_answers(client, answers))
    return written


def look_again(mailbox: Mailbox, source: int, target: int) -> None:
    """Have answers looked at that could not go back while their source's settings were wrong."""
    held = cast(set[bytes], mailbox.redis.smembers(_held(source, target)))
    if held:
        mailbox.add_tasks(target, [int(task) for task in held])
        mailbox.redis.srem(_held(source, target), *held)


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
    pending, deleted = mailbox.pending(target), mailbox.deleted(target)
    newest = sorted(pending, key=lambda task: int(pending[task]), reverse=True)[:_PAGE]
    try:
        take_back_beside(services, target, newest, meanwhile)
    except ProjectGoneError:
        _log.info("relabel project %s is gone", target)
        mailbox.redis.srem(_RELABEL, str(target))
        newest = list(pending)
    mailbox.forget(target, {task: pending[task] for task in newest})
    mailbox.forget_deleted(target, deleted)
    if len(newest) < len(pending):
        mailbox.wake(target)


def remember_relabel_project(mailbox: Mailbox, target: int) -> bool:
    """Note that a project holds copies of another's tasks; true where that was not known."""
    return bool(mailbox.redis.sadd(_RELABEL, str(target)))


def known_settings(mailbox: Mailbox, project: int) -> ProjectSettings:
    """Return a project's settings as Label Studio last sent them, the defaults before that.

    Raises:
        SettingsError: when they are wrong.
    """
    _, extra_params = mailbox.setup_of(project)
    return project_settings(extra_params)


def _held(source: int, target: int) -> str:
    return f"relook:held:{source}:{target}"
