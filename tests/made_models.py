"""Small models that a test session makes for itself, beside those that are kept in files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import timm
import torch
from torch.nn import functional
from ultralytics import YOLO

from ml_backend.demo.scenes import draw_digit, split_digits
from tests.text_models import make_classifier, make_tagger


def make_models(folder: Path) -> None:
    """Put an ONNX export, a timm network and text models into the folder."""
    export_detector(folder)
    train_timm(folder / "digits-timm.pth")
    for name, make in (("tagger", make_tagger), ("topics", make_classifier)):
        (folder / name).mkdir()
        make(folder / name)


def export_detector(folder: Path) -> None:
    """Export the demo's detector as ONNX, as an admin would."""
    copy = shutil.copy(folder / "digits-detect.pt", folder / "export.pt")
    made = YOLO(copy).export(format="onnx", dynamic=True, imgsz=224, verbose=False)
    Path(made).rename(folder / "digits-detect.onnx")
    Path(copy).unlink()


def train_timm(path: Path, steps: int = 150, batch: int = 64) -> None:
    """Train the smallest of timm's networks on the demo's digits."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    digits = split_digits()[0]
    model = timm.create_model("test_resnet", num_classes=10).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        rows = random.integers(0, len(digits.label), batch)
        images = np.stack([draw_digit(digits, int(row), random) for row in rows])
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 * 2 - 1
        pixels = functional.interpolate(pixels, size=(64, 64), mode="bilinear")
        loss = functional.cross_entropy(model(pixels), torch.from_numpy(digits.label[rows]).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.save(
        {
            "arch": "test_resnet",
            "classes": list("0123456789"),
            "state_dict": model.state_dict(),
            "input_size": [3, 64, 64],
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        },
        path,
    )
