"""Wrong pixels in semantic segmentation, from a model's probabilities per pixel."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis.findings import NONE

__all__ = ["image_quality", "mistakenness", "pixel_quality"]

#: Softmin temperature (cleanlab ``segmentation.rank``).
_TEMPERATURE: Final = 0.1
#: Colder than this the weights get too large for a float.
_COLDEST: Final = 0.01
#: Pixels looked at in one go: what bounds the memory.
_BLOCK: Final = 1 << 17
_THREADS: Final = 2
#: What the sum of a pixel's probabilities may be off by; float16 ones of many classes are.
_TOLERANCE: Final = 1e-2


def image_quality(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    *,
    temperature: float = _TEMPERATURE,
) -> NDArray[np.float64]:
    """Return how good each image's labels are: the softmin of its pixels' self-confidence.

    The mean of s over the pixels, weighted by exp((1 - s) / temperature), s being the
    probability of the pixel's label (cleanlab ``segmentation.rank.get_label_quality_scores``
    with method ``softmin``; Lad and Mueller, 2023).

    Args:
        labels: int (N, H, W), class of each pixel; -1 where nothing is labelled, left out.
        probs: float (N, K, H, W), a pixel's probabilities sum to 1.
        temperature: 0.01 or more; the smaller, the more the worst pixels alone count.

    Returns:
        float64 (N,), in [0, 1], lower is worse; 1 where nothing is labelled.

    Raises:
        ValueError: when shapes do not match, naming the first pixel that is wrong.
    """
    if not temperature >= _COLDEST:
        raise ValueError(f"temperature is {temperature}, expected {_COLDEST} or more")
    _check_shapes(labels, probs)
    quality = np.ones(len(labels))

    def one(images: slice) -> None:
        top, bottom = np.zeros(len(labels[images])), np.zeros(len(labels[images]))
        for lines in _lines(labels):
            own = _self_confidence(labels, probs, images, lines).reshape(len(top), -1)
            known = ~np.isnan(own)
            weight = np.exp((1 - own) / temperature, where=known, out=np.zeros_like(own))
            top += np.einsum("ij,ij->i", weight, np.where(known, own, 0))
            bottom += weight.sum(axis=1)
        np.divide(top, bottom, out=quality[images], where=bottom > 0)

    # NumPy lets go of the interpreter inside its loops: two threads keep two cores busy.
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(one, _images(labels)))
    return quality


def mistakenness(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    *,
    temperature: float = _TEMPERATURE,
) -> NDArray[np.float32]:
    """Return how likely each image holds wrong pixels: 1 less ``image_quality``.

    Returns:
        float32 (N,), in [0, 1], higher is more likely wrong; 0 where nothing is labelled.

    Raises:
        ValueError: see ``image_quality``.
    """
    quality = image_quality(labels, probs, temperature=temperature)
    return (1 - quality).clip(0, 1).astype(np.float32)


def pixel_quality(
    labels: NDArray[np.integer[Any]], probs: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    """Return the probability of each pixel's label, the score behind ``image_quality``.

    Args:
        labels: int (N, H, W), class of each pixel; -1 where nothing is labelled.
        probs: float (N, K, H, W), a pixel's probabilities sum to 1.

    Returns:
        float32 (N, H, W), in [0, 1], lower is worse; NaN where nothing is labelled.

    Raises:
        ValueError: when shapes do not match, naming the first pixel that is wrong.
    """
    _check_shapes(labels, probs)
    quality = np.empty(labels.shape, dtype=np.float32)
    for images in _images(labels):
        for lines in _lines(labels):
            quality[images, lines] = _self_confidence(labels, probs, images, lines)
    return quality


def _images(labels: NDArray[Any]) -> list[slice]:
    """Some images at a time, about ``_BLOCK`` pixels; one where that has more."""
    count, height, width = labels.shape
    step = max(_BLOCK // max(height * width, 1), 1)
    return [slice(first, min(first + step, count)) for first in range(0, count, step)]


def _lines(labels: NDArray[Any]) -> list[slice]:
    """Some lines of an image at a time, about ``_BLOCK`` pixels."""
    _, height, width = labels.shape
    step = max(_BLOCK // max(width, 1), 1)
    return [slice(first, first + step) for first in range(0, height, step)]


def _self_confidence(
    labels: NDArray[np.integer[Any]],
    probs: NDArray[np.floating[Any]],
    images: slice,
    lines: slice,
) -> NDArray[np.float64]:
    given = labels[images, lines]
    refuse = partial(_refuse, given.shape, images.start, lines.start)
    last = probs.shape[1] - 1
    refuse((given < NONE) | (given > last), given, f"labels {{}} is {{}}, expected -1 to {last}")
    # Flat pixels: several times faster to sum and to pick from, and still a view.
    block = probs[images, :, lines].reshape(len(given), probs.shape[1], -1)
    total = np.einsum("nkm->nm", block, dtype=np.promote_types(block.dtype, np.float32))
    refuse(~(np.abs(total - 1) <= _TOLERANCE), total, "probs {} sum to {}, expected 1")
    label = given.reshape(len(given), -1)
    own = block[np.arange(len(given))[:, None], label.clip(min=0), np.arange(label.shape[1])]
    refuse((own < 0) | (own > 1 + _TOLERANCE), own, "probs {} hold {}, expected 0 to 1")
    return np.where(given == NONE, np.nan, own.astype(np.float64).reshape(given.shape))


def _refuse(
    shape: tuple[int, ...],
    first_image: int,
    first_line: int,
    wrong: NDArray[np.bool_],
    values: NDArray[Any],
    said: str,
) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        image, line, column = map(int, np.unravel_index(at, shape))
        place = f"image {first_image + image} pixel ({column}, {first_line + line})"
        raise ValueError(said.format(place, values.flat[at]))


def _check_shapes(labels: NDArray[Any], probs: NDArray[Any]) -> None:
    if labels.ndim != 3 or probs.ndim != 4 or labels.shape != (len(probs), *probs.shape[2:]):
        raise ValueError(
            f"labels {labels.shape} and probs {probs.shape} do not match, expected (N, H, W) and "
            "(N, K, H, W)"
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels are {labels.dtype}, expected integer classes")
