"""Flags and tags set by hand, and their undo: written into Relook's own fields alone.

What stood there is written down before anything is changed, so that each step can be run again and
taken back. It is read while nobody else writes those tasks: two who tag the same ones both do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from ml_backend.jobs.acting.book import NOT_THERE, Action, ActionBook, Lot, Wish
from ml_backend.jobs.acting.field_changes import FIELD_CHANGES, Refused
from ml_backend.jobs.events import let_others
from ml_backend.jobs.project.noting import region_ids
from ml_backend.jobs.project.queue_history import QueueHistory
from ml_backend.jobs.queues.ranges import shards_of
from ml_backend.labelstudio.tasks.own_fields import OwnFields, read_own_fields
from ml_backend.labelstudio.tasks.reader import Project, read_project, read_tasks
from ml_backend.labelstudio.tasks.tags import split_tags
from ml_backend.labelstudio.writer import write_field
from ml_backend.services import Services

__all__ = ["change", "restore"]

#: A flag is written when its reason stands.
_ORDER: Final = ("hand", "priority", "kind", "reason", "seen", "tags", "flag")
#: What tells whether somebody has changed what an action wrote.
_TELLING: Final = ("flag", "hand", "tags")
_CHANGED_SINCE: Final = "changed since"
_NO_REGION: Final = "its regions are gone, or have changed since they were shown"
#: Tasks that events name at once.
_NAMED: Final = 1000

#: Annotation and region id of the regions that are meant, task by task.
_Regions = Mapping[int, list[tuple[int, str]]]


@dataclass(frozen=True)
class _Named:
    """Regions that are named by their places.

    Attributes:
        services: this worker's parts.
        project: the project; None where whole tasks are meant.
        prefix: what the names of Relook's own fields begin with.
        tag: place of the control tag that regions are counted under.
        places: task id to the places of its regions that are meant.
        shown: task id to when its labels were written last, and how many regions it had, as
            somebody saw them who meant these places.
    """

    services: Services
    project: Project | None
    prefix: str
    tag: int
    places: Mapping[int, Sequence[int]]
    shown: Mapping[int, tuple[float, int]]

    @classmethod
    def of(cls, services: Services, project: int, prefix: str, wish: Wish) -> Self:
        """Read what is needed to tell regions by their places."""
        if not wish.regions:
            return cls(services, None, prefix, 0, {}, {})
        opened = read_project(services.client, project)
        names = [control.name for control in opened.config.controls]
        places: dict[int, list[int]] = defaultdict(list)
        for task, place in wish.regions:
            places[task].append(place)
        tag = names.index(wish.control) if wish.control in names else 0
        shown = {task: (at, count) for task, at, count in wish.shown}
        return cls(services, opened, prefix, tag, places, shown)

    def among(self, tasks: Sequence[int]) -> _Regions:
        """Read which regions of some tasks are meant; none where they are gone or changed."""
        named = [task for task in tasks if task in self.places]
        found: dict[int, list[tuple[int, str]]] = {task: [] for task in named}
        if self.project is None:
            return found
        for page in read_tasks(self.services.client, self.project, self.prefix, named):
            labels = page.annotations.labels[self.tag]
            for row, task in enumerate(page.id.tolist()):
                ids = region_ids(page, labels.annotation, labels.item, row)
                stands = (float(page.labelled_at[row]), len(ids))
                if self.shown.get(task, stands) == stands:
                    there = [place for place in self.places[task] if place < len(ids)]
                    found[task] = [ids[place] for place in there if ids[place][1]]
        return found


def change(
    services: Services, action: Action, book: ActionBook, wish: Wish
) -> tuple[int, Counter[str]]:
    """Flag, clear, tag or untag; return how many tasks, and how many were left out for what.

    Run again, it goes on: what it wrote before counts too, unless somebody has changed it since.
    """
    prefix = services.mailbox.settings_of(action.project).field_prefix
    named = _Named.of(services, action.project, prefix, wish)
    tasks = sorted({*wish.tasks, *named.places})
    left: Counter[str] = Counter()
    done, changed = 0, 0
    with _looked_at_again(services, action.project) as touched:
        for number, (bucket, some) in enumerate(_shards(tasks)):
            with services.mailbox.lock(action.project, bucket) as lock:
                page = read_own_fields(services.client, action.project, prefix, some)
                begun = book.lot(action.id, number) or Lot({}, {})
                lot, wanted, said = _wanted(page, wish, named.among(some), begun)
                lock.require()
                book.keep_lot(action.id, number, lot)
                touched.extend(_write(services, action.project, prefix, page, wanted))
            left += said
            left[NOT_THERE] += len(some) - len(page)
            done, changed = done + len(some), changed + len(wanted)
            book.note(action.id, done=done, undoable=1)
            let_others()
    book.note(action.id, done=action.total, undoable=int(changed > 0))
    return changed, left


def restore(services: Services, action: Action, book: ActionBook) -> tuple[int, Counter[str]]:
    """Put back what stood; return on how many tasks, and how many were left alone for what."""
    prefix = services.mailbox.settings_of(action.project).field_prefix
    left: Counter[str] = Counter()
    done, changed = 0, 0
    with _looked_at_again(services, action.project) as touched:
        for number in book.lots(action.id):
            lot = book.lot(action.id, number) or Lot({}, {})
            for bucket, some in _shards(sorted(lot.wrote)):
                with services.mailbox.lock(action.project, bucket) as lock:
                    page = read_own_fields(services.client, action.project, prefix, some)
                    wanted = {
                        task: _as_before(lot, task)
                        for task, own in page.items()
                        if _stands(own, lot.wrote[task]) or _stands(own, _as_before(lot, task))
                    }
                    lock.require()
                    touched.extend(_write(services, action.project, prefix, page, wanted))
                left[_CHANGED_SINCE] += len(page) - len(wanted)
                done, changed = done + len(page), changed + len(wanted)
                book.note(action.id, done=done)
                let_others()
    book.note(action.id, done=action.total)
    return changed, left


def _shards(tasks: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    for bucket, some in shards_of(np.array(tasks, dtype=np.int64)).items():
        yield bucket, some.tolist()


@contextmanager
def _looked_at_again(services: Services, project: int) -> Iterator[list[int]]:
    """Have the tasks that the body names looked at: marks, suggestions, places of regions' tags.

    Only at its end, or they would overtake what people have saved meanwhile.
    """
    touched: list[int] = []
    try:
        yield touched
    finally:
        for start in range(0, len(touched), _NAMED):
            services.mailbox.pending.add(project, touched[start : start + _NAMED])


def _wanted(
    page: Mapping[int, OwnFields], wish: Wish, regions: _Regions, begun: Lot
) -> tuple[Lot, dict[int, OwnFields], Counter[str]]:
    """Return what was begun and is wanted besides, and what of both is to be written."""
    lot, left = Lot({**begun.before}, {**begun.wrote}), Counter[str]()
    wanted: dict[int, OwnFields] = {}
    for task, own in page.items():
        if task in begun.wrote:
            # What somebody has answered or changed since the try before is the last word.
            if _is_ours(own, begun, task):
                wanted[task] = begun.wrote[task]
            else:
                left[_CHANGED_SINCE] += 1
            continue
        if task in regions and not regions[task]:
            # Without a region the change would be the whole task's.
            left[_NO_REGION] += 1
            continue
        made = FIELD_CHANGES[wish.action](own, wish.tag, regions.get(task, []))
        if isinstance(made, Refused):
            left[made.why] += 1
            continue
        lot.before[task] = {name: own[name] for name in made if name in own}
        lot.wrote[task] = wanted[task] = made
    return lot, wanted, left


def _is_ours(own: OwnFields, lot: Lot, task: int) -> bool:
    """Whether a task stands as it was or as it was to be, field by field: a try was cut short."""
    before, wrote = _as_before(lot, task), lot.wrote[task]
    names = [name for name in _TELLING if name in wrote]
    return all((own.get(name) or "") in (before[name], wrote[name]) for name in names)


def _as_before(lot: Lot, task: int) -> OwnFields:
    """What stood before; of what did not, nothing."""
    nothing: OwnFields = {name: 0.0 if name == "priority" else "" for name in lot.wrote[task]}
    return nothing | lot.before[task]


def _stands(own: OwnFields, wrote: OwnFields) -> bool:
    return all((own.get(name) or "") == wrote[name] for name in _TELLING if name in wrote)


def _write(
    services: Services,
    project: int,
    prefix: str,
    page: Mapping[int, OwnFields],
    wanted: Mapping[int, OwnFields],
) -> list[int]:
    """Write what differs; return the tasks that must be looked at again."""
    for name in _ORDER:
        values = {
            task: made[name]
            for task, made in wanted.items()
            if name in made and made[name] != page[task].get(name)
        }
        write_field(services.client, project, f"{prefix}_{name}", values)
    services.page.change(project, {task: _columns(made) for task, made in wanted.items()})
    flagged = [task for task, made in wanted.items() if "flag" in made]
    if flagged:
        before, after = (
            np.array([str(some[task].get("flag") or "") for task in flagged], dtype=np.str_)
            for some in (page, wanted)
        )
        QueueHistory(services.mailbox.redis).note(project, before, after)
    of_regions = [task for task in wanted if any(map(_region_tags, (page[task], wanted[task])))]
    return [*flagged, *of_regions]


def _region_tags(own: OwnFields) -> bool:
    return bool(split_tags(str(own.get("tags") or ""))[1])


def _columns(made: OwnFields) -> dict[str, str]:
    columns: dict[str, str] = {}
    for name in ("flag", "hand"):
        if name in made:
            columns[name] = str(made[name])
    if "tags" in made:
        columns["tags"] = "\n".join(split_tags(str(made["tags"]))[0])
    return columns
