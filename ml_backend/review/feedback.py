"""What review has shown about each annotator: columns in, a report out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import error_rate
from analysis.findings import NONE
from ml_backend.review.judged import RIGHT, WRONG, Judged

__all__ = [
    "Agreement",
    "Annotator",
    "Confusion",
    "Labelled",
    "Mix",
    "Pair",
    "Report",
    "Share",
    "Week",
    "called",
    "report",
]

_MOST_EXAMPLES: Final = 5


@dataclass(frozen=True, slots=True)
class Labelled:
    """N annotations of the project.

    Attributes:
        task: int64 (N,), task id.
        author: int64 (N,), user id.
        made: float64 (N,), seconds since 1970.
        found: bool (N,), whether it is flagged and waits for a verdict.
        suspected: bool (N,), whether it is what its task was flagged for, as far as can be told: of
            several annotators of one task the flag is mostly on one.
        probability: float64 (N,), how likely it holds an error; NaN where nothing was scored.
        judged: what review has said.
    """

    task: NDArray[np.int64]
    author: NDArray[np.int64]
    made: NDArray[np.float64]
    found: NDArray[np.bool_]
    suspected: NDArray[np.bool_]
    probability: NDArray[np.float64]
    judged: Judged


@dataclass(frozen=True, slots=True)
class Mix:
    """Labels taken for others under one control tag, M rows.

    Attributes:
        control: the control tag's name.
        names: its labels.
        annotation: int64 (M,), row of the annotation.
        given: int32 (M,), its label; -1 for a region that it lacks, K for an unknown one.
        better: int32 (M,), what it should be; -1 for a region that should not be there.
        verified: bool (M,), whether review has said so; else the model suspects it.
        used: int64 (A, K), how often each annotator, in order of their ids, gave each label.
    """

    control: str
    names: tuple[str, ...]
    annotation: NDArray[np.int64]
    given: NDArray[np.int32]
    better: NDArray[np.int32]
    verified: NDArray[np.bool_]
    used: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Share:
    """The estimated share of annotations with an error, with its 95 % interval; None: unknown."""

    share: float | None
    low: float
    high: float
    verdicts: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """One label given where another is right.

    Attributes:
        control: the control tag.
        given: the label; "" for nothing where something is.
        better: what is right; "" for nothing, the same as ``given`` where the place is wrong.
        labelled: how often the annotator gave that label.
        confirmed: findings that review has confirmed.
        suspected: findings that wait for a verdict.
        tasks: examples, the confirmed first.
    """

    control: str
    given: str
    better: str
    labelled: int
    confirmed: int
    suspected: int
    tasks: list[int]


@dataclass(frozen=True, slots=True)
class Week:
    """What an annotator labelled in the week that begins on this Monday (UTC)."""

    week: str
    annotations: int
    errors: int
    share: Share


@dataclass(frozen=True, slots=True)
class Annotator:
    """One annotator.

    Attributes:
        id: user id; -1 for nobody that is named.
        name: mail address.
        tasks: tasks labelled.
        annotations: annotations made.
        findings: annotations that were flagged.
        confirmed: findings that review has confirmed: the label was wrong.
        kept: findings that review has not borne out: the label was right.
        open: findings that wait for a verdict.
        share: of annotations with an error.
        confusions: the most frequent first.
        weeks: oldest first.
    """

    id: int
    name: str
    tasks: int
    annotations: int
    findings: int
    confirmed: int
    kept: int
    open: int
    share: Share
    confusions: list[Confusion]
    weeks: list[Week]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two annotators who share tasks: share of equal labels or mean F1, and Cohen's kappa."""

    first: str
    second: str
    tasks: int
    agreement: float
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement under one control tag; ``alpha`` is Krippendorff's, 0 as by chance."""

    control: str
    alpha: float | None
    pairs: list[Pair]


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a project's annotators, those with the highest share of errors first."""

    project: int
    annotators: list[Annotator]
    agreement: list[Agreement]


def report(
    project: int,
    work: Labelled,
    mixes: Sequence[Mix],
    agreement: list[Agreement],
    names: Mapping[int, str],
) -> Report:
    """Put a report together. What reviewers themselves labelled in review is nobody's work.

    Args:
        project: Label Studio's project id.
        work: its annotations.
        mixes: labels taken for others, one table per control tag.
        agreement: how far annotators agree.
        names: user id to what to call them.
    """
    people = np.unique(work.author[~work.judged.review]).tolist()
    found = [
        _annotator(work, mixes, number, person, called(person, names))
        for number, person in enumerate(people)
    ]
    found.sort(key=lambda one: (-(one.share.share or 0.0), one.name))
    return Report(project, found, agreement)


def called(person: int, names: Mapping[int, str]) -> str:
    """Return what to call somebody by their user id; -1 is nobody that is named."""
    return names.get(person, f"user {person}" if person >= 0 else "nobody named")


def _annotator(
    work: Labelled, mixes: Sequence[Mix], number: int, person: int, name: str
) -> Annotator:
    mine = np.flatnonzero((work.author == person) & ~work.judged.review)
    verdict = work.judged.verdict[mine]
    confirmed = int((verdict == WRONG).sum())
    kept = int(((verdict == RIGHT) & work.suspected[mine]).sum())
    waiting = int(work.found[mine].sum())
    return Annotator(
        id=person,
        name=name,
        tasks=len(np.unique(work.task[mine])),
        annotations=len(mine),
        findings=confirmed + kept + waiting,
        confirmed=confirmed,
        kept=kept,
        open=waiting,
        share=_share(work, mine),
        confusions=_confusions(work, mixes, number, mine),
        weeks=_weeks(work, mine),
    )


def _share(work: Labelled, rows: NDArray[np.int64]) -> Share:
    verdict = work.judged.verdict[rows]
    # A verdict counts whatever was scored; without either nothing is known.
    probability = np.where(
        np.isnan(work.probability[rows]) & (verdict != NONE), 1.0, work.probability[rows]
    )
    known = ~np.isnan(probability)
    found = error_rate.from_queue(probability[known], verdict[known])
    share = None if math.isnan(found.share) else round(found.share, 4)
    return Share(share, round(found.low, 4), round(found.high, 4), found.verdicts)


def _weeks(work: Labelled, rows: NDArray[np.int64]) -> list[Week]:
    days = [datetime.fromtimestamp(moment, UTC).date() for moment in work.made[rows].tolist()]
    mondays = np.array([_monday(day) for day in days], dtype=np.str_)
    weeks = []
    for week in np.unique(mondays).tolist():
        some = rows[mondays == week]
        wrong = int((work.judged.verdict[some] == WRONG).sum())
        weeks.append(Week(week, len(some), wrong, _share(work, some)))
    return weeks


def _monday(day: date) -> str:
    return (day - timedelta(days=day.weekday())).isoformat()


def _confusions(
    work: Labelled, mixes: Sequence[Mix], number: int, rows: NDArray[np.int64]
) -> list[Confusion]:
    found = []
    for mix in mixes:
        mine = np.flatnonzero(np.isin(mix.annotation, rows))
        pairs = np.stack([mix.given[mine], mix.better[mine]], axis=1)
        each, place = np.unique(pairs, axis=0, return_inverse=True)
        for one, (given, better) in enumerate(each.tolist()):
            some = mine[place.ravel() == one]
            some = some[np.argsort(~mix.verified[some], kind="stable")]
            confirmed = int(mix.verified[some].sum())
            tasks = dict.fromkeys(work.task[mix.annotation[some]].tolist())
            known = 0 <= given < len(mix.names)
            found.append(
                Confusion(
                    mix.control,
                    _named(mix.names, given),
                    _named(mix.names, better),
                    int(mix.used[number, given]) if known else 0,
                    confirmed,
                    len(some) - confirmed,
                    list(tasks)[:_MOST_EXAMPLES],
                )
            )
    return sorted(found, key=lambda one: (-one.confirmed, -one.suspected, one.given, one.better))


def _named(names: tuple[str, ...], label: int) -> str:
    return "" if label == NONE else names[label] if label < len(names) else "?"
