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

_SIDE = 32


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
    made = YOLO(copy).export(format="onnx", imgsz=160, batch=1, verbose=False)
    Path(made).rename(folder / "digits-detect.onnx")
    Path(copy).unlink()


def train_timm(path: Path, steps: int = 300, batch: int = 64) -> None:
    """Train a small network of timm's on the demo's digits."""
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    digits = split_digits()[0]
    rows = random.integers(0, len(digits.label), 3000)
    images = np.stack([draw_digit(digits, int(row), random) for row in rows])
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    pixels = functional.interpolate(pixels, size=(_SIDE, _SIDE), mode="bicubic", antialias=True)
    truth = torch.from_numpy(digits.label[rows]).long()
    model = timm.create_model("resnet10t", num_classes=10, channels=(16, 32, 64, 96)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        some = torch.from_numpy(random.integers(0, len(rows), batch))
        loss = functional.cross_entropy(model(pixels[some]), truth[some])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        plan.step()
    torch.save(
        {
            "arch": "resnet10t",
            "model_args": {"channels": (16, 32, 64, 96)},
            "classes": list("0123456789"),
            "state_dict": model.state_dict(),
            "input_size": [3, _SIDE, _SIDE],
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
        },
        path,
    )
