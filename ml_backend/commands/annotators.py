"""The command `relook annotators`: what review has shown about who labelled what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ml_backend.errors import SettingsError
from ml_backend.settings import service_settings

if TYPE_CHECKING:  # takes seconds to import
    from ml_backend.review.feedback import Annotator, Report

__all__ = ["add_annotator_commands"]

_TYPICAL: Final = 3
_WEEKS: Final = 4


def add_annotator_commands(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("annotators")(annotators)


def annotators(
    project: Annotated[int, typer.Argument(help="Label Studio's project id.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show how often each annotator is wrong, what they mix up, and how far they agree."""
    from ml_backend.jobs.annotators import annotators as report  # noqa: PLC0415 - fast `--help`
    from ml_backend.review.feedback_csv import as_csv as written  # noqa: PLC0415
    from ml_backend.services import Services  # noqa: PLC0415

    if as_csv and as_json:
        raise SettingsError("--csv and --json exclude each other: give one of them")
    found = report(Services(service_settings()), project)
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
    elif as_csv:
        typer.echo(written(found), nl=False)
    else:
        _show(found, Console())


def _show(found: Report, console: Console) -> None:
    counts = ("tasks", "findings", "confirmed", "kept", "open")
    table = Table("annotator", *counts, "error share", "last weeks")
    for one in found.annotators:
        numbers = [str(getattr(one, name)) for name in counts]
        table.add_row(escape(one.name), *numbers, _share(one), _trend(one))
    console.print(table)
    for line in [*_confusions(found), *_agreement(found)]:
        console.print(line, markup=False, soft_wrap=True)


def _share(one: Annotator) -> str:
    if one.share.share is None:
        return "unknown"
    return f"{one.share.share:.1%} ({one.share.low:.1%} to {one.share.high:.1%})"


def _trend(one: Annotator) -> str:
    shares = [week.share.share for week in one.weeks[-_WEEKS:]]
    return " ".join("?" if share is None else f"{share:.0%}" for share in shares)


def _confusions(found: Report) -> Iterator[str]:
    for one in found.annotators:
        for pair in one.confusions[:_TYPICAL]:
            yield (
                f"{one.name} has {pair.given or 'nothing'} for {pair.better or 'nothing'} in "
                f"{pair.control}: {pair.confirmed} confirmed, {pair.suspected} suspected, as in "
                f"task {pair.tasks[0]}"
            )


def _agreement(found: Report) -> Iterator[str]:
    for tag in found.agreement:
        for pair in tag.pairs:
            kappa = "" if pair.kappa is None else f", kappa {pair.kappa:.2f}"
            said = f"{pair.first} and {pair.second} agree by {pair.agreement:.2f}{kappa}"
            yield f"{tag.control}: {said} ({pair.tasks} tasks)"
