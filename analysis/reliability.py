"""How far a detector can be trusted on this project, learnt without knowing any error.

Copies of the human boxes are spoilt on purpose (``analysis.planting``); for each kind of error a
logistic regression learns how much likelier a box's evidence is under that error than under a right
box. With the error rates, that gives the probability of each error by Bayes' rule.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

import numpy as np
import scipy.special
from numpy.typing import NDArray

from analysis import planting
from analysis.evidence import (
    AnnotationEvidence,
    PredictionEvidence,
    annotation_evidence,
    logit,
    prediction_evidence,
)
from analysis.findings import NONE
from analysis.imagined import NUM_CLASSES, imagined_project
from analysis.logistic import fit_logistic
from analysis.regions import Regions

__all__ = ["Calibration", "fit_evidence", "judge_annotations", "judge_predictions"]

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]

#: Kinds of error of a human box, in the order of the columns below.
KINDS: Final = ("mislabelled", "badly_drawn", "spurious")
#: Share of boxes that are expected to have each kind of error. What the project itself shows of it
#: is no better guess: its weak evidence reads as few errors.
_RATE: Final = 0.03
#: How many boxes the imagined project is worth.
_PRIOR: Final = 60.0
_CLASS_PRIOR: Final = 5.0
#: Human boxes that are spoilt; more sharpen nothing and cost time.
_SAMPLE: Final = 3000
_MOST_COPIES: Final = 4
_GOLDEN: Final = 0.6180339887498949
_ROUNDS: Final = 2
#: Support from which a human box counts as seen by the model.
_SEEN: Final = 0.15
#: A prediction covered by that much human box is not about an overlooked object.
_COVERED: Final = 0.5
_OWNED: Final = 0.4

_SUPPORT_KNOTS: Final = (-4.6, -2.5, 0.0, 4.6)
_IOU_KNOTS: Final = (0.0, 0.4, 0.6, 0.75, 0.9, 1.0)
_MISFIT_KNOTS: Final = (0.1, 0.25, 0.4, 0.6)
_SCORE_KNOTS: Final = (-4.6, -2.2, -0.4, 4.6)
_COVER_KNOTS: Final = (0.0, 0.2, 0.5)

#: Per kind the groups of evidence that bear on it, and the sign that they have to have.
_SIGNS: Final[dict[str, dict[str, int]]] = {
    "mislabelled": {
        "same": -1, "same_near": -1, "other": 1, "iou": 0, "iou_same": -1, "size": 0, "class": 0,
    },
    "badly_drawn": {
        "same": 1, "same_near": 1, "iou": -1, "iou_same": -1, "misfit": 1, "size": 0, "class": 0,
    },
    "spurious": {
        "same": -1, "same_near": -1, "any_near": -1, "iou": -1, "iou_same": -1,
        "size": 0, "class": 0,
    },
    "missing": {
        "score": 1, "cover": -1, "same": -1, "inside": -1, "around": -1, "size": 0, "class": 0,
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far a detector can be trusted on this project.

    Attributes:
        mislabelled: float64, coefficients of that error's log likelihood ratio, intercept last.
        badly_drawn: float64, the same.
        spurious: float64, the same.
        missing: float64, coefficients of an overlooked object's log odds at rate 1.
        rate: float64 (4,), share of boxes with each of these errors.
        recall: float64 (K,), log odds that the model sees an object of the class.
        precision: float64 (K,), log odds that its boxes of the class are on such an object.
        size: float64 (2,), mean and spread of the log area of human boxes.
    """

    mislabelled: Doubles
    badly_drawn: Doubles
    spurious: Doubles
    missing: Doubles
    rate: Doubles
    recall: Doubles
    precision: Doubles
    size: Doubles

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as named arrays, for storage."""
        return {column.name: getattr(self, column.name) for column in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Calibration:
        """Return what ``to_arrays`` gave."""
        return cls(**{column.name: arrays[column.name] for column in fields(cls)})


@dataclass(frozen=True, slots=True)
class _Ground:
    """What features are relative to: the project's classes and sizes."""

    recall: Doubles
    precision: Doubles
    size: Doubles


@dataclass(frozen=True, slots=True)
class _Sample:
    """Features of boxes as they are and as they would be under each error, with weights."""

    right: dict[str, Floats]
    wrong: dict[str, dict[str, Floats]]
    unexplained: dict[str, Floats]
    overlooked: dict[str, Floats]


def judge_annotations(
    evidence: AnnotationEvidence, regions: Regions, calibration: Calibration
) -> Floats:
    """Probability of each kind of error of each human box.

    Args:
        evidence: N rows.
        regions: the N human boxes.
        calibration: what ``fit_evidence`` learnt.

    Returns:
        float32 (N, 3): mislabelled, badly drawn, spurious; rows sum to at most 1.
    """
    groups = _annotation_groups(evidence, regions, calibration)
    odds = np.stack(
        [
            _odds(groups, kind, getattr(calibration, kind)) + np.log(calibration.rate[n])
            for n, kind in enumerate(KINDS)
        ],
        axis=1,
    )
    # An error without its counterpart is no such error: no rival to relabel to, no twin to redraw.
    odds[evidence.rival == NONE, 0] = -np.inf
    odds[evidence.twin == NONE, 1] = -np.inf
    whole = np.concatenate([odds, np.zeros((len(odds), 1))], axis=1)
    judged: Floats = scipy.special.softmax(whole, axis=1)[:, :3].astype(np.float32)
    judged[regions.label == NONE] = 0
    return judged


def judge_predictions(
    evidence: PredictionEvidence, regions: Regions, calibration: Calibration
) -> Floats:
    """Probability that each prediction is on an object that people overlooked.

    Args:
        evidence: N rows.
        regions: the model's N boxes, with scores.
        calibration: what ``fit_evidence`` learnt.

    Returns:
        float32 (N,), 0 where people drew something or a stronger prediction says it.
    """
    judged = np.zeros(len(regions), dtype=np.float32)
    rows = np.flatnonzero(_unexplained(evidence, regions))
    groups = _prediction_groups(evidence.take(rows), regions.take(rows), calibration, without=False)
    odds = _odds(groups, "missing", calibration.missing) + np.log(calibration.rate[3])
    judged[rows] = scipy.special.expit(odds)
    return judged


def fit_evidence(
    people: AnnotationEvidence,
    annotations: Regions,
    model: PredictionEvidence,
    predictions: Regions,
    num_classes: int,
) -> Calibration:
    """Learn what evidence is worth on this project; few boxes move little from the prior.

    Args:
        people: evidence on the human boxes.
        annotations: the human boxes.
        model: evidence on the predictions.
        predictions: the model's boxes, with scores.
        num_classes: number of labels.
    """
    ground = _ground(people, annotations, model, predictions, num_classes)
    sample = _sample(people, annotations, model, predictions, ground, num_classes)
    prior = _prior_sample()
    rate = np.full(4, _RATE)
    right: Doubles = np.ones(_rows(sample.right))
    unexplained: Doubles = np.ones(_rows(sample.unexplained))
    coefficients: dict[str, Doubles] = {}
    # The boxes as they are hold the project's true errors too: they count the less as right boxes,
    # the more they look like an error.
    for _ in range(_ROUNDS):
        for kind in KINDS:
            coefficients[kind] = _fit_kind(sample, prior, kind, right, coefficients.get(kind))
        coefficients["missing"] = _fit_missing(
            sample, prior, unexplained, coefficients.get("missing")
        )
        right, unexplained = _innocence(sample, coefficients, rate)
    return Calibration(
        **coefficients,
        rate=rate,
        recall=ground.recall,
        precision=ground.precision,
        size=ground.size,
    )


def _innocence(
    sample: _Sample, coefficients: dict[str, Doubles], rate: Doubles
) -> tuple[Doubles, Doubles]:
    """How likely each human box is right, and each unexplained prediction no overlooked object."""
    ratio = np.stack([_odds(sample.right, kind, coefficients[kind]) for kind in KINDS], axis=1)
    whole = np.column_stack([ratio + np.log(rate[:3]), np.zeros(len(ratio))])
    odds = _odds(sample.unexplained, "missing", coefficients["missing"]) + np.log(rate[3])
    return scipy.special.softmax(whole, axis=1)[:, 3], scipy.special.expit(-odds)


def _ground(
    people: AnnotationEvidence,
    annotations: Regions,
    model: PredictionEvidence,
    predictions: Regions,
    num_classes: int,
) -> _Ground:
    known = annotations.label != NONE
    recall = _class_share(
        annotations.label[known], (people.same > _SEEN)[known], np.ones(known.sum()), num_classes
    )
    said = predictions.label != NONE
    score = predictions.score[said].astype(np.float64) if predictions.score is not None else []
    precision = _class_share(
        predictions.label[said], (model.same >= _COVERED)[said], score, num_classes
    )
    area = _log_area(annotations)
    size = np.array([area.mean(), area.std() + 0.1]) if len(area) else np.array([0.0, 1.0])
    return _Ground(recall, precision, size)


def _class_share(
    label: NDArray[np.int32], hit: NDArray[np.bool_], weight: Any, num_classes: int
) -> Doubles:
    """Log odds of a hit per class; classes with few rows stay near the mean of all."""
    total = np.bincount(label, weights=weight, minlength=num_classes)
    hits = np.bincount(label, weights=weight * hit, minlength=num_classes)
    mean = (hits.sum() + _CLASS_PRIOR * 0.7) / (total.sum() + _CLASS_PRIOR)
    share = (hits + _CLASS_PRIOR * mean) / (total + _CLASS_PRIOR)
    return logit(share.astype(np.float32)).astype(np.float64)


def _sample(
    people: AnnotationEvidence,
    annotations: Regions,
    model: PredictionEvidence,
    predictions: Regions,
    ground: _Ground | Calibration,
    num_classes: int,
) -> _Sample:
    rows, said = _sampled(annotations, predictions)
    kept = annotations.take(rows)
    random = np.random.default_rng(0)
    copies = int(np.clip(_SAMPLE // max(len(rows), 1), 1, _MOST_COPIES))
    many = kept.take(np.tile(np.arange(len(kept)), copies))
    spoilt = {
        "badly_drawn": planting.redrawn(many, random),
        "spurious": planting.misplaced(many, num_classes, random),
        "mislabelled": planting.relabelled(many, num_classes, random),
    }
    wrong = {
        kind: _annotation_groups(annotation_evidence(table, predictions), table, ground)
        for kind, table in spoilt.items()
    }
    model, told = model.take(said), predictions.take(said)
    left, gone = np.flatnonzero(_unexplained(model, told)), _owned(model, told)
    return _Sample(
        _annotation_groups(people.take(rows), kept, ground),
        wrong,
        _prediction_groups(model.take(left), told.take(left), ground, without=False),
        _prediction_groups(model.take(gone), told.take(gone), ground, without=True),
    )


@cache
def _prior_sample() -> _Sample:
    annotations, predictions = imagined_project()
    people = annotation_evidence(annotations, predictions)
    model = prediction_evidence(predictions, annotations)
    ground = _ground(people, annotations, model, predictions, NUM_CLASSES)
    return _sample(people, annotations, model, predictions, ground, NUM_CLASSES)


def _sampled(annotations: Regions, predictions: Regions) -> tuple[Rows, Rows]:
    """Rows of whole tasks, about ``_SAMPLE`` human boxes at most, whatever order they come in."""
    tables = annotations, predictions
    tasks = np.unique(np.concatenate([table.task for table in tables]))
    # The multiples of the golden ratio pick tasks evenly, and no period of the data matters.
    turn = np.argsort((np.arange(len(tasks)) * _GOLDEN) % 1)
    chosen = np.zeros(len(tasks), dtype=np.bool_)
    fits = np.ones(len(tasks), dtype=np.bool_)
    for table, most in zip(tables, (_SAMPLE, 4 * _SAMPLE), strict=True):
        count = np.bincount(np.searchsorted(tasks, table.task), minlength=len(tasks))
        fits &= np.cumsum(count[turn]) <= most
    chosen[turn[fits]] = True
    chosen[turn[:1]] = True
    kept = []
    for table, most in zip(tables, (_SAMPLE, 4 * _SAMPLE), strict=True):
        rows = np.flatnonzero(chosen[np.searchsorted(tasks, table.task)] & (table.label != NONE))
        rows = rows[np.lexsort((*table.box[rows].T, table.label[rows], table.task[rows]))]
        kept.append(rows[:: max(len(rows) // most, 1)])
    return kept[0], kept[1]


def _unexplained(model: PredictionEvidence, predictions: Regions) -> NDArray[np.bool_]:
    left: NDArray[np.bool_] = ~model.beaten & (model.cover < _COVERED) & (predictions.label != NONE)
    return left


def _owned(model: PredictionEvidence, predictions: Regions) -> Rows:
    """Per human box the prediction that would be left unexplained had it been overlooked."""
    rows = np.flatnonzero(
        ~model.beaten
        & (model.cover >= _OWNED)
        & (model.cover_without < _COVERED)
        & (predictions.label != NONE)
    )
    value = predictions.score[rows] * model.cover[rows] if predictions.score is not None else 0
    order = np.lexsort((*predictions.box[rows].T, value, model.owner[rows]))
    owner = model.owner[rows][order]
    last = np.append(owner[1:] != owner[:-1], True)[: len(owner)]
    owned: Rows = rows[order[last]]
    return owned


def _fit_kind(
    sample: _Sample, prior: _Sample, kind: str, right: Doubles, start: Doubles | None
) -> Doubles:
    sign = _signs(sample.right, kind)
    tables, weights, targets = [], [], []
    for part, count, share in (
        (sample, right, 1.0),
        (prior, np.ones(_rows(prior.right)), _PRIOR / _rows(prior.right)),
    ):
        wrong = _rows(part.wrong[kind])
        if not wrong or not len(count):
            continue
        total = count.sum() * share
        tables += [_design(part.right, kind), _design(part.wrong[kind], kind)]
        weights += [count * share, np.full(wrong, total / wrong)]
        targets += [np.zeros(len(count), dtype=np.bool_), np.ones(wrong, dtype=np.bool_)]
    return fit_logistic(
        np.concatenate(tables), np.concatenate(targets), np.concatenate(weights), sign, start=start
    )


def _fit_missing(
    sample: _Sample, prior: _Sample, unexplained: Doubles, start: Doubles | None
) -> Doubles:
    share = _PRIOR / _rows(prior.right)
    tables = [
        _design(part, "missing")
        for part in (
            sample.unexplained, sample.overlooked, prior.unexplained, prior.overlooked,
        )
    ]  # fmt: skip
    sizes = [len(table) for table in tables]
    weight = np.concatenate([unexplained, np.ones(sizes[1]), np.full(sizes[2] + sizes[3], share)])
    target = np.repeat(np.array([False, True, False, True]), sizes)
    return fit_logistic(
        np.concatenate(tables), target, weight, _signs(sample.unexplained, "missing"), start=start
    )


def _annotation_groups(
    evidence: AnnotationEvidence, regions: Regions, ground: _Ground | Calibration
) -> dict[str, Floats]:
    misfit = evidence.twin_score[:, None] * _ramps(1 - evidence.twin_iou, _MISFIT_KNOTS)
    return {
        "same": _ramps(logit(evidence.same), _SUPPORT_KNOTS),
        "same_near": _ramps(logit(evidence.same_near), _SUPPORT_KNOTS),
        "other": _ramps(logit(evidence.other), _SUPPORT_KNOTS),
        "any_near": _ramps(logit(evidence.any_near), _SUPPORT_KNOTS),
        "iou": _ramps(evidence.iou, _IOU_KNOTS) * 4,
        "iou_same": _ramps(evidence.iou_same, _IOU_KNOTS) * 4,
        "misfit": misfit * 8,
        "size": _relative_size(regions, ground),
        "class": ground.recall[regions.label][:, None].astype(np.float32),
    }


def _prediction_groups(
    evidence: PredictionEvidence,
    regions: Regions,
    ground: _Ground | Calibration,
    *,
    without: bool,
) -> dict[str, Floats]:
    def column(name: str) -> Floats:
        whole: Floats = getattr(evidence, f"{name}_without" if without else name)
        return whole

    score = regions.score if regions.score is not None else np.zeros(len(regions), np.float32)
    return {
        "score": _ramps(logit(score), _SCORE_KNOTS),
        "cover": _ramps(column("cover"), _COVER_KNOTS) * 4,
        "same": column("same")[:, None] * 2,
        "inside": column("inside")[:, None] * 2,
        "around": column("around")[:, None] * 2,
        "size": _relative_size(regions, ground),
        "class": ground.precision[regions.label][:, None].astype(np.float32),
    }


def _design(groups: dict[str, Floats], kind: str) -> Floats:
    return np.concatenate([groups[name] for name in _SIGNS[kind]], axis=1)


def _signs(groups: dict[str, Floats], kind: str) -> NDArray[np.int8]:
    return np.concatenate(
        [np.full(groups[name].shape[1], sign, np.int8) for name, sign in _SIGNS[kind].items()]
    )


def _odds(groups: dict[str, Floats], kind: str, coefficients: Doubles) -> Doubles:
    odds: Doubles = _design(groups, kind) @ coefficients[:-1] + coefficients[-1]
    return odds


def _rows(groups: dict[str, Floats]) -> int:
    return len(groups["size"])


def _ramps(value: Floats, knots: tuple[float, ...]) -> Floats:
    """How far into each stretch between two knots a value reaches, (N, number of stretches)."""
    edges = np.asarray(knots, dtype=np.float32)
    ramps: Floats = np.clip(value[:, None], edges[:-1], edges[1:]) - edges[:-1]
    return ramps


def _relative_size(regions: Regions, ground: _Ground | Calibration) -> Floats:
    size: Floats = ((_log_area(regions) - ground.size[0]) / ground.size[1]).astype(np.float32)
    return np.clip(size, -3, 3)[:, None]


def _log_area(regions: Regions) -> Doubles:
    side = (regions.box[:, 2:] - regions.box[:, :2]).astype(np.float64)
    area: Doubles = np.log(np.maximum(side.prod(axis=1), 1e-3))
    return area
