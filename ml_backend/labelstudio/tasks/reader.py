"""Tasks, human labels and standing predictions, read from Label Studio as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from ml_backend.labelstudio.approval_marks import Approvals
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.config import LabelingConfig, parse_config
from ml_backend.labelstudio.moments import microseconds, seconds
from ml_backend.labelstudio.regions.results import Labels, Result, decode, digest
from ml_backend.labelstudio.tasks.bodies import number, parts, plain
from ml_backend.labelstudio.tasks.current import acted_at, answered, current_of
from ml_backend.labelstudio.tasks.listing import named_tasks
from ml_backend.marks import SEPARATOR
from ml_backend.prediction.inputs import TaskInputs

__all__ = [
    "OWN_FIELDS",
    "Annotations",
    "Project",
    "Standing",
    "TaskPage",
    "read_config",
    "read_project",
    "read_tasks",
]

#: Fields of a task's data that Relook owns, without their prefix.
OWN_FIELDS = ("flag", "priority", "kind", "reason", "seen", "batch", "hand", "tags")

#: What Label Studio sends other backends of a task and its annotations, whose fields are named in
#: the same list. To tell all that it can costs it half as much again.
_FIELDS = (
    "id,data,meta,created_at,updated_at,is_labeled,overlap,inner_id,project,updated_by,file_upload,"
    "total_annotations,cancelled_annotations,total_predictions,draft_exists,annotations,predictions,"
    "result,was_cancelled,ground_truth,completed_by,lead_time,import_id,task,parent_prediction,"
    "parent_annotation,last_action,last_created_by,draft_created_at,bulk_created"
)


@dataclass(frozen=True, slots=True)
class Project:
    """One project, as far as Relook needs it.

    Attributes:
        id: Label Studio's project id.
        title: what people call it.
        config: its labelling config.
        model_version: the version that pre-labels and whose score the Data Manager shows.
        size: how many tasks it has.
        overlap: how many annotations it asks for per task.
    """

    id: int
    title: str
    config: LabelingConfig
    model_version: str
    size: int
    overlap: int


@dataclass(frozen=True, slots=True)
class Annotations:
    """The current human labels of some tasks, A rows.

    An annotation is current unless it was skipped or superseded: while a task holds no more
    annotations than its overlap asks for, each is current; with more, only the newest is. What the
    model gave is current only while nobody has said anything. The answer out of a relabel batch
    supersedes all that were written before it.

    Attributes:
        id: int64 (A,), Label Studio's annotation id.
        task: int64 (A,), row of the task in its page.
        updated: float64 (A,), seconds since 1970.
        result: each annotation's regions as Label Studio keeps them.
        labels: what they say, one table per control tag, in the config's order.
        approved: bool (A,), whether the model gave it and nobody has edited it since: no person's
            word, so nothing is learnt from it.
        in_pixels: whether their outlines are in pixels, as the store keeps them.
    """

    id: NDArray[np.int64]
    task: NDArray[np.int64]
    updated: NDArray[np.float64]
    result: list[Result]
    labels: tuple[Labels, ...]
    approved: NDArray[np.bool_]
    in_pixels: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Predictions that already stand in Label Studio, P rows."""

    id: NDArray[np.int64]
    task: NDArray[np.int64]
    version: NDArray[np.str_]
    result: list[Result]
    score: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some tasks of one project, T rows.

    Attributes:
        inputs: what the tasks hold for a model.
        own: field of ``OWN_FIELDS`` to the value in each task, None where there is none.
        labelled_at: float64 (T,), when the newest current annotation was written, seconds since
            1970; 0 where nothing is labelled.
        created_at: float64 (T,), when Label Studio made the task, seconds since 1970.
        answered: bool (T,), whether the one current annotation came out of a relabel batch, answers
            one that did not, and was not edited since.
        acted_at: float64 (T,), when a current annotation was last written that may be a reviewer's
            word, seconds since 1970: the only one, one that was edited, or a copy of another. 0
            where each is one of several annotators' own.
        stamp: int64 (T,), when Label Studio last saw the task change, microseconds since 1970.
        digest: str (T,), one per distinct current annotation, joined; "" where nothing is labelled.
        held: row of the task and id of every annotation, current or not.
        approvals: annotations that the model gave.
        begun: bool (T,), whether the task has any annotation, a skipped one too, or a draft.
    """

    inputs: TaskInputs
    own: dict[str, list[Any]]
    labelled_at: NDArray[np.float64]
    created_at: NDArray[np.float64]
    answered: NDArray[np.bool_]
    acted_at: NDArray[np.float64]
    stamp: NDArray[np.int64]
    digest: NDArray[np.str_]
    annotations: Annotations
    standing: Standing
    held: tuple[NDArray[np.int64], NDArray[np.int64]]
    approvals: Approvals
    begun: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def id(self) -> NDArray[np.int64]:
        """int64 (T,), Label Studio's task ids."""
        return self.inputs.id

    @property
    def drafted(self) -> NDArray[np.bool_]:
        """Whether somebody's unsaved work lies on the task, bool (T,)."""
        drafts = (body.get("draft_exists") for body in self.inputs.body)
        return np.fromiter(map(bool, drafts), dtype=np.bool_)

    @property
    def counted(self) -> NDArray[np.int64]:
        """How many predictions Label Studio counts where any stand, int64 (T,).

        0, too, where one has no version: as long as it stands, Label Studio finds the task among
        those without predictions (``changes.read_states``).
        """
        counts = np.zeros(len(self), dtype=np.int64)
        for row, body in enumerate(self.inputs.body):
            versions = [one.get("model_version") for one in parts(body, "predictions")]
            if versions and None not in versions:
                counts[row] = body.get("total_predictions") or 0
        return counts

    def said(self, name: str) -> NDArray[np.str_]:
        """Return one of ``own`` as texts, str (T,): "" where there is none, or no text."""
        return np.array([_text(value) for value in self.own[name]], dtype=np.str_)


def read_project(client: LabelStudio, project: int) -> Project:
    """Read one project.

    Raises:
        LabelStudioError: when it cannot be read.
        ConfigError: when its labelling config cannot be served.
    """
    with explained(f"reading project {project}"):
        found = client.projects.get(id=project)
    config = parse_config(found.label_config or "<View/>")
    return Project(
        id=project,
        title=found.title or "",
        config=config,
        model_version=found.model_version or "",
        size=int(found.task_number or 0),
        overlap=int(found.maximum_annotations or 1),
    )


def read_config(client: LabelStudio, project: int) -> str:
    """Read a project's labelling config as it was typed.

    Raises:
        LabelStudioError: when it cannot be read.
    """
    with explained(f"reading project {project}"):
        return client.projects.get(id=project).label_config or "<View/>"


def read_tasks(
    client: LabelStudio,
    project: Project,
    prefix: str,
    ids: Sequence[int] | NDArray[np.int64],
) -> Iterator[TaskPage]:
    """Read tasks by id, a page at a time; ids that are gone are left out.

    Args:
        client: a signed-in client.
        project: the project they belong to.
        prefix: what the names of Relook's own fields begin with.
        ids: the tasks to read.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    for found in named_tasks(client, project.id, ids, _FIELDS, whole=True):
        yield _page([plain(task) for task in found], project.config, prefix)


def _page(tasks: list[dict[str, Any]], config: LabelingConfig, prefix: str) -> TaskPage:
    approvals = Approvals.among(
        [(parts(task, "annotations"), parts(task, "predictions")) for task in tasks]
    )
    approved = set(approvals.id.tolist())
    current = [current_of(task, approved) for task in tasks]
    annotations = _annotations(current, config, approved)
    standing = [
        (row, prediction)
        for row, task in enumerate(tasks)
        for prediction in parts(task, "predictions")
    ]
    labelled_at = np.zeros(len(tasks))
    np.maximum.at(labelled_at, annotations.task, annotations.updated)
    said: list[list[Result]] = [[] for _ in tasks]
    for row, result in zip(annotations.task, annotations.result, strict=True):
        said[row].append(result)
    return TaskPage(
        inputs=TaskInputs(
            np.array([task["id"] for task in tasks], dtype=np.int64),
            [{**task, "predictions": [plain(p) for p in task["predictions"]]} for task in tasks],
        ),
        own={name: [task["data"].get(f"{prefix}_{name}") for task in tasks] for name in OWN_FIELDS},
        labelled_at=labelled_at,
        created_at=np.array([seconds(task["created_at"]) for task in tasks], dtype=np.float64),
        answered=np.array(
            [answered(task, some) for task, some in zip(tasks, current, strict=True)],
            dtype=np.bool_,
        ),
        acted_at=np.array([acted_at(some) for some in current], dtype=np.float64),
        stamp=np.array([microseconds(task["updated_at"]) for task in tasks], dtype=np.int64),
        digest=np.array([_digests(results) for results in said], dtype=np.str_),
        annotations=annotations,
        standing=Standing(
            np.array([prediction["id"] for _, prediction in standing], dtype=np.int64),
            np.array([row for row, _ in standing], dtype=np.int64),
            np.array([_text(p.get("model_version")) for _, p in standing], dtype=np.str_),
            [prediction.get("result") or [] for _, prediction in standing],
            np.array([number(prediction.get("score")) for _, prediction in standing]),
        ),
        held=_held(tasks),
        approvals=approvals,
        begun=np.array(
            [bool(task.get("annotations") or task.get("draft_exists")) for task in tasks],
            dtype=np.bool_,
        ),
    )


def _digests(results: list[Result]) -> str:
    return SEPARATOR.join(sorted({digest([result]) for result in results}))


def _held(tasks: list[dict[str, Any]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    pairs = [
        (row, annotation["id"])
        for row, task in enumerate(tasks)
        for annotation in parts(task, "annotations")
    ]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _annotations(
    current: list[list[dict[str, Any]]], config: LabelingConfig, approved: set[int]
) -> Annotations:
    rows = [(row, annotation) for row, found in enumerate(current) for annotation in found]
    results = [annotation.get("result") or [] for _, annotation in rows]
    return Annotations(
        np.array([annotation["id"] for _, annotation in rows], dtype=np.int64),
        np.array([row for row, _ in rows], dtype=np.int64),
        np.array([seconds(annotation["updated_at"]) for _, annotation in rows], dtype=np.float64),
        results,
        tuple(decode(control, results) for control in config.controls),
        np.array([annotation["id"] in approved for _, annotation in rows], dtype=np.bool_),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
