"""Which tasks changed since when, by Label Studio's own stamps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from label_studio_sdk import LabelStudio

from ml_backend.labelstudio.client import explained

__all__ = ["last_change", "read_changes", "shifted"]

#: The one form of a moment that Label Studio's filters take; others are an error 500.
_FORM: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
_LONG_AGO: Final = "1970-01-01T00:00:00.000000Z"
_FIELDS: Final = "id,updated_at"


def last_change(client: LabelStudio, project: int) -> str:
    """Return when a task of a project last changed; long ago where there is none.

    Raises:
        LabelStudioError: when it cannot be read.
    """
    query = json.dumps({"ordering": ["-tasks:updated_at"]})
    with explained(f"looking for changes in project {project}"):
        page: Any = client.tasks.list(
            project=project, fields="task_only", include=_FIELDS, query=query, page_size=1
        )
        newest = [task.updated_at for task in page.items or []]
    return _stamp(newest[0]) if newest else _LONG_AGO


def read_changes(client: LabelStudio, project: int, since: str) -> tuple[list[int], str]:
    """Return the tasks that changed after a moment, and when the last of them did.

    Raises:
        LabelStudioError: when they cannot be read.
    """
    changed = {
        "filter": "filter:tasks:updated_at",
        "operator": "greater",
        "type": "Datetime",
        "value": since,
    }
    # Unordered: while it is read, a list ordered by change would move under the reader.
    query = json.dumps({"filters": {"conjunction": "and", "items": [changed]}})
    with explained(f"looking for changes in project {project}"):
        pages: Any = client.tasks.list(
            project=project, fields="task_only", include=_FIELDS, query=query, page_size=1000
        )
        found = [(int(task.id), _stamp(task.updated_at)) for task in pages]
    return [task for task, _ in found], max((stamp for _, stamp in found), default=since)


def shifted(stamp: str, by: timedelta) -> str:
    """Return another moment, in the form that Label Studio takes."""
    return _stamp(datetime.strptime(stamp, _FORM).replace(tzinfo=UTC) + by)


def _stamp(moment: str | datetime) -> str:
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return when.astimezone(UTC).strftime(_FORM)
