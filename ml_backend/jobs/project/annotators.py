"""The report on a project's annotators: read from Label Studio, scored from the store."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE
from ml_backend.jobs.project import learning
from ml_backend.jobs.project.comparison import policy_of
from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.regions.results import Labels
from ml_backend.labelstudio.regions.suggestions import Fix
from ml_backend.labelstudio.relabel.corrections import read_answered
from ml_backend.labelstudio.tasks.annotators import names_of_people
from ml_backend.labelstudio.tasks.authorship import Authored
from ml_backend.labelstudio.tasks.reader import read_tasks
from ml_backend.review.decide import NEEDS_REVIEW
from ml_backend.review.feedback import Agreement, Labelled, Mix, Pair, Report, called, report
from ml_backend.review.judged import RIGHT, WRONG, Judged, judged
from ml_backend.scoring.between import Agreed, agreed, changes
from ml_backend.scoring.stored import one_by_one, stored_page
from ml_backend.services import Services

__all__ = ["annotators"]


@dataclass(frozen=True, slots=True)
class _Scored:
    """What the model says of A annotations by themselves.

    Attributes:
        annotation: int64 (A,), annotation ids, ascending.
        score: float64 (A,), what its score is worth by what verdicts have taught, in [0, 1]; NaN
            where nothing was scored.
        needs_review: bool (A,), whether the score is enough for a flag.
        suspicions: annotation id, control tag, label given and the better one, of those that would
            be flagged.
    """

    annotation: NDArray[np.int64]
    score: NDArray[np.float64]
    needs_review: NDArray[np.bool_]
    suspicions: list[tuple[int, str, int, int]]

    def of(self, annotation: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the score of annotations by id; NaN for those that are not among these."""
        known = np.append(self.annotation, NONE)
        place = np.searchsorted(self.annotation, annotation)
        score = np.append(self.score, np.nan)[place]
        return np.where(known[place] == annotation, score, np.nan).astype(np.float64)


def annotators(services: Services, project: int) -> Report:
    """Return what is known of a project's annotators.

    Raises:
        RelookError: as ``OpenedProject.open`` says, and when Label Studio cannot be read.
    """
    opened = OpenedProject.open(services, project)
    work = _read(opened)
    if work is None or not len(work):
        return Report(project, [], [])
    names = names_of_people(services.client)
    said, scored = judged(work), _score(opened, np.unique(work.task))
    now = scored.of(work.id)
    # A label that a newer one says again is as likely wrong as that one.
    newest = np.searchsorted(work.task, work.task, side="right") - 1
    again = np.isnan(now) & (work.digest == work.digest[newest])
    now = np.where(again, now[newest], now)
    suspicious = np.isin(work.id, scored.annotation[scored.needs_review])
    alone = _alone(work, said)
    # A reviewer has mended some of it: only what he made is scored, and the finding is not his.
    half_mended = (work.flag == NEEDS_REVIEW) & alone & np.isnan(now)
    half_mended &= np.isin(work.task, work.task[said.review])
    waits = (work.flag == NEEDS_REVIEW) & (suspicious | half_mended)
    suspected = alone | np.where(again, suspicious[newest], suspicious)
    # A verdict is on the label as it was flagged, not on what it was mended to.
    flagged = opened.lessons.worth(work.kind.tolist(), work.score).astype(np.float64)
    of_flag = (said.verdict == WRONG) | ((said.verdict == RIGHT) & (suspected | np.isnan(now)))
    probability = np.where(of_flag | half_mended, flagged, now)
    rows = Labelled(work.task, work.author, work.made, waits, suspected, probability, said)
    controls = opened.controls
    mixes = [
        _mix(control, tag, work, said, scored, waits & ~said.review)
        for tag, control in enumerate(controls)
    ]
    peoples = _newest_of_each(work, ~said.review)
    agreement = [
        _agreement(
            control, agreed(control, work.labels[tag], work.task, work.author, peoples), names
        )
        for tag, control in enumerate(controls)
    ]
    return report(project, rows, mixes, agreement, names)


def _read(opened: OpenedProject) -> Authored | None:
    client, project = opened.services.client, opened.project
    tasks = np.array(read_answered(client, project.id), dtype=np.int64)
    prefix = opened.settings.field_prefix
    pages = read_tasks(client, project, prefix, np.sort(tasks))
    parts = [Authored.of_page(page, project.config) for page in pages]
    return Authored.concatenate(parts) if parts else None


def _score(opened: OpenedProject, tasks: NDArray[np.int64]) -> _Scored:
    """Score each current annotation by itself, from what the store has."""
    services, project = opened.services, opened.project
    # As they are on disk: the web server's own memory holds those of a moment ago alone.
    tables = [
        services.kept.stored(project.id, project.config, control, opened.settings, tasks)
        for control in opened.controls
    ]
    labels = [services.store.get_labels(project.id, control, tasks) for control in opened.controls]
    nearby = [opened.neighborhood.of_tasks(control, tasks) for control in opened.controls]
    page, said, around = one_by_one(stored_page(tasks, labels), tables, nearby)
    found = learning.scores(opened, page, said, around, policy_of(opened))
    by_name = {
        control.name: table
        for control, table in zip(opened.controls, page.annotations.labels, strict=True)
    }
    suspicions = [
        (int(page.annotations.id[row]), fix.control.name, *_pair(fix, by_name[fix.control.name]))
        for row, (_, fixes) in found.fixes.items()
        for fix in fixes
    ]
    order = np.argsort(page.annotations.id)
    return _Scored(
        page.annotations.id[order],
        opened.lessons.priority(found)[order].astype(np.float64),
        (np.nan_to_num(found.priority) >= found.least)[order],
        suspicions,
    )


def _pair(fix: Fix, labels: Labels) -> tuple[int, int]:
    given = NONE if fix.item == NONE else int(labels.label[fix.item])
    if fix.control.multiple:
        return (fix.label, NONE) if fix.action == "remove" else (NONE, fix.label)
    better = {"remove": NONE, "redraw": given}.get(fix.action, fix.label)
    return (NONE if fix.action == "add" else given), better


def _mix(
    control: Control,
    tag: int,
    work: Authored,
    said: Judged,
    scored: _Scored,
    waits: NDArray[np.bool_],
) -> Mix:
    labels = work.labels[tag]
    wrong = np.flatnonzero((said.verdict == WRONG) & (said.answer != NONE))
    sure = changes(control, labels, wrong, said.answer[wrong])
    row = {annotation: row for row, annotation in enumerate(work.id.tolist()) if waits[row]}
    maybe = np.array(
        [
            (row[annotation], given, better)
            for annotation, name, given, better in scored.suspicions
            if name == control.name and annotation in row
        ],
        dtype=np.int64,
    ).reshape(-1, 3)
    people = np.unique(work.author[~said.review])
    used = np.zeros((len(people), len(control.labels)), dtype=np.int64)
    own = np.flatnonzero((labels.label >= 0) & ~said.review[labels.annotation])
    who = np.searchsorted(people, work.author[labels.annotation[own]])
    np.add.at(used, (who, labels.label[own]), 1)
    return Mix(
        control.name,
        control.labels,
        np.concatenate([sure.annotation, maybe[:, 0]]),
        np.concatenate([sure.given, maybe[:, 1].astype(np.int32)]),
        np.concatenate([sure.better, maybe[:, 2].astype(np.int32)]),
        np.arange(len(sure.annotation) + len(maybe)) < len(sure.annotation),
        used,
    )


def _alone(work: Authored, said: Judged) -> NDArray[np.bool_]:
    """Where an annotation is its task's only one, besides the reviewers'."""
    _, task, count = np.unique(work.task[~said.review], return_inverse=True, return_counts=True)
    alone = np.zeros(len(work), dtype=np.bool_)
    alone[~said.review] = count[task] == 1
    return alone


def _newest_of_each(work: Authored, counted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows of the newest annotation of each person in each task."""
    rows = np.flatnonzero(counted)[::-1]
    pairs = np.stack([work.task[rows], work.author[rows]], axis=1)
    return np.sort(rows[np.unique(pairs, axis=0, return_index=True)[1]])


def _agreement(control: Control, found: Agreed, names: dict[int, str]) -> Agreement:
    return Agreement(
        control.name,
        _known(found.alpha),
        [
            Pair(
                called(first, names),
                called(second, names),
                tasks,
                round(share, 4),
                _known(kappa),
            )
            for first, second, tasks, share, kappa in zip(
                found.first.tolist(),
                found.second.tolist(),
                found.tasks.tolist(),
                found.agreement.tolist(),
                found.kappa.tolist(),
                strict=True,
            )
        ],
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
