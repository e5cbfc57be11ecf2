"""Key points as typed columns, and which instances of them are alike, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis import columns
from analysis.findings import NONE
from analysis.geometry import ragged
from analysis.geometry.matching import Pairs, pair_blocks
from analysis.regions import Regions

__all__ = [
    "COCO_SIGMAS",
    "DEFAULT_SIGMA",
    "Instances",
    "Keypoints",
    "alike_instances",
    "instances",
    "joint_scale",
    "oks",
    "point_pairs",
]

#: How far people differ on each of COCO's 17 joints, as a share of the person's size (COCO, 2017,
#: "Keypoint evaluation"): nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles.
COCO_SIGMAS: Final = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
#: For joints of any other kind: the middle of COCO's.
DEFAULT_SIGMA: Final = 0.066
#: Area of an object as a share of the box around its points, where no area is known (the figure
#: of the CrowdPose and COCO-WholeBody tools).
_FILLS: Final = 0.53
#: Beyond this many k times s a similarity counts as nothing (exp(-4.5) is 0.01).
_REACH: Final = 3.0
#: Pairs of points looked at in one go: what bounds the memory, and what a core's cache holds.
_BLOCK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Key points as columns, P rows, in any order; instances may have any number of them.

    A joint that is not there (COCO's visibility 0) has no row. Columns may be given as lists or as
    arrays of another type that hold the same values.

    Attributes:
        task: int64 (P,), the task (or the unit the caller numbered) each point belongs to.
        instance: int64 (P,), which object of the task the point is of.
        index: int32 (P,), which joint, from 0, at most once per instance; -1 where the joint is
            not one of the model's.
        x: float32 (P,), pixels.
        y: float32 (P,), pixels.
        score: float32 (P,) in [0, 1], the model's confidence, or None for human points.
        area: float32 (P,), area of the point's instance in pixels squared, or None: taken from
            the box around the instance's points.

    Raises:
        ValueError: naming the column and the first row that is wrong.
    """

    task: NDArray[np.int64]
    instance: NDArray[np.int64]
    index: NDArray[np.int32]
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    score: NDArray[np.float32] | None = None
    area: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        task = columns.whole("Keypoints.task", self.task, np.int64)
        rows = len(task)
        instance = columns.whole("Keypoints.instance", self.instance, np.int64, rows, task=task)
        index = columns.whole("Keypoints.index", self.index, np.int32, rows, least=NONE, task=task)
        order = np.lexsort((index, instance, task))
        again = np.zeros(rows, dtype=np.bool_)
        again[order[1:]] = index[order[1:]] != NONE
        for key in (task, instance, index):
            again[order[1:]] &= key[order[1:]] == key[order[:-1]]
        columns.refuse("Keypoints.index", index, again, "each joint once per instance", task)
        object.__setattr__(self, "task", task)
        object.__setattr__(self, "instance", instance)
        object.__setattr__(self, "index", index)
        for name in ("x", "y"):
            place = columns.numbers(f"Keypoints.{name}", getattr(self, name), rows, task=task)
            object.__setattr__(self, name, place)
        if self.score is not None:
            score = columns.fractions("Keypoints.score", self.score, rows, task=task)
            object.__setattr__(self, "score", score)
        if self.area is not None:
            area = columns.numbers("Keypoints.area", self.area, rows, least=0, task=task)
            object.__setattr__(self, "area", area)

    def __len__(self) -> int:
        return len(self.task)


def oks(
    annotated: NDArray[np.floating[Any]],
    predicted: NDArray[np.floating[Any]],
    area: NDArray[np.floating[Any]],
    sigmas: ArrayLike = COCO_SIGMAS,
) -> NDArray[np.float32]:
    """Object key point similarity, row by row, as COCO defines it.

    The mean over the annotated joints of exp(-d^2 / (2 s^2 k^2)), s^2 the area, k = 2 sigma. A
    joint that was not predicted counts as infinitely far off.

    Args:
        annotated: float (M, J, 2), NaN where a joint is not annotated.
        predicted: float (M, J, 2), NaN where a joint is not predicted.
        area: float (M,), of the annotated instances, pixels squared.
        sigmas: float (J,), of each joint, above 0.

    Returns:
        float32 (M,), in [0, 1]; 0 where no joint is annotated.
    """
    scale = joint_scale(sigmas, annotated.shape[1])
    apart = ((annotated - predicted) ** 2).sum(axis=2)
    there = ~np.isnan(annotated).any(axis=2)
    alike = np.where(there & ~np.isnan(apart), _similarity(apart, area[:, None] * scale**2), 0)
    joints = there.sum(axis=1)
    mean: NDArray[np.float32] = (alike.sum(axis=1) / np.maximum(joints, 1)).astype(np.float32)
    return mean


def joint_scale(sigmas: ArrayLike | None, joints: int) -> NDArray[np.float64]:
    """Return k of each joint, float64 (J,): twice its sigma, ``DEFAULT_SIGMA`` where None is given.

    Raises:
        ValueError: when they are not J numbers above 0.
    """
    given = np.full(joints, DEFAULT_SIGMA) if sigmas is None else np.asarray(sigmas, dtype=float)
    if given.shape != (joints,) or not (given > 0).all():
        raise ValueError(f"sigmas are {given.tolist()}, expected {joints} numbers above 0")
    return 2 * given


def _similarity(
    apart: NDArray[np.floating[Any]], spread: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """exp(-apart / (2 spread)); without any spread only the very place is alike."""
    return np.asarray(np.exp(-apart / np.maximum(2 * spread, 1e-12)))


@dataclass(frozen=True, slots=True)
class Instances:
    """Points grouped by instance, I of them, in order of task and instance.

    Attributes:
        points: Keypoints, P points.
        order: int64, rows of the points whose joint is known, instance after instance.
        begin: int64 (I,), where each instance begins in ``order``.
        count: int64 (I,), how many points it has.
        area: float64 (I,), pixels squared.
        boxes: Regions, the places within which a point could be alike.
    """

    points: Keypoints
    order: NDArray[np.int64]
    begin: NDArray[np.int64]
    count: NDArray[np.int64]
    area: NDArray[np.float64]
    boxes: Regions


def instances(points: Keypoints, scale: NDArray[np.float64]) -> Instances:
    """Group points by instance, without those of joint -1.

    Args:
        points: P points.
        scale: float64 (J,), k of each joint.
    """
    reach = _REACH * float(scale.max(initial=0))
    known = np.flatnonzero(points.index != NONE)
    keys = (points.index[known], points.instance[known], points.task[known])
    order = known[np.lexsort(keys)]
    task, instance = points.task[order], points.instance[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (task[1:] != task[:-1]) | (instance[1:] != instance[:-1])
    begin = np.flatnonzero(first)
    count = np.diff(np.append(begin, len(order)))
    if not len(begin):
        nothing = Regions(order, order.astype(np.int32), np.empty((0, 4), dtype=np.float32))
        return Instances(points, order, begin, count, np.empty(0), nothing)
    place = np.column_stack([points.x[order], points.y[order]]).astype(np.float64)
    low, high = np.minimum.reduceat(place, begin), np.maximum.reduceat(place, begin)
    area = _FILLS * (high - low).prod(axis=1)
    if points.area is not None:
        area = np.maximum.reduceat(points.area[order], begin).astype(np.float64)
    # Wide enough that whatever could be alike overlaps, and never without an area.
    margin = (reach * np.sqrt(area) + 1)[:, None]
    box = np.concatenate([low - margin, high + margin], axis=1)
    label = np.zeros(len(begin), dtype=np.int32)
    boxes = Regions(task[begin], label, box.astype(np.float32))
    return Instances(points, order, begin, count, area, boxes)


def point_pairs(
    human: Instances,
    model: Instances,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    scale: NDArray[np.float64],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Each point of some human instances with each of some predicted ones, in blocks.

    Yields:
        number of the pair of instances, row of the human point, row of the predicted one, and how
        alike they are if the human's is the predicted joint.
    """
    across = model.count[second]
    ends = np.cumsum(human.count[first] * across)
    cuts = np.unique(np.searchsorted(ends, np.arange(_BLOCK, ends[-1] if len(ends) else 0, _BLOCK)))
    mine = np.column_stack([human.points.x, human.points.y])[human.order].astype(np.float64)
    theirs = np.column_stack([model.points.x, model.points.y])[model.order].astype(np.float64)
    tolerance = scale[model.points.index[model.order]] ** 2
    area = human.area[first]
    area = np.where(area > 0, area, model.area[second])
    for some in np.split(np.arange(len(first)), cuts):
        # The human points of each pair of instances, then the predicted ones beside each of them.
        of, i = ragged.expand(human.begin[first[some]], human.count[first[some]])
        pair = some[of]
        beside, j = ragged.expand(model.begin[second[pair]], across[pair])
        apart = (mine[i, 0][beside] - theirs[j, 0]) ** 2
        apart += (mine[i, 1][beside] - theirs[j, 1]) ** 2
        alike = _similarity(apart, area[pair][beside] * tolerance[j])
        yield pair[beside], human.order[i][beside], model.order[j], alike


def alike_instances(human: Instances, model: Instances, scale: NDArray[np.float64]) -> Pairs:
    """Pairs of instances within reach: the mean of their OKS and of the OKS of places alone.

    The second does not ask which joint is which, so that an instance whose joints are all
    exchanged is still known for the same.
    """
    found = []
    for block in pair_blocks(human.boxes, model.boxes):
        order = np.lexsort((block.second, block.first))
        first, second = block.first[order], block.second[order]
        named, place = np.zeros(len(first)), np.zeros(len(first))
        for pair, i, j, alike in point_pairs(human, model, first, second, scale):
            some = slice(pair[0], pair[-1] + 1) if len(pair) else slice(0, 0)
            width = some.stop - some.start
            of = pair - some.start
            same = human.points.index[i] == model.points.index[j]
            named[some] += np.bincount(of[same], alike[same], minlength=width)
            start = np.ones(len(of), dtype=np.bool_)
            start[1:] = (of[1:] != of[:-1]) | (i[1:] != i[:-1])
            at = np.flatnonzero(start)
            if len(at):
                nearest = np.maximum.reduceat(alike, at)
                place[some] += np.bincount(of[at], nearest, minlength=width)
        value = (named + place) / (2 * human.count[first])
        # None of the points within reach: in a crowd these are most of the pairs.
        near = np.flatnonzero(value * 2 * human.count[first] > np.exp(-(_REACH**2) / 2))
        found.append(Pairs(first[near], second[near], value[near].astype(np.float32)))
    return Pairs(
        np.concatenate([part.first for part in found]),
        np.concatenate([part.second for part in found]),
        np.concatenate([part.iou for part in found]),
    )
