"""Answers in relabel projects: read there, and written to the tasks that they are about."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import httpx
import numpy as np
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError
from numpy.typing import NDArray
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed

from ml_backend.errors import LabelStudioError, ProjectGoneError, TokenRefusedError
from ml_backend.labelstudio.approval_marks import unedited
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.moments import seconds
from ml_backend.labelstudio.regions.results import Result, digest
from ml_backend.labelstudio.tasks.bodies import author, identity, overtaken, parts, plain
from ml_backend.labelstudio.tasks.filters import condition
from ml_backend.labelstudio.tasks.listing import list_tasks, named_tasks
from ml_backend.labelstudio.tasks.reader import TaskPage
from ml_backend.marks import SEPARATOR
from ml_backend.review.batch import Answers, Originals, Sent

__all__ = ["Relabelled", "originals", "read_answered", "read_relabelled", "write_answers"]

_PAGE: Final = 200
#: Of tasks, and of their annotations: those are named in the same list.
_FIELDS: Final = (
    "id,data,annotations,result,was_cancelled,completed_by,lead_time,created_at,updated_at"
)
#: As many as keep Label Studio busy: with more at once, each costs its one core more.
_PARALLEL: Final = 2
#: Answers get a name of their own in it, which Label Studio takes only once.
_NAMES: Final = uuid.UUID("6f1c1c5e-7a0b-5d3a-9a55-0f6f2f1f7a11")
#: Answers of a Label Studio that is away or busy, or of a proxy before it: any write meets them.
_AWAY: Final = (404, 408, 425, 429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Relabelled:
    """Some tasks of one relabel project, B rows, all out of one source project.

    Attributes:
        source: the source project.
        sent: what was sent.
        answers: what was answered.
        annotation: the annotation of each answer as Label Studio has it; empty for none.
    """

    source: int
    sent: Sent
    answers: Answers
    annotation: Sequence[Mapping[str, Any]]

    def names(self) -> list[str]:
        """Return the name under which each answer is written, "" for none; each save has another.

        Label Studio takes it only once, as long as the annotation stands.
        """
        return [_name(one) if one else "" for one in self.annotation]

    @property
    def sources(self) -> NDArray[np.int64]:
        """The source tasks that are known, ascending."""
        return np.unique(self.sent.source[self.sent.source > 0])


def read_answered(client: LabelStudio, project: int) -> list[int]:
    """Return the tasks of a relabel project that hold an annotation.

    Raises:
        LabelStudioError: when they cannot be listed.
    """
    some = condition("total_annotations", "Number", 0, "greater")
    with explained(f"listing the answers in project {project}"):
        return [int(task.id) for task in list_tasks(client, project, "id", some)]


def read_relabelled(
    client: LabelStudio, project: int, tasks: Sequence[int] | None = None
) -> list[Relabelled]:
    """Read tasks of a relabel project, one table per source project.

    Args:
        client: a signed-in client.
        project: the relabel project.
        tasks: which; all by default. Those that are gone, or were not sent, are left out; one
            whose data names its source task no longer is a row with the source -1.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    by_source: dict[int, list[dict[str, Any]]] = {}
    for task in _read(client, project, tasks):
        source = identity(task["data"].get("relook_source_project"))
        if source > 0 and task["data"].get("relook_sent_batch"):
            by_source.setdefault(source, []).append(task)
    return [_table(source, found) for source, found in sorted(by_source.items())]


def originals(
    relabelled: Relabelled, pages: Sequence[TaskPage], written: Mapping[int, str]
) -> Originals:
    """Return how the source tasks stand, row by row.

    Args:
        relabelled: what was sent.
        pages: the source tasks.
        written: relabel task to the name under which its answer was written to the source task.
    """
    place = {task: (page, row) for page in pages for row, task in enumerate(page.id.tolist())}
    found = [place.get(source) for source in relabelled.sent.source.tolist()]
    back = [
        _came_back(at[0].inputs.body[at[1]], answer) if at and answer >= 0 else None
        for at, answer in zip(found, relabelled.answers.id.tolist(), strict=True)
    ]
    came_back = zip(back, found, relabelled.sent.digest.tolist(), strict=True)
    named = zip(relabelled.sent.task.tolist(), relabelled.names(), strict=True)
    return Originals(
        there=np.array([at is not None for at in found], dtype=np.bool_),
        label=np.array([_current(*at) if at else -1 for at in found], dtype=np.int64),
        digest=np.array([str(at[0].digest[at[1]]) if at else "" for at in found], dtype=np.str_),
        back=np.array([digest([_result(one)]) if one else "" for one in back], dtype=np.str_),
        made=np.array([seconds(one["created_at"]) if one else 0.0 for one in back]),
        written=np.array([seconds(one["updated_at"]) if one else 0.0 for one in back]),
        untouched=np.array([one is None or unedited(one) for one in back], dtype=np.bool_),
        overtaken=np.array(
            [_overtaken(one, at, sent) if one and at else False for one, at, sent in came_back],
            dtype=np.bool_,
        ),
        returned=np.array([written.get(copy) == name for copy, name in named], dtype=np.bool_),
    )


def write_answers(
    client: LabelStudio,
    answers: Sequence[tuple[Mapping[str, Any], int, int]],
) -> list[LabelStudioError | None]:
    """Write answers to their source tasks, each as a new annotation by whoever gave it.

    Label Studio takes an annotation's unique id once: what was written before, by a job that died
    or by one at the same time, is not written again.

    Args:
        client: a signed-in client.
        answers: the annotation in the relabel project, the source task, and the annotation there
            that it answers, -1 for none.

    Returns:
        of each answer None where its task has it now, ``ProjectGoneError`` where the task is gone,
        else why Label Studio refuses this one.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses all.
    """
    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(lambda one: _write(client, *one), answers))


def _write(
    client: LabelStudio, annotation: Mapping[str, Any], source: int, answers: int
) -> LabelStudioError | None:
    origin = {"parent_annotation": answers} if answers >= 0 else {}
    by = {"completed_by": user} if (user := author(annotation)) is not None else {}
    # A busy database is no refusal: its unique id keeps the answer from standing there twice.
    tries = Retrying(
        stop=stop_after_attempt(2),
        wait=wait_fixed(1),
        retry=retry_if_exception(lambda error: _status(error) == httpx.codes.INTERNAL_SERVER_ERROR),
        reraise=True,
    )
    try:
        with explained(f"writing the answer to task {source}"):
            tries(
                client.annotations.create,
                id=source,
                result=annotation["result"] or [],
                import_id=int(annotation["id"]),
                unique_id=_name(annotation),
                lead_time=annotation.get("lead_time") or 0.0,
                **by,
                **origin,
            )
    except ProjectGoneError as error:
        return error
    except LabelStudioError as error:
        status = _status(error.__cause__)
        if status is None or status in _AWAY or isinstance(error, TokenRefusedError):
            raise
        return None if status == httpx.codes.CONFLICT else error
    return None


def _status(error: BaseException | None) -> int | None:
    return error.status_code if isinstance(error, ApiError) else None


def _name(annotation: Mapping[str, Any]) -> str:
    moment = round(seconds(annotation["updated_at"]) * 1e6)
    return str(uuid.uuid5(_NAMES, f"{annotation['id']} {moment}"))


def _current(page: TaskPage, row: int) -> int:
    found = page.annotations.id[page.annotations.task == row]
    return int(found[-1]) if len(found) else -1


def _came_back(task: Mapping[str, Any], answer: int) -> dict[str, Any] | None:
    found = parts(task, "annotations")
    found = [one for one in found if one.get("import_id") == answer]
    return max(found, key=lambda one: seconds(one["created_at"]), default=None)


def _overtaken(answer: Mapping[str, Any], at: tuple[TaskPage, int], sent: str) -> bool:
    """Tell whether the source was labelled, or its label edited, while an answer was written."""
    page, row = at
    beside = {one["id"]: one for one in parts(page.inputs.body[row], "annotations")}
    if overtaken(answer, beside):
        return True
    label = beside.get(answer.get("parent_annotation") or 0)
    if label is None or seconds(label["updated_at"]) >= seconds(answer["created_at"]):
        return False
    if label.get("import_id") == answer["import_id"]:
        return not unedited(label)
    return digest([_result(label)]) not in sent.split(SEPARATOR)


def _read(
    client: LabelStudio, project: int, tasks: Sequence[int] | None
) -> Iterator[dict[str, Any]]:
    if tasks is not None:
        for some in named_tasks(client, project, tasks, _FIELDS, whole=True):
            yield from map(plain, some)
        return
    with explained(f"reading the tasks of relabel project {project}"):
        pages: Any = client.tasks.list(
            project=project, fields="all", include=_FIELDS, page_size=_PAGE, resolve_uri=False
        )
        yield from map(plain, pages)


def _table(source: int, tasks: list[dict[str, Any]]) -> Relabelled:
    answer = [_newest(task) for task in tasks]
    given = np.array([one is not None for one in answer], dtype=np.bool_)
    data = [task["data"] for task in tasks]
    return Relabelled(
        source,
        Sent(
            np.array([task["id"] for task in tasks], dtype=np.int64),
            np.array([identity(one.get("relook_source_task")) for one in data], dtype=np.int64),
            np.array([str(one["relook_sent_batch"]) for one in data], dtype=np.str_),
            np.array([str(one.get("relook_sent_digest") or "") for one in data], dtype=np.str_),
        ),
        Answers(
            np.array([one["id"] if one else -1 for one in answer], dtype=np.int64),
            np.array([digest([_result(one)]) if one else "" for one in answer], dtype=np.str_),
            np.array([seconds(one["created_at"]) if one else 0.0 for one in answer]),
            np.array([seconds(one["updated_at"]) if one else 0.0 for one in answer]),
            np.array([bool(task.get("annotations")) for task in tasks], dtype=np.bool_) & ~given,
        ),
        [one or {} for one in answer],
    )


def _newest(task: dict[str, Any]) -> dict[str, Any] | None:
    found = parts(task, "annotations")
    found = [one for one in found if not one.get("was_cancelled")]
    return max(found, key=lambda one: seconds(one["updated_at"]), default=None)


def _result(annotation: Mapping[str, Any]) -> Result:
    return annotation["result"] or []
