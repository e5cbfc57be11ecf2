"""What inputs that look alike say of each other, and where all lie beside each other.

From a project's vectors (``vectors``) a run learns once, over the whole project (``learn``); a
page of tasks is scored with what was learnt of just these inputs (``of_page``). So a single event
costs no search: an input that came or changed since the last run is scored without neighbours until
the next one, and a label that changed has its neighbours' votes, which do not depend on it, but no
longer counts as a duplicate that disagrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import projection
from analysis.findings import NONE
from analysis.neighbors import Neighbors, knn
from ml_backend.embedders.base import Embedder
from ml_backend.embedders.embedding import Wanted
from ml_backend.jobs.project.vectors import Vectors
from ml_backend.labelstudio.config import Control
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.scoring.nearby import Nearby, far_out
from ml_backend.storage.embedding_store import Keys
from ml_backend.storage.labels import StoredLabels
from ml_backend.storage.plane import Part, Plane, get_plane, put_plane
from ml_backend.storage.standing import Standing
from ml_backend.storage.store import Store, name_arrays

__all__ = ["Neighborhood"]

#: Fewer have no neighbourhood.
_FEW: Final = 20
#: As many as UMAP reads; those who vote on labels are the first of them.
_NEIGHBORS: Final = 14
#: Of more regions than this the neighbours are not searched for outlier scores alone.
_SEARCHED: Final = 200_000
#: Task ids whose neighbourhood is kept in one file: a page reads one or two.
_BUCKET: Final = 4096


@dataclass(frozen=True)
class Neighborhood:
    """What lies near what in one project.

    Attributes:
        vectors: the project's.
    """

    vectors: Vectors

    @property
    def _store(self) -> Store:
        return self.vectors.services.store

    @property
    def _id(self) -> int:
        return self.vectors.project.id

    def learn(
        self,
        control: Control,
        tasks: NDArray[np.int64],
        labels: StoredLabels,
        known: NDArray[np.bool_],
    ) -> Nearby | None:
        """Learn from all of a project's tasks what each input's neighbours say, and keep it.

        Args:
            control: the control tag.
            tasks: int64 (T,), all tasks.
            labels: their labels, of which only people's count.
            known: bool (K,), labels that the model knows.

        Returns:
            None where the tag has no embedder, where it is not about whole inputs, or where they
            are too few.
        """
        embedder = self.vectors.embedder(control)
        if embedder is None or control.geometry != "choice":
            return None
        keys = self._inputs(control, embedder)
        keys = keys.take(np.flatnonzero(np.isin(keys.task, tasks)))
        if len(keys) < _FEW:
            return None
        graph = self._graph(control, embedder, keys)
        given = _agreed(keys.task, labels.of_people())
        nearby = Nearby.learn(keys.task, keys.digest, graph, given, known)
        buckets, first = np.unique(nearby.task // _BUCKET, return_index=True)
        for bucket, rows in zip(
            buckets.tolist(), np.split(np.arange(len(nearby)), first[1:]), strict=True
        ):
            name = f"{_name('nearby', control, embedder)}-{bucket}"
            self._store.put_arrays(self._id, name, nearby.take(rows).to_arrays())
        return nearby

    def of_page(self, control: Control, inputs: TaskInputs) -> Nearby | None:
        """Return what was learnt of these inputs, one row a task; None where nothing was."""
        learnt = self._learnt(control, inputs.id)
        if learnt is None:
            return None
        digest = Wanted.inputs(inputs.id, inputs.values(control.data_key)).keys.digest
        return learnt.of(inputs.id, digest)

    def of_tasks(self, control: Control, tasks: NDArray[np.int64]) -> Nearby | None:
        """Return what was learnt of tasks' inputs as they then were, int64 (T,), ascending."""
        learnt = self._learnt(control, tasks)
        return None if learnt is None else learnt.of_tasks(tasks)

    def far_out(self, control: Control) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return how far out the inputs lie that have a vector, whether a run has seen them or not.

        Returns:
            int64 (N,), what stands for each input, see ``embedding_store.digest_of``;
            float32 (N,), in [0, 1].
        """
        embedder = self.vectors.embedder(control)
        if embedder is None:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        keys = self._inputs(control, embedder)
        if len(keys) < _FEW:
            return keys.digest, np.zeros(len(keys), dtype=np.float32)
        return keys.digest, far_out(self._graph(control, embedder, keys))

    def _inputs(self, control: Control, embedder: Embedder) -> Keys:
        """Return the whole inputs that have a vector."""
        kept = self.vectors.services.embeddings
        keys = kept.keys(self._id, control.name, embedder.version)
        return keys.take(np.flatnonzero(keys.whole))

    def _learnt(self, control: Control, tasks: NDArray[np.int64]) -> Nearby | None:
        embedder = self.vectors.embedder(control)
        if embedder is None or control.geometry != "choice":
            return None
        name = _name("nearby", control, embedder)
        kept = [
            self._store.get_arrays(self._id, f"{name}-{bucket}")
            for bucket in np.unique(tasks // _BUCKET).tolist()
        ]
        parts = [Nearby.from_arrays(arrays) for arrays in kept if arrays is not None]
        return Nearby.concatenate(parts) if parts else None

    def lay_out(self, control: Control, standing: Standing) -> None:
        """Lay inputs and regions out on planes, as far as anything has changed.

        Vectors of what is gone are dropped.
        """
        embedder = self.vectors.embedder(control)
        if embedder is None:
            return
        keys = self.vectors.current(control, embedder, standing)
        whole = keys.whole
        parts: tuple[tuple[Part, NDArray[np.bool_]], ...] = (("inputs", whole), ("regions", ~whole))
        for part, mask in parts:
            self._lay_out(control, embedder, part, keys.take(np.flatnonzero(mask)))

    def _lay_out(self, control: Control, embedder: Embedder, part: Part, keys: Keys) -> None:
        before = get_plane(self._store, self._id, control.name, part)
        same = before is not None and np.array_equal(before.digest, keys.digest)
        if same or len(keys) < _FEW:
            return
        vectors = self.vectors.halves(control, embedder, keys)
        graph = None
        if part == "inputs":
            graph = self._graph(control, embedder, keys, vectors)
        elif len(keys) <= _SEARCHED:
            graph = knn(vectors, _NEIGHBORS)
        at = projection.project(vectors, graph)
        region = np.array(keys.region, dtype=np.str_)
        far = np.full(len(keys), np.nan, np.float32) if graph is None else far_out(graph)
        plane = Plane(keys.task, region, at[:, 0], at[:, 1], keys.digest, far)
        put_plane(self._store, self._id, control.name, part, plane)

    def _graph(
        self,
        control: Control,
        embedder: Embedder,
        keys: Keys,
        vectors: NDArray[np.float16] | None = None,
    ) -> Neighbors:
        """Return the neighbours of whole inputs: searched once, and again when one has changed.

        Their vectors are read where they are needed and not given.
        """
        name = _name("graph", control, embedder)
        kept = self._store.get_arrays(self._id, name)
        if kept is not None and np.array_equal(kept["digest"], keys.digest):
            return Neighbors(kept["indices"], kept["distances"])
        if vectors is None:
            vectors = self.vectors.halves(control, embedder, keys)
        graph = knn(vectors, _NEIGHBORS)
        arrays: dict[str, NDArray[Any]] = {
            "indices": graph.indices,
            "distances": graph.distances,
            "digest": keys.digest,
        }
        self._store.put_arrays(self._id, name, arrays)
        return graph


def _agreed(tasks: NDArray[np.int64], labels: StoredLabels) -> NDArray[np.int32]:
    """Return the label that all of a task's units give it, -1 where none or several.

    Args:
        tasks: int64 (T,), ascending.
        labels: choices.
    """
    task = labels.task[labels.unit_row]
    there = np.isin(task, tasks)
    row, label = np.searchsorted(tasks, task[there]), labels.label[there]
    least = np.full(len(tasks), np.iinfo(np.int32).max, dtype=np.int32)
    most = np.full(len(tasks), NONE, dtype=np.int32)
    np.minimum.at(least, row, label)
    np.maximum.at(most, row, label)
    return np.where(least == most, most, NONE).astype(np.int32)


def _name(what: str, control: Control, embedder: Embedder) -> str:
    return name_arrays(what, control.name, control.labels, embedder.version)
