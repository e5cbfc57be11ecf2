"""Choices: the class, or the classes, that people gave, against the model's probabilities."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis import classification, multilabel, reasons
from analysis.findings import NONE, Findings
from ml_backend.labelstudio.regions.suggestions import Fix
from ml_backend.scoring.columns import ACTIONS, Calibration, Scored, Units

__all__ = ["answers", "classes", "fit", "score"]

#: What is learnt with the neighbours' labels stands beside what is learnt without.
_NEAR: Final = "near_"
#: Share of a classifier's probability that must lie on the project's labels to say anything.
_LEAST_MASS: Final = 0.05


def fit(units: Units) -> Calibration:
    """Learn from a whole project how far its model can be trusted."""
    if units.table.control.multiple:
        given, judged = answers(units)
        return multilabel.fit(given[judged], units.model.probs[judged]).to_arrays()
    label, probs = classes(units)
    learnt = classification.fit(label, probs).to_arrays()
    if units.nearby is None:
        return learnt
    rows = np.flatnonzero(units.nearby.known)
    votes = units.nearby.votes.take(rows)
    near = classification.fit(label[rows], probs[rows], votes=votes).to_arrays()
    return learnt | {_NEAR + name: column for name, column in near.items()}


def score(units: Units, items: NDArray[np.int64], calibration: Calibration | None) -> Scored:
    """Score every unit; ``items`` int64 (R,) are the choices' places in their annotations.

    A choice that was not made is not judged: it may have been hidden, or not have applied.

    Raises:
        ValueError: when the calibration is not one.
    """
    item = np.full(len(units), NONE, dtype=np.int64)
    item[units.unit] = items
    if units.table.control.multiple:
        return _several(units, item, calibration)
    label, probs = classes(units)
    found = _mistaken(units, label, probs, calibration)
    judged = label != NONE
    found = found.take(judged[found.task])
    given = label[found.task]
    return _scored(units, found, given, probs[found.task, found.label], judged, item)


def _mistaken(
    units: Units,
    label: NDArray[np.int32],
    probs: NDArray[np.float32],
    calibration: Calibration | None,
) -> Findings:
    """Judge each unit by the model, and by its neighbours' labels where it has been among them."""
    known: NDArray[np.bool_] = np.zeros(len(units), dtype=np.bool_)
    trust = near = None
    if calibration is not None:
        trust = classification.Calibration.from_arrays(calibration)
        of_near = {k.removeprefix(_NEAR): v for k, v in calibration.items() if k.startswith(_NEAR)}
        if of_near and units.nearby is not None:
            near = classification.Calibration.from_arrays(of_near)
            known = units.nearby.known
    alone, among = np.flatnonzero(~known), np.flatnonzero(known)
    parts = [classification.find(label[alone], probs[alone], tasks=alone, calibration=trust)]
    if near is not None and units.nearby is not None:
        votes = units.nearby.votes.take(among)
        parts.append(
            classification.find(
                label[among], probs[among], tasks=among, votes=votes, calibration=near
            )
        )
    return Findings.concatenate(parts)


def _several(units: Units, item: NDArray[np.int64], calibration: Calibration | None) -> Scored:
    given, judged = answers(units)
    rows = np.flatnonzero(judged)
    trust = None if calibration is None else multilabel.Calibration.from_arrays(calibration)
    probs = units.model.probs
    found = multilabel.find(given[rows], probs[rows], tasks=rows, calibration=trust)
    found = found.take(units.table.known[found.label])
    sure = probs[found.task, found.label]
    return _scored(units, found, found.label, sure, judged, item)


def _scored(
    units: Units,
    found: Findings,
    given: NDArray[np.int32],
    confidence: NDArray[np.float32],
    judged: NDArray[np.bool_],
    item: NDArray[np.int64],
) -> Scored:
    control = units.table.control
    priority = np.zeros(len(units), dtype=np.float32)
    np.maximum.at(priority, found.task, found.score)
    priority[~judged] = np.nan
    said = reasons.describe(found, control.labels, given=given, confidence=confidence, what="item")
    fixes: list[Fix | None] = [
        Fix(control, ACTIONS[kind], int(item[unit]), label, None, sure, (0, 0))
        for kind, unit, label, sure in zip(
            found.kind.tolist(),
            found.task.tolist(),
            found.label.tolist(),
            confidence.tolist(),
            strict=True,
        )
    ]
    return _with_remarks(units, Scored(priority, found, said, fixes))


def _with_remarks(units: Units, scored: Scored) -> Scored:
    """Add what the neighbours of each unit's input say: no model's opinion, so without a fix."""
    if units.nearby is None:
        return scored
    control = units.table.control
    given = np.full(len(units), NONE, dtype=np.int32)
    given[units.unit] = units.labels.label
    found = units.nearby.remarks(given)
    if control.multiple:
        found = found.take(found.kind == "outlier")
    said = reasons.describe(
        found,
        control.labels,
        given=given[found.task],
        confidence=np.zeros(len(found), dtype=np.float32),
        what="item",
    )
    priority = np.full(len(units), np.nan, dtype=np.float32)
    np.fmax.at(priority, found.task, found.score)
    return scored.beside(Scored(priority, found, said, [None] * len(found)))


def classes(units: Units) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return each unit's class, -1 where none or unknown to the model, and the model's."""
    given = np.full(len(units), NONE, dtype=np.int32)
    given[units.unit] = units.given
    # Among the labels that the model knows; where it sees none of them it says nothing.
    probs = np.where(units.table.known, units.model.probs, 0)
    mass = probs.sum(axis=1, keepdims=True)
    given[mass[:, 0] < _LEAST_MASS] = NONE
    even = np.float32(1 / max(probs.shape[1], 1))
    scaled = np.where(mass < _LEAST_MASS, even, probs / np.maximum(mass, _LEAST_MASS))
    return given, scaled.astype(np.float32)


def answers(units: Units) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return each unit's labels, bool (U, K), and which units were given any, bool (U,)."""
    given = np.zeros((len(units), len(units.table.control.labels)), dtype=np.bool_)
    known = units.given != NONE
    given[units.unit[known], units.given[known]] = True
    judged = np.zeros(len(units), dtype=np.bool_)
    judged[units.unit] = True
    # A row of zeros says nothing of its task.
    said = units.model.probs.any(axis=1) & bool(units.table.known.any())
    return given, judged & said
