"""One control tag's labels and predictions side by side, and what its scores come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import reasons
from analysis.findings import NONE, Findings
from ml_backend.labelstudio.regions.suggestions import Fix
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.predictors.base import Predictions
from ml_backend.scoring.nearby import Nearby
from ml_backend.storage.labels import StoredLabels

__all__ = ["ACTIONS", "Calibration", "Scored", "Units", "region_fixes", "region_reasons"]

#: What a model's reliability was learnt as: named arrays, as the store keeps them.
Calibration = Mapping[str, NDArray[Any]]

#: What mends each kind of finding about a region.
ACTIONS: Final = {
    "mislabelled": "relabel",
    "missing": "add",
    "spurious": "remove",
    "duplicate": "remove",
    "badly_drawn": "redraw",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """What one control tag's labels came to, by unit: one current annotation of a task.

    Attributes:
        priority: float32 (U,), in [0, 1]; NaN where the model has nothing to say.
        findings: F findings; ``task`` is the unit.
        reason: F reasons in plain words.
        fix: F fixes; None where the model has none.
    """

    priority: NDArray[np.float32]
    findings: Findings
    reason: list[str]
    fix: list[Fix | None]

    def beside(self, other: Scored) -> Scored:
        """Return both: the more urgent of two priorities counts."""
        return Scored(
            np.fmax(self.priority, other.priority),
            Findings.concatenate([self.findings, other.findings]),
            [*self.reason, *other.reason],
            [*self.fix, *other.fix],
        )


@dataclass(frozen=True, slots=True)
class Units:
    """U units, the R regions that people gave them, and what the model says of each.

    Attributes:
        table: the control tag's predictions.
        labels: its human labels.
        unit: int64 (R,), the unit of each human region.
        given: int32 (R,), label of each human region, -1 where the model does not know it.
        model: what the model says, U items, without regions that no label takes: what the project
            has no label for can neither be missing nor be a better label.
        nearby: what the neighbours of each unit's input say, U rows; None where there is nothing.
    """

    table: ControlPredictions
    labels: StoredLabels
    unit: NDArray[np.int64]
    given: NDArray[np.int32]
    model: Predictions
    nearby: Nearby | None = None

    def __len__(self) -> int:
        return len(self.labels.unit)

    @classmethod
    def of(
        cls,
        table: ControlPredictions,
        labels: StoredLabels,
        place: NDArray[np.int64],
        nearby: Nearby | None = None,
    ) -> Units:
        """Put labels and predictions side by side.

        Args:
            table: the control tag's predictions.
            labels: its human labels, U units.
            place: int64 (U,), row of each unit's task among the predictions.
            nearby: what the neighbours of each unit's input say, U rows.
        """
        known = np.append(table.known, False)
        given = np.where(known[labels.label], labels.label, NONE).astype(np.int32)
        said = table.predictions.take(place)
        return cls(table, labels, labels.unit_row, given, said.only(known[said.label]), nearby)


def region_reasons(
    units: Units, found: Findings, what: str, overlap: NDArray[np.float32]
) -> list[str]:
    """Say findings about regions in plain words.

    Args:
        units: what they were found in.
        found: F findings.
        what: a key of ``analysis.reasons.WORDS``.
        overlap: float32 (F,), how far the person's region and the model's agree on the place.
    """
    about, against = found.annotation, found.prediction
    given = np.append(units.given, NONE)[about].astype(np.int32)
    confidence = np.append(units.model.score, 0)[against].astype(np.float32)
    return reasons.describe(
        found,
        units.table.control.labels,
        given=given,
        confidence=confidence,
        overlap=overlap,
        what=what,
    )


def region_fixes(units: Units, found: Findings, items: NDArray[np.int64]) -> list[Fix | None]:
    """Return what mends each finding about a region.

    Args:
        units: what they were found in.
        found: F findings.
        items: int64 (R,), place of each human region in its annotation.
    """
    model = units.model
    sizes: Sequence[Sequence[int]] = model.size[found.task].tolist()
    return [
        Fix(
            control=units.table.control,
            action=ACTIONS[kind],
            item=int(items[about]) if about != NONE else NONE,
            label=label,
            outline=model.outline.take(np.array([against])) if against != NONE else None,
            score=float(model.score[against]) if against != NONE else 0.0,
            size=(size[0], size[1]),
        )
        for kind, about, against, label, size in zip(
            found.kind.tolist(),
            found.annotation.tolist(),
            found.prediction.tolist(),
            found.label.tolist(),
            sizes,
            strict=True,
        )
    ]
