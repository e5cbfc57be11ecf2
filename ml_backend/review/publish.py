"""From decisions to what stands in Label Studio: only what differs is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.labelstudio.regions.results import Result
from ml_backend.labelstudio.regions.suggestions import SUGGESTION_VERSION, Fix, suggest
from ml_backend.labelstudio.tasks.reader import TaskPage
from ml_backend.labelstudio.writer import write_field
from ml_backend.review.decide import Decision
from ml_backend.review.hand import kept_reason

__all__ = ["Create", "Delete", "publish"]

#: Writes predictions of one model version, task id to result and score, and takes back those on
#: their way to other tasks; returns those refused.
Create = Callable[[str, Mapping[int, tuple[Result, float]], Collection[int]], list[int]]

#: Deletes predictions by their rows in ``TaskPage.standing``.
Delete = Callable[[Sequence[int]], None]


class _Described(Protocol):
    @property
    def priority(self) -> NDArray[np.float32]: ...
    @property
    def kind(self) -> Sequence[str]: ...
    @property
    def placed(self) -> Sequence[str]: ...
    @property
    def fixes(self) -> Mapping[int, tuple[int, list[Fix]]]: ...


def publish(
    client: LabelStudio,
    project: int,
    prefix: str,
    page: TaskPage,
    found: _Described,
    decision: Decision,
    create: Create,
    delete: Delete,
    changed: Mapping[int, str],
) -> tuple[list[int], NDArray[np.int64]]:
    """Write one page's decisions into Label Studio.

    The order lets a job die anywhere and the next one complete it: a flag comes after its reason
    and its mark, a verdict before its mark.

    Args:
        client: a signed-in client.
        project: the project.
        prefix: what the names of Relook's own fields begin with.
        page: the tasks as they stand.
        found: what is said of them.
        decision: what was decided.
        create: writes predictions, see ``create_predictions``.
        delete: deletes predictions.
        changed: row of a task that was corrected to what was changed in it.

    Returns:
        the tasks whose suggestion Label Studio refused;
        by how many predictions each task holds more than before, int64 (T,).

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    refused, more = _write_suggestions(page, found, decision, create, delete)
    described = np.flatnonzero(decision.describe).tolist()
    emptied = np.flatnonzero(decision.clear).tolist()
    # Two decimals: few distinct values mean few calls, and nobody reads a third.
    priority = {row: round(float(found.priority[row]), 2) for row in described}
    marks = dict(enumerate(decision.mark.tolist()))
    stood, hand = page.said("reason"), page.said("hand")
    reason = {
        row: kept_reason(found.placed[row], str(stood[row]), str(hand[row])) for row in described
    }
    wanted: dict[str, dict[int, str | float]] = {
        "priority": {**priority, **dict.fromkeys(emptied, 0.0)},
        "kind": {**{r: found.kind[r] for r in described}, **dict.fromkeys(emptied, "")},
        "reason": {**reason, **dict.fromkeys(emptied, ""), **changed},
    }
    steps = [
        *wanted.items(),
        ("seen", {row: marks[row] for row in described}),
        ("flag", dict(enumerate(decision.flag.tolist()))),
        ("seen", {row: mark for row, mark in marks.items() if not decision.describe[row]}),
    ]
    for name, values in steps:
        stands = page.own[name]
        differs: dict[int, str | float] = {
            int(page.id[row]): value
            for row, value in values.items()
            # A field that was never written stays unwritten rather than become empty.
            if value != stands[row] and (value or stands[row] is not None)
        }
        write_field(client, project, f"{prefix}_{name}", differs)
    return refused, more


def _write_suggestions(
    page: TaskPage, found: _Described, decision: Decision, create: Create, delete: Delete
) -> tuple[list[int], NDArray[np.int64]]:
    wanted: dict[int, Result] = {}
    for row in np.flatnonzero(decision.describe).tolist():
        annotation, fixes = found.fixes[row]
        if fixes:
            wanted[row] = suggest(page.annotations.result[annotation], fixes)
    obsolete = []
    ours = np.flatnonzero(page.standing.version == SUGGESTION_VERSION)
    for stands in ours.tolist():
        row = int(page.standing.task[stands])
        if wanted.get(row) == page.standing.result[stands]:
            del wanted[row]
        elif decision.resolved[row] or decision.describe[row]:
            obsolete.append(stands)
    # First: it may delete all that a task holds, and leave what stays to be sent again.
    delete(obsolete)
    said = decision.resolved | decision.describe
    said[list(wanted)] = False
    refused = create(
        SUGGESTION_VERSION,
        {int(page.id[r]): (fix, float(found.priority[r])) for r, fix in wanted.items()},
        page.id[said].tolist(),
    )
    more = np.isin(np.arange(len(page)), list(wanted)) & ~np.isin(page.id, refused)
    gone = np.bincount(page.standing.task[obsolete], minlength=len(page))
    return refused, more.astype(np.int64) - gone
