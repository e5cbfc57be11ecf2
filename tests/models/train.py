"""Trains the tests' small models: `python -m tests.models.train [NAME ...]` (minutes a model)."""

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
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

import cv2
import torch
from ultralytics import YOLO

from analysis.geometry.shapes import Polygons
from tests.shapes import CLASSES, JOINTS, SIZE, Scene, draw_scenes

__all__ = ["MODELS", "main"]

#: Name of each model's files to what it is trained on.
MODELS: Final = {"plates-obb": "plates", "rounds-segment": "rounds", "needles-pose": "needles"}

_FOLDER: Final = Path(__file__).parent
_SIDE: Final = SIZE[0]
_SEED: Final = 0
_VALIDATION_SEED: Final = 1
_VALIDATED: Final = 32

# Scenes are drawn in all variety already, and a mirrored needle is drawn as it is.
_OPTIONS: Final[dict[str, Any]] = {
    **{"fliplr": 0.0, "flipud": 0.0, "hsv_h": 0.0, "hsv_s": 0.1, "hsv_v": 0.2, "mosaic": 0.0},
    **{"translate": 0.0, "scale": 0.0, "erasing": 0.0, "imgsz": _SIDE, "batch": 16},
    **{"optimizer": "AdamW", "lr0": 0.003, "cos_lr": True, "warmup_epochs": 1.0},
    **{"seed": _SEED, "deterministic": True, "device": "cpu", "workers": 0, "exist_ok": True},
    # Validation between epochs would pick a checkpoint; the last one is taken.
    **{"val": False, "plots": False, "verbose": False, "amp": False},
    # A mask as fine as the prototypes at a quarter of the image.
    **{"mask_ratio": 4, "overlap_mask": True},
    # The loss takes a key point anywhere in a third of its object for near: more of it helps.
    **{"pose": 200.0, "kobj": 4.0},
}


def main() -> None:
    """Train the named models, or all, and put them beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(MODELS), metavar="NAME")
    parser.add_argument("--scenes", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="start from the model that is there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.names:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            _place(_train(name, Path(folder), options), name)
        size = (_FOLDER / f"{name}.pt").stat().st_size
        sys.stdout.write(f"{name}: {(time.monotonic() - began) / 60:.1f} min, {size} bytes\n")


def _train(name: str, work: Path, options: argparse.Namespace) -> Path:
    kind, task = MODELS[name], name.rpartition("-")[2]
    for part, count, seed in (
        ("train", options.scenes, _SEED),
        ("val", _VALIDATED, _VALIDATION_SEED),
    ):
        _write(work / "data" / part, task, draw_scenes(kind, count, seed))
    described: dict[str, Any] = {"path": str(work / "data"), "names": list(CLASSES[kind])}
    described |= {"train": "train/images", "val": "val/images", "kpt_shape": [JOINTS, 3]}
    data = work / "data.yaml"
    data.write_text(yaml.safe_dump(described))
    model = YOLO(str(_FOLDER / f"{name}.yaml"), task=task)
    if options.again:
        model.load(str(_FOLDER / f"{name}.pt"))
    model.train(data=str(data), epochs=options.epochs, project=str(work), name="run", **_OPTIONS)
    return work / "run" / "weights" / "last.pt"


def _write(folder: Path, task: str, scenes: list[Scene]) -> None:
    """Write scenes in the layout that Ultralytics reads: images beside labels."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    lines = {"obb": _corners, "segment": _outlines, "pose": _joints}[task]
    for number, scene in enumerate(scenes):
        Image.fromarray(scene.image).save(folder / "images" / f"{number:05d}.png")
        rows = [
            f"{label} " + " ".join(f"{value:.6f}" for value in values)
            for label, values in zip(scene.label, lines(scene), strict=True)
        ]
        (folder / "labels" / f"{number:05d}.txt").write_text("\n".join(rows))


def _corners(scene: Scene) -> list[list[float]]:
    return (Polygons.from_rotated(scene.box).xy.reshape(-1, 8) / _SIDE).tolist()


def _outlines(scene: Scene) -> list[list[float]]:
    """One line around each shape, which walks to its hole and back where it has one."""
    lines = []
    for mask in scene.mask:
        found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        rings = [np.concatenate([ring[:, 0], ring[:1, 0]]) for ring in found]
        walk = np.concatenate([*rings, *(ring[:1] for ring in rings[-2::-1])])
        lines.append(((walk + 0.5) / _SIDE).ravel().tolist())
    return lines


def _joints(scene: Scene) -> list[list[float]]:
    centre = scene.box[:, :2] + scene.box[:, 2:4] / 2
    joints = scene.joints.copy()
    # Ultralytics writes 2 for a key point that can be seen.
    joints *= np.array([1 / _SIDE, 1 / _SIDE, 2])
    box = np.concatenate([centre, scene.box[:, 2:4]], axis=1) / _SIDE
    return np.concatenate([box, joints.reshape(len(joints), -1)], axis=1).tolist()


def _place(trained: Path, name: str) -> None:
    # Ultralytics notes the date and the whole command, this machine's paths included: without them,
    # the same training makes the same file.
    checkpoint: dict[str, Any] = torch.load(trained, map_location="cpu", weights_only=False)
    kept = {key: checkpoint[key] for key in ("model", "version", "license", "docs")}
    kept["train_args"] = {key: checkpoint["train_args"][key] for key in ("task", "imgsz")}
    kept["model"].args = kept["train_args"]
    kept["model"].yaml["yaml_file"] = f"{name}.yaml"
    kept |= {"ema": None, "optimizer": None, "epoch": -1}
    torch.save(kept, _FOLDER / f"{name}.pt")


if __name__ == "__main__":
    main()
