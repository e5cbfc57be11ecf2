"""The commands of relabel batches: relook batch | batches | batch-cancel."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from ml_backend.commands.choosing import ids_of, require_kinds

__all__ = ["add_batch_commands"]

_Project = Annotated[int, typer.Argument(help="Label Studio's project id.")]

_say = Console(stderr=True)


def add_batch_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("batch")(batch)
    app.command("batches")(batches)
    app.command("batch-cancel")(batch_cancel)


def batch(
    project: _Project,
    top: Annotated[
        int | None, typer.Option(min=1, help="How many from the top of the queue; else all.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; may be repeated.")] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="These tasks instead of the queue's: 7 or 7,8,9.")
    ] = None,
    to: Annotated[
        str, typer.Option(help="A project's id, new, or here for a tab of the project itself.")
    ] = "",
) -> None:
    """Send the top of the queue, or chosen tasks, to be labelled again."""
    require_kinds(kind or [])
    wanted: dict[str, Any] = {"options": {"to": to}}
    if task:
        wanted["tasks"] = ids_of(",".join(task))
    if top or kind or not task:
        wanted["queue"] = {"top": top, "kinds": kind or []}
    ended = _act(project, "batch", **wanted)
    if ended["batch"]:
        _say.print(f"batch {ended['batch']}: {ended['said']}", markup=False, soft_wrap=True)
    elif task:
        _say.print(ended["said"], markup=False, soft_wrap=True)
    else:
        _say.print("nothing to send: what was asked for is in a batch already, or not in the queue")


def batches(
    project: _Project,
    sync: Annotated[
        bool, typer.Option("--sync", help="First bring back answers that nobody told us of.")
    ] = False,
) -> None:
    """List a project's relabel batches."""
    from ml_backend.commands.backend import backend  # noqa: PLC0415 - keeps `--help` fast

    if sync:
        _say.print(_act(project, "sync")["said"], markup=False)
    found = backend().get("projects", project, "batches")
    counted = ("open", "skipped", "ready", "done", "corrected", "confirmed", "superseded", "gone")
    columns = ("sent", *counted, "conflicts")
    # A name that is cut off cannot be given to the next command.
    table = Table(Column("batch", no_wrap=True), "project", *columns)
    for one in found:
        table.add_row(one["id"], *(str(one[column]) for column in ("project", *columns)))
    Console().print(table)
    for one in found:
        for mend in one["said"].values():
            _say.print(mend, markup=False)


def batch_cancel(
    project: _Project,
    batch: Annotated[str, typer.Argument(help="The batch, as `relook batches` names it.")],
) -> None:
    """Withdraw the rest of a batch; what is answered comes back first."""
    ended = _act(project, "withdraw", options={"batch": batch})
    _say.print(f"batch {batch}: {ended['said']}", markup=False, soft_wrap=True)


def _act(project: int, action: str, **wanted: Any) -> dict[str, Any]:
    from ml_backend.commands.acting import act  # noqa: PLC0415
    from ml_backend.commands.backend import backend  # noqa: PLC0415

    return act(backend(), project, action, _say, **wanted)
