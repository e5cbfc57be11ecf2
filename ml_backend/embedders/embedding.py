"""From tasks and their regions to vectors: only what is missing is computed, and kept at once.

A run that was cut off goes on where it stopped: vectors are kept batch by batch, each with what it
was made of. ``EmbeddingStore.vectors`` reads them; ``keep_version`` and ``forget`` drop what is
out of date.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ml_backend.embedders.base import Embedder, Patches
from ml_backend.embedders.patches import image_sizes
from ml_backend.errors import MediaError, ModelError
from ml_backend.outlines import Geometry
from ml_backend.predictors.base import Input, Predictions
from ml_backend.storage.embedding_store import EmbeddingStore, Keys, digest_of

if TYPE_CHECKING:
    # PyTorch takes seconds, and this module is imported where no model runs.
    from ml_backend.embedders.shared import SharedFeatures

__all__ = ["Read", "Wanted", "embed_missing", "places", "predict_and_embed"]

#: Reads the inputs of the tasks in some rows; what cannot be read is its error.
Read = Callable[[NDArray[np.int64]], Sequence[Input | MediaError]]

#: Tasks in memory at once, and kept at once.
_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall have a vector: R parts of T tasks.

    Attributes:
        task: int64 (T,), task ids.
        source: T addresses of images, or texts.
        item: int64 (R,), row of the task each part belongs to.
        whole: bool (R,), whether the part is the whole input.
        box: float32 (R, 4), x0 y0 x1 y1, pixels; of a whole input, zeros.
        keys: task, region and digest of each part.
    """

    task: NDArray[np.int64]
    source: tuple[str, ...]
    item: NDArray[np.int64]
    whole: NDArray[np.bool_]
    box: NDArray[np.float32]
    keys: Keys

    def __len__(self) -> int:
        return len(self.item)

    @classmethod
    def inputs(cls, task: NDArray[np.int64], source: Sequence[str]) -> Wanted:
        """Want whole images or texts, one row a task, in order."""
        nothing = np.empty(0, dtype=np.int64)
        return cls.of_regions(task, source, nothing, np.empty((0, 4)))

    @classmethod
    def of_regions(
        cls,
        task: NDArray[np.int64],
        source: Sequence[str],
        item: NDArray[np.int64],
        box: NDArray[np.floating],
    ) -> Wanted:
        """Want whole inputs, then regions of them.

        A region's place is its key: a copy of it shares its vector, one that was given a new id
        keeps it.

        Args:
            task: int64 (T,), task ids.
            source: T addresses of images, or texts.
            item: int64 (R,), row of the task each region lies in.
            box: float (R, 4), the boxes around the regions, see ``outlines.boxes``.
        """
        count = len(task)
        items = np.concatenate([np.arange(count), item]).astype(np.int64)
        names = ("",) * count + tuple(places(box))
        sources = digest_of(source)[items]
        ids = np.asarray(task, dtype=np.int64)[items]
        return cls(
            np.asarray(task, dtype=np.int64),
            tuple(source),
            items,
            np.arange(len(items)) < count,
            np.concatenate([np.zeros((count, 4)), box]).astype(np.float32),
            Keys(ids, names, digest_of(ids.tolist(), names, sources.tolist())),
        )

    def of(self, rows: NDArray[np.int64]) -> Wanted:
        """Return what is wanted of some tasks only, given by their rows, in that order."""
        new = np.full(len(self.task), -1, dtype=np.int64)
        new[rows] = np.arange(len(rows))
        parts = np.flatnonzero(new[self.item] >= 0)
        source = tuple(self.source[row] for row in rows.tolist())
        return self._parts(parts, self.task[rows], source, new[self.item[parts]])

    def parts(self, rows: NDArray[np.int64]) -> Wanted:
        """Return some parts only, of the same tasks."""
        return self._parts(rows, self.task, self.source, self.item[rows])

    def _parts(
        self,
        rows: NDArray[np.int64],
        task: NDArray[np.int64],
        source: tuple[str, ...],
        item: NDArray[np.int64],
    ) -> Wanted:
        return Wanted(task, source, item, self.whole[rows], self.box[rows], self.keys.take(rows))

    def patches(self, images: Sequence[NDArray[np.uint8]]) -> Patches:
        """Return the parts as patches of the tasks' images: a whole image is a patch too."""
        size = image_sizes(images)[self.item]
        full = np.hstack([np.zeros_like(size), size])
        return Patches(self.item, np.where(self.whole[:, None], full, self.box).astype(np.float32))


def places(box: NDArray[np.floating]) -> list[str]:
    """Return the keys of regions by where they are: R texts.

    Args:
        box: float (R, 4), x0 y0 x1 y1, pixels.
    """
    # The editor changes the last digits of what it saves.
    return [",".join(row) for row in np.char.mod("%d", np.rint(np.asarray(box) * 10))]


def embed_missing(
    store: EmbeddingStore,
    project: int,
    control: str,
    embedder: Embedder,
    wanted: Wanted,
    read: Read,
) -> dict[int, str]:
    """Compute and keep the vectors that the store does not hold.

    Args:
        store: keeps vectors.
        project: id of the project.
        control: name of the control tag.
        embedder: a model that reads what ``read`` returns.
        wanted: parts of a shard's tasks.
        read: is asked for those tasks only whose parts are missing, a few at a time.

    Returns:
        task id to what is wrong with it and the mend.

    Raises:
        ModelError: when a text model is asked for regions.
    """
    if embedder.reads == "text" and not wanted.whole.all():
        raise ModelError(
            f"model {embedder.version} reads texts and cannot embed regions of images: name an "
            "image model"
        )
    known = store.known(project, control, embedder.version, wanted.keys)
    missing = wanted.parts(np.flatnonzero(~known))
    errors: dict[int, str] = {}
    tasks = np.unique(missing.item)
    for start in range(0, len(tasks), _AT_ONCE):
        some = tasks[start : start + _AT_ONCE]
        inputs = read(some)
        failed = [isinstance(given, MediaError) for given in inputs]
        errors |= {
            int(wanted.task[row]): str(given)
            for row, given, bad in zip(some.tolist(), inputs, failed, strict=True)
            if bad
        }
        ready = [given for given in inputs if not isinstance(given, MediaError)]
        rows = some[~np.array(failed, dtype=np.bool_)]
        _embed_some(store, project, control, embedder, missing.of(rows), ready, errors)
    return errors


def predict_and_embed(
    store: EmbeddingStore,
    project: int,
    control: str,
    shared: SharedFeatures,
    geometry: Geometry,
    wanted: Wanted,
    images: Sequence[NDArray[np.uint8]],
) -> Predictions:
    """Predict images and keep the vectors of their parts, in one pass of the model.

    Args:
        store: keeps the vectors; the predictions are the caller's.
        project: id of the project.
        control: name of the control tag.
        shared: the predictor's features.
        geometry: one that the predictor serves.
        wanted: parts of exactly these images' tasks, see ``Wanted.of``.
        images: one per task.

    Raises:
        ModelError: when the model fails on them; nothing is kept then.
    """
    parts = np.flatnonzero(~wanted.whole)
    patches = wanted.parts(parts).patches(images)
    said, whole, vectors = shared.predict_and_embed(images, geometry, patches)
    both = np.empty((len(wanted), shared.size), dtype=np.float32)
    both[parts] = vectors
    both[wanted.whole] = whole[wanted.item[wanted.whole]]
    store.put(project, control, shared.version, wanted.keys, both)
    return said


def _embed_some(
    store: EmbeddingStore,
    project: int,
    control: str,
    embedder: Embedder,
    wanted: Wanted,
    inputs: Sequence[Input],
    errors: dict[int, str],
) -> None:
    if not inputs:
        return
    try:
        vectors = _vectors(embedder, wanted, inputs)
    except ModelError as error:
        if len(inputs) == 1:
            errors[int(wanted.task[0])] = f"task {wanted.task[0]}: {error}"
            return
        # One input that a model cannot take must not stop the others.
        for row in range(len(inputs)):
            one = wanted.of(np.array([row]))
            _embed_some(store, project, control, embedder, one, inputs[row : row + 1], errors)
        return
    store.put(project, control, embedder.version, wanted.keys, vectors)


def _vectors(embedder: Embedder, wanted: Wanted, inputs: Sequence[Input]) -> NDArray[np.float32]:
    if embedder.reads == "text":
        return embedder.embed(inputs)[wanted.item]
    images = [given for given in inputs if not isinstance(given, str)]
    patches = wanted.patches(images)
    return embedder.embed_patches(images, patches.image_row, patches.box)
