"""ONNX files that turn an image into a vector or a map of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ml_backend.embedders.images import ImageEmbedder, Look, loading
from ml_backend.errors import ModelError

__all__ = ["load"]

_DEFAULT_SIDE: Final = 224
_TYPES: Final[dict[str, Any]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}


def load(path: Path, version: str, threads: int) -> ImageEmbedder:
    """Load an ONNX file.

    It has one input, RGB, (N, 3, H, W) or (N, H, W, 3), scaled to [0, 1] and by ImageNet's mean and
    standard deviation; a side that the graph leaves open is 224 pixels. Its first output is the
    vector, (N, D), or a map, (N, D, H, W), or tokens, (N, T, D), of which the mean is taken.

    Args:
        path: the file.
        version: of it.
        threads: CPU threads; 0: one per core.

    Raises:
        ModelError: when it cannot be loaded or has another input.
    """
    with loading(path.name):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            str(path), options, providers=onnxruntime.get_available_providers()
        )
        return _embedder(session, path.name, version)


def _embedder(session: Any, name: str, version: str) -> ImageEmbedder:
    inputs, output = session.get_inputs(), session.get_outputs()[0].name
    first = inputs[0]
    shape = [side if isinstance(side, int) else None for side in first.shape]
    if len(inputs) != 1 or len(shape) != 4 or first.type not in _TYPES or 3 not in shape[1::2]:
        raise ModelError(
            f"model {name!r} reads {[(given.type, given.shape) for given in inputs]}, expected "
            "one float input (N, 3, H, W) or (N, H, W, 3)"
        )
    last = shape[1] != 3
    height, width = shape[1:3] if last else shape[2:]
    fixed, dtype = shape[0], _TYPES[first.type]

    def call(batch: NDArray[np.float32]) -> NDArray[np.floating]:
        given = batch.transpose(0, 2, 3, 1) if last else batch
        return _mean(session.run([output], {first.name: given.astype(dtype)})[0])

    def run(batch: NDArray[np.float32]) -> NDArray[np.floating]:
        if not fixed:
            return call(batch)
        spare = -len(batch) % fixed
        padded = np.concatenate([batch, np.repeat(batch[-1:], spare, axis=0)])
        done = [call(part) for part in np.split(padded, len(padded) // fixed)]
        whole: NDArray[np.floating] = np.concatenate(done)[: len(batch)]
        return whole

    look = Look(height or _DEFAULT_SIDE, width or _DEFAULT_SIDE)
    return ImageEmbedder(version, look, run)


def _mean(features: NDArray[np.floating]) -> NDArray[np.floating]:
    places = {4: (2, 3), 3: (1,)}.get(features.ndim, ())
    mean: NDArray[np.floating] = features.mean(axis=places, dtype=np.float64)
    return mean
