"""Events that never arrived or named no task, found by what Label Studio says has changed.

Label Studio sends an event once and forgets it. But it stamps a task when an annotation of it is
made, changed or deleted (seen with 1.23: also by the bulk actions), so the tasks stamped since the
last look are those whose events may be lost. Only Label Studio's own stamps are compared, with each
other; how long ago one was seen is told by Redis' clock alone.

Relook's own fields and bulk imports leave no stamp. A prediction that it deletes, or writes by
itself into a large project, does: such a task is looked at once more, finds nothing to write, and
is left alone from then on. A stamp does not say what it was for, and one of ours could hide a
person's that came just before.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

import numpy as np
from label_studio_sdk import LabelStudio

from ml_backend.jobs.changes.known import KnownChanges
from ml_backend.jobs.queues import clock
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.labelstudio.moments import microseconds, shifted
from ml_backend.labelstudio.tasks.changes import last_change, read_changes
from ml_backend.storage.looks import LookBook

__all__ = ["before_unnamed", "find_lost_events", "find_unnamed"]

_log = logging.getLogger(__name__)

#: A change is stamped before it is committed: what was stamped shortly before the last look may
#: have come into sight after it.
_OVERLAP: Final = timedelta(minutes=2)
#: The same for what single requests change, each of them committed at once.
_MOMENT: Final = timedelta(seconds=5)
#: Marks a stamp behind which nothing more can come into sight.
_SETTLED: Final = "settled "


def find_lost_events(
    client: LabelStudio,
    mailbox: Mailbox,
    project: int,
    looks: LookBook | None = None,
    *,
    running: bool = False,
) -> int:
    """Add the tasks that changed since the last look to the mailbox; return how many.

    The first look at a project only notes how it stands: what was there before belongs to a run.
    What the last look has found already is not found again.

    Args:
        client: a signed-in client.
        mailbox: the service's queues.
        project: the project.
        looks: how tasks were when they were read: what has not changed since is known.
        running: whether a run is under way: a task that nobody has read yet is left to it, and
            looked for again after it.

    Raises:
        LabelStudioError: when the tasks cannot be read.
    """
    known = KnownChanges(mailbox.redis, project)
    before = known.reconciled
    if not before:
        known.reconciled = _now_seen(mailbox, last_change(client, project))
        return 0
    settled = before.startswith(_SETTLED)
    stamp, _, seen = before.removeprefix(_SETTLED).partition(" ")
    begun = clock.now(mailbox.redis)
    since = stamp if settled else shifted(stamp, -_OVERLAP)
    found = read_changes(client, project, since)
    tasks = known.new_among(found)
    left = False
    if looks is not None:
        tasks, never = _unread(looks, project, {task: found[task] for task in tasks})
        left = running and bool(never)
        tasks += [] if left else never
    if tasks:
        _log.info("project %s: %s tasks changed since %s", project, len(tasks), since)
        mailbox.pending.add(project, tasks)
    if left:
        return len(tasks)
    newest = max(found.values(), default=stamp)
    known.remember(found)
    if newest > stamp or not (settled or seen):
        known.reconciled = _now_seen(mailbox, newest)
    elif not settled and begun - float(seen) >= _OVERLAP.total_seconds():
        known.reconciled = _SETTLED + stamp
    return len(tasks)


def _now_seen(mailbox: Mailbox, stamp: str) -> str:
    """Return a stamp and when it was first seen: older ones may still come into sight."""
    return f"{stamp} {clock.now(mailbox.redis):.3f}"


def _unread(looks: LookBook, project: int, changed: dict[int, str]) -> tuple[list[int], list[int]]:
    """Return which tasks were read before their stamp, and which were never read."""
    task = np.array(sorted(changed), dtype=np.int64)
    stamp = np.array([microseconds(changed[one]) for one in task.tolist()], dtype=np.int64)
    read = looks.get(project, task).stamp
    return task[(read != stamp) & (read != 0)].tolist(), task[read == 0].tolist()


def before_unnamed(client: LabelStudio, mailbox: Mailbox, project: int) -> None:
    """Note how a project stands before its events name no task.

    Raises:
        LabelStudioError: when it cannot be read.
    """
    newest = last_change(client, project)
    if mailbox.pending.unnamed(project) is None:
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
    before = max(known.noticed, known.reconciled.removeprefix(_SETTLED).partition(" ")[0])
    if not before:
        return find_lost_events(client, mailbox, project)
    found = read_changes(client, project, shifted(before, -_MOMENT))
    tasks = known.new_among(found)
    if tasks:
        mailbox.pending.add(project, tasks)
        known.remember(found, beside=True)
    known.noticed = max([before, *found.values()])
    return len(tasks)
