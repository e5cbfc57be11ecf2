"""Vectors from the features of an Ultralytics model, taken while it predicts: no second model."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import roi_align

from ml_backend.embedders.base import Patches, unit
from ml_backend.embedders.images import loading, only_images
from ml_backend.embedders.layers import keep, keep_mean, tapped
from ml_backend.embedders.patches import crop, image_sizes, inside
from ml_backend.errors import ModelError
from ml_backend.outlines import Geometry
from ml_backend.predictors.base import Input, Predictions, Predictor
from ml_backend.predictors.batching import BatchingPredictor

__all__ = ["SharedFeatures", "has_layers", "into_network"]


def has_layers(predictor: Predictor) -> bool:
    """Whether a predictor's features can be shared: not those of an export, nor of other kinds."""
    network = getattr(getattr(_alone(predictor), "model", None), "model", None)
    return isinstance(network, nn.Module) and isinstance(
        getattr(network, "model", None), nn.Sequential
    )


def into_network(
    box: NDArray[np.float32],
    size: NDArray[np.int64],
    network: tuple[int, int],
    *,
    stretched: bool = False,
) -> NDArray[np.float32]:
    """Map boxes of images to where a network sees them: Ultralytics' letterbox, its rounding too.

    Args:
        box: float32 (R, 4), x0 y0 x1 y1, pixels of its image.
        size: int64 (R, 2), width and height of each box's image.
        network: height and width of the network's input.
        stretched: whether images fill the input, instead of being padded.

    Returns:
        float32 (R, 4), pixels of the network's input.
    """
    wanted = np.array(network[::-1], dtype=np.float64)
    shrink = (wanted / size).min(axis=1, keepdims=True)
    inner = np.maximum(np.rint(size * shrink), 1)
    if stretched:
        inner = np.broadcast_to(wanted, inner.shape)
    pad = np.rint((wanted - inner) / 2 - 0.1)
    mapped: NDArray[np.float64] = box * np.tile(inner / size, 2) + np.tile(pad, 2)
    return mapped.astype(np.float32)


class SharedFeatures:
    """The features of a loaded Ultralytics model, of the same pass that predicts.

    Of a model of regions they are what its head reads: the feature maps P3 to P5, each pooled over
    the region (RoIAlign, mean), scaled to length 1 and joined. A whole image is the region that it
    fills, without the padding. A patch sees what lies around it, as the model does.

    Of a classifier they are the means of the feature maps before its last halving. What its last
    layer reads tells its classes apart and little else: there, noise lies among the digits of the
    demo (outlier scores of 0.6, as the farthest digits have), here it scores 0.99, and the nearest
    neighbours' labels are as right (0.987 against 0.993). It has no place for regions: their
    patches are cut out and are passes of their own.

    Args:
        predictor: a loaded YOLO checkpoint, no export, or the ``BatchingPredictor`` of one. Its
            attribute ``model`` is the Ultralytics object that it predicts with; images of one shape
            go through it in their order.

    Raises:
        ModelError: when the model has no layers to read.
    """

    reads: Literal["image", "text"] = "image"

    def __init__(self, predictor: Predictor) -> None:
        if not has_layers(predictor):
            raise ModelError(
                f"model {predictor.version} has no layers to take features from: use its .pt "
                "checkpoint, or name another embedder"
            )
        self._predictor = _alone(predictor)
        # The registry counts a model's memory for as long as somebody holds what it gave out.
        self._held = predictor
        self._ultralytics: Any = getattr(self._predictor, "model")  # noqa: B009
        self._geometry: Geometry = sorted(predictor.serves)[0]
        # One call at a time: what is tapped belongs to one caller.
        self._lock = threading.Lock()
        network: Any = self._ultralytics.model
        with loading(predictor.version):
            self._layer, self.size = tapped(network)
        self._pooled = self._layer >= 0
        self.version = f"{predictor.version}+features"

    def of(self, predictor: Predictor) -> bool:
        """Whether these are a predictor's features."""
        return self._predictor is _alone(predictor)

    def predict_and_embed(
        self, images: Sequence[NDArray[np.uint8]], geometry: Geometry, patches: Patches
    ) -> tuple[Predictions, NDArray[np.float32], NDArray[np.float32]]:
        """Predict images, and embed them and their patches, in one pass.

        Args:
            images: N images of any sizes.
            geometry: one that the predictor serves.
            patches: R boxes of them.

        Returns:
            what the predictor says; the images' vectors, float32 (N, D); the patches', float32
            (R, D); all rows of length 1.

        Raises:
            ModelError: when the model fails on them.
        """
        size = image_sizes(images)
        regions = np.hstack([np.zeros_like(size), size]).astype(np.float32)
        everything = Patches(
            np.concatenate([np.arange(len(images)), patches.image_row]).astype(np.int64),
            np.concatenate([regions, inside(patches, size, 0.0, 1.0).astype(np.float32)]),
        )
        tapped = _Tapped(everything, size, self.size)
        with self._lock, _tap(self._ultralytics, tapped, self._layer):
            said = self._predictor.predict(images, geometry)
        whole, parts = np.split(unit(tapped.vector), [len(images)])
        if self._pooled and len(patches):
            parts = self._crops(images, patches)
        return said, whole, parts

    def embed(self, items: Sequence[Input]) -> NDArray[np.float32]:
        """Embed whole images; see ``Embedder``."""
        nothing = Patches(np.empty(0, dtype=np.int64), np.empty((0, 4), dtype=np.float32))
        return self.predict_and_embed(only_images(self.version, items), self._geometry, nothing)[1]

    def embed_patches(
        self,
        images: Sequence[NDArray[np.uint8]],
        image_row: NDArray[np.int64],
        box: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Embed rectangles of images; see ``Embedder``."""
        if self._pooled:
            return self._crops(images, Patches(image_row, box))
        return self.predict_and_embed(images, self._geometry, Patches(image_row, box))[2]

    def _crops(self, images: Sequence[NDArray[np.uint8]], patches: Patches) -> NDArray[np.float32]:
        return self.embed(crop(images, patches, 0.0))


def _alone(predictor: Predictor) -> Predictor:
    """Return what runs in the thread that calls it: a batch with others is not ours to tap."""
    return predictor.predictor if isinstance(predictor, BatchingPredictor) else predictor


@dataclass
class _Tapped:
    """What is collected of one call."""

    patches: Patches
    size: NDArray[np.int64]
    width: int
    vector: NDArray[np.float32] = field(init=False)
    waiting: dict[tuple[int, ...], deque[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.vector = np.zeros((len(self.patches), self.width), dtype=np.float32)
        # The predictor puts images of one shape together, so that none is padded for another.
        self.waiting = defaultdict(deque)
        for row, (width, height) in enumerate(self.size.tolist()):
            self.waiting[height, width].append(row)

    def add(
        self,
        maps: Sequence[Tensor],
        network: tuple[int, int],
        shapes: Sequence[tuple[int, ...]],
        *,
        stretched: bool,
    ) -> None:
        """Pool one batch: of each shape, the first images that are still waiting."""
        place = np.full(len(self.size), -1, dtype=np.int64)
        place[[self.waiting[shape].popleft() for shape in shapes]] = np.arange(len(shapes))
        row = place[self.patches.image_row]
        here = np.flatnonzero(row >= 0)
        if maps[0].ndim == 2:
            whole = here[here < len(self.size)]
            self.vector[whole] = maps[0].float().cpu().numpy()[row[whole]]
            return
        box = into_network(
            self.patches.box[here],
            self.size[self.patches.image_row[here]],
            network,
            stretched=stretched,
        )
        regions = np.hstack([row[here, None], box]).astype(np.float32)
        pooled = _pool(maps, torch.from_numpy(regions).to(maps[0].device), network)
        self.vector[here] = pooled.cpu().numpy()


def _pool(maps: Sequence[Tensor], regions: Tensor, network: tuple[int, int]) -> Tensor:
    levels = [
        roi_align(level.float(), regions, 1, level.shape[-1] / network[1], aligned=True).flatten(1)
        for level in maps
    ]
    # Each level has its own scale; without this the largest would speak alone.
    return torch.cat([nn.functional.normalize(level) for level in levels], dim=1)


@contextmanager
def _tap(ultralytics: Any, tapped: _Tapped, layer: int) -> Iterator[None]:
    """Collect what a layer says, or what the head (-1) reads, as Ultralytics predicts here.

    Ultralytics predicts with a copy of the network, made on its first call: only its own events
    lead to that copy.
    """
    thread = threading.get_ident()
    hooks: list[Any] = []
    last: dict[str, Any] = {}

    def start(predictor: Any) -> None:
        if threading.get_ident() != thread:
            return
        network = predictor.model.model
        hooks.append(network.register_forward_pre_hook(keep(last, "input")))
        if layer == -1:
            hooks.append(network.model[-1].register_forward_pre_hook(keep(last, "maps")))
        else:
            hooks.append(network.model[layer].register_forward_hook(keep_mean(last)))

    def batch(predictor: Any) -> None:
        if threading.get_ident() == thread:
            shape = last["input"][0].shape
            stretched = bool(predictor.scale_fill)
            shapes = [image.shape[:2] for image in predictor.batch[1]]
            tapped.add(last["maps"], (int(shape[-2]), int(shape[-1])), shapes, stretched=stretched)
            last.clear()

    events = {"on_predict_start": start, "on_predict_postprocess_end": batch}
    for event, call in events.items():
        ultralytics.callbacks[event].append(call)
    try:
        yield
    finally:
        for event, call in events.items():
            ultralytics.callbacks[event].remove(call)
        for hook in hooks:
            hook.remove()
