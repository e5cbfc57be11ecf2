"""A project's vectors: which model makes them, those that are lacking, those that still count."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.embedders.base import Embedder
from ml_backend.embedders.choice import NO_EMBEDDER
from ml_backend.embedders.embedding import Wanted, embed_missing, places
from ml_backend.errors import MediaError, ModelError
from ml_backend.jobs.queues.ranges import held, shards_of
from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.tasks.reader import Project
from ml_backend.outlines import WITH_AREA, boxes
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.predictors.base import Input
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings
from ml_backend.storage.embedding_store import Keys, digest_of
from ml_backend.storage.labels import StoredLabels
from ml_backend.storage.standing import Standing

__all__ = ["Vectors"]

#: Ranges of tasks that are held at once.
_SHARDS: Final = 32

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Vectors:
    """The embeddings of one project.

    Attributes:
        services: this worker's parts.
        project: the project.
        settings: its settings.
    """

    services: Services
    project: Project
    settings: ProjectSettings
    _embedders: dict[str, Embedder | None] = field(default_factory=dict)

    def check(self) -> None:
        """Load the embedder that the project names.

        Raises:
            ModelError: when it is missing, cannot be loaded, or fits no tag of the project.
        """
        name, config = self.settings.embedder, self.project.config
        if name in ("", NO_EMBEDDER):
            # A model that can share no features serves all the same.
            return
        every = [self.services.embedders.embedder(one, self.settings) for one in config.controls]
        if all(found is None for found in every):
            kinds = " and ".join(sorted({f"{control.reads}s" for control in config.controls}))
            raise ModelError(
                f"embedder {name[:120]!r} does not read the {kinds} of this project: name one that "
                f"does, or {NO_EMBEDDER!r}"
            )

    def embed(self, control: Control, inputs: TaskInputs, labels: StoredLabels) -> dict[int, str]:
        """Embed tasks' inputs and their human regions, as far as that is not done yet.

        Args:
            control: the control tag.
            inputs: the tasks.
            labels: their human labels.

        Returns:
            task id to what is wrong with it.

        Raises:
            LabelStudioError: when Label Studio cannot be reached.
        """
        embedder = self.embedder(control)
        if embedder is None:
            return {}
        wanted = self.wanted(control, inputs, labels)

        def read(rows: NDArray[np.int64]) -> list[Input | MediaError]:
            return self.services.prediction.read(control, inputs, rows.tolist())

        store = self.services.embeddings
        return embed_missing(store, self.project.id, control.name, embedder, wanted, read)

    def wanted(self, control: Control, inputs: TaskInputs, labels: StoredLabels) -> Wanted:
        """Return what of tasks shall have a vector: the inputs, then the human regions.

        Args:
            control: the control tag.
            inputs: the tasks.
            labels: their human labels.
        """
        task, box = _boxes(control, labels)
        order = np.argsort(inputs.id)
        item = order[np.searchsorted(inputs.id, task, sorter=order)]
        sources = inputs.values(control.data_key)
        return Wanted.of_regions(inputs.id, sources, item, box)

    def embedder(self, control: Control) -> Embedder | None:
        """Return a tag's embedder; one that is broken is none: a run has said so before."""
        if control.name not in self._embedders:
            try:
                found = self.services.embedders.embedder(control, self.settings)
            except ModelError as error:
                _log.warning("project %s has no embeddings: %s", self.project.id, error)
                found = None
            self._embedders[control.name] = found
        return self._embedders[control.name]

    def version(self, control: Control) -> str:
        """Return the version of a tag's embedder; "" where it has none."""
        embedder = self.embedder(control)
        return "" if embedder is None else embedder.version

    def current(self, control: Control, embedder: Embedder, standing: Standing) -> Keys:
        """Return what the project still holds of what has a vector; drop the rest."""
        store, project = self.services.embeddings, self.project.id
        keys = store.keys(project, control.name, embedder.version)
        store.keep_version(project, control.name, embedder.version)
        gone = standing.gone(keys.task)
        store.forget(project, control.name, keys.take(np.flatnonzero(gone)))
        keys = keys.take(np.flatnonzero(~gone))
        left = ~self._drawn(control, keys)
        self._forget_regions(control, keys.take(np.flatnonzero(left)))
        return keys.take(np.flatnonzero(~left & np.isin(keys.task, standing.task)))

    def halves(self, control: Control, embedder: Embedder, keys: Keys) -> NDArray[np.float16]:
        """Return the vectors of what has one, float16 (R, D); see ``EmbeddingStore.vectors``."""
        store, project = self.services.embeddings, self.project.id
        return store.vectors(project, control.name, embedder.version, keys)[1]

    def _drawn(self, control: Control, keys: Keys) -> NDArray[np.bool_]:
        """Return which parts are whole inputs, or regions that somebody has drawn, bool (R,)."""
        tasks = np.unique(keys.task)
        labels = self.services.store.get_labels(self.project.id, control, tasks)
        task, box = _boxes(control, labels)
        drawn = digest_of(task.tolist(), places(box))
        there = np.isin(digest_of(keys.task.tolist(), keys.region), drawn)
        return keys.whole | there

    def _forget_regions(self, control: Control, keys: Keys) -> None:
        """Drop the vectors of regions that are gone, unless somebody draws them just now."""
        project, mailbox = self.project.id, self.services.mailbox
        ends = np.cumsum([0, *map(len, shards_of(keys.task).values())])[::_SHARDS].tolist()
        for first, end in pairwise(dict.fromkeys([*ends, len(keys)])):
            some = keys.take(np.arange(first, end))
            # Whoever embeds a region has not yet written it down.
            with held(mailbox, project, np.unique(some.task)):
                left = np.flatnonzero(~self._drawn(control, some))
                self.services.embeddings.forget(project, control.name, some.take(left))


def _boxes(control: Control, labels: StoredLabels) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return task and box of each human region that is embedded."""
    if control.geometry not in WITH_AREA or not len(labels.region_unit):
        return np.empty(0, dtype=np.int64), np.empty((0, 4), dtype=np.float32)
    return labels.task[labels.unit_row], boxes(control.geometry, labels.outline)
