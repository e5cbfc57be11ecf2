"""A review campaign on COCO images with planted errors: how far down the queue are they?

``python -m benchmarks.campaign`` prints the tables; the data lie beside the repository, in
``../shared/data`` or where RELOOK_SHARED points. Labels and predictions go through the product's
own scoring, from the store's columns to the written priority; Label Studio is not needed.

A reviewer opens the most urgent task that nobody has opened, and mends it or confirms it. After
every ``_ROUND`` tasks a run scores the project anew, with the mended labels and with what the
verdicts have taught. Beside it tasks are opened at random. COCO's own errors count as clean.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from analysis.priority import KindCalibrator
from analysis.regions import Regions
from benchmarks.measures import no_data
from benchmarks.quality_boxes import CLASSES, DATA, KINDS, SEEDS, plant, read
from ml_backend.labelstudio.config import parse_config
from ml_backend.outlines import Outlines
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.predictors.base import Predictions
from ml_backend.review.policy import Policy
from ml_backend.scoring.page import PageScores, fit_calibration, score_page
from ml_backend.scoring.stored import stored_page
from ml_backend.settings import ProjectSettings
from ml_backend.storage.labels import StoredLabels

__all__ = ["Campaign", "main", "skipped"]

#: As a project has it that sets nothing.
_POLICY: Final = Policy.of(ProjectSettings())
_ROUND: Final = 16
_WANTED: Final = 0.8
_SHUFFLES: Final = 200
#: How many errors each spoilt image gets; the images that are spoilt stay the same.
_ERRORS_EACH: Final = (1, 3)


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign, in tasks.

    Attributes:
        wrong: tasks with a planted error.
        flagged: tasks in the queue of the first run.
        opened: tasks opened until 80 % of the wrong ones were found.
        at_random: the same in random order, the mean over many shuffles.
        unflagged: of those opened, how many were below the queue's threshold.
    """

    wrong: int
    flagged: int
    opened: int
    at_random: float
    unflagged: int


def skipped() -> str | None:
    """Why this benchmark cannot run here, or None."""
    return no_data(DATA)


def main() -> None:
    """Print what a reviewer finds."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    if reason := skipped():
        print(f"skipped {__name__}: {reason}")
        return
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}; {len(SEEDS)} seeds, means\n"
    )
    print("| planted | tasks wrong | in the queue | opened for 80 % | x wrong | random | lift |")
    print("|---|---|---|---|---|---|---|")
    for each in _ERRORS_EACH:
        for name, kinds in [("all kinds", KINDS), *((kind, (kind,)) for kind in KINDS)]:
            _print(f"{name}, {each} a task", [campaign(kinds, seed, each) for seed in SEEDS])


def _print(name: str, found: list[Campaign]) -> None:
    wrong, flagged, opened, random = (
        float(np.mean([getattr(one, column) for one in found]))
        for column in ("wrong", "flagged", "opened", "at_random")
    )
    print(
        f"| {name} | {wrong:.0f} | {flagged:.0f} | {opened:.1f} | {opened / wrong:.2f} "
        f"| {random:.1f} | {random / opened:.2f} |",
        flush=True,
    )


def campaign(kinds: tuple[str, ...], seed: int, each: int = 1) -> Campaign:
    """Plant errors, and review until 80 % of the tasks that hold one are found."""
    people, model, size = read()
    spoilt, wrong = plant(people, size, kinds, seed)
    for more in range(1, each):
        # The same images again, but those that have lost their only box by now.
        turned = np.roll(kinds, -more).tolist()
        spoilt, _ = plant(spoilt, size, turned, seed + 1000 * more, wrong)
    project = _Project(people, spoilt, model, size.astype(np.int32))
    first = project.run()
    least = _POLICY.threshold
    opened: list[int] = []
    target = math.ceil(_WANTED * len(wrong))
    unflagged = 0
    for task, priority in _reviewed(project, first, wrong):
        opened.append(task)
        unflagged += priority < least
        if np.isin(opened, wrong).sum() >= target:
            break
    random = np.random.default_rng(seed)
    shuffles = [_until(random.permutation(len(size)), wrong, target) for _ in range(_SHUFFLES)]
    flagged = int((first.priority >= least).sum())
    return Campaign(len(wrong), flagged, len(opened), float(np.mean(shuffles)), unflagged)


def _until(order: NDArray[np.int64], wrong: NDArray[np.int64], target: int) -> int:
    return int(np.flatnonzero(np.cumsum(np.isin(order, wrong)) >= target)[0]) + 1


def _reviewed(
    project: _Project, scores: PageScores, wrong: NDArray[np.int64]
) -> Iterator[tuple[int, float]]:
    """Yield tasks as they are opened, with the score that they were flagged for."""
    left = np.ones(len(scores.priority), dtype=np.bool_)
    kinds: list[str] = []
    flagged_for: list[float] = []
    verdicts: list[bool] = []
    while left.any():
        learnt = KindCalibrator.fit(kinds, np.array(flagged_for), np.array(verdicts, dtype=bool))
        urgent = np.where(left, learnt.predict(scores.kind, scores.priority), -1.0)
        # What is in the queue goes before all else, whatever verdicts have taught.
        queued = scores.priority >= scores.least
        for task in np.lexsort((-urgent, ~queued, ~left))[:_ROUND].tolist():
            if not left[task]:
                break
            left[task] = False
            yield task, float(scores.priority[task])
            kinds.append(scores.kind[task])
            flagged_for.append(float(scores.priority[task]))
            verdicts.append(task in wrong)
            project.mend(task)
        scores = project.run()


class _Project:
    """A project of T images as the store holds it."""

    def __init__(
        self, truth: Regions, people: Regions, model: Regions, size: NDArray[np.int32]
    ) -> None:
        self._truth, self._people = truth, people
        labels = "".join(f"<Label value={quoteattr(f'class {k}')}/>" for k in range(CLASSES))
        config = parse_config(
            '<View><Image name="image" value="$image"/><RectangleLabels name="label" '
            f'toName="image">{labels}</RectangleLabels></View>'
        )
        self._tasks = np.arange(len(size), dtype=np.int64)
        order = np.argsort(model.task, kind="stable")
        some = model.take(order)
        assert some.score is not None
        said = Predictions(
            size,
            some.task,
            some.label,
            some.score,
            _outlines(some),
            np.empty((len(size), 0), dtype=np.float32),
        )
        found, known = np.ones(len(size), dtype=np.bool_), np.ones(CLASSES, dtype=np.bool_)
        self._table = ControlPredictions(config.controls[0], "yolox", False, found, said, known)

    def run(self) -> PageScores:
        """Learn from all labels and score them, as a run does."""
        labels = self._stored()
        learnt = fit_calibration(self._table, labels, None)
        page = stored_page(self._tasks, [labels])
        return score_page(page, [self._table], [learnt], _POLICY, [None])

    def mend(self, task: int) -> None:
        """Give a task the labels that COCO gives it."""
        others, right = self._people.task != task, self._truth.task == task
        before, now = self._people.take(others), self._truth.take(right)
        self._people = Regions(
            np.concatenate([before.task, now.task]),
            np.concatenate([before.label, now.label]),
            np.concatenate([before.box, now.box]),
        )

    def _stored(self) -> StoredLabels:
        people = self._people.take(np.argsort(self._people.task, kind="stable"))
        return StoredLabels(
            task=self._tasks,
            unit=self._tasks,
            region_unit=people.task,
            label=people.label,
            outline=_outlines(people),
            held_task=self._tasks,
            held=self._tasks,
            approved=np.zeros(len(self._tasks), dtype=np.bool_),
            size=np.zeros((len(self._tasks), 2), dtype=np.int32),
        )


def _outlines(regions: Regions) -> Outlines:
    box = regions.box.astype(np.float64)
    side = box[:, 2:] - box[:, :2]
    return Outlines.of_table(np.hstack([box[:, :2], side, np.zeros((len(box), 1))]))


if __name__ == "__main__":
    main()
