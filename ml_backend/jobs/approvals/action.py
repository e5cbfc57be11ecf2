"""Bulk approval, and its undo, as actions that somebody follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ml_backend.jobs.acting.book import NOT_THERE, Action, ActionBook, Wish
from ml_backend.jobs.approvals import undo as approval_undo
from ml_backend.jobs.approvals.work import ApprovalWork, Tally, name_batch
from ml_backend.review.approve import REASONS
from ml_backend.services import Services

__all__ = ["approve", "take_back"]


def approve(
    services: Services,
    action: Action,
    book: ActionBook,
    wish: Wish,
    between: Callable[[], None] = lambda: None,
) -> tuple[Tally, Counter[str]]:
    """Approve what the model is sure of; return what came of it, and what was left out for what.

    Run again, it goes on: what is approved is labelled by then. ``between`` is called after each
    page.
    """
    work = ApprovalWork.open(services, action.project)
    # Kept, so that each try adds to the same batch.
    batch = action.batch or name_batch(action.id)
    book.note(action.id, batch=batch)
    earlier = approval_undo.count(services, action.project, batch) if action.batch else 0
    tasks, gone = work.tasks(wish.tasks)
    tally = Tally()
    labelled = len(wish.tasks) - len(tasks) - gone
    for page in work.approve(tasks, wish.confidence, batch):
        tally.add(page)
        book.note(action.id, done=labelled + gone + tally.looked_at, undoable=1)
        between()
    tally.approved += earlier
    book.note(action.id, done=action.total, undoable=int(tally.approved > 0))
    left = Counter(tally.left)
    left[REASONS[0]] += labelled - earlier
    left[NOT_THERE] += gone
    left["refused by Label Studio"] += len(tally.refused)
    return tally, +left


def take_back(
    services: Services,
    action: Action,
    book: ActionBook,
    batch: str,
    between: Callable[[], None] = lambda: None,
) -> tuple[int, int]:
    """Take a batch of approvals back, the newest where none is named.

    Run again, it goes on: what it took back before counts too. ``between`` is called after each
    page.

    Returns:
        how many were taken back, and how many stay or are gone already.
    """
    # Noted once it was found: by an earlier try, or by the approval itself.
    again = bool(action.batch)
    looked_at, taken = 0, action.taken

    def count(page: Tally) -> None:
        nonlocal looked_at, taken
        looked_at += page.looked_at
        # An earlier try has counted all of the page at which it ended.
        if looked_at > action.counted:
            taken += page.approved
            book.note(action.id, counted=looked_at, taken=taken)

    name, total, pages = approval_undo.undo(
        services, action.project, batch, again=again, before=count
    )
    book.note(action.id, batch=name, total=total or action.counted)
    for _ in pages:
        book.note(action.id, done=looked_at)
        between()
    return taken, max(looked_at, action.counted) - taken
