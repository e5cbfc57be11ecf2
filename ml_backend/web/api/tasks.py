"""Single tasks: what people and the model say of them, and their pictures."""

from __future__ import annotations

from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, HTTPException, Query, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel

from ml_backend.labelstudio.config import Control
from ml_backend.labelstudio.tasks.annotators import NOBODY
from ml_backend.labelstudio.tasks.tags import SEPARATOR
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.storage.labels import StoredLabels
from ml_backend.web.access.permission import WHO, Access
from ml_backend.web.numbers import Id
from ml_backend.web.projects import OpenProject, Projects
from ml_backend.web.rings import drawable
from ml_backend.web.threads import Threads
from ml_backend.web.thumbnails import Thumbnails

__all__ = ["tasks_api"]

_MOST: Final = 500
_WEBP: Final = "image/webp"
#: What is shown beside a label: the model's weaker guesses are noise to the eye.
_LEAST_SHOWN: Final = 0.1


class HumanRegion(BaseModel):
    """A region that somebody drew; ``outline`` as docs/api.md says."""

    annotation: int
    annotator: str
    label: str
    outline: Any


class ModelRegion(BaseModel):
    """A region that the model sees, or a class for a whole input."""

    label: str
    score: float
    outline: Any


class TaskDetail(BaseModel):
    """One task; ``text`` is what the control tag labels, null for an image, "" if not kept."""

    task: int
    url: str
    width: int | None
    height: int | None
    text: str | None
    reason: str
    kind: str
    priority: float | None
    flag: str
    tags: list[str]
    human: list[HumanRegion]
    model: list[ModelRegion]


def tasks_api(
    projects: Projects, access: Access, threads: Threads, thumbnails: Thumbnails
) -> APIRouter:
    """Return the routes ``/api/projects/{project}/tasks``.

    Args:
        projects: the projects.
        access: who says which project a caller may read.
        threads: where columns are read and pictures are made.
        thumbnails: makes pictures.
    """
    router = APIRouter(prefix="/api/projects/{project}/tasks", tags=["tasks"])

    @router.get("")
    async def some(
        project: Id,
        request: Request,
        ids: Annotated[str, Query(max_length=10_000)],
        control: str = "",
    ) -> list[TaskDetail]:
        """Several tasks by their ids, joined by commas; those that are not known are left out."""
        await access.require(request, project)
        parts = [part.strip() for part in ids.split(",") if part.strip()]
        if len(parts) > _MOST or not all(part.isdecimal() and len(part) < 18 for part in parts):
            raise HTTPException(422, f"ids wants at most {_MOST} task ids joined by commas")
        opened = await threads.light(projects.open, project)
        tag = opened.control(control)
        people = await threads.light(projects.people)
        return await threads.light(_details, opened, tag, people, list(map(int, parts)))

    @router.get("/{task}")
    async def one(project: Id, task: Id, request: Request, control: str = "") -> TaskDetail:
        await access.require(request, project)
        opened = await threads.light(projects.open, project)
        tag = opened.control(control)
        people = await threads.light(projects.people)
        found = await threads.light(_details, opened, tag, people, [task])
        if not found:
            raise _unknown(task)
        return found[0]

    @router.get("/{task}/image", response_class=Response)
    async def image(
        project: Id,
        task: Id,
        request: Request,
        size: Annotated[int, Query(ge=64, le=2048)] = 256,
        crop: Annotated[str, Query(max_length=100)] = "",
        control: str = "",
    ) -> Response:
        """A WebP of the task's image, or of a part of it, no larger than ``size`` pixels."""
        await access.require(request, project)
        opened = await threads.light(projects.open, project)
        tag = opened.control(control)
        if tag.reads != "image":
            raise HTTPException(404, f"{tag.name!r} labels texts, which have no image")
        address = await threads.light(_address, opened, tag, task)
        if address is None:
            raise _unknown(task)
        box = _crop(crop)
        made = await threads.image(thumbnails.get, task, address, size, box)
        headers = {"ETag": f'"{made.tag}"', "Cache-Control": "private, max-age=300", "Vary": WHO}
        if made.tag in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=headers)
        return Response(made.content, media_type=_WEBP, headers=headers)

    return router


def _unknown(task: int) -> HTTPException:
    return HTTPException(404, f"task {task} has not been read yet in this project: start a run")


def _crop(text: str) -> tuple[int, int, int, int] | None:
    if not text:
        return None
    try:
        x0, y0, x1, y1 = (round(float(part)) for part in text.split(","))
    except (ValueError, OverflowError):
        raise HTTPException(422, "crop wants x0,y0,x1,y1 in pixels") from None
    return x0, y0, x1, y1


def _address(opened: OpenProject, control: Control, task: int) -> str | None:
    """Where a task's image is, by what was read of the task: None where it never was."""
    columns = ("task", "source_keys", "sources")
    rows = opened.services.page.tasks(opened.id, _ids([task]), columns).to_pylist()
    if not rows:
        return None
    return _of_key(control, rows[0]["source_keys"], rows[0]["sources"], "\n")


def _text(control: Control, row: dict[str, Any]) -> str | None:
    if control.reads != "text":
        return None
    return _of_key(control, row["text_keys"], row["text"], SEPARATOR)


def _of_key(control: Control, keys: str, values: str, between: str) -> str:
    """What stands in the key that a control tag labels, of what is kept of several."""
    found = dict(zip(keys.split("\n"), values.split(between), strict=True))
    return found.get(control.data_key, "")


def _details(
    opened: OpenProject, control: Control, people: dict[int, str], wanted: list[int]
) -> list[TaskDetail]:
    services = opened.services
    tasks = np.unique(_ids(wanted))
    rows = services.page.tasks(opened.id, tasks)
    found = services.page.found(
        opened.id, control, tasks, ("task", "control", "priority", "kind", "reason")
    )
    scored = {row["task"]: row for row in found.to_pylist()}
    labels = services.store.get_labels(opened.id, control, tasks)
    human = _human(control, labels)
    sizes = _sizes(labels.task, labels.size)
    model: dict[int, list[ModelRegion]] = {}
    table = opened.predictions(control, tasks)
    if table is not None:
        model = _model(control, table, tasks)
        sizes |= _sizes(tasks[table.found], table.predictions.size)
    details = {}
    for row in rows.to_pylist():
        task, by = row["task"], dict(zip(row["unit"], row["by"], strict=True))
        said = scored.get(task, {})
        width, height = sizes.get(task, (None, None))
        details[task] = TaskDetail(
            task=task,
            url=opened.address(task),
            width=width,
            height=height,
            text=_text(control, row),
            reason=said.get("reason") or "",
            kind=said.get("kind") or "",
            priority=_known(said.get("priority")),
            flag=row["flag"],
            tags=[tag for tag in row["tags"].split("\n") if tag],
            human=[
                HumanRegion(
                    annotation=unit,
                    annotator=_name(people, by.get(unit, NOBODY)),
                    label=label,
                    outline=outline,
                )
                for unit, label, outline in human.get(task, [])
            ],
            model=model.get(task, []),
        )
    return [details[task] for task in dict.fromkeys(wanted) if task in details]


def _sizes(
    tasks: NDArray[np.int64], size: NDArray[np.int32]
) -> dict[int, tuple[int | None, int | None]]:
    return {
        task: (width or None, height or None)
        for task, (width, height) in zip(tasks.tolist(), size.tolist(), strict=True)
    }


def _human(control: Control, labels: StoredLabels) -> dict[int, list[tuple[int, str, Any]]]:
    """Annotation, label and outline of each region, in the order of the points."""
    order = np.argsort(labels.region_unit, kind="stable")
    task_of = dict(zip(labels.unit.tolist(), labels.task.tolist(), strict=True))
    names = [*control.labels, ""]
    shown = drawable(control.geometry, labels.outline)
    made: dict[int, list[tuple[int, str, Any]]] = {}
    for row in order.tolist():
        unit = int(labels.region_unit[row])
        label = int(labels.label[row])
        name = names[label] if label < len(control.labels) else ""
        made.setdefault(task_of[unit], []).append((unit, name, shown[row]))
    return made


def _model(
    control: Control, table: ControlPredictions, tasks: NDArray[np.int64]
) -> dict[int, list[ModelRegion]]:
    said, at = table.predictions, tasks[table.found]
    made: dict[int, list[ModelRegion]] = {}
    if control.geometry == "choice":
        for task, probs in zip(at.tolist(), said.probs, strict=True):
            order = [one for one in np.argsort(-probs).tolist() if probs[one] >= _LEAST_SHOWN]
            made[task] = [
                ModelRegion(label=control.labels[one], score=float(probs[one]), outline=None)
                for one in order
            ]
        return made
    kept = said.only((said.label >= 0) & (said.score >= _LEAST_SHOWN))
    shown = drawable(control.geometry, kept.outline)
    for row in np.argsort(-kept.score, kind="stable").tolist():
        region = ModelRegion(
            label=control.labels[int(kept.label[row])],
            score=float(kept.score[row]),
            outline=shown[row],
        )
        made.setdefault(int(at[kept.item[row]]), []).append(region)
    return made


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def _name(people: dict[int, str], person: int) -> str:
    return people.get(person, str(person)) if person != NOBODY else ""


def _ids(tasks: list[int]) -> NDArray[np.int64]:
    return np.array(tasks, dtype=np.int64)
