"""Made-up inputs of any size, the same for the same size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.regions import Regions

__all__ = ["classified", "detected"]


def classified(n: int, classes: int, dtype: str) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return labels of which a tenth are drawn at random, and a fair model's probabilities."""
    rng = np.random.default_rng(n + classes)
    true = rng.integers(0, classes, n)
    probs = rng.standard_normal((n, classes), dtype=np.float32).astype(dtype, copy=False)
    probs[np.arange(n), true] += 3
    np.exp(probs, out=probs)
    probs /= probs.sum(axis=1, keepdims=True)
    return np.where(rng.random(n) < 0.1, rng.integers(0, classes, n), true), probs


def detected(n: int, each: int, classes: int) -> tuple[Regions, Regions]:
    """Return boxes, and predictions near most of them, some of another class, some elsewhere."""
    rng = np.random.default_rng(n)
    count = n * each
    task = np.repeat(np.arange(n), each)
    corner, side = rng.uniform(0, 500, (count, 2)), rng.uniform(10, 120, (count, 2))
    box = np.hstack([corner, corner + side]).astype(np.float32)
    label = rng.integers(0, classes, count)
    seen = box + rng.normal(0, 3, box.shape)
    seen += np.where(rng.random((count, 1)) < 0.1, rng.uniform(-300, 300, (count, 1)), 0)
    seen[:, 2:] = np.maximum(seen[:, 2:], seen[:, :2] + 1)
    other = np.where(rng.random(count) < 0.1, rng.integers(0, classes, count), label)
    return Regions(task, label, box), Regions(task, other, seen, rng.beta(6, 1, count))
