"""Events that never arrived or named no task, found by what Label Studio says has changed.

Label Studio sends an event once and forgets it. But it stamps a task when an annotation of it is
made, changed or deleted (seen with 1.23: also by the bulk actions; not when Relook writes its own
fields), so the tasks stamped since the last look are those whose events may be lost. Only Label
Studio's own stamps are compared: no other clock is asked.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from label_studio_sdk import LabelStudio

from ml_backend.jobs.known_changes import KnownChanges
from ml_backend.jobs.queue import Mailbox
from ml_backend.labelstudio.changes import last_change, read_changes, shifted

__all__ = ["before_unnamed", "find_lost_events", "find_unnamed"]

_log = logging.getLogger(__name__)

#: A change is stamped before it is committed: what was stamped shortly before the last look may
#: have come into sight after it.
_OVERLAP: Final = timedelta(minutes=2)
#: The same for what single requests change, each of them committed at once.
_MOMENT: Final = timedelta(seconds=5)
#: Marks a stamp behind which nothing more can come into sight.
_SETTLED: Final = "settled "


def find_lost_events(client: LabelStudio, mailbox: Mailbox, project: int) -> int:
    """Add the tasks that changed since the last look to the mailbox; return how many.

    The first look at a project only notes how it stands: what was there before belongs to a run.
    What the last look has found already is not found again.

    Raises:
        LabelStudioError: when the tasks cannot be read.
    """
    known = KnownChanges(mailbox.redis, project)
    before = known.reconciled
    if not before:
        known.reconciled = last_change(client, project)
        return 0
    settled = before.startswith(_SETTLED)
    stamp = before.removeprefix(_SETTLED)
    since = stamp if settled else shifted(stamp, -_OVERLAP)
    found = read_changes(client, project, since)
    tasks = known.new_among(found)
    if tasks:
        _log.info("project %s: %s tasks changed since %s", project, len(tasks), since)
        mailbox.add_tasks(project, tasks)
    newest = max(found.values(), default=stamp)
    known.remember(found)
    known.reconciled = _SETTLED + stamp if newest <= stamp else newest
    return len(tasks)


def before_unnamed(client: LabelStudio, mailbox: Mailbox, project: int) -> None:
    """Note how a project stands before its events name no task.

    Raises:
        LabelStudioError: when it cannot be read.
    """
    newest = last_change(client, project)
    if mailbox.unnamed(project) is None:
        KnownChanges(mailbox.redis, project).noticed = newest


def find_unnamed(client: LabelStudio, mailbox: Mailbox, project: int) -> int:
    """Add the tasks that events without a name were about to the mailbox; return how many.

    It looks a moment back only: hundreds of answers may come in a minute, and each look lists all
    since. What comes into sight later is found as a lost event.

    Raises:
        LabelStudioError: when the tasks cannot be read.
    """
    known = KnownChanges(mailbox.redis, project)
    # In one form, so that the later one is the greater.
    before = max(known.noticed, known.reconciled.removeprefix(_SETTLED))
    if not before:
        return find_lost_events(client, mailbox, project)
    found = read_changes(client, project, shifted(before, -_MOMENT))
    tasks = known.new_among(found)
    if tasks:
        mailbox.add_tasks(project, tasks)
        known.remember(found, beside=True)
    known.noticed = max([before, *found.values()])
    return len(tasks)
