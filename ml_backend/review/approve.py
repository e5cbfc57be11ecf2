"""Which predictions are sure enough to stand as labels that nobody has looked at.

A prediction is approved as a whole or not at all, and only where nothing speaks against it: an
approval is a label that people will trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ConfigError
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.review.decide import NEEDS_REVIEW
from ml_backend.settings import ProjectSettings

__all__ = [
    "REASONS",
    "Candidates",
    "Judgement",
    "Limits",
    "judge",
    "of_unknown",
    "require_known",
]

#: Why a task is not approved, in the order in which they are looked at.
REASONS: Final = (
    "labelled or begun by somebody",
    "needs review",
    "an outlier",
    "not predicted",
    "something only half seen",
    "nothing seen",
)
#: Labels named in one message.
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """From where the model's word is enough, and from where something speaks against it.

    Attributes:
        confidence: in [0.5, 1], from where a model's word is enough.
        half_seen: in (0, 0.5], from where something that is not sure counts as half seen: the
            model may have found what the approval would leave out. Weaker regions are noise.
        outlier: in (0, 1], the outlier score from which an input is too unlike all others to take
            the model's word for it.
    """

    confidence: float
    half_seen: float
    outlier: float

    @classmethod
    def of(cls, settings: ProjectSettings, confidence: float | None = None) -> Self:
        """Return what a project's settings say, with another confidence where one is asked for."""
        return cls(
            confidence or settings.approve_confidence,
            settings.approve_half_seen,
            settings.approve_outlier,
        )


@dataclass(frozen=True, slots=True)
class Candidates:
    """T tasks that might be approved.

    Attributes:
        begun: bool (T,), whether the task has any annotation or draft.
        flag: str (T,), the flag that stands on it.
        outlier: float (T,), in [0, 1], how unlike all others it is; NaN where that is not known.
        tables: what models say of them, one table per control tag.
    """

    begun: NDArray[np.bool_]
    flag: NDArray[np.str_]
    outlier: NDArray[np.floating]
    tables: Sequence[ControlPredictions]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to become of T tasks.

    Attributes:
        approved: bool (T,).
        why: int64 (T,), the first of ``REASONS`` that is against it; -1 where it is approved.
        confidence: float32 (T,), of the least sure thing that the approval says; NaN for none.
    """

    approved: NDArray[np.bool_]
    why: NDArray[np.int64]
    confidence: NDArray[np.float32]


def judge(candidates: Candidates, limits: Limits) -> Judgement:
    """Judge which predictions can stand as labels.

    - Nobody has begun the task, it needs no review, and it is no outlier, as far as that is known.
    - Every tag's model has an answer: a class for each tag of classes, and a region in one of the
      tags of regions. A model that sees nothing has not said that there is nothing.
    - Everything that it says is said with the confidence asked for, and nothing is half seen: a
      region that it half sees is one that the label may lack, and a second class that it half
      believes is one that may be right.

    Args:
        candidates: the tasks and what is known of them.
        limits: where what begins to count.
    """
    count = len(candidates.begun)
    said = [_say(table, limits) for table in candidates.tables]
    found = np.all([table.found for table in candidates.tables], axis=0)
    least = np.full(count, np.nan, dtype=np.float32)
    for one in said:
        np.fmin(least, one.least, out=least)
    of_classes = [one.answered for one in said if one.classes]
    of_regions = [one.answered for one in said if not one.classes]
    answered = np.all(of_classes, axis=0) if of_classes else np.ones(count, dtype=np.bool_)
    answered &= np.any(of_regions, axis=0) if of_regions else True
    against = np.stack(
        [
            candidates.begun,
            candidates.flag == NEEDS_REVIEW,
            np.nan_to_num(candidates.outlier) >= limits.outlier,
            ~found,
            np.any([one.doubtful for one in said], axis=0),
            ~answered,
        ]
    )
    approved: NDArray[np.bool_] = ~np.any(against, axis=0, keepdims=False)
    why = np.where(approved, -1, against.argmax(axis=0))
    return Judgement(approved, why, least)


def require_known(tables: Sequence[ControlPredictions], settings: ProjectSettings) -> None:
    """Make sure that models have a class for each label that an approval might need.

    A model that does not know trucks is sure of the car beside one, and an approval would say that
    there is no truck.

    Args:
        tables: what models say of some tasks, or of none, one table per control tag.
        settings: the project's.

    Raises:
        ConfigError: naming the labels that no model knows.
    """
    for table in tables:
        names = np.array(table.control.labels, dtype=object)[~table.known].tolist()
        lacking = [name for name in names if name not in settings.approve_without]
        if lacking:
            more = len(lacking) - _MOST_NAMED
            said = ", ".join(map(repr, lacking[:_MOST_NAMED]))
            raise ConfigError(
                f"the model of {table.control.name!r} has no class for {said}"
                f"{f' and {more} more' if more > 0 else ''}, so that approvals would lack what "
                "people would call so; name a class that means the same in the label's "
                "predicted_values, or in the setting approve_without the labels that approvals "
                "may go without"
            )


def of_unknown(count: int) -> str:
    """Say of how many approved tasks nobody knows whether they are outliers; "" of none."""
    if not count:
        return ""
    return f"outliers not known for {count} of them: no embedding of their input"


@dataclass(frozen=True, slots=True)
class _Said:
    """One table's answer: T rows each."""

    classes: bool
    answered: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]
    least: NDArray[np.float32]


def _say(table: ControlPredictions, limits: Limits) -> _Said:
    classes = table.control.geometry == "choice"
    row, score = _choices(table) if classes else _regions(table)
    seen = score >= limits.half_seen
    row, score = np.flatnonzero(table.found)[row[seen]], score[seen]
    count = len(table.found)
    least = np.full(count, np.inf, dtype=np.float32)
    np.minimum.at(least, row, score)
    sure = score >= limits.confidence
    return _Said(
        classes,
        np.bincount(row[sure], minlength=count) > 0,
        # One class of those that exclude each other: the others' shares are its own doubt.
        np.bincount(row[~sure], minlength=count) > 0,
        np.where(np.isinf(least), np.nan, least).astype(np.float32),
    )


def _regions(table: ControlPredictions) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows and scores of the regions that some label takes."""
    taken = table.predictions.label >= 0
    return table.predictions.item[taken], table.predictions.score[taken]


def _choices(table: ControlPredictions) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows and probabilities: of the best class, or of each where several may be chosen."""
    probs = table.predictions.probs
    if table.control.multiple:
        row = np.repeat(np.arange(len(probs)), probs.shape[1])
        return row, probs.reshape(-1)
    best = probs.max(axis=1, initial=0.0)
    return np.arange(len(probs)), best.astype(np.float32)
