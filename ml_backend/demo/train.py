"""Trains the demo's two small models: `python -m ml_backend.demo.train` (minutes on 2 cores).

Every image is grey, so that the order of its colour channels does not matter.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from PIL import Image

# Before the import: Ultralytics looks for the network and for updates when it loads.
os.environ.setdefault("YOLO_OFFLINE", "true")

import torch
from ultralytics import YOLO

from ml_backend.demo.scenes import (
    DIGIT_SIZE,
    SCENE_SIZE,
    Digits,
    Scene,
    draw_digit,
    draw_scene,
    split_digits,
)

__all__ = ["main"]

_MODELS: Final = Path(__file__).parent / "models"
_DETECT, _CLASSIFY = _MODELS / "digits-detect.pt", _MODELS / "digits-classify.pt"
_NAMES: Final = [str(digit) for digit in range(10)]

_SEED: Final = 0
_VALIDATION_SEED: Final = 1
_MEASURED_SEED: Final = 2
_MEASURED_SCENES: Final = 500
_MEASURED_COPIES: Final = 4

# Scenes are drawn in all variety already. Mirrored, a digit is no digit, and a cut one may be
# another; a box that Ultralytics clips at the border is no longer tight.
_AS_DRAWN: Final[dict[str, Any]] = {
    **{"fliplr": 0.0, "flipud": 0.0, "hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.2},
    **{"mosaic": 0.0, "translate": 0.0, "scale": 0.0, "erasing": 0.0, "auto_augment": None},
}
_COMMON: Final[dict[str, Any]] = {
    **_AS_DRAWN,
    **{"optimizer": "AdamW", "cos_lr": True, "warmup_epochs": 1.0, "weight_decay": 0.01},
    **{"seed": _SEED, "deterministic": True, "device": "cpu", "workers": 0, "exist_ok": True},
    # Validation between epochs would pick a checkpoint; the last one is taken.
    **{"val": False, "plots": False, "verbose": False, "amp": False},
}


def main() -> None:
    """Train both models, put them in place and print what they reach on unseen scans."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=4000)
    parser.add_argument("--scene-epochs", type=int, default=20)
    parser.add_argument("--copies", type=int, default=12)
    parser.add_argument("--digit-epochs", type=int, default=12)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _place(_train_detector(work, options.scenes, options.scene_epochs), _DETECT)
        _place(_train_classifier(work, options.copies, options.digit_epochs), _CLASSIFY)
    took = time.monotonic() - began
    sys.stdout.write(f"trained in {took / 60:.1f} min; {_measure()}\n")


def _train_detector(work: Path, scenes: int, epochs: int) -> Path:
    train, _ = split_digits()
    data = work / "detect"
    _write_scenes(data / "train", train, scenes, _SEED)
    _write_scenes(data / "val", train, 100, _VALIDATION_SEED)
    model = YOLO(str(_MODELS / "digits-detect.yaml"), task="detect")
    model.train(
        data=_describe(data),
        imgsz=SCENE_SIZE,
        epochs=epochs,
        batch=16,
        lr0=0.002,
        project=str(work),
        name="run-detect",
        **_COMMON,
    )
    return work / "run-detect" / "weights" / "last.pt"


def _train_classifier(work: Path, copies: int, epochs: int) -> Path:
    train, _ = split_digits()
    data = work / "classify"
    _write_digits(data / "train", train, copies, _SEED)
    _write_digits(data / "val", train, 1, _VALIDATION_SEED)
    model = YOLO(str(_MODELS / "digits-classify.yaml"), task="classify")
    model.train(
        data=str(data),
        imgsz=DIGIT_SIZE,
        epochs=epochs,
        batch=64,
        lr0=0.002,
        project=str(work),
        name="run-classify",
        **_COMMON,
    )
    return work / "run-classify" / "weights" / "last.pt"


def _write_scenes(folder: Path, digits: Digits, count: int, seed: int) -> None:
    """Write scenes in the layout that Ultralytics reads: images beside labels."""
    random = np.random.default_rng(seed)
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        scene = draw_scene(digits, random)
        Image.fromarray(scene.image).save(folder / "images" / f"{number:05d}.png")
        (folder / "labels" / f"{number:05d}.txt").write_text(_lines(scene))


def _lines(scene: Scene) -> str:
    centre = (scene.box[:, :2] + scene.box[:, 2:]) / 2 / SCENE_SIZE
    size = (scene.box[:, 2:] - scene.box[:, :2]) / SCENE_SIZE
    return "\n".join(
        f"{label} {x:.6f} {y:.6f} {w:.6f} {h:.6f}"
        for label, (x, y), (w, h) in zip(scene.label, centre, size, strict=True)
    )


def _write_digits(folder: Path, digits: Digits, copies: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for name in _NAMES:
        (folder / name).mkdir(parents=True)
    for number, row in enumerate(np.tile(np.arange(len(digits.label)), copies)):
        image = Image.fromarray(draw_digit(digits, int(row), random))
        image.save(folder / _NAMES[digits.label[row]] / f"{number:05d}.png")


def _describe(data: Path) -> str:
    described = data / "data.yaml"
    parts = {"path": str(data), "train": "train/images", "val": "val/images", "names": _NAMES}
    described.write_text(yaml.safe_dump(parts))
    return str(described)


def _place(trained: Path, target: Path) -> None:
    # Ultralytics notes the date and the whole command, this machine's paths included: without them,
    # the same training makes the same file.
    checkpoint: dict[str, Any] = torch.load(trained, map_location="cpu", weights_only=False)
    kept = {key: checkpoint[key] for key in ("model", "version", "license", "docs")}
    kept["train_args"] = {key: checkpoint["train_args"][key] for key in ("task", "imgsz")}
    kept["model"].args = kept["train_args"]
    kept["model"].yaml["yaml_file"] = target.with_suffix(".yaml").name
    kept |= {"ema": None, "optimizer": None, "epoch": -1}
    torch.save(kept, target)


def _measure() -> str:
    """Return what both models reach on fresh drawings of held-out scans."""
    _, held_out = split_digits()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for part in ("train", "val"):
            _write_scenes(data / part, held_out, _MEASURED_SCENES, _MEASURED_SEED)
        quiet = {"plots": False, "verbose": False, "workers": 0, "device": "cpu"}
        box = YOLO(str(_DETECT)).val(data=_describe(data), project=folder, **quiet).box
    random = np.random.default_rng(_MEASURED_SEED)
    rows = np.tile(np.arange(len(held_out.label)), _MEASURED_COPIES)
    images = [draw_digit(held_out, int(row), random) for row in rows]
    results = YOLO(str(_CLASSIFY)).predict(images, stream=True, verbose=False, device="cpu")
    right = np.array([int(one.probs.top1) for one in results]) == held_out.label[rows]
    sizes = {path.name: path.stat().st_size for path in (_DETECT, _CLASSIFY)}
    return (
        f"detect: mAP50 {box.map50:.4f}, mAP50-95 {box.map:.4f} on {_MEASURED_SCENES} unseen "
        f"scenes; classify: accuracy {right.mean():.4f} on {len(right)} unseen drawings; "
        f"bytes {sizes}"
    )


if __name__ == "__main__":
    main()
