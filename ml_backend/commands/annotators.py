"""The command `relook annotators`: what review has shown about who labelled what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ml_backend.errors import SettingsError

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
    from ml_backend.commands.backend import backend  # noqa: PLC0415 - keeps `--help` fast

    if as_csv and as_json:
        raise SettingsError("--csv and --json exclude each other: give one of them")
    if as_csv:
        typer.echo(backend().text("projects", project, "annotators.csv"), nl=False)
        return
    found = backend().get("projects", project, "annotators")
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
    else:
        _show(found, Console())


def _show(found: dict[str, Any], console: Console) -> None:
    counts = ("tasks", "findings", "confirmed", "kept", "open")
    table = Table("annotator", *counts, "error share", "last weeks")
    for one in found["annotators"]:
        numbers = [str(one[name]) for name in counts]
        table.add_row(escape(one["name"]), *numbers, _share(one["share"]), _trend(one["weeks"]))
    console.print(table)
    for line in [*_confusions(found), *_agreement(found)]:
        console.print(line, markup=False, soft_wrap=True)


def _share(known: dict[str, Any]) -> str:
    if known["share"] is None:
        return "unknown"
    return f"{known['share']:.1%} ({known['low']:.1%} to {known['high']:.1%})"


def _trend(weeks: list[dict[str, Any]]) -> str:
    shares = [week["share"]["share"] for week in weeks[-_WEEKS:]]
    return " ".join("?" if share is None else f"{share:.0%}" for share in shares)


def _confusions(found: dict[str, Any]) -> Iterator[str]:
    for one in found["annotators"]:
        for pair in one["confusions"][:_TYPICAL]:
            yield (
                f"{one['name']} has {pair['given'] or 'nothing'} for "
                f"{pair['better'] or 'nothing'} in {pair['control']}: {pair['confirmed']} "
                f"confirmed, {pair['suspected']} suspected, as in task {pair['tasks'][0]}"
            )


def _agreement(found: dict[str, Any]) -> Iterator[str]:
    for tag in found["agreement"]:
        for pair in tag["pairs"]:
            kappa = "" if pair["kappa"] is None else f", kappa {pair['kappa']:.2f}"
            said = f"{pair['first']} and {pair['second']} agree by {pair['agreement']:.2f}{kappa}"
            yield f"{tag['control']}: {said} ({pair['tasks']} tasks)"
