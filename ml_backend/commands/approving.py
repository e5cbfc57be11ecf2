"""Bulk approval from the command line, with its progress and its outcome in words."""

from __future__ import annotations

from collections.abc import Iterator

from redis.exceptions import LockNotOwnedError
from rich.console import Console
from rich.progress import track
from rich.table import Table

from ml_backend.commands.choosing import filter_of, ids_of
from ml_backend.errors import RunError, SettingsError
from ml_backend.jobs.approval import ApprovalWork, Tally, name_batch
from ml_backend.jobs.approval_undo import undo
from ml_backend.review.approve import of_unknown
from ml_backend.services import Services
from ml_backend.settings import service_settings

__all__ = ["approve_tasks", "undo_approvals"]


def approve_tasks(
    project: int,
    confidence: float | None,
    filters: str,
    tasks: str,
    console: Console,
    *,
    dry_run: bool,
) -> None:
    """Approve what the model is sure of, or show what would be approved.

    Args:
        project: Label Studio's project id.
        confidence: from where the model's word is enough; None for what the project's settings say.
        filters: a Data Manager filter as JSON, or "".
        tasks: task ids joined by commas, or "".
        console: where progress is shown.
        dry_run: only show.

    Raises:
        RelookError: naming what is wrong and the mend.
    """
    if filters and tasks:
        raise SettingsError("--filter and --task exclude each other: give one of them")
    said, chosen = filter_of(filters), ids_of(tasks)
    work = ApprovalWork.open(Services(service_settings()), project)
    confidence = confidence or work.opened.settings.approve_confidence
    found = work.tasks(said, chosen)
    batch = name_batch()
    pages = work.approve(found, confidence, batch, dry_run=dry_run)
    try:
        tally = _count(pages, len(found), "judging" if dry_run else "approving", console)
    except LockNotOwnedError as error:
        raise RunError(
            f"this process was away for so long that another one took over tasks of project "
            f"{project}; run the command again, it goes on with what is left"
        ) from error
    _show(tally, console)
    if dry_run:
        console.print(f"{tally.approved} of {tally.looked_at} unlabelled tasks would be approved")
        return
    console.print(f"{tally.approved} of {tally.looked_at} unlabelled tasks are approved")
    if tally.approved:
        console.print(f"`relook approve-undo {project} {batch}` takes them back")


def undo_approvals(project: int, batch: str, console: Console) -> None:
    """Take back one batch of approvals, the newest where none is named.

    Raises:
        RelookError: naming what is wrong and the mend.
    """
    name, total, pages = undo(Services(service_settings()), project, batch)
    tally = _count(pages, total, "taking back", console)
    kept = tally.looked_at - tally.approved
    console.print(f"batch {name}: {tally.approved} approvals are taken back")
    if kept:
        console.print(f"{kept} stay or were gone already: somebody has edited or deleted them")


def _count(pages: Iterator[Tally], total: int, doing: str, console: Console) -> Tally:
    tally = Tally()

    def steps() -> Iterator[None]:
        for page in pages:
            tally.add(page)
            yield from [None] * page.looked_at

    for _ in track(steps(), doing, total=total, console=console):
        pass
    return tally


def _show(tally: Tally, console: Console) -> None:
    if tally.examples:
        table = Table("task", "label", "least sure")
        for one in tally.examples:
            table.add_row(str(one.task), one.labels, f"{one.confidence:.3f}")
        console.print(table)
    for why, count in tally.left.most_common():
        console.print(f"{count} left out: {why}")
    if unknown := of_unknown(tally.unknown):
        console.print(unknown)
    for task in tally.refused:
        console.print(f"task {task}: Label Studio refused its prediction", style="yellow")
