"""What image embedders have in common: how images reach a network, and how patches do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ml_backend.embedders.base import Patches, unit
from ml_backend.embedders.patches import crop
from ml_backend.errors import ModelError, short
from ml_backend.predictors.base import Input

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "ImageEmbedder", "Look", "loading", "only_images"]

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)
_BATCH: Final = 32
#: No network of this kind reads larger images; a file that asks for them is broken.
_LARGEST: Final = 2048


@contextmanager
def loading(name: str) -> Iterator[None]:
    """Turn whatever a library raises over a model's files into one clear error.

    Raises:
        ModelError: naming the model.
    """
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(
            f"model {name!r} needs a package that is not installed: {error}"
        ) from error
    except Exception as error:
        raise ModelError(
            f"model {name!r} cannot be loaded ({type(error).__name__}: {short(error)}); put a "
            "whole, unchanged model of this kind there"
        ) from error


def only_images(version: str, items: Sequence[Input]) -> list[NDArray[np.uint8]]:
    """Return what a model of images is given.

    Raises:
        ModelError: when there is a text among it.
    """
    images = [item for item in items if not isinstance(item, str)]
    if len(images) < len(items):
        raise ModelError(f"model {version} reads images, not texts")
    return images


@dataclass(frozen=True, slots=True)
class Look:
    """What a network's input looks like.

    Attributes:
        height: pixels.
        width: pixels.
        mean: of each channel, of values in [0, 1].
        std: the same.

    Raises:
        ModelError: when no network can be meant.
    """

    height: int
    width: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        sides = 0 < self.height <= _LARGEST and 0 < self.width <= _LARGEST
        scales = len(self.mean) == len(self.std) == 3 and min(self.std) > 0
        if not (sides and scales):
            raise ModelError(f"the model's input is said to be {self}, expected an RGB image")

    def prepare(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Stretch images to the input's size, so that nothing is cut off, and scale them.

        Returns:
            float32 (N, 3, height, width).
        """
        made = np.empty((len(images), self.height, self.width, 3), dtype=np.float32)
        size = (self.width, self.height)
        for row, image in enumerate(images):
            made[row] = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))
        made /= np.float32(255)
        made -= np.array(self.mean, dtype=np.float32)
        made /= np.array(self.std, dtype=np.float32)
        return np.ascontiguousarray(made.transpose(0, 3, 1, 2))


class ImageEmbedder:
    """An embedder of images; patches are cut out and stretched to the network's input.

    Args:
        version: of the model's files.
        look: of the network's input.
        run: the network, from float32 (N, 3, height, width) to any float (N, D); N is 1 to 32.

    Raises:
        ModelError: when the network does not answer with one vector per image.
    """

    reads: Literal["image", "text"] = "image"

    def __init__(
        self,
        version: str,
        look: Look,
        run: Callable[[NDArray[np.float32]], NDArray[np.floating]],
    ) -> None:
        self.version = version
        self._look = look
        self._run = run
        self._lock = threading.Lock()
        probe = self._call(np.zeros((2, 3, look.height, look.width), dtype=np.float32))
        if probe.ndim != 2 or len(probe) != 2 or not probe.shape[1]:
            raise ModelError(
                f"model {version} answers two images with {probe.shape}, expected one vector each"
            )
        self.size = int(probe.shape[1])

    def embed(self, items: Sequence[Input]) -> NDArray[np.float32]:
        """Embed whole images; see ``Embedder``."""
        images = only_images(self.version, items)
        done = np.zeros((len(images), self.size), dtype=np.float32)
        for start in range(0, len(images), _BATCH):
            part = self._look.prepare(images[start : start + _BATCH])
            done[start : start + len(part)] = unit(self._call(part))
        return done

    def embed_patches(
        self,
        images: Sequence[NDArray[np.uint8]],
        image_row: NDArray[np.int64],
        box: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Embed rectangles of images; see ``Embedder``."""
        return self.embed(crop(images, Patches(image_row, box)))

    def _call(self, batch: NDArray[np.float32]) -> NDArray[np.floating]:
        try:
            with self._lock:
                return self._run(batch)
        except Exception as error:
            raise ModelError(f"model {self.version} failed on a batch: {short(error)}") from error
