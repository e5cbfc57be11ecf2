"""One page of tasks: every control tag scored, and each task's worst findings in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import detection
from analysis.findings import KINDS, NONE, Findings
from ml_backend.labelstudio.regions.suggestions import Fix
from ml_backend.labelstudio.tasks.reader import TaskPage
from ml_backend.outlines import Geometry
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.review.policy import Policy
from ml_backend.scoring import choices, points, regions, spans
from ml_backend.scoring.columns import Calibration, Scored, Units
from ml_backend.scoring.disputes import disputes
from ml_backend.scoring.nearby import Nearby
from ml_backend.scoring.pixels import page_labels
from ml_backend.scoring.whereabouts import whereabouts
from ml_backend.storage.labels import StoredLabels

__all__ = [
    "PageScores",
    "RegionScores",
    "fit_calibration",
    "score_page",
]

#: How many findings a reason names; the rest are in the suggestion.
_MOST_NAMED: Final = 3

#: Each has ``fit`` and ``score``.
_SCORERS: Final[Mapping[Geometry, ModuleType]] = {
    "box": regions,
    "polygon": regions,
    "mask": regions,
    "point": points,
    "span": spans,
    "choice": choices,
}

#: What stands for a model that has never said anything under this tag.
_SILENT: Final = "silent"


@dataclass(frozen=True, slots=True)
class PageScores:
    """Scores of T tasks.

    Attributes:
        priority: float32 (T,), in [0, 1]; NaN where there is nothing to score or to score with.
        kind: kind of the worst finding of each task; "" where there is none.
        reason: the worst findings of each task in plain words.
        placed: the same with the place of each in picture or text, as reviewers are told. What is
            compared, and what stands beside the picture on the review page, needs no places.
        fixes: row of a task to the row of its worst annotation and what to change in it; nothing
            where no model says what would be right.
        least: float32 (T,), the priority from which each task needs review.
        regions: what was found about single regions, one table per control tag; None for tags
            without regions and for models that have nothing to say.
    """

    priority: NDArray[np.float32]
    kind: list[str]
    reason: list[str]
    placed: list[str]
    fixes: dict[int, tuple[int, list[Fix]]]
    least: NDArray[np.float32]
    regions: tuple[RegionScores | None, ...] = ()


@dataclass(frozen=True, slots=True)
class RegionScores:
    """What was found about each of R human regions of tasks with a prediction.

    They are in the order of ``pixels.page_labels``.

    Attributes:
        kind: int8 (R,), place in ``KINDS`` of the worst finding about it, -1 for none.
        score: float32 (R,), of that finding, 0 for none.
    """

    kind: NDArray[np.int8]
    score: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Finding:
    score: float
    kind: str
    reason: str
    place: str
    annotation: int
    fix: Fix | None


def fit_calibration(
    table: ControlPredictions, labels: StoredLabels, nearby: Nearby | None
) -> Calibration:
    """Learn from all human labels of a control tag how far its model can be trusted.

    Args:
        table: predictions of the tasks ``np.unique(labels.task)``, found for each.
        labels: the human labels.
        nearby: what the neighbours of those tasks' inputs say, one row a task; None where nothing
            is known.
    """
    if not len(table.predictions):
        # No label yet, which says nothing of the model.
        return {}
    if not len(table.predictions.label) and not table.predictions.probs.any():
        # Not made for this tag, however it was connected: its silence means nothing.
        return {_SILENT: np.array(len(table.predictions))}
    place = np.unique(labels.task, return_inverse=True)[1]
    units = Units.of(table, labels, place, None if nearby is None else nearby.take(place))
    learnt: Calibration = _SCORERS[table.control.geometry].fit(units)
    return learnt


def score_page(
    page: TaskPage,
    tables: Sequence[ControlPredictions],
    calibrations: Sequence[Calibration | None],
    policy: Policy,
    nearby: Sequence[Nearby | None],
) -> PageScores:
    """Score the human labels of one page of tasks.

    Args:
        page: tasks with their labels.
        tables: predictions, one table per control tag.
        calibrations: what ``fit_calibration`` learnt per control tag, None where nothing yet.
        policy: what counts, and from which score on.
        nearby: what the neighbours of the page's inputs say per control tag, one row a task; None
            where nothing is known.
    """
    priority = np.full(len(page), np.nan, dtype=np.float32)
    least = policy.least(Findings(), len(page))
    found: dict[int, list[_Finding]] = defaultdict(list)
    regions: list[RegionScores | None] = []
    for table, labels, calibration, near in zip(
        tables, page.annotations.labels, calibrations, nearby, strict=True
    ):
        if calibration is not None and _SILENT in calibration:
            regions.append(None)
            continue
        annotations = np.flatnonzero(table.found[page.annotations.task])
        task = page.annotations.task[annotations]
        items = labels.item[np.isin(labels.annotation, annotations)]
        place = (np.cumsum(table.found) - 1)[task]
        of_units = None if near is None else near.take(task)
        scored_labels = page_labels(page, table, labels).of(page.id[table.found])
        units = Units.of(table, scored_labels, place, of_units)
        adds_up = table.control.geometry != "choice"
        scored = _counted(_score(units, items, calibration), policy, adds_up=adds_up)
        split = _counted(disputes(units, task), policy, adds_up=False)
        scored = scored.beside(split)
        np.fmax.at(priority, task, scored.priority)
        np.minimum.at(least, task, policy.least(scored.findings, len(units)))
        regions.append(_of_regions(table.control.geometry, scored, len(units.given)))
        texts = page.inputs.spelt(table.control)
        place_of = whereabouts(units, scored.findings, [texts[row] for row in task.tolist()])
        for n, unit in enumerate(scored.findings.task.tolist()):
            row = int(task[unit])
            fix = scored.fix[n]
            if fix is not None:
                fix = replace(fix, text=texts[row])
            one = _Finding(
                score=float(scored.findings.score[n]),
                kind=str(scored.findings.kind[n]),
                reason=scored.reason[n],
                place=place_of[n],
                annotation=int(annotations[unit]),
                fix=fix,
            )
            found[row].append(one)
    kind, reason, placed, fixes = _by_task(len(page), found, policy)
    least = np.maximum(least, np.float32(policy.cut))
    return PageScores(priority, kind, reason, placed, fixes, least, tuple(regions))


def _counted(scored: Scored, policy: Policy, *, adds_up: bool) -> Scored:
    """Leave out the findings that do not count, as if nobody had looked for them.

    Args:
        scored: what was found.
        policy: what counts.
        adds_up: whether the findings of one region add up, as ``detection.task_scores`` has it.
    """
    counts = policy.counts(scored.findings)
    if counts.all():
        return scored
    rows = np.flatnonzero(counts)
    found = scored.findings.take(rows)
    priority: NDArray[np.float32] = np.zeros(len(scored.priority), dtype=np.float32)
    if adds_up:
        priority = detection.task_scores(found, np.arange(len(priority)))
    np.maximum.at(priority, found.task, found.score)
    priority[np.isnan(scored.priority)] = np.nan
    return Scored(
        priority,
        found,
        [scored.reason[row] for row in rows.tolist()],
        [scored.fix[row] for row in rows.tolist()],
    )


def _of_regions(geometry: Geometry, scored: Scored, count: int) -> RegionScores | None:
    if geometry == "choice":
        return None
    found = scored.findings
    rows = np.flatnonzero(found.annotation != NONE)
    # The worst is written last.
    rows = rows[np.argsort(found.score[rows], kind="stable")]
    about = found.annotation[rows]
    kind = np.full(count, NONE, dtype=np.int8)
    score = np.zeros(count, dtype=np.float32)
    place = {name: n for n, name in enumerate(KINDS)}
    kind[about] = [place[name] for name in found.kind[rows].tolist()]
    score[about] = found.score[rows]
    return RegionScores(kind, score)


def _score(units: Units, items: NDArray[np.int64], calibration: Calibration | None) -> Scored:
    scorer = _SCORERS[units.table.control.geometry]
    scored: Scored
    try:
        scored = scorer.score(units, items, calibration or None)
    except (KeyError, TypeError, ValueError):
        if not calibration:
            raise
        # What another version of Relook learnt is as good as nothing.
        scored = scorer.score(units, items, None)
    return scored


def _by_task(
    tasks: int, found: Mapping[int, list[_Finding]], policy: Policy
) -> tuple[list[str], list[str], list[str], dict[int, tuple[int, list[Fix]]]]:
    """Return kind, reason, placed and fixes of each task, as ``PageScores`` has them."""
    kind, reason, placed = ([""] * tasks for _ in range(3))
    fixes: dict[int, tuple[int, list[Fix]]] = {}
    for row, all_of_task in found.items():
        ranked = sorted(all_of_task, key=lambda one: -one.score)
        reached = (one.score >= np.float32(policy.threshold_of(one.kind)) for one in ranked)
        named = list(compress(ranked, reached)) or ranked[:1]
        kind[row] = named[0].kind
        more = [f"and {len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else []
        told = named[:_MOST_NAMED]
        reason[row] = "; ".join([*(one.reason for one in told), *more])
        places = (f"{one.reason}, {one.place}" if one.place else one.reason for one in told)
        placed[row] = "; ".join([*places, *more])
        worst = named[0].annotation
        mend = [one.fix for one in named if one.annotation == worst and one.fix is not None]
        fixes[row] = worst, mend
    return kind, reason, placed, fixes
