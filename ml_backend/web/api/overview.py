"""A project at a glance: agreement by class, the queue, and how many labels are wrong."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final

import anyio
import numpy as np
import pyarrow as pa
from cachetools import LRUCache
from fastapi import APIRouter, HTTPException, Query, Request
from numpy.typing import NDArray
from pydantic import BaseModel

from analysis import error_rate
from analysis.findings import NONE
from ml_backend.jobs.project.lessons import Lessons
from ml_backend.jobs.project.queue_history import QueueHistory
from ml_backend.labelstudio.config import Control
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.review.decide import CONFIRMED, CORRECTED, NEEDS_REVIEW
from ml_backend.scoring.agreed import agreed, cells
from ml_backend.storage.labels import StoredLabels
from ml_backend.storage.plane import Part, get_plane
from ml_backend.web.access.permission import Access
from ml_backend.web.numbers import Id
from ml_backend.web.projects import OpenProject, Projects, shown_version
from ml_backend.web.threads import Threads

__all__ = ["overview_api"]

_BINS: Final = 20
_SHOWN: Final = ("priority", "confidence", "outlier")
_MOST_KEPT: Final = 64
_MOST_WAITING: Final = 16


class ClassScore(BaseModel):
    """Agreement of people and model on one class; null where there was nothing to count."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    ap: float | None
    support: int


class Confusion(BaseModel):
    """Rows are people's classes, columns the model's; the last of each is the background."""

    labels: list[str]
    counts: list[list[int]]


class Cell(BaseModel):
    """What one cell of the confusion counts, entry by entry.

    ``regions`` are places in their task's ``human`` list, -1 for a whole input: where the model
    alone says something, and for choices. A task that is counted several times is there as often.
    """

    part: Part
    tasks: list[int]
    regions: list[int]


class Histogram(BaseModel):
    """How many tasks have a value between two edges."""

    edges: list[float]
    counts: list[int]


class ErrorShare(BaseModel):
    """The estimated share of labelled tasks with an error, with its 95 % interval."""

    estimate: float
    low: float
    high: float
    reviewed: int


class QueueHour(BaseModel):
    """The queue at one time: open by then, and resolved until then."""

    time: float
    open: int
    resolved: int


class Queue(BaseModel):
    """The queue as it stands, in tasks."""

    open: int
    corrected: int
    confirmed: int


class Overview(BaseModel):
    """A project at a glance."""

    classes: list[ClassScore]
    confusion: Confusion
    histograms: dict[str, Histogram]
    error_share: ErrorShare | None
    burn_down: list[QueueHour]
    queue: Queue


def overview_api(projects: Projects, access: Access, threads: Threads) -> APIRouter:
    """Return the routes ``/api/projects/{project}/overview`` and ``.../cell``.

    Args:
        projects: the projects.
        access: who says which project a caller may read.
        threads: where columns are counted.
    """
    router = APIRouter(prefix="/api/projects/{project}", tags=["overview"])
    made = LRUCache[str, dict[str, Any]](_MOST_KEPT)
    # One at a time: whoever asks for ever new numbers leaves a thread to the others.
    counting = anyio.Lock()

    def refuse_many() -> None:
        if counting.statistics().tasks_waiting >= _MOST_WAITING:
            raise HTTPException(429, "too many ask for new numbers; wait", {"Retry-After": "5"})

    @router.get("/overview")
    async def overview(
        project: Id,
        request: Request,
        control: str = "",
        iou: Annotated[float, Query(gt=0, le=1)] = 0.5,
        confidence: Annotated[float | None, Query(ge=0, le=1)] = None,
    ) -> Overview:
        """Numbers at one overlap and confidence; the project's own where none are given."""
        await access.require(request, project)
        opened = await threads.light(projects.open, project)
        tag = opened.control(control)
        least = opened.threshold(tag) if confidence is None else confidence
        key = await threads.light(_key, opened, tag.name, tag.labels, iou, least)
        found = made.get(key)
        if found is None:
            refuse_many()
            async with counting:
                found = made.get(key) or await threads.heavy(_count, opened, tag, iou, least)
        if found is None:
            raise HTTPException(404, f"nothing of {tag.name!r} has been scored yet: start a run")
        made[key] = found
        history = QueueHistory(projects.services.mailbox.redis)
        hours = await threads.light(history.burn_down, project, found["queue"].open)
        return Overview(**found, burn_down=[QueueHour.model_validate(one) for one in hours])

    @router.get("/cell")
    async def cell(
        project: Id,
        request: Request,
        control: str = "",
        human: str | None = None,
        model: str | None = None,
        iou: Annotated[float, Query(gt=0, le=1)] = 0.5,
        confidence: Annotated[float | None, Query(ge=0, le=1)] = None,
    ) -> Cell:
        """What a cell of the confusion counts; a class that is not named stands for nothing."""
        await access.require(request, project)
        opened = await threads.light(projects.open, project)
        tag = opened.control(control)
        place = (_place(tag, human), _place(tag, model))
        least = opened.threshold(tag) if confidence is None else confidence
        refuse_many()
        async with counting:
            return await threads.heavy(_cell, opened, tag, place, iou, least)

    return router


def _place(control: Control, label: str | None) -> int:
    """Row or column of a class in the confusion."""
    if label is None:
        return len(control.labels)
    if label not in control.labels:
        raise HTTPException(404, f"{control.name!r} has no label {label[:100]!r}")
    return control.labels.index(label)


def _cell(
    opened: OpenProject, control: Control, place: tuple[int, int], iou: float, confidence: float
) -> Cell:
    human, model = place
    whole = control.geometry == "choice" or human == len(control.labels)
    part: Part = "inputs" if whole else "regions"
    stored = _stored(opened, control)
    if stored is None:
        return Cell(part=part, tasks=[], regions=[])
    found = cells(*stored, iou, confidence)
    here = np.flatnonzero((found.given == human) & (found.said == model))
    order = here[np.lexsort((found.region[here], found.task[here]))]
    return Cell(part=part, tasks=found.task[order].tolist(), regions=found.region[order].tolist())


def _key(opened: OpenProject, *asked: Any) -> str:
    """Name numbers by what is asked and by the version of what they are counted of."""
    said = (opened.id, *asked, shown_version(opened.services, opened.id))
    return hashlib.blake2b(repr(said).encode()).hexdigest()


def _count(
    opened: OpenProject, control: Control, iou: float, confidence: float
) -> dict[str, Any] | None:
    columns = opened.services.page
    found = columns.found(opened.id, control, columns=("task", "control", *_SHOWN))
    if not len(found):
        return None
    tasks = columns.tasks(opened.id, columns=("task", "flag", "flag_kind", "flag_score"))
    flag = np.array(tasks["flag"].to_pylist(), dtype=np.str_)
    values = {name: found[name].to_numpy() for name in _SHOWN}
    plane = get_plane(opened.services.store, opened.id, control.name, "inputs")
    if plane is not None and np.isnan(values["outlier"]).all():
        values["outlier"] = plane.outlier
    return {
        **_agreement(opened, control, iou, confidence),
        "histograms": {name: _histogram(column) for name, column in values.items()},
        "error_share": _error_share(opened, found, tasks),
        "queue": Queue(
            open=int((flag == NEEDS_REVIEW).sum()),
            corrected=int((flag == CORRECTED).sum()),
            confirmed=int((flag == CONFIRMED).sum()),
        ),
    }


def _agreement(
    opened: OpenProject, control: Control, iou: float, confidence: float
) -> dict[str, Any]:
    stored = _stored(opened, control)
    if stored is None:
        return {"classes": [], "confusion": Confusion(labels=[], counts=[])}
    found = agreed(*stored, iou, confidence)
    classes = [
        ClassScore(
            label=name,
            precision=_known(found.precision[k]),
            recall=_known(found.recall[k]),
            f1=_known(found.f1[k]),
            ap=_known(found.ap[k]),
            support=int(found.support[k]),
        )
        for k, name in enumerate(control.labels)
    ]
    names = [*control.labels, "background"]
    return {
        "classes": classes,
        "confusion": Confusion(labels=names, counts=found.confusion.tolist()),
    }


def _stored(
    opened: OpenProject, control: Control
) -> tuple[ControlPredictions, StoredLabels, NDArray[np.int64]] | None:
    """Predictions of the tasks that people have labelled, and these labels; None without any."""
    labels = opened.services.store.get_labels(opened.id, control).of_people()
    tasks = np.unique(labels.task)
    table = opened.predictions(control, tasks)
    if table is None or not table.found.any():
        return None
    return table, labels, tasks


def _histogram(values: NDArray[np.float32]) -> Histogram:
    known = values[~np.isnan(values)]
    counts, edges = np.histogram(known, bins=_BINS, range=(0, 1))
    return Histogram(edges=edges.round(4).tolist(), counts=counts.tolist())


def _error_share(opened: OpenProject, found: pa.Table, tasks: pa.Table) -> ErrorShare | None:
    """Estimate it from what scoring says and what reviewers have answered."""
    if not len(tasks):
        return None
    scored, known = found["task"].to_numpy(), tasks["task"].to_numpy()
    place = np.searchsorted(known, scored).clip(max=len(known) - 1)
    flag = np.array(tasks["flag"].to_pylist(), dtype=np.str_)[place]
    word = np.where(known[place] == scored, flag, "")
    verdict = np.where(word == CORRECTED, 1, np.where(word == CONFIRMED, 0, NONE))
    lessons = Lessons(opened.services, opened.id, opened.settings.field_prefix)
    flagged = lessons.worth(tasks["flag_kind"].to_pylist(), tasks["flag_score"].to_numpy())[place]
    now = found["priority"].to_numpy()
    # A verdict is on the label as it was flagged, not on what it was mended to. One on a flag that
    # had no score, as a hand sets it, counts all the same.
    judged = np.where(np.isnan(flagged), np.fmax(now, verdict), flagged)
    probability = np.where(verdict == NONE, now, judged)
    there = ~np.isnan(probability)
    if not there.any():
        return None
    estimate = error_rate.from_queue(probability[there].clip(0, 1), verdict[there])
    return ErrorShare(
        estimate=estimate.share,
        low=estimate.low,
        high=estimate.high,
        reviewed=estimate.verdicts,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
