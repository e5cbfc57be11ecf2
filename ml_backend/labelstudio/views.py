"""The review tabs in the Data Manager: the queue, its kinds, and what was reviewed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.client import explained
from ml_backend.labelstudio.tasks.filters import condition, either, every

__all__ = ["QUEUE", "Tab", "ensure_tabs", "review_tabs", "tab_data"]

#: Name of the tab that holds the whole queue.
QUEUE: Final = "needs-review"

#: A tab that names its hidden columns shows all others, so each that says nothing is named.
_HIDDEN = (
    *("inner_id", "completed_at", "cancelled_annotations", "total_predictions", "file_upload"),
    *("annotations_results", "annotations_ids", "predictions_score", "predictions_results"),
    *("predictions_model_versions", "storage_filename", "created_at", "updated_at", "updated_by"),
    *("avg_lead_time", "draft_exists"),
)

#: Marks the tabs that Relook made in their own data, so that it never touches another.
_MARK = "relook"


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab.

    Attributes:
        name: what tells it from Relook's other tabs; its title is people's to change.
        title: its title when it is made.
        flags: the flags of its tasks.
        kind: the kind of its tasks' worst finding; "" for any.
        newest: whether the task that changed last is on top, else the one of highest priority.
    """

    name: str
    title: str
    flags: tuple[str, ...]
    kind: str = ""
    newest: bool = False


def review_tabs(title: str, kinds: Sequence[str]) -> list[Tab]:
    """Return the queue's tab, one for each of these kinds, and that of what was reviewed."""
    ours = [Tab(QUEUE, title, ("needs-review",))]
    ours += [
        Tab(f"kind-{kind}", f"{title}: {kind.replace('_', ' ')}", ("needs-review",), kind)
        for kind in dict.fromkeys(kinds)
    ]
    return [*ours, Tab("reviewed", "Reviewed", ("corrected", "confirmed"), newest=True)]


def tab_data(tab: Tab, prefix: str, data_keys: Sequence[str], others: Sequence[str] = ()) -> Any:
    """Return a tab as Label Studio keeps it.

    Args:
        tab: what it shows.
        prefix: what the names of Relook's own fields begin with.
        data_keys: keys of the task's data that are labelled; no place for them beside the editor.
        others: keys of the task's data that have no place in a reviewer's list.
    """
    priority, flag = f"tasks:data.{prefix}_priority", f"tasks:data.{prefix}_flag"
    own = [f"tasks:data.{prefix}_{name}" for name in ("seen", "hand")]
    hidden = [*own, *(f"tasks:{name}" for name in _HIDDEN)]
    hidden += [f"tasks:data.{key}" for key in others]
    if tab.newest:
        hidden.remove("tasks:updated_at")
    else:
        hidden.append(flag)
    # The narrow list beside the editor keeps what the reviewer needs there: the reason.
    beside = [*hidden, "tasks:total_annotations", "tasks:annotators", "tasks:updated_at", priority]
    beside += [f"tasks:data.{key}" for key in data_keys]
    said = [condition(f"data.{prefix}_flag", "String", value) for value in tab.flags]
    said += [condition(f"data.{prefix}_kind", "String", tab.kind)] if tab.kind else []
    return {
        "title": tab.title,
        "type": "list",
        "target": "tasks",
        _MARK: tab.name,
        # Without a display type PostgreSQL sorts data fields as text: 0.9, 0.85, 1.0.
        "columnsDisplayType": {priority: "Number"},
        "columnsWidth": {f"tasks:data.{prefix}_reason": 420},
        "hiddenColumns": {"explore": hidden, "labeling": list(dict.fromkeys(beside))},
        "filters": either(*said) if len(tab.flags) > 1 else every(*said),
        "ordering": ["-tasks:updated_at" if tab.newest else f"-{priority}"],
    }


def ensure_tabs(
    client: LabelStudio,
    project: int,
    tabs: Sequence[Tab],
    prefix: str,
    *,
    data_keys: Sequence[str] = (),
    known: Mapping[str, int] | None = None,
    again: bool = True,
) -> dict[str, int]:
    """Make the tabs that are missing, and bring ours up to date.

    Args:
        client: a signed-in client.
        project: the project.
        tabs: what should be there.
        prefix: what the names of Relook's own fields begin with.
        data_keys: keys of the task's data that are labelled.
        known: name to id of the tabs that were made before.
        again: whether one that somebody deleted is made again.

    Returns:
        name to id of our tabs.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    known = dict(known or {})
    if not again and all(tab.name in known for tab in tabs):
        return known
    with explained(f"making the tabs of project {project}"):
        stands = {int(view.id): _plain(view.data) for view in client.views.list(project=project)}
        if not stands:
            # Label Studio makes its own tab only where there is none: without this one, ours
            # would be all that people see of the project.
            client.views.create(project=project, data=cast(Any, {"title": "Default"}))
        others = _other_keys(client, project, prefix, data_keys)
        for tab in tabs:
            wanted = tab_data(tab, prefix, data_keys, others)
            ours = _find(stands, wanted, known.get(tab.name))
            if ours is not None:
                known[tab.name] = ours
                _refresh(client, project, ours, stands[ours], wanted)
            elif (again or tab.name not in known) and not _twin(stands, wanted):
                created = client.views.create(project=project, data=wanted)
                known[tab.name] = int(created.id)
    return known


def _find(stands: Mapping[int, Any], wanted: Mapping[str, Any], known: int | None) -> int | None:
    if known in stands:
        return known
    return next((view for view, data in stands.items() if data.get(_MARK) == wanted[_MARK]), None)


def _twin(stands: Mapping[int, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a tab has our title and filter already; it serves as well, and is not touched.

    The Data Manager drops our mark when somebody saves the tab, and Redis can forget its id.
    """
    return any(
        all(_plain(data.get(key)) == wanted[key] for key in ("title", "filters"))
        for data in stands.values()
    )


def _refresh(
    client: LabelStudio, project: int, view: int, data: dict[str, Any], wanted: dict[str, Any]
) -> None:
    # What the reviewer arranged (title, widths, columns) stays; what makes it a queue is ours.
    ours = {key: wanted[key] for key in ("filters", "ordering")}
    if any(_plain(data.get(key)) != value for key, value in ours.items()):
        client.views.update(id=str(view), project=project, data=cast(Any, data | ours))


def _other_keys(
    client: LabelStudio, project: int, prefix: str, data_keys: Sequence[str]
) -> list[str]:
    """Keys of the tasks' data, as the first one has them, that are neither labelled nor ours."""
    page: Any = client.tasks.list(project=project, fields="task_only", page_size=1)
    found = [_plain(task.data) or {} for task in page.items or []]
    return [
        key
        for key in (found[0] if found else {})
        if key not in data_keys and not key.startswith(f"{prefix}_")
    ]


def _plain(data: Any) -> Any:
    return data.model_dump(by_alias=True) if hasattr(data, "model_dump") else data
