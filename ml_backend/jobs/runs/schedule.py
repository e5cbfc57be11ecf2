"""Runs that begin by themselves: every so many hours, and when settings or config have changed."""

from __future__ import annotations

import hashlib
import logging
from typing import Final, cast

from ml_backend.errors import ConfigError, SettingsError
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.labelstudio.config import parse_config
from ml_backend.settings import ProjectSettings, project_settings

__all__ = ["begin_if_changed", "begin_if_due", "has_changed"]

_log = logging.getLogger(__name__)

#: Project to what its last known settings and config stand for.
_KNOWN: Final = "relook:setup-digests"
_HOUR_S: Final = 3600
#: Should who sees to a change die, another may.
_SEEN_TO_S: Final = 60


def begin_if_due(mailbox: Mailbox, project: int) -> bool:
    """Begin a run if the project's settings want one by now; return whether one was begun.

    One over the whole project that a person began counts too: the hours are those since the last.
    """
    known, extra_params = mailbox.setup_of(project)
    try:
        hours = project_settings(extra_params).analyze_every_hours if known else 0
    except SettingsError as error:
        _log.warning("project %s: no run begins by itself: %s", project, error)
        return False
    if not hours:
        return False
    book = RunBook(mailbox.redis)
    with mailbox.lock(project, "schedule"):
        if any(book.is_current(run) for run in book.of_project(project)):
            return False
        if book.now() - book.last_whole(project) < hours * _HOUR_S:
            return False
        RunGraph(mailbox, book).start(project)
    return True


def has_changed(mailbox: Mailbox, project: int, xml: str) -> bool:
    """Whether settings or config have changed in what an analysis says, as ``begin_if_changed``."""
    found = _standing(mailbox, project, xml)
    return found is not None and found[1] != _known(mailbox, project)


def begin_if_changed(mailbox: Mailbox, project: int, xml: str) -> bool:
    """Begin a run if settings or config have changed in what an analysis says; return whether.

    Only where the project was analysed before: the first run is a person's to begin.

    Args:
        mailbox: the service's queues.
        project: the project.
        xml: its labelling config as it now is; its settings are those last remembered.
    """
    found = _standing(mailbox, project, xml)
    if found is None:
        return False
    settings, digest = found
    if _known(mailbox, project) == digest:
        return False
    # Several are told of one change; one of them sees to it.
    seeing_to = f"relook:seen-to:{project}:{digest}"
    if not mailbox.redis.set(seeing_to, 1, nx=True, ex=_SEEN_TO_S):
        return False
    try:
        before, book = _known(mailbox, project), RunBook(mailbox.redis)
        analysed = before not in ("", digest) and settings.analyze_on_change
        begins = analysed and bool(book.ids_of(project))
        if begins:
            RunGraph(mailbox, book).start(project)
        # Last: where no run could be begun, the change is still one when it is next told.
        mailbox.redis.hset(_KNOWN, str(project), digest)
    finally:
        mailbox.redis.delete(seeing_to)
    return begins


def _standing(mailbox: Mailbox, project: int, xml: str) -> tuple[ProjectSettings, str] | None:
    """Return a project's settings, and what stands for them and its config; None for wrong ones."""
    known, extra_params = mailbox.setup_of(project)
    if not known:
        return None
    try:
        settings = project_settings(extra_params)
        # What the config says besides, such as a header or a colour, changes no answer.
        controls = parse_config(xml).controls
    except (SettingsError, ConfigError):
        return None  # said where it was typed, and by the next run
    parts = settings.touching("predictions", "queue"), controls
    return settings, hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def _known(mailbox: Mailbox, project: int) -> str:
    kept = cast(bytes | None, mailbox.redis.hget(_KNOWN, str(project)))
    return kept.decode() if kept is not None else ""
