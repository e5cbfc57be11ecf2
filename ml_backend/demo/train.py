"""Trains the demo's two small models: `python -m ml_backend.demo.train` (minutes on 2 cores)."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
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

_MODELS = Path(__file__).parent / "models"
_SEED = 0
_NAMES = [str(digit) for digit in range(10)]

# Digits mirrored or upside down are other digits; a cut one may be none.
_NO_FLIPS = {"fliplr": 0.0, "flipud": 0.0, "hsv_h": 0.0, "hsv_s": 0.0}
_QUIET = {"plots": False, "verbose": False, "amp": False, "workers": 0, "exist_ok": True}


def main() -> None:
    """Train both models, print what they reach on unseen scans, and put them in place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=1600)
    parser.add_argument("--detect-epochs", type=int, default=40)
    parser.add_argument("--classify-epochs", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        detect = _train_detector(work, options.scenes, options.detect_epochs)
        classify = _train_classifier(work, options.classify_epochs)
        _place(detect, _MODELS / "digits-detect.pt")
        _place(classify, _MODELS / "digits-classify.pt")
    sys.stdout.write(_measure() + "\n")


def _train_detector(work: Path, scenes: int, epochs: int) -> Path:
    train, held_out = split_digits()
    data = work / "detect"
    for part, digits, count, seed in (
        ("train", train, scenes, _SEED),
        ("val", held_out, 200, _SEED + 1),
    ):
        random = np.random.default_rng(seed)
        for number in range(count):
            _write_scene(data, part, number, draw_scene(digits, random))
    described = data / "data.yaml"
    described.write_text(
        yaml.safe_dump(
            {"path": str(data), "train": "images/train", "val": "images/val", "names": _NAMES}
        )
    )
    model = YOLO(str(_MODELS / "digits-detect.yaml"), task="detect")
    model.train(
        data=str(described),
        imgsz=SCENE_SIZE,
        epochs=epochs,
        batch=32,
        lr0=0.01,
        optimizer="AdamW",
        close_mosaic=epochs // 3,
        scale=0.2,
        seed=_SEED,
        deterministic=True,
        device="cpu",
        project=str(work),
        name="run-detect",
        **_NO_FLIPS,
        **_QUIET,
    )
    return work / "run-detect" / "weights" / "best.pt"


def _train_classifier(work: Path, epochs: int) -> Path:
    train, held_out = split_digits()
    data = work / "classify"
    for part, digits, copies, seed in (
        ("train", train, 4, _SEED),
        ("val", held_out, 1, _SEED + 1),
    ):
        random = np.random.default_rng(seed)
        for row in np.tile(np.arange(len(digits.label)), copies):
            folder = data / part / _NAMES[digits.label[row]]
            folder.mkdir(parents=True, exist_ok=True)
            image = draw_digit(digits, int(row), random)
            Image.fromarray(image).save(folder / f"{len(list(folder.iterdir())):05d}.png")
    model = YOLO(str(_MODELS / "digits-classify.yaml"), task="classify")
    model.train(
        data=str(data),
        imgsz=DIGIT_SIZE,
        epochs=epochs,
        batch=64,
        lr0=0.003,
        optimizer="AdamW",
        scale=0.2,
        erasing=0.0,
        auto_augment=None,
        seed=_SEED,
        deterministic=True,
        device="cpu",
        project=str(work),
        name="run-classify",
        **_NO_FLIPS,
        **_QUIET,
    )
    return work / "run-classify" / "weights" / "best.pt"


def _write_scene(data: Path, part: str, number: int, scene: Scene) -> None:
    for kind in ("images", "labels"):
        (data / kind / part).mkdir(parents=True, exist_ok=True)
    Image.fromarray(scene.image).save(data / "images" / part / f"{number:05d}.png")
    centre = (scene.box[:, :2] + scene.box[:, 2:]) / 2 / SCENE_SIZE
    size = (scene.box[:, 2:] - scene.box[:, :2]) / SCENE_SIZE
    lines = [
        f"{label} {x:.6f} {y:.6f} {w:.6f} {h:.6f}"
        for label, (x, y), (w, h) in zip(scene.label, centre, size, strict=True)
    ]
    (data / "labels" / part / f"{number:05d}.txt").write_text("\n".join(lines))


def _place(trained: Path, target: Path) -> None:
    # Ultralytics notes the whole command, temporary paths included; only the model is shipped.
    checkpoint: dict[str, Any] = torch.load(trained, map_location="cpu", weights_only=False)
    kept = {key: checkpoint[key] for key in ("model", "version", "license", "docs", "date")}
    kept["train_args"] = {
        "task": checkpoint["train_args"]["task"],
        "imgsz": checkpoint["train_args"]["imgsz"],
    }
    kept |= {"ema": None, "optimizer": None, "epoch": -1}
    torch.save(kept, target)


def _measure() -> str:
    """Return what both models reach on fresh drawings of held-out scans."""
    _, held_out = split_digits()
    random = np.random.default_rng(_SEED + 2)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        for number in range(300):
            _write_scene(data, "val", number, draw_scene(held_out, random))
        described = data / "data.yaml"
        described.write_text(
            yaml.safe_dump(
                {"path": folder, "train": "images/val", "val": "images/val", "names": _NAMES}
            )
        )
        boxes = (
            YOLO(str(_MODELS / "digits-detect.pt"))
            .val(data=str(described), imgsz=SCENE_SIZE, device="cpu", project=folder, **_QUIET)
            .box
        )
    images = [draw_digit(held_out, row, random) for row in range(len(held_out.label))]
    right = _classes(images) == held_out.label
    sizes = {path.name: path.stat().st_size for path in sorted(_MODELS.glob("*.pt"))}
    return (
        f"detect: mAP50 {boxes.map50:.4f}, mAP50-95 {boxes.map:.4f} on 300 unseen scenes; "
        f"classify: accuracy {right.mean():.4f} on {len(right)} unseen digits; bytes {sizes}"
    )


def _classes(images: list[NDArray[np.uint8]]) -> NDArray[np.int64]:
    model = YOLO(str(_MODELS / "digits-classify.pt"))
    results = model.predict(images, verbose=False, device="cpu")
    return np.array([int(result.probs.top1) for result in results])


def _held_out() -> Digits:
    return split_digits()[1]


if __name__ == "__main__":
    shutil.rmtree(_MODELS / "runs", ignore_errors=True)
    main()
