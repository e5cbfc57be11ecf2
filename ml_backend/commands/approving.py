"""The commands of bulk approval: relook approve | approve-undo."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer
from rich.console import Console

from ml_backend.commands.choosing import FilterOption, TaskOption, filter_of, ids_of

__all__ = ["add_approval_commands"]

_Project = Annotated[int, typer.Argument(help="Label Studio's project id.")]

#: A filter that all tasks pass.
_ALL: Final = {"conjunction": "and", "items": []}

_say = Console(stderr=True)


def add_approval_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("approve")(approve)
    app.command("approve-undo")(approve_undo)


def approve(
    project: _Project,
    confidence: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=1.0,
            help="From where the model's word is enough. [default: the project's "
            "approve_confidence]",
        ),
    ] = None,
    filters: FilterOption = "",
    task: TaskOption = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how many and which; change nothing.")
    ] = False,
) -> None:
    """Turn sure predictions of unlabelled tasks into annotations marked as the model's."""
    from ml_backend.commands.acting import act  # noqa: PLC0415 - keeps `--help` fast
    from ml_backend.commands.backend import backend  # noqa: PLC0415

    wanted: dict[str, Any] = {"options": {"confidence": confidence, "dry_run": dry_run}}
    if task:
        wanted["tasks"] = ids_of(task)
    if filters or not task:
        wanted["filter"] = filter_of(filters) or _ALL
    if dry_run:
        body = {"action": "approve", **wanted}
        _show(backend().post("projects", project, "actions", body=body))
        return
    ended = act(backend(), project, "approve", _say, **wanted)
    _say.print(ended["said"], markup=False, soft_wrap=True)
    if ended["undoable"]:
        _say.print(f"`relook approve-undo {project} {ended['batch']}` takes them back")


def approve_undo(
    project: _Project,
    batch: Annotated[str, typer.Argument(help="The batch; none: the newest.")] = "",
) -> None:
    """Take back one batch of approvals, but for those that somebody has edited since."""
    from ml_backend.commands.acting import act  # noqa: PLC0415
    from ml_backend.commands.backend import backend  # noqa: PLC0415

    ended = act(backend(), project, "take-back", _say, options={"batch": batch})
    _say.print(f"batch {ended['batch']}: {ended['said']}", markup=False, soft_wrap=True)


def _show(found: dict[str, Any]) -> None:
    if found["examples"]:
        _say.print(f"such as tasks {', '.join(map(str, found['examples']))}", soft_wrap=True)
    for why, count in sorted(found["left_out"].items(), key=lambda one: -one[1]):
        _say.print(f"{count} left out: {why}", markup=False)
    for note in found["notes"]:
        _say.print(note, markup=False)
    total = found["count"] + sum(found["left_out"].values())
    _say.print(f"{found['count']} of {total} tasks would be approved")
