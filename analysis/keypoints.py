"""Label errors in key points: each human point held against the model's, each finding a row.

Points come in instances (a person, an animal), which are matched one to one by object key point
similarity. One task's findings depend on that task and on a ``Calibration`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis import columns
from analysis.findings import NONE, Findings
from analysis.geometry.keypoint_matching import (
    COCO_SIGMAS,
    DEFAULT_SIGMA,
    Instances,
    Keypoints,
    alike_instances,
    instances,
    joint_scale,
    oks,
    point_pairs,
)
from analysis.geometry.matching import Pairs

__all__ = ["COCO_SIGMAS", "DEFAULT_SIGMA", "Calibration", "Keypoints", "find", "fit", "oks"]

#: Instances that are less alike than this are not the same, whichever joint is called what.
_SAME: Final = 0.3
#: Points this near a joint of another name stand on that joint.
_ON: Final = 0.5
_CONFIDENT: Final = 0.5
_PRIOR: Final = 10.0
_PRIOR_RECALL: Final = 0.7


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far a pose model can be trusted on this project.

    Attributes:
        recall: float32 (J,), share of the human points of each joint that a confident prediction
            stands by.
    """

    recall: NDArray[np.float32]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {"recall": self.recall}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(arrays["recall"].astype(np.float32))


def fit(
    annotations: Keypoints, predictions: Keypoints, *, sigmas: ArrayLike | None = None, joints: int
) -> Calibration:
    """Learn from a whole project how far its model can be trusted; few points move it little.

    Args:
        annotations: human points.
        predictions: the model's points, low scores included; ``score`` is needed.
        sigmas: float (J,), as for ``find``.
        joints: number of joints J.

    Raises:
        ValueError: as ``find``.
    """
    return _learn(annotations, _look(annotations, predictions, sigmas, joints), joints)


def _learn(annotations: Keypoints, seen: _Seen, joints: int) -> Calibration:
    index = annotations.index[seen.rows]
    seconded = (seen.own_score >= _CONFIDENT) & (seen.own >= _ON)
    hits = np.bincount(index, seconded, minlength=joints)
    count = np.bincount(index, minlength=joints)
    recall = (hits + _PRIOR * _PRIOR_RECALL) / (count + _PRIOR)
    return Calibration(recall.astype(np.float32))


def find(
    annotations: Keypoints,
    predictions: Keypoints,
    *,
    joints: int,
    sigmas: ArrayLike | None = None,
    calibration: Calibration | None = None,
    floor: float = 0.1,
) -> Findings:
    """Find label errors; a human point is found wrong at most once.

    Args:
        annotations: human points; joint -1 is passed over.
        predictions: the model's points, low scores included; joint -1 is passed over.
        joints: number of joints J.
        sigmas: float (J,), how far people differ on each joint as a share of the object's size,
            such as ``COCO_SIGMAS``; None takes ``DEFAULT_SIGMA`` for all.
        calibration: what ``fit`` learnt; None learns it from these very points.
        floor: findings with a lower score are left out.

    Returns:
        one row per finding, by task and then worst first; ``label`` is the joint that the fix
        would have. ``mislabelled``: the point stands on another joint of its instance or on the
        same joint of another instance (left and right, or two people, exchanged). ``badly_drawn``:
        far off the model's point. ``missing``: a joint that only the model has. ``spurious``: a
        joint that the model does not see.

    Raises:
        ValueError: when predictions have no score, a joint is not below ``joints``, the sigmas are
            not J numbers above 0 or the calibration is of another number of joints.
    """
    seen = _look(annotations, predictions, sigmas, joints)
    trust = calibration or _learn(annotations, seen, joints)
    if trust.recall.shape != (joints,):
        raise ValueError(f"calibration is of {len(trust.recall)} joints, expected {joints}")
    human = _drawn_wrong(annotations, predictions, seen, trust)
    found = Findings.concatenate([human, _missing(predictions, seen, human)])
    kept = found.take(found.score >= floor)
    return kept.take(np.lexsort((kept.annotation, kept.prediction, -kept.score, kept.task)))


def _drawn_wrong(
    annotations: Keypoints, predictions: Keypoints, seen: _Seen, trust: Calibration
) -> Findings:
    swapped = (seen.other_alike >= _ON) & (seen.other_alike > seen.own)
    exchanged = np.where(swapped, seen.other_score * seen.other_alike * (1 - seen.own), 0)
    far = seen.own_score * (1 - seen.own)
    # A faint joint at the very place speaks for the point; one elsewhere says little of it.
    unseen = trust.recall[annotations.index[seen.rows]] * (1 - seen.own_score) * (1 - seen.own)
    score = np.maximum(np.maximum(exchanged, far), unseen)
    kind = np.where(unseen >= np.maximum(exchanged, far), "spurious", "badly_drawn")
    kind = np.where(swapped & (exchanged >= _ON * score), "mislabelled", kind)
    kind[_exchanged_with(annotations, predictions, seen, kind)] = "mislabelled"
    which = np.where(kind == "mislabelled", seen.other_row, seen.own_row)
    which = np.where(kind == "spurious", NONE, which)
    label = np.where(which == NONE, NONE, predictions.index[which] if len(predictions) else NONE)
    return Findings(
        annotations.task[seen.rows],
        kind,
        seen.rows,
        which,
        np.clip(score, 0, 1).astype(np.float32),
        label.astype(np.int32),
    )


def _exchanged_with(
    annotations: Keypoints, predictions: Keypoints, seen: _Seen, kind: NDArray[np.str_]
) -> NDArray[np.bool_]:
    """Points far off whose place another point has taken, and that lie nearer to that one's."""
    taker = np.full(len(predictions) + 1, NONE, dtype=np.int64)
    renamed = np.flatnonzero(kind == "mislabelled")
    taker[seen.other_row[renamed]] = annotations.index[seen.rows[renamed]]
    taken = np.where(seen.own_row == NONE, NONE, taker[seen.own_row])
    nearest = np.append(predictions.index, NONE)[seen.other_row]
    found: NDArray[np.bool_] = (kind == "badly_drawn") & (taken != NONE) & (taken == nearest)
    return found & (seen.other_alike > seen.own)


def _missing(predictions: Keypoints, seen: _Seen, human: Findings) -> Findings:
    # A joint that a person drew under another name is not missing as well.
    claimed = np.zeros(len(predictions))
    renamed = human.take(human.kind == "mislabelled")
    np.maximum.at(claimed, renamed.prediction, renamed.score)
    rows = np.flatnonzero((predictions.index != NONE) & ~seen.present)
    score = _scores(predictions)[rows] * (1 - claimed[rows]) * (1 - seen.explained[rows])
    return Findings(
        predictions.task[rows],
        np.full(len(rows), "missing"),
        np.full(len(rows), NONE),
        rows,
        np.clip(score, 0, 1).astype(np.float32),
        predictions.index[rows],
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the model says of each human point whose joint it knows, H of them.

    Attributes:
        rows: int64 (H,), the human points.
        own_row, own_score, own: (H,), the same joint of the matched instance: its row or ``NONE``,
            score and similarity.
        other_row, other_score, other_alike: (H,), the joint that the point may be mistaken for.
        present: bool (P,), predictions whose joint the matched human instance has.
        explained: float64 (P,), how far the prediction's instance is a second one of a human
            instance that another prediction matches better.
    """

    rows: NDArray[np.int64]
    own_row: NDArray[np.int64]
    own_score: NDArray[np.float64]
    own: NDArray[np.float64]
    other_row: NDArray[np.int64]
    other_score: NDArray[np.float64]
    other_alike: NDArray[np.float64]
    present: NDArray[np.bool_]
    explained: NDArray[np.float64]


def _look(
    annotations: Keypoints, predictions: Keypoints, sigmas: ArrayLike | None, joints: int
) -> _Seen:
    _check(annotations, predictions, joints)
    scale = joint_scale(sigmas, joints)
    score = _scores(predictions)
    human, model = instances(annotations, scale), instances(predictions, scale)
    pairs = alike_instances(human, model, scale)
    match = _match(pairs, len(human.begin), len(model.begin))
    own, other = _Best.of(len(annotations)), _Best.of(len(annotations))
    present = np.zeros(len(predictions), dtype=np.bool_)
    for pair, i, j, alike in point_pairs(human, model, pairs.first, pairs.second, scale):
        matched = match[pairs.first[pair]] == pairs.second[pair]
        same = annotations.index[i] == predictions.index[j]
        own.offer(i, j, alike, matched & same, np.ones(len(i)))
        other.offer(i, j, alike, matched != same, score[j])
        present[j[matched & same]] = True
    rows = np.sort(human.order)
    none = own.row[rows] == NONE
    sure = np.append(score, 0)
    return _Seen(
        rows,
        own.row[rows],
        sure[own.row[rows]],
        np.where(none, 0, own.alike[rows]),
        other.row[rows],
        sure[other.row[rows]],
        other.alike[rows],
        present,
        _explained(model, pairs, match, len(predictions)),
    )


@dataclass(frozen=True, slots=True)
class _Best:
    """For each human point the strongest prediction offered so far."""

    row: NDArray[np.int64]
    alike: NDArray[np.float64]
    weighed: NDArray[np.float64]

    @classmethod
    def of(cls, count: int) -> _Best:
        return cls(np.full(count, NONE, dtype=np.int64), np.zeros(count), np.full(count, -1.0))

    def offer(
        self,
        i: NDArray[np.int64],
        j: NDArray[np.int64],
        alike: NDArray[np.float64],
        chosen: NDArray[np.bool_],
        weight: NDArray[np.float64],
    ) -> None:
        # Sorting is dear, and most cannot win.
        rows = np.flatnonzero(chosen & (alike * weight > self.weighed[i]))
        i, j, alike, weight = i[rows], j[rows], alike[rows], weight[rows]
        order = np.lexsort((-(alike * weight), i))
        i, j, alike, weight = i[order], j[order], alike[order], weight[order]
        first = np.ones(len(i), dtype=np.bool_)
        first[1:] = i[1:] != i[:-1]
        to = i[first]
        self.row[to], self.alike[to] = j[first], alike[first]
        self.weighed[to] = (alike * weight)[first]


def _match(pairs: Pairs, humans: int, models: int) -> NDArray[np.int64]:
    """The predicted instance of each human one, or -2: the likest pair first, each once."""
    match = np.full(humans, -2, dtype=np.int64)
    free = np.ones(models, dtype=np.bool_)
    order = np.lexsort((pairs.second, pairs.first, -pairs.iou))
    a, p = pairs.first[order], pairs.second[order]
    kept = pairs.iou[order] >= _SAME
    a, p = a[kept], p[kept]
    while len(a):
        # A pair that is the best left for both sides is what one pair at a time would choose.
        at = np.arange(len(a))
        ahead = np.zeros(len(a), dtype=np.bool_)
        ahead[np.unique(a, return_index=True)[1]] = True
        best = np.zeros(len(a), dtype=np.bool_)
        best[np.unique(p, return_index=True)[1]] = True
        chosen = at[ahead & best]
        match[a[chosen]], free[p[chosen]] = p[chosen], False
        left = (match[a] < 0) & free[p]
        a, p = a[left], p[left]
    return match


def _explained(
    model: Instances, pairs: Pairs, match: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    second = (match[pairs.first] >= 0) & ~np.isin(pairs.second, match)
    of_instance = np.zeros(len(model.begin))
    np.maximum.at(of_instance, pairs.second[second], pairs.iou[second])
    explained = np.zeros(count)
    explained[model.order] = np.repeat(of_instance, model.count)
    return explained


def _scores(predictions: Keypoints) -> NDArray[np.float64]:
    if predictions.score is None:
        raise ValueError("predictions.score is None, expected one confidence per point")
    return predictions.score.astype(np.float64)


def _check(annotations: Keypoints, predictions: Keypoints, joints: int) -> None:
    for name, table in (("annotations", annotations), ("predictions", predictions)):
        columns.indices(f"{name}.index", table.index, joints, table.task)
