"""How far out the inputs of a project lie, whether they are labelled or not."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ml_backend.embedders.embedding import Wanted
from ml_backend.jobs.project.neighborhood import Neighborhood
from ml_backend.labelstudio.config import Control
from ml_backend.prediction.inputs import TaskInputs

__all__ = ["Outliers"]


@dataclass(frozen=True, slots=True)
class Outliers:
    """The outliers of one project, by the vectors that it holds when they are first asked for.

    Attributes:
        neighborhood: the project's embeddings.
    """

    neighborhood: Neighborhood
    _scores: dict[str, dict[int, float]] = field(default_factory=dict)

    def of(self, inputs: TaskInputs) -> NDArray[np.float32]:
        """Return how far out inputs lie, float32 (T,), in [0, 1], the farthest of all tags.

        What has no vector, or another input by now than its vector was made of, is NaN.
        """
        scores = np.full(len(inputs), np.nan, dtype=np.float32)
        for control in self.neighborhood.vectors.project.config.controls:
            known = self._of_control(control)
            digest = Wanted.inputs(inputs.id, inputs.values(control.data_key)).keys.digest
            found = [known.get(one, np.nan) for one in digest.tolist()]
            np.fmax(scores, np.array(found, dtype=np.float32), out=scores)
        return scores

    def _of_control(self, control: Control) -> dict[int, float]:
        if control.name not in self._scores:
            digest, score = self.neighborhood.far_out(control)
            self._scores[control.name] = dict(zip(digest.tolist(), score.tolist(), strict=True))
        return self._scores[control.name]
