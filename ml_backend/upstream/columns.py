"""Upstreams' answers as the columns that every predictor returns."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.regions.results import Labels, decode
from ml_backend.labelstudio.regions.units import to_pixels
from ml_backend.predictors.base import SCORE_FLOOR, Predictions
from ml_backend.upstream.base import Answer

__all__ = ["UNSCORED", "predictions_of"]

_log = logging.getLogger(__name__)

#: Confidence of a region where neither it nor its prediction has a score. A class without one is
#: taken to be this far from chance to certain.
UNSCORED: Final = 0.5

#: How far above chance a chosen class stays, whatever its score says, of the way to certain.
_CHOSEN: Final = 0.01


def predictions_of(
    control: Control, answers: Sequence[Answer], size: NDArray[np.int32] | None = None
) -> Predictions:
    """Read what upstreams answered for one control tag.

    A region's confidence is its own score, else its prediction's, else ``UNSCORED``; those below
    ``SCORE_FLOOR`` are left out. Left out and said in the log are labels that the control tag does
    not have, and what cannot be placed: regions of an image whose size is not known, and masks of
    another size than the rest of their answer.

    Of choices, the chosen label gets the score and the others share the rest evenly; where
    several may hold, those not chosen get what the score leaves. Where nothing was chosen, all
    are 0: nothing is said.

    Args:
        control: the control tag; label indices are its own.
        answers: N answers.
        size: int32 (N, 2), width and height of each image in pixels where no region says it;
            zeros where it is not known, and for texts. None is all zeros, with nothing said of
            what cannot be placed: the sizes that are returned tell whose images to look at.

    Returns:
        N inputs.
    """
    labels = _known(control, answers)
    score = _scores(answers, labels)
    asked = size is not None
    size = np.zeros((len(answers), 2), dtype=np.int32) if size is None else size.copy()
    if control.geometry == "choice":
        return Predictions.of_classes(_probs(control, labels, score, len(answers)), size)
    score = np.where(np.isnan(score), UNSCORED, score)
    stated = labels.sizes(len(answers))
    size = np.where(np.logical_and.reduce(stated > 0, axis=1)[:, None], stated, size)
    here = size[labels.annotation]
    placed = here.all(axis=1) | (control.reads == "text")
    if control.geometry == "mask":
        placed = (labels.size == here).all(axis=1)
    if asked and not placed.all():
        _warn(control, answers, f"{(~placed).sum()} regions of no or of another image size")
    kept = placed & (score >= SCORE_FLOOR)
    labels = labels.take(kept)
    return Predictions(
        size=size,
        item=labels.annotation,
        label=labels.label,
        score=score[kept].astype(np.float32),
        outline=to_pixels(control.geometry, labels.outline, here[kept]),
        probs=np.empty((len(answers), 0), dtype=np.float32),
    )


def _known(control: Control, answers: Sequence[Answer]) -> Labels:
    labels = decode(control, [answer.result for answer in answers])
    known = labels.label >= 0
    if not known.all():
        names = {
            name
            for region in _regions(answers, labels.take(~known))
            for name in region["value"][control.kind]
            if isinstance(name, str) and name not in control.labels
        }
        _warn(control, answers, ", ".join(control.unmapped(sorted(names))))
    return labels.take(known)


def _regions(answers: Sequence[Answer], labels: Labels) -> list[dict[str, Any]]:
    return [
        answers[row].result[at]
        for row, at in zip(labels.annotation.tolist(), labels.item.tolist(), strict=True)
    ]


def _scores(answers: Sequence[Answer], labels: Labels) -> NDArray[np.float64]:
    """Each row's confidence, float64 (R,), NaN where nobody gave one."""
    own = [region.get("score") for region in _regions(answers, labels)]
    whole = [answer.score for answer in answers]
    return np.where(
        [one is None for one in own],
        np.array(whole, dtype=np.float64)[labels.annotation],
        np.array(own, dtype=np.float64),
    )


def _probs(
    control: Control, labels: Labels, score: NDArray[np.float64], count: int
) -> NDArray[np.float32]:
    classes = len(control.labels)
    chance = 0.5 if control.multiple else 1 / classes
    least, unsure = (chance + step * (1 - chance) for step in (_CHOSEN, UNSCORED))
    prob = np.where(np.isnan(score), unsure, np.maximum(score, least))
    # The surest of an answer stands last and is the one that is kept.
    order = np.lexsort((prob, labels.annotation))
    row, label, prob = labels.annotation[order], labels.label[order], prob[order]
    probs = np.zeros((count, classes))
    if control.multiple:
        total, said = np.bincount(row, prob, count), np.bincount(row, minlength=count)
        chose = said > 0
        probs[chose] = 1 - (total[chose] / said[chose])[:, None]
    else:
        last = np.append(row[1:] != row[:-1], np.ones(min(len(row), 1), dtype=np.bool_))
        row, label, prob = row[last], label[last], prob[last]
        probs[row] = ((1 - prob) / max(classes - 1, 1))[:, None]
    probs[row, label] = prob
    return probs.astype(np.float32)


def _warn(control: Control, answers: Sequence[Answer], what: str) -> None:
    _log.warning(
        "model %s answers what <%s name=%r> cannot take: %s",
        answers[0].model_version,
        control.tag,
        control.name,
        what[:500],
    )
