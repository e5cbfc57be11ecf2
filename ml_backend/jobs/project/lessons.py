"""What reviewers' verdicts have taught: how much a finding's score is worth, by its kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.priority import KindCalibrator
from ml_backend.labelstudio.tasks.verdicts import read_verdicts
from ml_backend.scoring.page import PageScores
from ml_backend.services import Services

__all__ = ["Lessons"]

#: Where the store keeps what was learnt.
_NAME: Final = "verdicts"


@dataclass(frozen=True, slots=True)
class Lessons:
    """What one project's verdicts have taught.

    Attributes:
        services: this worker's parts.
        project: Label Studio's project id.
        prefix: what the names of Relook's own fields begin with.
    """

    services: Services
    project: int
    prefix: str

    def learn(self) -> None:
        """Learn from all verdicts that stand in Label Studio, and keep it.

        Raises:
            LabelStudioError: when they cannot be read.
        """
        verdicts = read_verdicts(self.services.client, self.project, self.prefix)
        learnt = KindCalibrator.fit(verdicts.kind, verdicts.score, verdicts.wrong)
        self.services.store.put_arrays(self.project, _NAME, learnt.to_arrays())

    def priority(self, scores: PageScores) -> NDArray[np.float32]:
        """Return the priority of T tasks, float32 (T,), as it is written; NaN stays NaN."""
        return self.worth(scores.kind, scores.priority)

    def worth(self, kind: Sequence[str], score: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Return how likely findings are errors, float32 (N,); NaN stays NaN.

        Args:
            kind: N kinds.
            score: float (N,), their scores, in [0, 1].
        """
        arrays = self.services.store.get_arrays(self.project, _NAME)
        if arrays is None:
            return score.astype(np.float32)
        return KindCalibrator.from_arrays(arrays).predict(kind, score)
