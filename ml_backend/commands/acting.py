"""An action of the API, begun and followed on a terminal."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console

from ml_backend.commands.backend import Backend
from ml_backend.commands.progress import follow_action
from ml_backend.errors import BackendError

__all__ = ["act"]


def act(
    backend: Backend, project: int, action: str, console: Console, **wanted: Any
) -> dict[str, Any]:
    """Do something with a project's tasks; return the action as it ended.

    Args:
        backend: who does it.
        project: Label Studio's project id.
        action: what is to be done, as docs/api.md names it.
        console: where progress is shown.
        wanted: with which tasks and how: the rest of the request.

    Raises:
        BackendError: when it is refused, or fails.
    """
    body = {"action": action, **wanted}
    begun = backend.post("projects", project, "actions", body=body)["id"]
    try:
        ended = follow_action(lambda: backend.get("actions", begun), console)
    except KeyboardInterrupt:
        console.print("it goes on; the review page shows under Activity what comes of it")
        raise typer.Exit(130) from None
    if ended["state"] == "failed":
        raise BackendError(str(ended["said"]))
    return ended
