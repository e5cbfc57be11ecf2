"""The command line: `relook --help` lists what there is."""

from __future__ import annotations

import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from ml_backend import __version__
from ml_backend.commands.annotators import add_annotator_commands
from ml_backend.commands.approving import add_approval_commands
from ml_backend.commands.batch_commands import add_batch_commands
from ml_backend.commands.choosing import FilterOption, TaskOption, filter_of, ids_of
from ml_backend.commands.doctor import doctor
from ml_backend.errors import RelookError
from ml_backend.privacy import keep_private
from ml_backend.processes import spare_loopback_the_proxy, stop_in_order
from ml_backend.settings import ServiceSettings, service_settings

# Label Studio's SDK takes seconds of a core to import: a probe asks `relook worker --check` often,
# and `--help` is to be fast. So commands import what they need when they run.
if TYPE_CHECKING:
    from ml_backend.commands.backend import Backend
    from ml_backend.jobs.runs.run import Run

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Relook for Label Studio.",
)

add_approval_commands(app)
add_batch_commands(app)
add_annotator_commands(app)
app.command("doctor")(doctor)

_say = Console(stderr=True)


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    logging.basicConfig(
        level=service_settings().log_level,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # One line per request of ours is noise, and its address can hold a signed link.
    logging.getLogger("httpx").setLevel(logging.WARNING)


@app.command()
def serve() -> None:
    """Serve the ML backend that Label Studio connects to."""
    from ml_backend.web.app import create_app  # noqa: PLC0415
    from ml_backend.web.server import serve as run_server  # noqa: PLC0415

    settings = _private_settings()
    run_server(create_app(settings), settings)


@app.command()
def worker(
    check: Annotated[
        bool,
        typer.Option("--check", help="Only say whether this machine's workers are alive."),
    ] = False,
) -> None:
    """Take background jobs. Start as many as there are cores or GPUs to spare, on any machine."""
    if check:
        from ml_backend.checks.own_workers import check_own_workers  # noqa: PLC0415

        found = check_own_workers(service_settings())
        _say.print(found.said, markup=False, soft_wrap=True)
        raise typer.Exit(0 if found.well else 1)
    from ml_backend.jobs.worker import work  # noqa: PLC0415

    settings = _private_settings()
    work(settings)


@app.command()
def start(
    workers: Annotated[int, typer.Option(min=1, help="How many workers to run.")] = 1,
) -> None:
    """Run everything on this machine: Redis (unless REDIS_URL is set), workers, backend."""
    from ml_backend.commands.stack import Stack  # noqa: PLC0415

    stop_in_order()
    settings = _private_settings()
    with Stack(settings, workers=workers) as stack:
        _say.print(f"Relook answers at {stack.url}. Ctrl-C stops it.")
        stack.wait()


@app.command()
def analyze(
    project: Annotated[int, typer.Argument(help="Label Studio's project id.")],
    filters: FilterOption = "",
    tab: Annotated[
        int | None, typer.Option(help="Only what this tab shows; its address says its id.")
    ] = None,
    task: TaskOption = "",
) -> None:
    """Analyse a project, or some of it, in the background and follow it; Ctrl-C leaves it be."""
    from ml_backend.commands.backend import backend, run_of  # noqa: PLC0415

    asked = backend()
    over = {"filter": filter_of(filters), "tab": tab, "tasks": ids_of(task)}
    _follow(asked, run_of(asked.post("projects", project, "runs", body=over)))


@app.command()
def runs(project: Annotated[int, typer.Argument(help="Label Studio's project id.")]) -> None:
    """List a project's runs, newest first."""
    from ml_backend.commands.backend import backend, run_of  # noqa: PLC0415

    table = Table(
        *(Column("run", min_width=12), Column("over", no_wrap=True, max_width=16)),
        *("state", "stage", "done", "tasks/s", "left"),
        *("needs review", "errors", "started", "took"),
    )
    for run in map(run_of, backend().get("projects", project, "runs")["runs"]):
        table.add_row(
            *(run.id, escape(run.over), run.state, run.stage, f"{run.done}/{run.total}"),
            f"{run.rate:.1f}" if run.rate else "",
            str(timedelta(seconds=round(run.left))) if run.left is not None else "",
            *(str(run.flagged), str(len(run.errors)), _when(run.started)),
            str(timedelta(seconds=round((run.ended or time.time()) - run.started))),
        )
    Console().print(table)


@app.command("run")
def one_run(
    run: Annotated[str, typer.Argument(help="The run, as `relook runs` names it.")],
) -> None:
    """Show a run: how it stands, what happened in it, and what is wrong with which task."""
    from ml_backend.commands.backend import backend, run_of  # noqa: PLC0415

    found = run_of(backend().get("runs", run))
    say = Console(highlight=False, soft_wrap=True)
    ended = f", ended {_when(found.ended)}" if found.ended else ""
    say.print(f"run {found.id} of project {found.project}: {found.state}, {found.stage}")
    if found.over:
        say.print(f"over {found.over}", markup=False)
    say.print(f"begun {_when(found.started)}{ended}, {found.flagged} tasks need review")
    for line in found.log:
        moment, said = line.split(" ", 1)
        say.print(f"{_when(float(moment))} {said}", markup=False)
    for error in found.errors.values():
        say.print(error, style="yellow", markup=False)


@app.command()
def cancel(run: Annotated[str, typer.Argument(help="The run, as `relook runs` names it.")]) -> None:
    """End a run: what waits vanishes, what is at work ends its page."""
    from ml_backend.commands.backend import backend  # noqa: PLC0415

    _say.print(f"run {backend().post('runs', run, 'cancel')['id']} is cancelled")


@app.command()
def retry(run: Annotated[str, typer.Argument(help="The run, as `relook runs` names it.")]) -> None:
    """Take up a run that has ended where it stopped, and follow it."""
    from ml_backend.commands.backend import backend, run_of  # noqa: PLC0415

    asked = backend()
    _follow(asked, run_of(asked.post("runs", run, "retry")))


@app.command()
def demo(
    check: Annotated[
        bool, typer.Option("--check", help="Run once, print one JSON line, exit.")
    ] = False,
    folder: Annotated[
        Path, typer.Option(help="Where the demo keeps its Label Studio and its data.")
    ] = Path(".relook/demo"),
) -> None:
    """Show the main job on sample projects, in a Label Studio of its own."""
    from ml_backend.demo.run import run_demo  # noqa: PLC0415

    raise typer.Exit(run_demo(folder, check=check))


def _when(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _private_settings() -> ServiceSettings:
    """Read the settings, and close the data folder to the machine's other users."""
    settings = service_settings()
    keep_private(settings.data_dir, store_elsewhere=bool(settings.store))
    return settings


def _follow(asked: Backend, run: Run) -> None:
    from ml_backend.commands.backend import run_of  # noqa: PLC0415
    from ml_backend.commands.progress import follow  # noqa: PLC0415

    try:
        ended = follow(lambda: run_of(asked.get("runs", run.id)), _say)
    except KeyboardInterrupt:
        _say.print(f"run {run.id} goes on; `relook cancel {run.id}` ends it")
        raise typer.Exit(130) from None
    over = f" over {ended.over}" if ended.over else ""
    said = f"run {ended.id}{over}: {ended.state}, {ended.flagged} tasks need review"
    _say.print(said, markup=False, soft_wrap=True)
    if ended.state != "done":
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; our own errors are said in one line, without a traceback."""
    spare_loopback_the_proxy()
    try:
        app()
    except RelookError as error:
        _say.print(str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
