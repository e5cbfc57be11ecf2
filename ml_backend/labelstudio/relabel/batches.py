"""Relabel projects: found, made and filled; what nobody has answered is withdrawn."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from label_studio_sdk import LabelStudio

from ml_backend.errors import SettingsError
from ml_backend.labelstudio.bulk import run_action
from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.regions.suggestions import SUGGESTION_VERSION
from ml_backend.labelstudio.tasks.bodies import number
from ml_backend.labelstudio.tasks.filters import condition, every
from ml_backend.labelstudio.tasks.importing import UNTOUCHED, import_tasks
from ml_backend.labelstudio.tasks.listing import list_tasks
from ml_backend.labelstudio.tasks.reader import OWN_FIELDS, Project, TaskPage, read_project
from ml_backend.labelstudio.writer import set_model_version

__all__ = [
    "CURRENT_LABEL",
    "adopt_project",
    "find_relabel_projects",
    "make_relabel_project",
    "read_untouched",
    "relabel_task",
    "send_tasks",
    "sources_of",
    "withdraw",
    "withdraw_bare",
]


#: The model version under which a relabel task holds the label as it was sent.
CURRENT_LABEL: Final = "current-label"
#: The lowest score of the preloaded prediction first: the highest priority.
_BY_PRIORITY: Final = "Uncertainty sampling"
#: Label Studio takes no longer title.
_TITLE: Final = 50
#: Addresses that Label Studio opens only for a project with the storage they lie in.
_CLOUD: Final = ("s3://", "gs://", "azure-blob://", "azure_spi://")
#: What ``_mark`` writes.
_MARKED: Final = re.compile(r"\[relook: relabels ([0-9]{1,15})\]")


def find_relabel_projects(client: LabelStudio, source: int) -> dict[int, str]:
    """Return the projects that tasks of one project are sent to, oldest first, and their notes.

    Their description says it: that stands in Label Studio, whatever is lost here.

    Raises:
        LabelStudioError: when they cannot be listed.
    """
    with explained("listing the projects"):
        pages: Any = client.projects.list(include="id,description", page_size=100)
        found = {int(one.id): one.description or "" for one in pages}
    return {one: found[one] for one in sorted(found) if _mark(source) in found[one]}


def sources_of(client: LabelStudio, target: int) -> set[int]:
    """Return the projects whose tasks a relabel project was made or adopted for.

    Raises:
        LabelStudioError: when it cannot be read.
    """
    with explained(f"reading project {target}"):
        description = client.projects.get(id=target).description or ""
    return {int(source) for source in _MARKED.findall(description)}


def make_relabel_project(client: LabelStudio, source: Project, note: str) -> int:
    """Make a project with the source's labelling config, which serves its tasks by priority.

    Args:
        client: a signed-in client.
        source: the project whose tasks it is for.
        note: kept in its description, by which a job that is run again finds it.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    with explained(f"making the relabel project of project {source.id}"):
        made = client.projects.create(
            title=f"Relabel: {source.title}"[:_TITLE],
            description=(
                f"Tasks of project {source.id} for a second look. What is submitted here goes back "
                f"there. {_mark(source.id)} {note}"
            ),
            label_config=source.config.xml,
            sampling=_BY_PRIORITY,
            show_collab_predictions=True,
            maximum_annotations=1,
        )
    return int(made.id or 0)


def adopt_project(client: LabelStudio, source: Project, target: int) -> str:
    """Let an existing project take tasks of the source.

    Returns:
        what its people should know of the order that it serves them in; "" for nothing.

    Raises:
        SettingsError: when its labelling config differs, so that answers could not go back.
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    if target == source.id:
        raise SettingsError("a project cannot be its own relabel project; use --to here")
    if read_project(client, target).config.controls != source.config.controls:
        raise SettingsError(
            f"project {target} has another labelling config than project {source.id}: answers "
            "could not go back. Copy the config, or use --to new."
        )
    with explained(f"reading project {target}"):
        found = client.projects.get(id=target)
    description = found.description or ""
    if _mark(source.id) not in description:
        with explained(f"noting in project {target} what it relabels"):
            client.projects.update(
                id=target, description=f"{description} {_mark(source.id)}".strip()
            )
    if found.sampling == _BY_PRIORITY:
        return ""
    return (
        f"project {target} serves its tasks by {found.sampling}, not the most urgent first; "
        f"{_BY_PRIORITY} in its settings does"
    )


def relabel_task(
    page: TaskPage, row: int, project: int, prefix: str, batch: str, address: str
) -> dict[str, Any]:
    """Return the copy of one task that goes into a relabel project.

    Its own names never meet those that Relook writes into the tasks of a project it serves, which
    a relabel project may be too.

    Args:
        page: holds the source task.
        row: its row there.
        project: its project.
        prefix: what the names of Relook's own fields begin with in that project.
        batch: the batch.
        address: Label Studio's address as people reach it, for the link back.
    """
    body = page.inputs.body[row]
    own = {f"{prefix}_{name}" for name in OWN_FIELDS}
    task, priority = int(page.id[row]), number(page.own["priority"][row])
    data = {key: readable(value, project) for key, value in body["data"].items() if key not in own}
    current = np.flatnonzero(page.annotations.task == row)
    label = page.annotations.result[current[-1]] if len(current) else []
    suggested = np.flatnonzero(
        (page.standing.task == row) & (page.standing.version == SUGGESTION_VERSION)
    )
    # Where there is nothing to suggest, the label as it is: the one version that pre-labels and
    # orders the stream must stand on every task.
    suggestion = page.standing.result[suggested[0]] if len(suggested) else label
    score = round(1.0 - min(max(priority, 0.0), 1.0), 4)
    return {
        "data": {
            **data,
            "relook_sent_batch": batch,
            "relook_source_project": project,
            "relook_source_task": task,
            "relook_source_url": f"{address.rstrip('/')}/projects/{project}/data?task={task}",
            "relook_source_priority": priority,
            "relook_source_reason": page.own["reason"][row] or "",
            "relook_sent_digest": str(page.digest[row]),
        },
        "meta": body.get("meta") or {},
        "predictions": [
            {"model_version": SUGGESTION_VERSION, "result": suggestion, "score": score},
            {"model_version": CURRENT_LABEL, "result": label, "score": score},
        ],
    }


def send_tasks(client: LabelStudio, target: int, tasks: Sequence[Mapping[str, Any]]) -> None:
    """Put relabel tasks into their project, and have the suggestion pre-label there.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    with explained(f"sending {len(tasks)} tasks to project {target}"):
        import_tasks(client, target, tasks)
        version = client.projects.get(id=target).model_version
    # Label Studio itself names one of the two that came with the first tasks; a version that
    # somebody chose for a project of their own stays.
    if version in ("", None, CURRENT_LABEL):
        set_model_version(client, target, SUGGESTION_VERSION)


def read_untouched(
    client: LabelStudio, target: int, batch: str, *also: dict[str, Any]
) -> list[int]:
    """Return the tasks of a batch that hold no work of anybody, and of which all else is true.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    with explained(f"reading batch {batch} of project {target}"):
        found = list_tasks(client, target, "id", *_untouched(batch), *also)
        return [int(task.id) for task in found]


def withdraw_bare(client: LabelStudio, target: int, batch: str) -> None:
    """Delete tasks of a batch that came without label and suggestion, to be sent once more.

    What sent them died before it imported them once more, see ``import_tasks``.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    bare = read_untouched(client, target, batch, condition("total_predictions", "Number", 0))
    withdraw(client, target, batch, bare)


def withdraw(client: LabelStudio, target: int, batch: str, tasks: Sequence[int]) -> None:
    """Delete tasks of a batch that hold no work of anybody.

    Label Studio itself looks once more for annotations, skips and drafts as it deletes: what
    somebody has saved since the tasks were read stays.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    if tasks:
        with explained(f"withdrawing batch {batch} from project {target}"):
            filters = every(*_untouched(batch))
            run_action(client, target, "delete_tasks", tasks, filters=filters)


def readable(value: Any, project: int) -> Any:
    """Return an address that can be opened from any project.

    A file in a cloud storage is opened by the storage of the task's project; the source project's
    own door stays open to whoever may see that project.
    """
    if isinstance(value, list):
        return [readable(item, project) for item in value]
    if isinstance(value, dict):
        return {key: readable(item, project) for key, item in value.items()}
    if isinstance(value, str) and value.startswith(_CLOUD):
        coded = base64.urlsafe_b64encode(value.encode()).decode()
        return f"/projects/{project}/resolve/?fileuri={coded}"
    return value


def _untouched(batch: str) -> list[dict[str, Any]]:
    return [condition("data.relook_sent_batch", "String", batch), *UNTOUCHED]


def _mark(source: int) -> str:
    return f"[relook: relabels {source}]"
