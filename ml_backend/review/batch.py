"""Which tasks go out in a relabel batch, and what becomes of what comes back: pure decisions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ml_backend.marks import SEPARATOR, Mark
from ml_backend.review.decide import CONFIRMED, CORRECTED, NEEDS_REVIEW, VERDICTS

__all__ = [
    "Answers",
    "Fate",
    "Originals",
    "Sent",
    "Waiting",
    "choose",
    "confirmed",
    "fate_here",
    "fates",
]


class Fate(StrEnum):
    """What became of one task that was sent."""

    OPEN = "open"
    """Nobody has answered yet."""
    SKIPPED = "skipped"
    """Whoever looked at it skipped it."""
    READY = "ready"
    """Answered; the answer is to be written to the source task."""
    DONE = "done"
    """The source task has the answer."""
    CONFLICT = "conflict"
    """Answered, but the source task's labels changed meanwhile, or as it was written; or it was
    written, and somebody has deleted it there."""
    SUPERSEDED = "superseded"
    """Never written back, and the source task was sent again since."""
    GONE = "gone"
    """The source task was deleted, or is no longer known."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The queue, T tasks.

    Attributes:
        task: int64 (T,), task ids.
        priority: float64 (T,), higher is more urgent.
        kind: str (T,), the kind of suspicion.
        mark: str (T,), the mark beside the flag.
    """

    task: NDArray[np.int64]
    priority: NDArray[np.float64]
    kind: NDArray[np.str_]
    mark: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Sent:
    """Tasks in relabel projects, B rows.

    Attributes:
        task: int64 (B,), the relabel task.
        source: int64 (B,), the task that it is a copy of; -1 where that is no longer known.
        batch: str (B,), the batch it went out in.
        digest: str (B,), of the source task's labels as they were sent.
    """

    task: NDArray[np.int64]
    source: NDArray[np.int64]
    batch: NDArray[np.str_]
    digest: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.task)


@dataclass(frozen=True, slots=True)
class Answers:
    """The newest annotation of each relabel task, B rows.

    Attributes:
        id: int64 (B,), the annotation; -1 where there is none but skipped ones.
        digest: str (B,), what it says.
        made: float64 (B,), when it was made, seconds since 1970.
        written: float64 (B,), when it was last saved, seconds since 1970.
        skipped: bool (B,), whether there are skipped ones and nothing else.
    """

    id: NDArray[np.int64]
    digest: NDArray[np.str_]
    made: NDArray[np.float64]
    written: NDArray[np.float64]
    skipped: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Originals:
    """The source task of each row as it stands now, B rows.

    Attributes:
        there: bool (B,), whether it still exists.
        label: int64 (B,), its newest current annotation; -1 for none.
        digest: str (B,), of its current labels.
        back: str (B,), digest of the newest annotation that carries the answer's id; "" for none.
        made: float64 (B,), when that one was made, seconds since 1970; 0 for none.
        written: float64 (B,), when that one was last saved, seconds since 1970; 0 for none.
        untouched: bool (B,), whether nobody has saved that one since; true where there is none.
        overtaken: bool (B,), whether somebody labelled the task while that one was on the way.
        returned: bool (B,), whether the answer was written there before, and may be gone by now.
    """

    there: NDArray[np.bool_]
    label: NDArray[np.int64]
    digest: NDArray[np.str_]
    back: NDArray[np.str_]
    made: NDArray[np.float64]
    written: NDArray[np.float64]
    untouched: NDArray[np.bool_]
    overtaken: NDArray[np.bool_]
    returned: NDArray[np.bool_]


def choose(
    waiting: Waiting,
    out: Collection[int],
    top: int | None = None,
    kinds: Collection[str] = (),
) -> NDArray[np.int64]:
    """Choose the tasks to send, the most urgent first.

    What is out counts as part of the top: the same call again chooses what is missing, so a job
    that died half way is completed by the next one, and repeating it sends nothing twice.

    Args:
        waiting: the queue.
        out: tasks that are in a batch and unanswered.
        top: how many tasks from the top of the queue; None for all.
        kinds: only these kinds; empty for all.

    Returns:
        int64 (N,), task ids.
    """
    wanted = np.isin(waiting.kind, sorted(kinds)) if kinds else np.ones(len(waiting.task), bool)
    rows = np.flatnonzero(wanted)
    # Among equals the older task goes first, so that the order never depends on the reading.
    order = rows[np.lexsort((waiting.task[rows], -waiting.priority[rows]))][:top]
    chosen = waiting.task[order]
    kept: NDArray[np.int64] = chosen[~np.isin(chosen, sorted(out))]
    return kept


def fates(sent: Sent, answers: Answers, now: Originals) -> NDArray[np.str_]:
    """Tell what became of each task that was sent; str (B,), values of ``Fate``.

    An answer is written only onto labels that nobody else has changed: those that were sent, or
    those that came back before, where the relabeller saved another answer since. That holds for a
    task that was sent again too; of two answers to it the one to the newer copy is written. One
    that somebody has deleted there is not written again.
    """
    answered = answers.id >= 0
    came = answered & now.there & (now.back != "") & (now.made >= answers.made)
    overtaken = came & now.overtaken
    # Edited later than it was answered: people at the source went on from it, which settles it too.
    # Untouched, its moment is only that of our writing, of an answer that was read before.
    edited = ~now.untouched & (now.written >= answers.written)
    settled = came & ~overtaken & ((now.back == answers.digest) | edited)
    expected = np.where(came & now.untouched, now.back, np.where(came, "", sent.digest))
    unchanged = (now.digest == expected) & (~came | now.untouched)
    agreed = answered & (now.digest == answers.digest) & ~unchanged
    ready = answered & now.there & unchanged & ~settled & ~overtaken & ~now.returned

    fate = np.full(len(sent), Fate.CONFLICT, dtype="<U10")
    fate[ready] = Fate.READY
    fate[_sent_again(sent, np.ones(len(sent), bool)) & ~ready] = Fate.SUPERSEDED
    fate[_sent_again(sent, ready) & ready] = Fate.SUPERSEDED
    fate[settled | (agreed & ~overtaken)] = Fate.DONE
    fate[~answered] = Fate.OPEN
    fate[answers.skipped] = Fate.SKIPPED
    fate[~now.there] = Fate.GONE
    return fate


def fate_here(flag: str, chosen: Mark | None, labels: Mark) -> str:
    """Tell what became of one task of a batch that stayed in its project.

    A flag waits for its verdict. A task that had none when somebody chose it gets no verdict
    either: there, a label that was saved since is the answer.

    Args:
        flag: the flag that stands.
        chosen: the labels as they were sent; None of a task that was flagged.
        labels: the labels as they are.

    Returns:
        a verdict, ``Fate.OPEN``, or ``Fate.SKIPPED`` where the flag was cleared without an answer.
    """
    if flag == NEEDS_REVIEW:
        return Fate.OPEN
    if chosen is None:
        return flag if flag in VERDICTS else Fate.SKIPPED
    if labels.labelled_at <= chosen.labelled_at:
        return Fate.OPEN
    return CONFIRMED if labels.digests <= chosen.digests else CORRECTED


def confirmed(sent: Sent, answers: Answers) -> NDArray[np.bool_]:
    """Tell whose answer says what one of the labels that were sent said already; bool (B,)."""
    pairs = zip(answers.digest.tolist(), sent.digest.tolist(), strict=True)
    return np.fromiter((said in old.split(SEPARATOR) for said, old in pairs), dtype=np.bool_)


def _sent_again(sent: Sent, counted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell whose source has a newer copy among those that count, bool (B,) each."""
    sources, place = np.unique(sent.source, return_inverse=True)
    newest = np.zeros(len(sources), dtype=np.int64)
    np.maximum.at(newest, place[counted], sent.task[counted])
    older: NDArray[np.bool_] = sent.task < newest[place]
    return older
