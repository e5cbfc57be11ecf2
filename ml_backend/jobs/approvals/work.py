"""Bulk approval over a project: judged page by page, written lot by lot."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.jobs.project.outliers import Outliers
from ml_backend.jobs.queues.ranges import SHARD, held
from ml_backend.labelstudio import approvals
from ml_backend.labelstudio.approval_marks import Approvals, approval_version
from ml_backend.labelstudio.regions.results import Result
from ml_backend.labelstudio.tasks.reader import TaskPage, read_tasks
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.prediction.predicting import ControlPredictions, PredictedTasks
from ml_backend.prediction.prelabels import prelabels
from ml_backend.review.approve import (
    REASONS,
    Candidates,
    Judgement,
    Limits,
    judge,
    require_known,
)
from ml_backend.review.decide import NEEDS_REVIEW
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings

__all__ = ["ApprovalWork", "Tally", "name_batch"]

#: Ranges of task ids, with a lock each, whose approvals are written at once: a thousand tasks.
_LOCKS: Final = 8


@dataclass(slots=True)
class Tally:
    """What came of some tasks; of ``unknown`` approved ones nothing said how far out they lie."""

    looked_at: int = 0
    approved: int = 0
    unknown: int = 0
    left: Counter[str] = field(default_factory=Counter)
    refused: list[int] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another page's in."""
        self.looked_at += other.looked_at
        self.approved += other.approved
        self.unknown += other.unknown
        self.left += other.left
        self.refused += other.refused


@dataclass(frozen=True)
class ApprovalWork:
    """One project, opened for approval.

    Attributes:
        opened: the project.
        outliers: knows which inputs are unlike the others.
    """

    opened: OpenedProject
    outliers: Outliers

    @classmethod
    def open(cls, services: Services, project: int) -> Self:
        """Read a project and see whether a model can answer for all of a label.

        Args:
            services: this process's parts.
            project: Label Studio's project id.

        Raises:
            ConfigError: when a tag that a label needs is left to people, or a model lacks a class
                for a label.
            RelookError: as ``OpenedProject.open`` says.
        """
        opened = OpenedProject.open(services, project)
        controls = opened.project.config.controls
        approvals.require_whole(services.client, project, {control.name for control in controls})
        nothing = np.empty(0, dtype=np.int64)
        require_known([opened.stored(one, nothing) for one in opened.controls], opened.settings)
        return cls(opened, Outliers(opened.neighborhood))

    def tasks(self, chosen: Sequence[int]) -> tuple[NDArray[np.int64], int]:
        """Return the tasks to look at, and how many of the chosen ones are not in the project.

        To look at are those without a label, ascending.

        Raises:
            LabelStudioError: when they cannot be read.
        """
        project = self.opened.project.id
        return approvals.unlabelled_among(self.opened.services.client, project, chosen)

    def approve(self, tasks: NDArray[np.int64], confidence: float, batch: str) -> Iterator[Tally]:
        """Approve tasks, as ``judge`` decides; yield what came of each page and of each lot.

        Pages are judged one by one; what is sure of a lot of them is then written in one go, since
        each bulk import has Label Studio count the whole project. Ended anywhere and begun again,
        it goes on: what is approved is labelled by then, and what was left half done is done anew.

        Args:
            tasks: int64, ascending.
            confidence: from where a model's word is enough.
            batch: names the approvals, for ``undo``.

        Raises:
            RelookError: when a model, Redis or Label Studio fails.
            LockNotOwnedError: when another process has approved while this one was away.
        """
        _, first = np.unique(tasks // SHARD, return_index=True)
        for some in np.split(tasks, first[_LOCKS::_LOCKS]) if len(tasks) else []:
            lot = _Lot(defaultdict(dict), set())
            for page in self._read(some):
                tally, version, wanted = self._judge(page, confidence)
                lot.wanted[approval_version(batch, version)].update(wanted)
                lot.half_done.update(approvals.half_done(page))
                # Here and below no lock is held: the caller may take the same ones meanwhile.
                yield tally
            yield self._write(lot)

    def _read(self, tasks: NDArray[np.int64]) -> Iterator[TaskPage]:
        prefix = self.opened.settings.field_prefix
        return read_tasks(self.opened.services.client, self.opened.project, prefix, tasks)

    def _judge(
        self, page: TaskPage, confidence: float
    ) -> tuple[Tally, str, dict[int, tuple[Result, float]]]:
        """Return what comes of a page, the model's version, and what approved tasks will say."""
        opened = self.opened
        predicted = opened.services.prediction.predict(
            opened.project.id, opened.project.config, opened.settings, page.inputs
        )
        candidates = self._candidates(page, predicted)
        done = judge(candidates, Limits.of(opened.settings, confidence))
        wanted = self._results(page, predicted, done, confidence)
        left = Counter(REASONS[why] for why in done.why[done.why >= 0].tolist())
        unknown = wanted.keys() & set(page.id[np.isnan(candidates.outlier)].tolist())
        tally = Tally(looked_at=len(page), unknown=len(unknown), left=+left)
        return tally, predicted.version, wanted

    def _candidates(self, page: TaskPage, predicted: PredictedTasks) -> Candidates:
        return Candidates(
            begun=page.begun,
            flag=page.said("flag"),
            outlier=self.outliers.of(page.inputs),
            tables=predicted.controls,
        )

    def _results(
        self, page: TaskPage, predicted: PredictedTasks, done: Judgement, confidence: float
    ) -> dict[int, tuple[Result, float]]:
        """What approved tasks will say."""
        said = _sure(predicted, self.opened.settings, confidence, page.inputs)
        approved = page.id[done.approved].tolist()
        return {task: said[task] for task in approved if task in said and said[task][0]}

    def _write(self, lot: _Lot) -> Tally:
        """Approve what a lot wants, as far as its tasks are still as they were judged."""
        mailbox, project = self.opened.services.mailbox, self.opened.project.id
        tasks = np.array(sorted(lot.half_done.union(*lot.wanted.values())), dtype=np.int64)
        tally = Tally()
        with held(mailbox, project, tasks) as require:
            pages = list(self._read(tasks))
            require()
            free: set[int] = set()
            for page in pages:
                approvals.clear_begun(self.opened.services.client, page)
                free.update(page.id[~page.begun & (page.said("flag") != NEEDS_REVIEW)].tolist())
            for version, wanted in lot.wanted.items():
                still = {task: said for task, said in wanted.items() if task in free}
                tally.left[REASONS[0]] += len(wanted) - len(still)
                if still:
                    tally.add(self._make(version, still))
        tally.left = +tally.left
        return tally

    def _make(self, version: str, wanted: Mapping[int, tuple[Result, float]]) -> Tally:
        """Approve tasks that nobody has labelled, and see whether somebody has meanwhile."""
        client, project = self.opened.services.client, self.opened.project
        refused = approvals.approve(client, project.id, version, wanted, project.size)
        tally = Tally(refused=refused)
        for after in self._read(np.array(list(wanted), dtype=np.int64)):
            ours = after.approvals.take(after.approvals.version == version)
            # Somebody saved a label meanwhile: theirs is the one that counts.
            beside, twice = _beside(after, ours)
            approvals.take_back(client, ours.take(beside | twice))
            tally.approved += int((~beside & ~twice).sum())
            tally.left[REASONS[0]] += int((beside & ~twice).sum())
        return tally


@dataclass(frozen=True, slots=True)
class _Lot:
    """What is written at once.

    Attributes:
        wanted: version of the approvals to the tasks, and what each will say.
        half_done: tasks with what an approval that was cut short has left behind.
    """

    wanted: defaultdict[str, dict[int, tuple[Result, float]]]
    half_done: set[int]


def name_batch(action: str) -> str:
    """Return the name of an action's batch, by which the newest is told."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{action}"


def _sure(
    predicted: PredictedTasks, settings: ProjectSettings, confidence: float, inputs: TaskInputs
) -> dict[int, tuple[Result, float]]:
    """All that the model is sure of, which is what was judged, whatever is pre-labelled."""
    tables = tuple(_cut(table, confidence) for table in predicted.controls)
    whole = settings.model_copy(update={"class_thresholds": {}})
    return prelabels(replace(predicted, controls=tables), whole, inputs)


def _cut(table: ControlPredictions, confidence: float) -> ControlPredictions:
    control = replace(table.control, score_threshold=confidence)
    return replace(table, control=control, stands=False)


def _beside(page: TaskPage, ours: Approvals) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where an approval stands beside another's label, and where beside an older one of ours."""
    held, mine = (np.bincount(rows, minlength=len(page)) for rows in (page.held[0], ours.task))
    order = np.lexsort((ours.id, ours.task))
    _, oldest = np.unique(ours.task[order], return_index=True)
    twice = np.ones(len(order), dtype=np.bool_)
    twice[order[oldest]] = False
    return (held > mine)[ours.task], twice
