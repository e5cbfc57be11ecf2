"""`relook demo`: the main job, shown on sample projects in a Label Studio of its own."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from label_studio_sdk import LabelStudio
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from ml_backend import __version__
from ml_backend.commands.progress import follow
from ml_backend.commands.stack import Stack
from ml_backend.demo.labelstudio import LabelStudioServer
from ml_backend.demo.projects import connect_backend, create_project, find_project
from ml_backend.demo.sample import SAMPLES, Sample
from ml_backend.errors import RelookError, RunError
from ml_backend.jobs.runs.book import RunBook
from ml_backend.labelstudio.client import connect
from ml_backend.labelstudio.views import QUEUE, ensure_tabs, review_tabs
from ml_backend.privacy import keep_private
from ml_backend.processes import remembered_port, stop_in_order
from ml_backend.settings import ServiceSettings

__all__ = ["run_demo"]

_MODELS = Path(__file__).parent / "models"
_SHOWN = 12
#: Share of the planted errors that must stand in the top of the queue.
_FLOOR = 0.9


@dataclass
class _Timings:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, console: Console, name: str, said: str) -> Iterator[None]:
        began = time.monotonic()
        with console.status(f"{said} …"):
            yield
        self.seconds[name] = round(time.monotonic() - began, 1)
        console.print(f"{said}: {self.seconds[name]:.1f} s", style="dim")


@dataclass(frozen=True)
class _Queued:
    task: int
    priority: float
    kind: str
    reason: str


def run_demo(folder: Path, *, check: bool) -> int:
    """Run the demo.

    Args:
        folder: where its Label Studio and its data live; found again by a second start.
        check: print one JSON line on stdout and end, instead of waiting for Ctrl-C.

    Returns:
        the exit status: with ``check``, 0 only if the queue found what was planted.
    """
    console = Console(stderr=True)
    timings = _Timings()
    stop_in_order()
    keep_private(folder)
    with ExitStack() as parts:
        try:
            return _run(folder.resolve(), check, console, timings, parts)
        except KeyboardInterrupt:
            console.print("stopping …", style="dim")
            return 0 if not check else 130
        except RelookError as error:
            console.print(str(error), style="red", markup=False)
            return 2


def _run(folder: Path, check: bool, console: Console, timings: _Timings, parts: ExitStack) -> int:
    server = LabelStudioServer(folder / "label-studio")
    with timings.stage(console, "label_studio", "Starting Label Studio"):
        parts.enter_context(server)
        client_settings = _settings(folder, server)
        client = connect(client_settings)
    with timings.stage(console, "relook", "Starting Redis, a worker and the backend"):
        stack = parts.enter_context(Stack(client_settings))
    report: dict[str, Any] = {}
    for sample in SAMPLES:
        report[sample.kind] = _show(sample, folder, server, stack, client, console, timings)
    _print_address(console, server)
    if check:
        return _check(report, timings)
    console.print("Ctrl-C stops everything.")
    stack.wait()
    return 0


def _settings(folder: Path, server: LabelStudioServer) -> ServiceSettings:
    return ServiceSettings(
        LABEL_STUDIO_URL=server.url,
        LABEL_STUDIO_API_KEY=SecretStr(server.token()),
        data_dir=folder / "relook",
        model_dir=_MODELS,
        port=remembered_port(folder / "port"),
    )


def _show(
    sample: Sample,
    folder: Path,
    server: LabelStudioServer,
    stack: Stack,
    client: LabelStudio,
    console: Console,
    timings: _Timings,
) -> dict[str, Any]:
    """Make one sample project, have it analysed, and show its queue."""
    truth = folder / f"truth-{sample.kind}.json"
    with timings.stage(console, f"{sample.kind}_project", f"Project {sample.title!r}"):
        project = find_project(client, sample.title)
        if project is None or not truth.exists():
            project = _make(sample, truth, server, client)
        settings = json.dumps({"model": sample.model})
        connection = connect_backend(client, project, stack.url, settings)
    book = RunBook(redis.Redis.from_url(stack.redis_url))
    began = time.monotonic()
    # What an admin does by "Start training" in Settings > Model.
    client.ml.train(id=connection)
    run = follow(lambda: book.of_project(project)[0], console)
    timings.seconds[f"{sample.kind}_run"] = round(time.monotonic() - began, 1)
    if run.state != "done":
        raise RunError(f"the run over project {project} ended as {run.state!r}")
    tab = ensure_tabs(client, project, review_tabs("Needs review", ()), "relook")[QUEUE]
    queue = _read_queue(client, project, tab)
    _print_queue(console, sample, queue, f"{server.url}/projects/{project}/data?tab={tab}")
    return _compare(queue, json.loads(truth.read_text()))


def _make(sample: Sample, truth: Path, server: LabelStudioServer, client: LabelStudio) -> int:
    tasks, planted = sample.make()
    project, ids = create_project(client, server.url, sample.kind, sample.title, tasks)
    truth.write_text(json.dumps({str(ids[one.index]): one.kind for one in planted}))
    return project


def _read_queue(client: LabelStudio, project: int, tab: int) -> list[_Queued]:
    """Read the queue as the tab shows it, in the tab's order."""
    tasks: Any = client.tasks.list(project=project, view=tab, page_size=500)
    return [
        _Queued(
            int(task.id),
            float(task.data["relook_priority"]),
            task.data["relook_kind"],
            task.data["relook_reason"],
        )
        for task in tasks
    ]


def _print_queue(console: Console, sample: Sample, queue: list[_Queued], address: str) -> None:
    table = Table("task", "priority", "kind", "reason", title=f"{sample.title}: needs review")
    for one in queue[:_SHOWN]:
        table.add_row(str(one.task), f"{one.priority:.2f}", one.kind, one.reason)
    if len(queue) > _SHOWN:
        table.add_row("…", "", "", f"and {len(queue) - _SHOWN} more")
    console.print(table)
    console.print(f"The queue: {address}", markup=False)


def _print_address(console: Console, server: LabelStudioServer) -> None:
    console.print()
    console.print(f"Label Studio: {server.url}", markup=False)
    console.print(f"  e-mail    {server.account.username}", markup=False)
    console.print(f"  password  {server.account.password}", markup=False)


def _compare(queue: list[_Queued], truth: dict[str, str]) -> dict[str, Any]:
    """Hold the queue against what was planted: the only place that reads the truth."""
    top = {str(one.task) for one in queue[: len(truth)]}
    found = top & set(truth)
    kinds = sorted(set(truth.values()))
    return {
        "planted": len(truth),
        "flagged": len(queue),
        "found_in_top": len(found),
        "precision": round(len(found) / max(len(top), 1), 4),
        "recall": round(len(found) / len(truth), 4),
        "found_by_kind": {
            kind: f"{sum(truth[task] == kind for task in found)}/"
            f"{sum(value == kind for value in truth.values())}"
            for kind in kinds
        },
    }


def _check(report: dict[str, Any], timings: _Timings) -> int:
    passed = all(one["precision"] >= _FLOOR and one["recall"] >= _FLOOR for one in report.values())
    packages = ("label-studio-sdk", "torch", "ultralytics-opencv-headless", "redis", "rq")
    line = {
        "passed": passed,
        **report,
        "seconds": timings.seconds,
        "versions": {
            "relook": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
    }
    print(json.dumps(line), flush=True)  # noqa: T201 - the one line that --check promises
    return 0 if passed else 1
