"""Progress of a run, or of an action, on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from ml_backend.errors import BackendError
from ml_backend.jobs.runs.run import ENDED, Run

__all__ = ["follow", "follow_action"]

_POLL_S: Final = 0.3
#: What is followed goes on meanwhile: a backend that starts anew, or waits for Label Studio.
_AWAY_S: Final = 180.0
_AGAIN_S: Final = 2.0
_Said = TypeVar("_Said")
#: Workers that are there take an action up sooner.
_PATIENCE_S: Final = 10.0
_NOBODY: Final = "no worker has taken it up yet: see that `relook start` or `relook worker` runs"


def follow(read: Callable[[], Run], console: Console) -> Run:
    """Show a run and what goes wrong in it until it ends; return it as it then stands."""
    with _bars(console) as bars:
        bar = bars.add_task("waiting", total=None, pace="")
        stage = "waiting"
        said: set[str] = set()
        while True:
            run = _patiently(read)
            if run.stage not in (stage, "done"):
                bars.update(bar, total=max(run.total, 1), completed=run.total or 1, pace="")
                stage, bar = run.stage, bars.add_task(run.stage, total=None, pace="")
            bars.update(bar, total=max(run.total, 1), completed=run.done, pace=_pace(run))
            for error in set(run.errors.values()) - said:
                bars.console.print(error, style="yellow", markup=False)
            said.update(run.errors.values())
            if run.state in ENDED:
                return run
            time.sleep(_POLL_S)


def follow_action(read: Callable[[], dict[str, Any]], console: Console) -> dict[str, Any]:
    """Show an action, as the API tells of it, until it ends; return it as it then stands."""
    began, notes = time.monotonic(), [""]
    with _bars(console) as bars:
        bar = bars.add_task("", total=None, pace="")
        while True:
            action = _patiently(read)
            bars.update(
                bar,
                total=action["total"] or None,
                completed=action["done"],
                description=action["state"],
            )
            if action["ended"]:
                return action
            late = action["state"] == "queued" and time.monotonic() - began > _PATIENCE_S
            note = action["said"] or (_NOBODY if late else "")
            if note not in notes:
                bars.console.print(note, style="yellow", markup=False)
                notes.append(note)
            time.sleep(_POLL_S)


def _patiently(read: Callable[[], _Said]) -> _Said:
    passing = retry_if_exception(lambda error: isinstance(error, BackendError) and error.passing)
    stop, pause = stop_after_delay(_AWAY_S), wait_fixed(_AGAIN_S)
    return Retrying(retry=passing, stop=stop, wait=pause, reraise=True)(read)


def _bars(console: Console) -> Progress:
    columns = (
        TextColumn("  {task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console)


def _pace(run: Run) -> str:
    if not run.rate or run.left is None:
        return ""
    return f"{run.rate:.1f} tasks/s, {timedelta(seconds=round(run.left))} left"
