"""Progress of a run on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ml_backend.jobs.runs import ENDED, Run

__all__ = ["follow"]


def follow(read: Callable[[], Run], console: Console, poll_s: float = 0.2) -> Run:
    """Show a run and what goes wrong in it until it ends; return it as it then stands."""
    columns = (
        TextColumn("  {task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("waiting", total=None, pace="")
        stage = "waiting"
        said: set[str] = set()
        while True:
            run = read()
            if run.stage not in (stage, "done"):
                bars.update(bar, total=max(run.total, 1), completed=run.total or 1, pace="")
                stage, bar = run.stage, bars.add_task(run.stage, total=None, pace="")
            bars.update(bar, total=max(run.total, 1), completed=run.done, pace=_pace(run))
            for error in set(run.errors.values()) - said:
                bars.console.print(error, style="yellow", markup=False)
            said.update(run.errors.values())
            if run.state in ENDED:
                return run
            time.sleep(poll_s)


def _pace(run: Run) -> str:
    if not run.rate or run.left is None:
        return ""
    return f"{run.rate:.1f} tasks/s, {timedelta(seconds=round(run.left))} left"
