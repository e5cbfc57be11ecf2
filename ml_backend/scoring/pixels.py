"""People's labels in pixels, where what Label Studio keeps is percent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_backend.labelstudio.regions.results import Labels
from ml_backend.labelstudio.regions.units import to_pixels
from ml_backend.labelstudio.tasks.reader import TaskPage
from ml_backend.outlines import IN_IMAGES, Geometry
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.storage.labels import StoredLabels

__all__ = ["labels_in_pixels", "page_labels"]


def page_labels(page: TaskPage, table: ControlPredictions, labels: Labels) -> StoredLabels:
    """Return one control tag's human labels in pixels, of the tasks whose images' size is known.

    Beside a prediction it is what the model has read, for imports often lack or misstate it;
    without one, what the regions state.
    """
    geometry = table.control.geometry
    return labels_in_pixels(page, geometry, labels, table.found, table.predictions.size)


def labels_in_pixels(
    page: TaskPage,
    geometry: Geometry,
    labels: Labels,
    known: NDArray[np.bool_],
    sizes: NDArray[np.int32],
) -> StoredLabels:
    """Return one control tag's human labels, see ``page_labels``.

    Args:
        page: T tasks.
        geometry: of the control tag.
        labels: what people said under it.
        known: bool (T,), the tasks whose images were read.
        sizes: int32 (N, 2), width and height of those images, pixels.
    """
    notes = page.annotations
    found = known[notes.task]
    size = labels.sizes(len(found))
    size[found] = sizes[(np.cumsum(known) - 1)[notes.task[found]]]
    usable = np.ones_like(found)
    if not notes.in_pixels:
        usable = found | _stated(geometry, labels, size)
    kept = labels.take(usable[labels.annotation])
    outline = kept.outline
    if not notes.in_pixels:
        outline = to_pixels(geometry, outline, size[kept.annotation])
    return StoredLabels(
        task=page.id[notes.task[usable]],
        unit=notes.id[usable],
        region_unit=notes.id[kept.annotation],
        label=kept.label,
        outline=outline,
        held_task=page.id[page.held[0]],
        held=page.held[1],
        approved=notes.approved[usable],
        size=size[usable],
    )


def _stated(geometry: Geometry, labels: Labels, size: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which annotations say themselves where their regions are in pixels, bool (A,)."""
    if geometry not in IN_IMAGES:
        return np.ones(len(size), dtype=np.bool_)
    known: NDArray[np.bool_] = np.logical_and.reduce(size > 0, axis=1)
    if geometry == "mask":
        # A mask of few bytes is not made as large as somebody may state.
        other = (labels.size != size[labels.annotation]).any(axis=1)
        known[labels.annotation[other]] = False
    return known
