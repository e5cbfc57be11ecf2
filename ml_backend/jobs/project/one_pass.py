"""What a model is asked about is embedded too, while it is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_backend.embedders.base import Embedder
from ml_backend.embedders.embedding import Wanted, embed_missing, predict_and_embed
from ml_backend.embedders.patches import image_sizes
from ml_backend.embedders.registry import sharing
from ml_backend.errors import ModelError
from ml_backend.jobs.project.vectors import Vectors
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.tasks.reader import TaskPage
from ml_backend.predictors.base import Input, Predictions, Predictor
from ml_backend.scoring.pixels import labels_in_pixels

__all__ = ["OnePass"]


@dataclass(frozen=True, slots=True)
class OnePass:
    """Asks models about the tasks of a page, see ``Ask``, and keeps the tasks' vectors.

    One pass of the model gives both where the embeddings are its own features. What could not be
    embedded is left to ``Vectors.embed``, which says why.

    Attributes:
        vectors: the project's embeddings.
        page: the tasks.
    """

    vectors: Vectors
    page: TaskPage

    def __call__(
        self,
        control: Control,
        model: Predictor,
        tasks: NDArray[np.int64],
        items: Sequence[Input],
    ) -> Predictions:
        """Return what the model says; see ``Ask``."""
        embedder = self.vectors.embedder(control)
        if embedder is None:
            return model.predict(items, control.geometry)
        wanted = self._wanted(control, tasks, items)
        said = self._both(control, model, embedder, wanted, items)
        if said is None:
            said = model.predict(items, control.geometry)
            store, project = self.vectors.services.embeddings, self.vectors.project.id
            embed_missing(
                store,
                project,
                control.name,
                embedder,
                wanted,
                lambda rows: [items[n] for n in rows],
            )
        return said

    def _both(
        self,
        control: Control,
        model: Predictor,
        embedder: Embedder,
        wanted: Wanted,
        items: Sequence[Input],
    ) -> Predictions | None:
        """Predict and embed at once; None where that cannot be done."""
        shared = sharing(embedder, model)
        images = _images(items)
        if shared is None or len(images) < len(items):
            return None
        store, project = self.vectors.services.embeddings, self.vectors.project.id
        try:
            return predict_and_embed(
                store, project, control.name, shared, control.geometry, wanted, images
            )
        except ModelError:
            return None

    def _wanted(self, control: Control, tasks: NDArray[np.int64], items: Sequence[Input]) -> Wanted:
        """Return what of these tasks shall have a vector, one row a task, in their order."""
        inputs = self.page.inputs
        order = np.argsort(inputs.id)
        rows = order[np.searchsorted(inputs.id, tasks, sorter=order)]
        known = np.zeros(len(inputs), dtype=np.bool_)
        known[rows] = True
        images = _images(items)
        sizes = image_sizes(images) if images else np.zeros((len(items), 2), dtype=np.int64)
        notes = self.page.annotations
        labels = notes.labels[self.vectors.project.config.controls.index(control)]
        theirs = labels.take(known[notes.task][labels.annotation])
        by_page = sizes[np.argsort(rows)].astype(np.int32)
        said = labels_in_pixels(self.page, control.geometry, theirs, known, by_page)
        return self.vectors.wanted(control, inputs, said).of(rows)


def _images(items: Sequence[Input]) -> list[NDArray[np.uint8]]:
    return [item for item in items if not isinstance(item, str)]
