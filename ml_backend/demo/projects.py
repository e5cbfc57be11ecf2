"""The demo's projects in Label Studio, made through the API the way an admin would."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import httpx
import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray
from PIL import Image

from ml_backend.labelstudio.client import AccessToken
from ml_backend.labelstudio.tasks.importing import import_tasks

__all__ = [
    "CONFIGS",
    "SampleTask",
    "connect_backend",
    "create_project",
    "find_project",
    "human_result",
    "upload_images",
]

_DIGITS = "0123456789"
_COLOURS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"),
)
_LABELS = "".join(
    f'<Label value="{digit}" background="{colour}"/>'
    for digit, colour in zip(_DIGITS, _COLOURS, strict=True)
)
_CHOICES = "".join(f'<Choice value="{digit}"/>' for digit in _DIGITS)

#: Kind of sample project to its labelling config.
CONFIGS = {
    "detection": f"""<View>
  <Image name="image" value="$image" zoom="true"/>
  <RectangleLabels name="label" toName="image" showInline="true">{_LABELS}</RectangleLabels>
</View>""",
    "classification": f"""<View>
  <Image name="image" value="$image"/>
  <Choices name="digit" toName="image" choice="single" showInline="true">{_CHOICES}</Choices>
</View>""",
}

_UPLOAD_BATCH = 50


@dataclass(frozen=True, slots=True)
class SampleTask:
    """One task: an image and what a person said of it.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        label: int (N,), digits; one for a classification task.
        box: float32 (N, 4), x0 y0 x1 y1, pixels; None for a classification task.
    """

    image: NDArray[np.uint8]
    label: Sequence[int] | NDArray[np.int32]
    box: NDArray[np.float32] | None


def find_project(client: LabelStudio, title: str) -> int | None:
    """Return the id of the project of that title, or None."""
    projects: Any = client.projects.list()
    return next((int(project.id) for project in projects if project.title == title), None)


def create_project(
    client: LabelStudio, url: str, kind: str, title: str, tasks: Sequence[SampleTask]
) -> tuple[int, list[int]]:
    """Create a project with uploaded images and human labels.

    Returns:
        the project's id and the task ids, in the order of ``tasks``.
    """
    project = int(client.projects.create(title=title, label_config=CONFIGS[kind]).id or 0)
    addresses = upload_images(client, url, project, [task.image for task in tasks])
    body = [
        {"data": {"image": address}, "annotations": [{"result": human_result(kind, task)}]}
        for address, task in zip(addresses, tasks, strict=True)
    ]
    return project, import_tasks(client, project, body)


def connect_backend(
    client: LabelStudio, project: int, url: str, extra_params: dict[str, str] | str
) -> int:
    """Connect the backend to a project as an admin would; return the connection's id.

    A connection that is there already is kept, and moved when the backend has another port now.
    Settings that are text can be edited in Label Studio's dialog; it shows no others.
    """
    for known in client.ml.list(project=project):
        if known.title == "Relook" and known.id is not None:
            if known.url != url:
                _move(client, project, int(known.id), str(known.url), url)
            return int(known.id)
    said = cast(Any, extra_params)
    made = client.ml.create(url=url, project=project, title="Relook", extra_params=said)
    return int(made.id or 0)


def _move(client: LabelStudio, project: int, connection: int, old: str, new: str) -> None:
    client.ml.update(id=connection, url=new, project=project)
    for webhook in client.webhooks.list(project=str(project)):
        if webhook.url == f"{old}/webhook" and webhook.id is not None:
            client.webhooks.update(id=webhook.id, url=f"{new}/webhook", project=project)


def upload_images(
    client: LabelStudio, url: str, project: int, images: Sequence[NDArray[np.uint8]]
) -> list[str]:
    """Upload images, uint8 (H, W, 3) RGB each; return their addresses."""
    with httpx.Client(base_url=url, auth=AccessToken(client), timeout=60) as session:
        return [
            address
            for start in range(0, len(images), _UPLOAD_BATCH)
            for address in _upload(session, project, images[start : start + _UPLOAD_BATCH], start)
        ]


def _upload(
    session: httpx.Client, project: int, images: Sequence[NDArray[np.uint8]], first: int
) -> list[str]:
    files = [
        (f"file{n}", (f"image-{first + n:04d}.png", _png(image), "image/png"))
        for n, image in enumerate(images)
    ]
    sent = session.post(f"/api/projects/{project}/import?commit_to_project=false", files=files)
    sent.raise_for_status()
    ids = sent.json()["file_upload_ids"]
    listed = session.get(f"/api/projects/{project}/file-uploads", params={"ids": json.dumps(ids)})
    listed.raise_for_status()
    by_id = {upload["id"]: f"/data/{upload['file']}" for upload in listed.json()}
    return [by_id[upload] for upload in ids]


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def human_result(kind: str, task: SampleTask) -> list[dict[str, Any]]:
    """Return what a person said of a task, as Label Studio keeps it."""
    if task.box is None:
        value: dict[str, Any] = {"choices": [str(int(task.label[0]))]}
        return [{"from_name": "digit", "to_name": "image", "type": "choices", "value": value}]
    height, width = task.image.shape[:2]
    percent = task.box * (100.0 / np.array([width, height, width, height]))
    return [
        {
            "id": f"human{n}",
            "from_name": "label",
            "to_name": "image",
            "type": "rectanglelabels",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {
                "x": float(x0),
                "y": float(y0),
                "width": float(x1 - x0),
                "height": float(y1 - y0),
                "rotation": 0,
                "rectanglelabels": [str(int(label))],
            },
        }
        for n, (label, (x0, y0, x1, y1)) in enumerate(zip(task.label, percent, strict=True))
    ]
