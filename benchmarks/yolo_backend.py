"""A YOLO model behind label-studio-ml's own server, for ``benchmarks.beside``.

It does what HumanSignal's example for YOLO does, told in our own words: the model is loaded once,
each task's file is fetched with Label Studio's token and kept on disk, and ``model.predict`` is
called with the path of one file after the other. It runs in the environment of label-studio-ml::

    gunicorn --workers 1 --threads 8 benchmarks.yolo_backend:app
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import httpx
from label_studio_ml.api import init_app
from label_studio_ml.model import LabelStudioMLBase
from ultralytics import YOLO

__all__ = ["Boxes", "app"]

_MODEL = YOLO(os.environ["YOLO_MODEL"], verbose=False)
_FOLDER = Path(os.environ["YOLO_FOLDER"])
_LEAST_SCORE = 0.5


class Boxes(LabelStudioMLBase):
    """Boxes with a confidence of at least a half, as the example has it."""

    def predict(self, tasks: list[dict[str, Any]], **_: Any) -> list[dict[str, Any]]:
        """Predict one task after the other."""
        ((from_name, tag),) = self.parsed_label_config.items()
        names = {"from_name": from_name, "to_name": tag["to_name"][0], "type": "rectanglelabels"}
        return [_predict(_kept(task["data"][tag["inputs"][0]["value"]]), names) for task in tasks]


def _predict(path: Path, names: dict[str, str]) -> dict[str, Any]:
    boxes = _MODEL.predict(path, verbose=False)[0].boxes
    columns = boxes.xywhn.tolist(), boxes.conf.tolist(), boxes.cls.int().tolist()
    regions = [
        {**names, "score": score, "value": _place(*box) | {"rectanglelabels": [_MODEL.names[one]]}}
        for box, score, one in zip(*columns, strict=True)
        if score >= _LEAST_SCORE
    ]
    scores = [region["score"] for region in regions]
    return {"result": regions, "score": sum(scores) / max(len(scores), 1)}


def _place(x: float, y: float, width: float, height: float) -> dict[str, Any]:
    corner = {"x": 100 * (x - width / 2), "y": 100 * (y - height / 2)}
    return {**corner, "width": 100 * width, "height": 100 * height}


def _kept(address: str) -> Path:
    path = _FOLDER / (hashlib.sha256(address.encode()).hexdigest() + Path(address).suffix)
    if not path.exists():
        headers = {"Authorization": os.environ["YOLO_AUTHORIZATION"]}
        answer = httpx.get(os.environ["LABEL_STUDIO_URL"] + address, headers=headers)
        path.write_bytes(answer.raise_for_status().content)
    return path


app = init_app(model_class=Boxes, model_dir=str(_FOLDER))
