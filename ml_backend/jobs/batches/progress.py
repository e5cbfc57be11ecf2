"""How relabel batches stand, read from Label Studio each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final, TypeVar

import numpy as np

from ml_backend.jobs.batches.here import fates_here, tabs_here
from ml_backend.jobs.batches.take_back import held_answers, read_originals
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.relabel.batches import find_relabel_projects
from ml_backend.labelstudio.relabel.corrections import Relabelled, read_relabelled
from ml_backend.labelstudio.tasks.listing import list_tasks
from ml_backend.labelstudio.tasks.own_fields import read_own_fields
from ml_backend.labelstudio.tasks.reader import Project, read_tasks
from ml_backend.review.batch import Answers, Fate, Originals, Sent, confirmed, fates
from ml_backend.review.decide import CONFIRMED, CORRECTED
from ml_backend.services import Services

__all__ = ["Progress", "read_progress"]

#: Copies that are read at once.
_PAGE: Final = 200

_Copies = tuple[Sent, Answers, Originals]
_Columns = TypeVar("_Columns", Sent, Answers, Originals)


@dataclass(slots=True)
class Progress:
    """How a batch stands, in tasks: ``sent`` is the sum of all others but the two verdicts.

    Attributes:
        batch: its name.
        project: where its tasks are; the source project for one that stayed there.
        open: nobody has answered yet.
        skipped: whoever looked at it skipped it, or, where it stayed in the project, its flag was
            cleared without an answer; it can go out again.
        ready: answered, and on the way back.
        done: corrected or confirmed.
        superseded: never written back, and sent again since.
        gone: the source task was deleted, or the copy names none any more.
        conflicts: source tasks whose labels changed after they were sent, or whose answer was
            deleted there, with the mend.
        held: tasks of its project whose answers cannot go back for another reason, with the mend.
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
    held: dict[int, str] = field(default_factory=dict)


def read_progress(services: Services, source: Project, prefix: str) -> list[Progress]:
    """Return how each batch of a project stands.

    Args:
        services: this process' parts.
        source: the project whose tasks went out.
        prefix: what the names of Relook's own fields begin with.

    Raises:
        LabelStudioError: when it cannot be read.
    """
    client, mailbox, found = services.client, services.mailbox, dict[str, Progress]()
    for target in find_relabel_projects(client, source.id):
        pages = list(_read_copies(services, source, prefix, target))
        if pages:
            sent, answers, now = zip(*pages, strict=True)
            copies = _joined(sent), _joined(answers), _joined(now)
            _count(source.id, target, copies, held_answers(mailbox, target), found)
    return [*found.values(), *_read_progress_here(services, source, prefix)]


def _read_copies(
    services: Services, source: Project, prefix: str, target: int
) -> Iterator[_Copies]:
    """Read the copies in a relabel project page by page: their columns, not all that they hold."""
    client = services.client
    with explained(f"listing the tasks of relabel project {target}"):
        copies = [int(task.id) for task in list_tasks(client, target, "id")]
    for start in range(0, len(copies), _PAGE):
        for table in read_relabelled(client, target, copies[start : start + _PAGE]):
            if table.source == source.id:
                now = _originals(services, source, prefix, target, table)
                yield table.sent, table.answers, now


def _originals(
    services: Services, source: Project, prefix: str, target: int, table: Relabelled
) -> Originals:
    """Read how source tasks stand; of those that nobody has answered, only whether they do."""
    client = services.client
    answered = table.sent.source[table.answers.id >= 0]
    read = np.intersect1d(table.sources, answered)
    pages = list(read_tasks(client, source, prefix, read))
    now = read_originals(services.mailbox, target, table, pages)
    others = np.setdiff1d(table.sources, read).tolist()
    there = list(read_own_fields(client, source.id, prefix, others)) if others else []
    return replace(now, there=now.there | np.isin(table.sent.source, there))


def _joined(parts: Sequence[_Columns]) -> _Columns:
    kind = type(parts[0])
    names = [column.name for column in fields(kind)]
    return kind(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _count(
    source: int,
    target: int,
    copies: _Copies,
    held: Mapping[int, str],
    found: dict[str, Progress],
) -> None:
    sent, answers, now = copies
    fate, same = fates(sent, answers, now), confirmed(sent, answers)
    for row, (batch, became) in enumerate(zip(sent.batch.tolist(), fate.tolist(), strict=True)):
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
        task, copy = int(sent.source[row]), int(sent.task[row])
        if became == Fate.CONFLICT:
            answer = f"the answer (task {copy} of project {target})"
            if now.overtaken[row]:
                why = f"somebody labelled it while {answer} was written: both stand there."
            elif now.returned[row]:
                why = f"{answer} had come back, and somebody has deleted it there since."
            else:
                why = f"its labels changed after it was sent, so {answer} was not written."
            one.conflicts[task] = (
                f"task {task}: {why} `relook batch {source} --task {task}` sends it "
                "again as it now stands; or settle it by hand."
            )
        elif task < 0:
            one.held[copy] = (
                f"task {copy} of project {target} names its source no longer: relook_source_task "
                "in its data was changed, so no answer can go back. Put the number back, with "
                "which relook_source_url ends, or delete the task and send its source again."
            )
        elif became == Fate.READY and copy in held:
            one.held[copy] = (
                f"task {task}: the answer (task {copy} of project {target}) waits: {held[copy]} It "
                "is tried again every few minutes, and at once by "
                f"`relook batches {source} --sync`."
            )


def _read_progress_here(services: Services, source: Project, prefix: str) -> list[Progress]:
    """Return how the batches that stayed in the project stand."""
    found = []
    for tab in tabs_here(services, source.id, prefix):
        stand = list(fates_here(services, source, prefix, tab.batch).values())
        corrected, confirmed = stand.count(CORRECTED), stand.count(CONFIRMED)
        found.append(
            Progress(
                *(tab.batch, source.id),
                sent=len(stand),
                open=stand.count(Fate.OPEN),
                skipped=stand.count(Fate.SKIPPED),
                done=corrected + confirmed,
                corrected=corrected,
                confirmed=confirmed,
            )
        )
    return found
