"""The Data Manager's actions: one change to many tasks in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from label_studio_sdk import LabelStudio

__all__ = ["run_action"]


def run_action(
    client: LabelStudio,
    project: int,
    action: str,
    tasks: Sequence[int],
    *,
    filters: Mapping[str, Any] | None = None,
    body: Mapping[str, str] | None = None,
) -> None:
    """Do one thing to some tasks.

    Args:
        client: a signed-in client.
        project: the project.
        action: Label Studio's name of it.
        tasks: their ids.
        filters: which of them alone; Label Studio looks as it acts.
        body: what else the action is told.
    """
    more = {} if filters is None else {"filters": cast(Any, filters)}
    client.actions.create(
        # The SDK knows some of the names.
        id=cast(Any, action),
        project=project,
        selected_items=cast(Any, {"all": False, "included": list(tasks)}),
        request_options={"additional_body_parameters": dict(body or {})},
        **more,
    )
