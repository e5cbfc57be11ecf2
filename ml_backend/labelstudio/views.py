"""The queue's tab in the Data Manager."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.client import explained

__all__ = ["ensure_queue_tab", "queue_tab_data"]

#: A tab that names its hidden columns shows all others, so each that says nothing is named.
_HIDDEN = (
    *("inner_id", "completed_at", "cancelled_annotations", "total_predictions", "file_upload"),
    *("annotations_results", "annotations_ids", "predictions_score", "predictions_results"),
    *("predictions_model_versions", "storage_filename", "created_at", "updated_at", "updated_by"),
    *("avg_lead_time", "draft_exists"),
)

#: Marks the tabs that Relook made in their own data, so that it never touches another.
_MARK = "relook"


def queue_tab_data(title: str, prefix: str, data_keys: Sequence[str]) -> dict[str, Any]:
    """Return the tab: tasks that need review, worst first."""
    priority = f"tasks:data.{prefix}_priority"
    flag = f"tasks:data.{prefix}_flag"
    hidden = [flag, f"tasks:data.{prefix}_seen", *(f"tasks:{name}" for name in _HIDDEN)]
    # The narrow list beside the editor keeps what the reviewer needs there: the reason.
    beside = [*hidden, "tasks:total_annotations", "tasks:annotators", priority]
    beside += [f"tasks:data.{key}" for key in data_keys]
    return {
        "title": title,
        "type": "list",
        "target": "tasks",
        _MARK: "needs-review",
        # Without a display type PostgreSQL sorts data fields as text: 0.9, 0.85, 1.0.
        "columnsDisplayType": {priority: "Number"},
        "columnsWidth": {f"tasks:data.{prefix}_reason": 420},
        "hiddenColumns": {"explore": hidden, "labeling": beside},
        "filters": {
            "conjunction": "and",
            "items": [
                {
                    "filter": f"filter:{flag}",
                    "operator": "equal",
                    "type": "String",
                    "value": "needs-review",
                }
            ],
        },
        "ordering": [f"-{priority}"],
    }


def ensure_queue_tab(
    client: LabelStudio,
    project: int,
    title: str,
    prefix: str,
    *,
    data_keys: Sequence[str] = (),
    known: int | None = None,
) -> int:
    """Make the queue's tab, or bring ours up to date; return its id.

    Args:
        client: a signed-in client.
        project: the project.
        title: the tab's title when it is made.
        prefix: what the names of Relook's own fields begin with.
        data_keys: keys of the task's data that need no place beside the editor.
        known: id of the tab when it was last made or found, if any.

    Raises:
        LabelStudioError: when Label Studio cannot be reached or refuses.
    """
    wanted = queue_tab_data(title, prefix, data_keys)
    with explained(f"making the tab {title!r} in project {project}"):
        views = client.views.list(project=project)
        if not views:
            # Label Studio makes its own tab only where there is none: without this one, ours
            # would be all that people see of the project.
            client.views.create(project=project, data=cast(Any, {"title": "Default"}))
        for view in views:
            data = _plain(view.data)
            if not _is_ours(data, wanted) and view.id != known:
                continue
            # What the reviewer arranged (title, widths, columns) stays; what makes it a queue
            # is ours.
            ours = {key: wanted[key] for key in ("filters", "ordering")}
            if any(_plain(data.get(key)) != value for key, value in ours.items()):
                client.views.update(id=str(view.id), project=project, data=cast(Any, data | ours))
            return int(view.id)
        created = client.views.create(project=project, data=cast(Any, wanted))
        return int(created.id)


def _is_ours(data: dict[str, Any], wanted: dict[str, Any]) -> bool:
    # The Data Manager drops keys it does not know when somebody saves the tab: then title and
    # filter together still tell it from a tab that a person made.
    marked = data.get(_MARK) == wanted[_MARK]
    alike = all(_plain(data.get(key)) == wanted[key] for key in ("title", "filters"))
    return marked or alike


def _plain(data: Any) -> Any:
    return data.model_dump(by_alias=True) if hasattr(data, "model_dump") else data
