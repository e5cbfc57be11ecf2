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

from label_studio_sdk import LabelStudio

from ml_backend.jobs import clock
from ml_backend.jobs.queue import Mailbox
from ml_backend.labelstudio.changes import last_change, read_changes, shifted

__all__ = ["find_lost_events"]

_log = logging.getLogger(__name__)

#: A change is stamped before it is committed: what was stamped shortly before the last look may
#: have come into sight after it.
_OVERLAP: Final = timedelta(minutes=2)
#: Marks a stamp behind which nothing more can come into sight.
_SETTLED: Final = "settled "


def find_lost_events(client: LabelStudio, mailbox: Mailbox, project: int) -> int:
    """Add the tasks that changed since the last look to the mailbox; return how many.

    The first look at a project only notes how it stands: what was there before belongs to a run.
    What the last look has found already is not found again, nor what was scored as it now stands.

    Raises:
        LabelStudioError: when the tasks cannot be read.
    """
    known = mailbox.reconciled(project)
    if not known:
        _remember(mailbox, project, last_change(client, project))
        return 0
    settled = known.startswith(_SETTLED)
    stamp, _, seen = known.removeprefix(_SETTLED).partition(" ")
    begun = clock.now(mailbox.redis)
    since = stamp if settled else shifted(stamp, -_OVERLAP)
    found = read_changes(client, project, since)
    tasks = [task for task, _ in found.items() - mailbox.found(project).items()]
    if tasks:
        _log.info("project %s: %s tasks changed since %s", project, len(tasks), since)
        mailbox.add_tasks(project, tasks)
    newest = max(found.values(), default=stamp)
    mailbox.remember_found(project, found)
    if newest > stamp or not (settled or seen):
        _remember(mailbox, project, newest)
    elif not settled and begun - float(seen) >= _OVERLAP.total_seconds():
        mailbox.remember_reconciled(project, _SETTLED + stamp)
    return len(tasks)


def _remember(mailbox: Mailbox, project: int, stamp: str) -> None:
    """Keep the newest stamp, and when it was first seen: older ones may still come into sight."""
    mailbox.remember_reconciled(project, f"{stamp} {clock.now(mailbox.redis):.3f}")
