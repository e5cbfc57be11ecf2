"""The jobs behind the review page's buttons: flag, clear, tag, batch, approve, and their undo.

Flags and tags go into Relook's own fields alone. What stood there is written down before anything
is changed, so that each job can be run again and taken back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

import numpy as np

from ml_backend.errors import (
    LabelStudioError,
    ProjectGoneError,
    RelookError,
    TokenRefusedError,
)
from ml_backend.jobs.action_book import Action, ActionBook, Lot, Wish
from ml_backend.jobs.approve_action import approve, take_back
from ml_backend.jobs.batches import Batches, Order
from ml_backend.jobs.field_changes import FIELD_CHANGES, Refused
from ml_backend.jobs.noting import region_ids
from ml_backend.jobs.queue_history import QueueHistory
from ml_backend.jobs.shards import SHARD, services
from ml_backend.jobs.take_back import known_settings
from ml_backend.labelstudio.own_fields import OwnFields, read_own_fields
from ml_backend.labelstudio.reader import read_project, read_tasks
from ml_backend.labelstudio.tags import split_tags
from ml_backend.labelstudio.writer import write_field

__all__ = ["act", "undo"]

#: A flag is written when its reason stands.
_ORDER: Final = ("hand", "priority", "kind", "reason", "tags", "flag")
#: What tells whether somebody has changed what an action wrote.
_TELLING: Final = ("flag", "hand", "tags")
_CHANGED_SINCE: Final = "changed since"


def _told(job: Callable[[Action, ActionBook], str]) -> Callable[[str], None]:
    """Write down how an action goes, and why one failed."""

    @wraps(job)
    def telling(action: str) -> None:
        book = ActionBook(services().mailbox.redis)
        try:
            found = book.read(action)
        except KeyError:
            return
        if found.state not in ("queued", "doing"):
            return
        book.note(action, state="doing")
        try:
            said = job(found, book)
        except RelookError as error:
            lasting = isinstance(error, ProjectGoneError | TokenRefusedError)
            if isinstance(error, LabelStudioError) and not lasting:
                book.note(action, said=f"{error} Tried again.")
                raise
            book.note(action, state="failed", said=str(error))
            return
        book.note(action, state="done", said=said)

    return telling


@_told
def act(action: Action, book: ActionBook) -> str:
    """Do what somebody asked for."""
    wish = book.wish(action.id)
    if wish.action == "batch":
        return _send(action, book, wish)
    if wish.action == "approve":
        tally, left_out = approve(services(), action, book, wish)
        book.note(action.id, done=action.total, undoable=int(tally.approved > 0))
        more = f"; outliers not known for {tally.unknown} of them" if tally.unknown else ""
        return _sentence(tally.approved, "approved", left_out) + more
    prefix = known_settings(services().mailbox, action.project).field_prefix
    regions = _named_regions(action.project, prefix, wish)
    tasks = sorted({*wish.tasks, *regions})
    left: Counter[str] = Counter()
    done, changed = 0, 0
    pages = read_own_fields(services().client, action.project, prefix, tasks)
    for number, page in enumerate(pages):
        lot = book.lot(action.id, number)
        if lot is None:
            lot, said = _wanted(page, wish, regions)
            left += said
            book.keep_lot(action.id, number, lot)
        _write(action.project, prefix, page, lot.wrote, of_regions=bool(regions))
        done, changed = done + len(page), changed + len(lot.wrote)
        book.note(action.id, done=done, undoable=1)
    unknown = len(tasks) - done
    if unknown > 0:
        left["not in this project"] += unknown
    book.note(action.id, done=len(tasks), undoable=int(changed > 0))
    return _sentence(changed, "changed", left)


@_told
def undo(action: Action, book: ActionBook) -> str:
    """Take back what an action did, where nobody has changed it since."""
    if action.action == "batch":
        batch = book.batch(action.id)
        came, withdrawn = Batches(services(), action.project).cancel(batch)
        return f"{withdrawn} tasks withdrawn, {came} answers brought back"
    if action.action == "approve":
        taken, kept = take_back(services(), action, book)
        book.note(action.id, done=action.total)
        return _sentence(taken, "without a label again", {"edited or deleted since": kept})
    prefix = known_settings(services().mailbox, action.project).field_prefix
    left: Counter[str] = Counter()
    done, changed = 0, 0
    for number in book.lots(action.id):
        lot = book.lot(action.id, number)
        if lot is None or not lot.wrote:
            continue
        tasks = sorted(lot.wrote)
        for page in read_own_fields(services().client, action.project, prefix, tasks):
            restored = {
                task: _as_before(lot, task)
                for task, own in page.items()
                if _stands(own, lot.wrote[task]) or _stands(own, _as_before(lot, task))
            }
            left[_CHANGED_SINCE] += len(page) - len(restored)
            tagged = any(split_tags(str(own.get("tags", "")))[1] for own in page.values())
            _write(action.project, prefix, page, restored, of_regions=tagged)
            done, changed = done + len(page), changed + len(restored)
            book.note(action.id, done=done)
    book.note(action.id, done=action.total)
    return _sentence(changed, "as before", +left)


def _send(action: Action, book: ActionBook, wish: Wish) -> str:
    # The same token at each try: a batch that was begun is gone on with.
    order = Order(action.id[:6], to=wish.to, tasks=wish.tasks)
    made = Batches(services(), action.project).send(order)
    if made.batch:
        book.keep_batch(action.id, made.batch)
    book.note(action.id, done=action.total, undoable=int(bool(made.batch)))
    said = _sentence(made.sent, "sent", {"in a batch already": len(wish.tasks) - made.sent})
    return f"{said}; {made.warning}" if made.warning else said


def _wanted(
    page: Mapping[int, OwnFields], wish: Wish, regions: Mapping[int, list[tuple[int, str]]]
) -> tuple[Lot, Counter[str]]:
    before: dict[int, OwnFields] = {}
    wrote: dict[int, OwnFields] = {}
    left: Counter[str] = Counter()
    for task, own in page.items():
        made = FIELD_CHANGES[wish.action](own, wish.tag, regions.get(task, []))
        if isinstance(made, Refused):
            left[made.why] += 1
        else:
            before[task] = {name: own[name] for name in made if name in own}
            wrote[task] = made
    return Lot(before, wrote), left


def _as_before(lot: Lot, task: int) -> OwnFields:
    """What stood before; of what did not, nothing."""
    nothing: OwnFields = {name: 0.0 if name == "priority" else "" for name in lot.wrote[task]}
    return nothing | lot.before[task]


def _stands(own: OwnFields, wrote: OwnFields) -> bool:
    return all((own.get(name) or "") == wrote[name] for name in _TELLING if name in wrote)


def _write(
    project: int,
    prefix: str,
    page: Mapping[int, OwnFields],
    wanted: Mapping[int, OwnFields],
    *,
    of_regions: bool,
) -> None:
    buckets: dict[int, dict[int, OwnFields]] = defaultdict(dict)
    for task, made in wanted.items():
        buckets[task // SHARD][task] = made
    for bucket, some in buckets.items():
        # A job that is scoring these tasks would write over what it has not seen.
        with services().mailbox.lock(project, bucket):
            for name in _ORDER:
                values = {
                    task: made[name]
                    for task, made in some.items()
                    if name in made and made[name] != page[task].get(name)
                }
                write_field(services().client, project, f"{prefix}_{name}", values)
            columns = {task: _columns(made) for task, made in some.items()}
            services().page.change(project, columns)
    flagged = [task for task, made in wanted.items() if "flag" in made]
    if flagged:
        before, after = (
            np.array([str(some[task].get("flag") or "") for task in flagged], dtype=np.str_)
            for some in (page, wanted)
        )
        QueueHistory(services().mailbox.redis).note(project, before, after)
    # The mark of the labels that were flagged, the suggestion, the places of regions' tags.
    if flagged or of_regions:
        services().mailbox.add_tasks(project, wanted)


def _columns(made: OwnFields) -> dict[str, str]:
    columns: dict[str, str] = {}
    for name in ("flag", "hand"):
        if name in made:
            columns[name] = str(made[name])
    if "tags" in made:
        columns["tags"] = "\n".join(split_tags(str(made["tags"]))[0])
    return columns


def _named_regions(project: int, prefix: str, wish: Wish) -> dict[int, list[tuple[int, str]]]:
    """Annotation and region id of the regions that are named by their places, task by task."""
    if not wish.regions:
        return {}
    opened = read_project(services().client, project)
    names = [control.name for control in opened.config.controls]
    at = names.index(wish.control) if wish.control in names else 0
    found: dict[int, list[tuple[int, str]]] = {}
    tasks = sorted({task for task, _ in wish.regions})
    for page in read_tasks(services().client, opened, prefix, tasks):
        labels = page.annotations.labels[at]
        for row, task in enumerate(page.id.tolist()):
            ids = region_ids(page, labels.annotation, labels.item, row)
            places = [place for one, place in wish.regions if one == task]
            found[task] = [ids[place] for place in places if place < len(ids) and ids[place][1]]
    return found


def _sentence(count: int, what: str, left: Mapping[str, Any]) -> str:
    parts = [f"{count} {'task' if count == 1 else 'tasks'} {what}"]
    parts += [f"{number} left out: {why}" for why, number in left.items() if number]
    return "; ".join(parts)
