"""How long an event takes: until the flag shows it, and until Label Studio has its answer.

Run from the repository root, where ``make demo`` has installed Label Studio::

    python -m benchmarks.events [--tasks 1000] [--events 40] [--calls 500] [--workers 1]

A real Label Studio and the real stack. In a project that was analysed, labels are made wrong and
right again, one after the other, and each time the flag is waited for: first while nothing else
happens, then while another project of new tasks goes through its first run. The clock starts when
Label Studio has taken the annotation; it has sent its webhook by then, right before its answer. The
flag is looked for in Label Studio's own database: asking over HTTP would slow what is measured.

Then the endpoint alone, since Label Studio waits one second for it: events as Label Studio sends
them, twenty a second, named to ``/webhook`` directly over one connection, while nothing else
happens but the work that they are about, and beside another project's first run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import numpy as np

from benchmarks.pipeline import Site, make_project, running
from ml_backend.jobs.runs.run import ENDED, Run

__all__ = ["main"]

_REVIEWED: Final = 100
_LOOK_S: Final = 0.01
_LOST_S: Final = 120.0
#: What a reviewer takes, so that one event has ended before the next.
_PAUSE_S: Final = 0.3
_CALL_EVERY_S: Final = 0.05


@dataclass
class Reviewer:
    """Somebody who saves labels in one project.

    Attributes:
        saving: seconds that Label Studio took to save each.
        lost: how many were never seen in the flag.
    """

    site: Site
    tasks: list[int]
    saving: list[float] = field(default_factory=list)
    lost: int = 0

    def __post_init__(self) -> None:
        path = self.site.server.folder / "label_studio.sqlite3"
        self._database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self._next = 0

    def save(self) -> float | None:
        """Make a label wrong, or right again; return the seconds until the flag says so."""
        # Each task twice: flagged the first time, corrected the second.
        task = self.tasks[self._next // 2 % len(self.tasks)]
        self._next += 1
        (annotation,) = self.site.client.tasks.get(id=str(task)).annotations or []
        result: Any = annotation["result"]
        label = int(result[0]["value"]["rectanglelabels"][0])
        result[0]["value"]["rectanglelabels"] = [str((label + 5) % 10)]
        before, began = self._flag(task), time.perf_counter()
        self.site.client.annotations.update(id=annotation["id"], result=result)
        saved = time.perf_counter()
        self.saving.append(saved - began)
        while self._flag(task) == before:
            if time.perf_counter() - saved > _LOST_S:
                self.lost += 1
                return None
            time.sleep(_LOOK_S)
        seconds = time.perf_counter() - saved
        time.sleep(_PAUSE_S)
        return seconds

    def _flag(self, task: int) -> str | None:
        ((data,),) = self._database.execute("SELECT data FROM task WHERE id = ?", [task])
        flag: str | None = json.loads(data).get("relook_flag")
        return flag


@dataclass
class Caller:
    """Label Studio's side of the webhook: events about a project's tasks, one after the other."""

    site: Site
    project: int
    tasks: list[int]

    def __post_init__(self) -> None:
        (annotation,) = self.site.client.tasks.get(id=str(self.tasks[0])).annotations or []
        known = self.site.client.projects.get(id=self.project)
        self._about = {"id": annotation["id"], "result": annotation["result"]}
        self._from = {"id": self.project, "label_config": known.label_config}
        self._client = httpx.Client(base_url=self.site.stack.url, timeout=60)
        self._next = 0

    def call(self) -> float:
        """Send an event; return the seconds until it is answered."""
        task = self.tasks[self._next % len(self.tasks)]
        self._next += 1
        body = {
            "action": "ANNOTATION_UPDATED",
            "annotation": self._about,
            "project": self._from,
            "task": {"id": task},
        }
        began = time.perf_counter()
        self._client.post("/webhook", json=body).raise_for_status()
        seconds = time.perf_counter() - began
        time.sleep(max(_CALL_EVERY_S - seconds, 0))
        return seconds


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=1000, help="of the project under analysis")
    parser.add_argument("--events", type=int, default=40, help="while nothing else happens")
    parser.add_argument("--calls", type=int, default=500, help="of the endpoint alone")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, {options.workers} workers\n"
    )
    with running(options.workers) as site:
        project, tasks = make_project(site, _REVIEWED)
        site.ended(site.start(project))
        reviewer = Reviewer(site, [task for n, task in enumerate(tasks) if n % 10])
        _tell("nothing else", [reviewer.save() for _ in range(options.events)])
        crowd, _ = make_project(site, options.tasks)
        run, found = site.start(crowd), defaultdict[str, list[float | None]](list)
        while (now := site.book.read(run.id)).state not in ENDED:
            found[f"a run at {now.stage}"].append(reviewer.save())
        site.ended(run)
        for what, seconds in found.items():
            _tell(what, seconds)
        _tell("the run as a whole", [one for some in found.values() for one in some])
        saving = 1e3 * np.median(reviewer.saving)
        print(f"- Label Studio's own time for saving: p50 {saving:.0f} ms; lost {reviewer.lost}")
        caller = Caller(site, project, reviewer.tasks)
        _answered("nothing else", [caller.call() for _ in range(options.calls)])
        another, _ = make_project(site, options.tasks)
        run = site.start(another)
        _answered("a run", _while_it_goes_on(site, run, caller))
        site.ended(run)


def _while_it_goes_on(site: Site, run: Run, caller: Caller) -> Iterable[float]:
    while site.book.read(run.id).state not in ENDED:
        yield caller.call()


def _answered(beside: str, seconds: Iterable[float]) -> None:
    every = 1e3 * np.array(list(seconds))
    low, high = np.percentile(every, [50, 99])
    print(
        f"- event to answer, beside {beside}: {len(every)} events, p50 {low:.1f} ms, "
        f"p99 {high:.1f} ms, longest {every.max():.1f} ms (load {os.getloadavg()[0]:.1f})",
        flush=True,
    )


def _tell(what: str, seconds: list[float | None]) -> None:
    known = [one for one in seconds if one is not None]
    if known:
        low, high = np.percentile(1e3 * np.array(known), [50, 95])
        print(
            f"- saved to flag, beside {what}: {len(known)} events, p50 {low:.0f} ms, "
            f"p95 {high:.0f} ms (load {os.getloadavg()[0]:.1f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
