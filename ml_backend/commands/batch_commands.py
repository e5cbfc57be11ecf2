"""The commands of relabel batches: relook batch | batches | batch-cancel."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from ml_backend.errors import SettingsError
from ml_backend.jobs.queue import Mailbox, open_redis
from ml_backend.settings import service_settings

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
    from ml_backend.jobs import batch_jobs  # noqa: PLC0415 - keeps `--help` fast

    if to not in ("", "new", "here") and not to.isdecimal():
        raise SettingsError(f"--to is {to!r}: name a project's id, new or here")
    order = batch_jobs.new_order(
        to=to, top=top, kinds=tuple(kind or ()), tasks=tuple(_numbers(task or []))
    )
    answer = _do(batch_jobs.send_batch, project, asdict(order))
    if answer["sent"]:
        _say.print(f"batch {answer['batch']}: {answer['sent']} tasks sent")
        if answer["warning"]:
            _say.print(answer["warning"])
    else:
        _say.print("nothing to send: what was asked for is in a batch already, or not in the queue")


def batches(
    project: _Project,
    sync: Annotated[
        bool, typer.Option("--sync", help="First bring back answers that nobody told us of.")
    ] = False,
) -> None:
    """List a project's relabel batches."""
    from ml_backend.jobs import batch_jobs  # noqa: PLC0415

    if sync:
        _say.print(f"{_do(batch_jobs.bring_back, project)['written']} answers brought back")
    found = _do(batch_jobs.list_batches, project)["batches"]
    counted = ("open", "skipped", "ready", "done", "corrected", "confirmed", "superseded", "gone")
    columns = ("sent", *counted)
    # A name that is cut off cannot be given to the next command.
    table = Table(Column("batch", no_wrap=True), "project", *columns, "conflicts")
    for one in found:
        counts = [str(one[column]) for column in columns]
        table.add_row(one["batch"], str(one["project"]), *counts, str(len(one["conflicts"])))
    Console().print(table)
    for one in found:
        for mend in [*one["conflicts"].values(), *one["held"].values()]:
            _say.print(mend, markup=False)


def batch_cancel(
    project: _Project,
    batch: Annotated[str, typer.Argument(help="The batch, as `relook batches` names it.")],
) -> None:
    """Withdraw the rest of a batch; what is answered comes back first."""
    from ml_backend.jobs import batch_jobs  # noqa: PLC0415

    answer = _do(batch_jobs.cancel_batch, project, batch)
    _say.print(
        f"batch {batch}: {answer['written']} answers brought back, "
        f"{answer['withdrawn']} tasks withdrawn"
    )


def _do(job: Any, *arguments: Any) -> dict[str, Any]:
    from ml_backend.jobs import batch_jobs  # noqa: PLC0415

    given = batch_jobs.enqueue(Mailbox(open_redis(service_settings())), job, *arguments)
    return batch_jobs.wait_for(given, _say.print)


def _numbers(said: list[str]) -> list[int]:
    try:
        return [int(part) for text in said for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise SettingsError(f"--task wants task ids such as 7,8,9: {error}") from error
