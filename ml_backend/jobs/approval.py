"""Bulk approval over a project: page by page, each page whole before the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.errors import SettingsError
from ml_backend.jobs.opened import OpenedProject
from ml_backend.jobs.outliers import Outliers
from ml_backend.jobs.shards import SHARD
from ml_backend.labelstudio import approvals
from ml_backend.labelstudio.approval_marks import approval_version
from ml_backend.labelstudio.reader import Project, TaskPage, read_project, read_tasks
from ml_backend.labelstudio.results import Result
from ml_backend.prediction.predicting import ControlPredictions, PredictedTasks
from ml_backend.prediction.prelabels import prelabels
from ml_backend.review.approve import REASONS, Candidates, Judgement, Limits, judge
from ml_backend.services import Services

__all__ = ["ApprovalWork", "Example", "Tally", "count", "name_batch", "undo"]

#: Small, because a person may edit what a page has found before it is deleted.
_UNDO_PAGE: Final = 32
_MOST_EXAMPLES: Final = 10


@dataclass(frozen=True, slots=True)
class Example:
    """One task that is approved: what it would say, and how sure the least sure of it is."""

    task: int
    labels: str
    confidence: float


@dataclass(slots=True)
class Tally:
    """What came of some tasks; of ``unknown`` approved ones nothing said how far out they lie."""

    looked_at: int = 0
    approved: int = 0
    unknown: int = 0
    left: Counter[str] = field(default_factory=Counter)
    examples: list[Example] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count another page's in."""
        self.looked_at += other.looked_at
        self.approved += other.approved
        self.unknown += other.unknown
        self.left += other.left
        self.examples = (self.examples + other.examples)[:_MOST_EXAMPLES]
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
            ConfigError: when a tag that a label needs is left to people.
            RelookError: as ``OpenedProject.open`` says.
        """
        opened = OpenedProject.open(services, project)
        controls = opened.project.config.controls
        approvals.require_whole(services.client, project, {control.name for control in controls})
        return cls(opened, Outliers(opened.neighborhood))

    def tasks(self, filters: Any = None, chosen: Sequence[int] | None = None) -> NDArray[np.int64]:
        """Return the tasks to look at: those without a label, all or as selected.

        Raises:
            SettingsError: when Label Studio does not understand the filter.
            LabelStudioError: when they cannot be read.
        """
        project = self.opened.project.id
        return approvals.unlabelled_tasks(self.opened.services.client, project, filters, chosen)

    def approve(
        self, tasks: NDArray[np.int64], confidence: float, batch: str, *, dry_run: bool = False
    ) -> Iterator[Tally]:
        """Approve tasks, as ``judge`` decides; yield what came of each page.

        Ended anywhere and begun again, it goes on: what is approved is labelled by then, and what
        was left half done is done anew.

        Args:
            tasks: int64, ascending.
            confidence: from where a model's word is enough.
            batch: names the approvals, for ``undo``.
            dry_run: only judge.

        Raises:
            RelookError: when a model, Redis or Label Studio fails.
        """
        edges = np.flatnonzero(np.diff(tasks // SHARD)) + 1
        for some in np.split(tasks, edges) if len(tasks) else []:
            if dry_run:
                yield self._page(some, confidence, batch, dry_run=True)
                continue
            bucket = int(some[0]) // SHARD
            with self.opened.services.mailbox.lock(self.opened.project.id, bucket):
                done = self._page(some, confidence, batch, dry_run=False)
            # The caller may take other locks meanwhile.
            yield done

    def _read(self, tasks: NDArray[np.int64]) -> Iterator[TaskPage]:
        prefix = self.opened.settings.field_prefix
        return read_tasks(self.opened.services.client, self.opened.project, prefix, tasks)

    def _page(
        self, tasks: NDArray[np.int64], confidence: float, batch: str, *, dry_run: bool
    ) -> Tally:
        tally, opened = Tally(), self.opened
        for page in self._read(tasks):
            predicted = opened.services.prediction.predict(
                opened.project.id, opened.project.config, opened.settings, page.inputs
            )
            candidates = self._candidates(page, predicted)
            done = judge(candidates, Limits.of(opened.settings, confidence))
            wanted = self._results(page, predicted, done, confidence)
            one = _tally(page, done, wanted)
            unknown = page.id[np.isnan(candidates.outlier)].tolist()
            one.unknown = len(wanted.keys() & set(unknown))
            if not dry_run:
                version = approval_version(batch, predicted.version)
                self._write(page, version, wanted, one)
            tally.add(one)
        return tally

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
        """What approved tasks will say: all that the model is sure of, whatever is pre-labelled."""
        tables = tuple(_cut(table, confidence) for table in predicted.controls)
        said = prelabels(replace(predicted, controls=tables), self.opened.settings, page.inputs)
        approved = page.id[done.approved].tolist()
        return {task: said[task] for task in approved if task in said and said[task][0]}

    def _write(
        self,
        page: TaskPage,
        version: str,
        wanted: dict[int, tuple[Result, float]],
        tally: Tally,
    ) -> None:
        client, project = self.opened.services.client, self.opened.project.id
        approvals.clear_begun(client, page)
        if not wanted:
            return
        tally.refused = approvals.approve(client, project, version, wanted)
        tally.approved = 0
        for after in self._read(np.array(list(wanted), dtype=np.int64)):
            ours = after.approvals.take(after.approvals.version == version)
            # Somebody saved a label meanwhile: theirs is the one that counts.
            beside = np.bincount(after.held[0], minlength=len(after))[ours.task] > 1
            approvals.take_back(client, ours.take(beside))
            tally.approved += int((~beside).sum())
            tally.left[REASONS[0]] += int(beside.sum())


def name_batch(action: str = "") -> str:
    """Return the name of a new batch, by which the newest is told; an action's ends with its id."""
    now = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    return f"{now}-{action}" if action else now


def count(services: Services, project: int, batch: str) -> int:
    """Return how many tasks hold an approval of a batch that nobody has edited since.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    versions = approvals.batches(services.client, project).get(batch, [])
    if not versions:
        return 0
    opened = read_project(services.client, project)
    tasks = approvals.tasks_of_batch(services.client, project, batch)
    pages = read_tasks(services.client, opened, "", tasks)
    return sum(int(np.isin(page.approvals.version, versions).sum()) for page in pages)


def undo(services: Services, project: int, batch: str = "") -> tuple[str, int, Iterator[Tally]]:
    """Take back one batch of approvals, all of it that nobody has edited since.

    Args:
        services: this process's parts.
        project: Label Studio's project id.
        batch: its name; "" for the newest.

    Returns:
        its name;
        how many tasks it had;
        what came of each page: ``approved`` counts what was taken back.

    Raises:
        SettingsError: when there is no such batch.
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    opened = read_project(services.client, project)
    found = approvals.batches(services.client, project)
    name = batch or next(iter(found), "")
    if name not in found:
        there = ", ".join(found) or "none"
        raise SettingsError(f"project {project} has no batch {name!r}; there are: {there}")
    tasks = approvals.tasks_of_batch(services.client, project, name)
    return name, len(tasks), _undo(services.client, opened, tasks, found[name])


def _undo(
    client: LabelStudio, project: Project, tasks: NDArray[np.int64], versions: Sequence[str]
) -> Iterator[Tally]:
    for start in range(0, len(tasks), _UNDO_PAGE):
        for page in read_tasks(client, project, "", tasks[start : start + _UNDO_PAGE]):
            ours = page.approvals.take(np.isin(page.approvals.version, versions))
            approvals.take_back(client, ours)
            yield Tally(looked_at=len(page), approved=len(ours.id))
    approvals.forget_batch(client, project.id, versions)


def _cut(table: ControlPredictions, confidence: float) -> ControlPredictions:
    control = replace(table.control, score_threshold=confidence)
    return replace(table, control=control, stands=False)


def _tally(page: TaskPage, done: Judgement, wanted: dict[int, tuple[Result, float]]) -> Tally:
    left = Counter(REASONS[why] for why in done.why[done.why >= 0].tolist())
    confidence = dict(zip(page.id.tolist(), done.confidence.tolist(), strict=True))
    examples = [
        Example(task, _labels(result), confidence[task])
        for task, (result, _) in list(wanted.items())[:_MOST_EXAMPLES]
    ]
    return Tally(len(page), len(wanted), left=+left, examples=examples)


def _labels(result: Result) -> str:
    names = Counter(
        str(name) for item in result for name in item["value"].get(item["type"], []) or []
    )
    return ", ".join(name if n == 1 else f"{n} x {name}" for name, n in names.most_common())
