"""How far a detector's evidence can be trusted: a rehearsal with errors planted on purpose.

No project says which of its labels are wrong, but most are right: a copy of them, spoilt in known
ways, shows what the evidence against a wrong label looks like on this very project with this very
detector. A logistic model learns the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from analysis import logistic
from analysis.boxes.evidence import Scale, of_annotations, of_predictions
from analysis.boxes.imagined import NUM_CLASSES, imagined_project
from analysis.boxes.planting import misplaced, redrawn, relabelled
from analysis.findings import NONE
from analysis.geometry.matching import box_iou, overlapping_pairs
from analysis.regions import Regions

__all__ = ["WRONG", "Judge", "rehearse"]

#: Ways in which a human box can be wrong, as the columns after "right".
WRONG: Final = ("mislabelled", "spurious", "badly_drawn")

#: Planted errors weigh as if this share of all boxes held one: what evidence has to outweigh.
_PLANTED: Final = 0.2
_OMITTED: Final = 0.1
#: Share of the human boxes that is left out at once to see what the detector says in their place.
_LEFT_OUT: Final = 0.3
#: A box redrawn within this IoU of itself is no error.
_STILL_RIGHT: Final = 0.7
#: Real errors are taken to be this many times as frequent as planted ones.
_REAL: Final = 0.3
#: How often the labels are weighed again by how right they look.
_SECOND_LOOKS: Final = 2
#: Rows count as at least this many in all, beside the ridge.
_ENOUGH: Final = 2000.0
#: The imagined project weighs as much as this many boxes.
_BELIEF: Final = 200.0
#: Boxes of a project that are rehearsed on; more change little and cost in proportion.
_MOST: Final = 2_000
#: Knuth's multiplicative hash: places that follow each other are scattered.
_SCATTER: Final = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Judge:
    """A multinomial logistic model: logits = (columns - mean) / spread @ weight + offset.

    Attributes:
        mean: float64 (D,).
        spread: float64 (D,), above 0.
        weight: float64 (D, C).
        offset: float64 (C,).
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    weight: NDArray[np.float64]
    offset: NDArray[np.float64]

    @classmethod
    def fit(
        cls, columns: NDArray[np.float64], kind: NDArray[np.int64], weight: NDArray[np.float64]
    ) -> Judge:
        """Learn it from rows of evidence (N, D), what they are (N,) and what they weigh (N,)."""
        mean = np.average(columns, axis=0, weights=weight)
        spread = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weight)) + 1e-3
        # A ridge that a few rows could not outweigh would make every verdict on them a shrug.
        weight = weight * max(1.0, _ENOUGH / weight.sum())
        scaled = (columns - mean) / spread
        learnt = logistic.fit(scaled, kind, weight, solver="newton-cholesky", tol=1e-3)
        return cls(mean, spread, *learnt)

    def probabilities(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how likely each row is of each kind, float64 (N, C)."""
        logits = (columns - self.mean) / self.spread @ self.weight + self.offset
        return np.asarray(softmax(logits, axis=1))

    def to_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {f"{name}_{part}": getattr(self, part) for part in self.__slots__}

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, NDArray[Any]]) -> Judge:
        """Return what ``to_arrays`` gave."""
        return cls(*(arrays[f"{name}_{part}"] for part in cls.__slots__))


@dataclass(frozen=True, slots=True)
class _Lesson:
    columns: NDArray[np.float64]
    kind: NDArray[np.int64]
    weight: NDArray[np.float64]


def rehearse(
    annotations: Regions, predictions: Regions, scale: Scale, num_classes: int
) -> tuple[Judge, Judge]:
    """Learn to judge human boxes, and boxes that only the detector drew.

    Returns:
        a judge of ``of_annotations`` columns, with "right" and ``WRONG`` as its kinds;
        a judge of ``of_predictions`` columns, with "nothing there" and "missing" as its kinds.
    """
    some = _some(annotations, predictions)
    lessons = [_lessons(*some, scale, num_classes, 1.0), _imagined_lessons()]
    return _learn([one for one, _ in lessons]), _learn([two for _, two in lessons])


@cache
def _imagined_lessons() -> tuple[_Lesson, _Lesson]:
    people, model = imagined_project()
    scale = Scale.measure(people, model, NUM_CLASSES)
    return _lessons(people, model, scale, NUM_CLASSES, _BELIEF / len(people))


def _some(annotations: Regions, predictions: Regions) -> tuple[Regions, Regions]:
    """Whole tasks until they hold ``_MOST`` boxes, nearly the same ones when tasks are added."""
    known = annotations.take(annotations.label != NONE)
    tasks = np.unique(np.concatenate([annotations.task, predictions.task]))
    tasks = tasks[np.argsort(tasks.astype(np.uint64) * _SCATTER)]
    place = np.searchsorted(np.sort(known.task), [tasks, tasks + 1])
    count = place[1] - place[0]
    few = tasks[np.cumsum(count) - count < _MOST]
    return _sorted(known, few), _sorted(predictions, few)


def _sorted(table: Regions, tasks: NDArray[np.int64]) -> Regions:
    row = np.flatnonzero(np.isin(table.task, tasks))
    order = np.lexsort((table.label[row], *table.box[row].T, table.task[row]))
    return table.take(row[order])


def _lessons(
    annotations: Regions, predictions: Regions, scale: Scale, num_classes: int, weight: float
) -> tuple[_Lesson, _Lesson]:
    random = np.random.default_rng(0)
    moved = redrawn(annotations, random)
    off = box_iou(moved.box, annotations.box) < _STILL_RIGHT
    plain = Regions(annotations.task, annotations.label, annotations.box)
    spoilt = [
        relabelled(plain, num_classes, random),
        misplaced(plain, num_classes, random),
        moved.take(off),
    ]
    each = len(annotations) * _PLANTED / (1 - _PLANTED) / len(WRONG)
    parts = [(annotations, 1.0)] + [(one, each / max(len(one), 1)) for one in spoilt]
    columns = [of_annotations(one, predictions, scale).columns for one, _ in parts]
    people = _lesson(columns, [weight * each for _, each in parts])
    return people, _omissions(annotations, predictions, scale, random, weight)


def _omissions(
    annotations: Regions,
    predictions: Regions,
    scale: Scale,
    random: np.random.Generator,
    weight: float,
) -> _Lesson:
    out = random.random(len(annotations)) < _LEFT_OUT
    gone, kept = annotations.take(out), annotations.take(~out)
    before = of_predictions(annotations, predictions, scale)
    after = of_predictions(kept, predictions, scale)
    now_alone = np.unique(overlapping_pairs(gone, predictions, 0.5).second)
    omitted = after.columns[np.isin(after.row, now_alone)]
    each = len(annotations) * _OMITTED / (1 - _OMITTED) / max(len(omitted), 1)
    return _lesson([before.columns, omitted], [weight, weight * each])


def _lesson(columns: list[NDArray[np.float64]], weights: list[float]) -> _Lesson:
    return _Lesson(
        np.concatenate(columns),
        np.repeat(np.arange(len(columns)), [len(part) for part in columns]),
        np.repeat(weights, [len(part) for part in columns]),
    )


def _learn(lessons: list[_Lesson]) -> Judge:
    columns = np.concatenate([one.columns for one in lessons])
    kind = np.concatenate([one.kind for one in lessons])
    weight = np.concatenate([one.weight for one in lessons])
    judge = Judge.fit(columns, kind, weight)
    for _ in range(_SECOND_LOOKS):
        # What looks wrong among the labels themselves teaches the less that it is right.
        as_planted = judge.probabilities(columns)[:, 0]
        right = as_planted / (as_planted + _REAL * (1 - as_planted))
        judge = Judge.fit(columns, kind, np.where(kind == 0, weight * right, weight))
    return judge
