"""How long a relabel batch takes to go out, and its answers to come back.

Run from the repository root, where ``make demo`` has installed Label Studio::

    python -m benchmarks.batches [TASKS] [--workers N]

A real Label Studio on SQLite holds small images, every third with a wrong label. The top of the
queue goes out as one batch; a relabeller takes every suggestion through Label Studio's API; each
answer becomes an annotation on its source task, which is scored again and gets its verdict. Once as
the relabeller works, with events, and once when all was answered before anybody looked.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import psutil
from rich.console import Console

from benchmarks.pipeline import Site, make_project, running
from ml_backend.commands.acting import act
from ml_backend.commands.backend import Backend
from ml_backend.labelstudio.regions.suggestions import SUGGESTION_VERSION

__all__ = ["main"]

#: One task in so many has a wrong label: were all wrong, none would be out of the ordinary.
_WRONG: Final = 3
_RELABELLERS: Final = 4
_LOOK_S: Final = 0.5
_QUIET: Final = Console(quiet=True)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="?", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, {options.workers} workers, "
        f"a batch of {options.tasks}\n"
    )
    with running(options.workers) as site:
        for with_events in (True, False):
            _measure(site, options.tasks, with_events=with_events)


def _measure(site: Site, count: int, *, with_events: bool) -> None:
    project, _ = make_project(site, count * _WRONG, _WRONG)
    backend = Backend(site.settings)
    flagged = site.ended(site.start(project)).flagged
    start = time.perf_counter()
    with _timed("out", min(count, flagged)):
        batch = act(backend, project, "batch", _QUIET, queue={"top": count})["batch"]
    target = int(batch.split("-", maxsplit=1)[0])
    if not with_events:
        _mute(site, target)
    out = time.perf_counter() - start
    copies = _copies(site, target)
    begin = time.perf_counter()
    with _timed("answered, by the relabellers", len(copies)):
        _answer(site, copies)
    answered = time.perf_counter()
    found = site.client.projects.get(id=project)
    back = int(found.total_annotations_number or 0) - int(found.task_number or 0)
    with _timed("back, from the last answer on", len(copies)):
        if not with_events:
            act(backend, project, "sync", _QUIET)
        _settle(site, (project, target))
    ended = time.perf_counter()
    (stands,) = backend.get("projects", project, "batches")
    counts = {name: stands[name] for name in ("sent", "done", "corrected", "confirmed", "open")}
    how = "as it is answered" if with_events else "all at once"
    print(
        f"- {how}: out and back in {out + ended - begin:.0f} s; {ended - begin:.0f} s from the "
        f"first answer, {ended - answered:.0f} s from the last, when {back} were back: {counts}",
        flush=True,
    )


def _mute(site: Site, target: int) -> None:
    """Let nobody hear of answers: they are found when somebody asks."""
    for webhook in site.client.webhooks.list(project=str(target)):
        site.client.webhooks.delete(id=str(webhook.id))


def _copies(site: Site, target: int) -> list[tuple[int, list[dict[str, Any]]]]:
    pages: Any = site.client.tasks.list(project=target, fields="all", page_size=200)
    return [(int(task.id), _suggestion(task.predictions)) for task in pages]


def _suggestion(predictions: Sequence[Any]) -> list[dict[str, Any]]:
    return next(list(p.result) for p in predictions if p.model_version == SUGGESTION_VERSION)


def _answer(site: Site, copies: Sequence[tuple[int, list[dict[str, Any]]]]) -> None:
    with ThreadPoolExecutor(_RELABELLERS) as pool:
        list(
            pool.map(
                lambda one: site.client.annotations.create(id=one[0], result=one[1]),
                copies,
            )
        )


def _settle(site: Site, projects: Sequence[int]) -> None:
    """Wait until no event and no job is left, nor one that is put off."""
    events = site.mailbox.events
    while (
        any(site.mailbox.pending.count(project) for project in projects)
        or events.count
        or events.started_job_registry.count
        or events.scheduled_job_registry.count
    ):
        time.sleep(_LOOK_S)


@contextmanager
def _timed(what: str, count: int) -> Iterator[None]:
    """Print how long something took, how much of a core each process had of it, and the load."""
    before, start = _spent(), time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    spent = {name: used - before.get(name, 0.0) for name, used in _spent().items()}
    shares = ", ".join(f"{name} {used:.0f} s" for name, used in spent.items())
    print(
        f"  - {what}: {seconds:.1f} s, {count / seconds:.1f} tasks/s; CPU: {shares}; load "
        f"{os.getloadavg()[0]:.1f}",
        flush=True,
    )


def _spent() -> dict[str, float]:
    """CPU seconds of this process' children so far, by what they are."""
    found: dict[str, float] = {}
    for process in psutil.Process().children(recursive=True):
        try:
            words, times = " ".join(process.cmdline()), process.cpu_times()
        except psutil.Error:
            continue
        kinds = {"label-studio": "Label Studio", "worker": "workers", "serve": "backend"}
        name = next((said for word, said in kinds.items() if word in words), "others")
        found[name] = found.get(name, 0.0) + times.user + times.system
    return found


if __name__ == "__main__":
    main()
