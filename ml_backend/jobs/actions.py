"""The jobs of actions: flag, clear, tag, batches, approvals; and their undo."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import wraps

from redis.exceptions import LockError

from ml_backend.errors import RelookError, is_lasting
from ml_backend.jobs.acting.book import NOT_THERE, Action, ActionBook, Wish
from ml_backend.jobs.acting.field_actions import change, restore
from ml_backend.jobs.approvals.action import approve, take_back
from ml_backend.jobs.batches.orders import IN_BATCH, Order
from ml_backend.jobs.batches.work import Batches
from ml_backend.jobs.events import let_others
from ml_backend.jobs.queues.limit import OutOfTime, tries_left
from ml_backend.jobs.queues.pulse import LAPSE_S
from ml_backend.jobs.shards import services
from ml_backend.review.approve import of_unknown

__all__ = ["act", "undo"]


def _told(job: Callable[[Action, ActionBook], str]) -> Callable[[str], None]:
    """Write down how an action goes, and why one failed."""
    undoes = job.__name__ == "undo"
    doing, done = ("undoing", "undone") if undoes else ("doing", "done")

    @wraps(job)
    def telling(action: str) -> None:
        with ExitStack() as held:
            try:
                # One that was taken for lost may be at work; one that died lets go by then.
                held.enter_context(services().mailbox.lock(0, f"action-{action}", LAPSE_S))
            except LockError:
                return
            tell(action)

    def tell(action: str) -> None:
        book = ActionBook(services().mailbox.redis)
        try:
            found = book.read(action)
        except KeyError:
            return
        if found.state not in ({"undoing"} if undoes else {"queued", "doing"}):
            return
        book.note(action, state=doing)
        try:
            said = job(found, book)
        except (Exception, OutOfTime) as error:
            known = isinstance(error, RelookError | OutOfTime)
            why = str(error) if known else f"{type(error).__name__}; the worker's log says more."
            if is_lasting(error) or not tries_left():
                book.fail(action, why)
            else:
                book.note(action, said=f"{why} Tried again.")
            if is_lasting(error):
                return
            raise
        book.note(action, state=done, said=said)

    return telling


@_told
def act(action: Action, book: ActionBook) -> str:
    """Do what somebody asked for."""
    wish = book.wish(action.id)
    match wish.action:
        case "batch":
            return _send(action, book, wish)
        case "withdraw":
            return _withdraw(action.project, wish.batch)
        case "sync":
            came = Batches(services(), action.project, let_others).bring_back()
            return f"{came} answers brought back"
        case "approve":
            return _approve(action, book, wish)
        case "take-back":
            # The newest is another one by the next try.
            return _take_back(action, book, action.batch or wish.batch)
    return _sentence(*change(services(), action, book, wish), "changed")


@_told
def undo(action: Action, book: ActionBook) -> str:
    """Take back what an action did, where nobody has changed it since."""
    if action.action == "batch":
        return _withdraw(action.project, action.batch)
    if action.action == "approve":
        return _take_back(action, book, action.batch)
    return _sentence(*restore(services(), action, book), "as before")


def _send(action: Action, book: ActionBook, wish: Wish) -> str:
    # The same token at each try: a batch that was begun is gone on with.
    order = Order(action.id[:6], wish.to, wish.top, wish.kinds, wish.tasks)
    made = Batches(services(), action.project, let_others).send(order)
    total = len(wish.tasks) or made.sent
    book.note(action.id, done=total, total=total, undoable=int(bool(made.batch)), batch=made.batch)
    left = {IN_BATCH: total - made.sent - made.gone, NOT_THERE: made.gone}
    said = _sentence(made.sent, left, "sent")
    return f"{said}; {made.warning}" if made.warning else said


def _withdraw(project: int, batch: str) -> str:
    came, withdrawn = Batches(services(), project, let_others).cancel(batch)
    return f"{withdrawn} tasks withdrawn, {came} answers brought back"


def _approve(action: Action, book: ActionBook, wish: Wish) -> str:
    tally, left_out = approve(services(), action, book, wish, let_others)
    said = _sentence(tally.approved, left_out, "approved"), of_unknown(tally.unknown)
    return "; ".join(filter(None, said))


def _take_back(action: Action, book: ActionBook, batch: str) -> str:
    taken, kept = take_back(services(), action, book, batch, let_others)
    left = {"edited or deleted since, or a draft lies on it": kept}
    return _sentence(taken, left, "without a label again")


def _sentence(count: int, left: Mapping[str, int], what: str) -> str:
    parts = [f"{count} {'task' if count == 1 else 'tasks'} {what}"]
    parts += [f"{number} left out: {why}" for why, number in left.items() if number]
    return "; ".join(parts)
