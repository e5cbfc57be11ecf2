"""Bulk approval as one of the review page's actions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ml_backend.jobs import approval_undo
from ml_backend.jobs.action_book import Action, ActionBook, Wish
from ml_backend.jobs.approval import ApprovalWork, Tally, name_batch
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
    begun = book.batch(action.id)
    # Kept, so that each try adds to the same batch.
    batch = begun or name_batch(action.id)
    book.keep_batch(action.id, batch)
    earlier = approval_undo.count(services, action.project, batch) if begun else 0
    tasks = work.tasks(None, wish.tasks)
    tally = Tally()
    labelled = len(wish.tasks) - len(tasks)
    for page in work.approve(tasks, wish.confidence, batch):
        tally.add(page)
        book.note(action.id, done=labelled + tally.looked_at, undoable=1)
        between()
    tally.approved += earlier
    book.note(action.id, done=action.total, undoable=int(tally.approved > 0))
    left = Counter(tally.left)
    left[REASONS[0]] += labelled - earlier
    left["refused by Label Studio"] += len(tally.refused)
    return tally, +left


def take_back(services: Services, action: Action, book: ActionBook) -> tuple[int, int]:
    """Take an action's approvals back; return how many, and how many stay or are gone already."""
    _, _, pages = approval_undo.undo(services, action.project, book.batch(action.id))
    tally = Tally()
    for page in pages:
        tally.add(page)
        book.note(action.id, done=tally.looked_at)
    book.note(action.id, done=action.total)
    return tally.approved, tally.looked_at - tally.approved
