"""All of a run but the model and Label Studio, from a thousand to a million made-up tasks.

Run from the repository root::

    python -m benchmarks.scale [TASKS ...]

Each size runs in a process of its own: columns are written to the store shard by shard as workers
do, then learnt from, scored again and decided on. Then two processes share the work of one, and the
queue is held against bare RQ.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import numpy as np
import psutil
from numpy.typing import NDArray
from pydantic import SecretStr
from rq import Queue, SimpleWorker

from ml_backend.demo.projects import CONFIGS
from ml_backend.jobs.project import learning
from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.jobs.project.work import ProjectWork
from ml_backend.jobs.queues.embedded_redis import EmbeddedRedis
from ml_backend.jobs.queues.mailbox import RUNS, open_redis
from ml_backend.jobs.worker import LivingWorker
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.tasks.reader import Project
from ml_backend.outlines import Outlines
from ml_backend.predictors.base import Predictions
from ml_backend.review.decide import State, decide
from ml_backend.services import Services
from ml_backend.settings import ProjectSettings, ServiceSettings
from ml_backend.storage.labels import StoredLabels
from ml_backend.storage.looks import QUIET, Looks

__all__ = ["main", "nothing"]

_MODELS = Path(__file__).parents[1] / "ml_backend" / "demo" / "models"
_SHARD = 128
_COMPARED = 8192
_BOXES = 4
_SIZE = 128.0
_WRONG = 20
_JOBS = 2000


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "FIRST", "TASKS"))
    options = parser.parse_args()
    if options.one:
        folder, first, count = options.one
        print(_measure(Path(folder), int(first), int(count)))
        return
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}\n"
    )
    for count in options.tasks:
        with tempfile.TemporaryDirectory(prefix="relook-scale-") as folder:
            _, (said,) = _run((Path(folder), 0, count))
            print(f"- {said}", flush=True)
    _print_speed_up(10_000)
    _print_queue()


def _run(*parts: tuple[Path, int, int]) -> tuple[float, list[str]]:
    """Have a process do each part; return the seconds since all were ready, and what they said."""
    command = [sys.executable, "-m", "benchmarks.scale", "--one"]
    started = [
        subprocess.Popen(  # noqa: S603 - our own command
            [*command, *map(str, part)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in parts
    ]
    ready = [cast(IO[str], one.stdout).readline() for one in started]
    began = time.perf_counter()
    said = [one.communicate("go\n")[0].strip() for one in started]
    seconds = time.perf_counter() - began
    if not all(ready) or any(one.returncode for one in started):
        raise RuntimeError("a process failed, see above")
    return seconds, said


def _measure(folder: Path, first: int, count: int) -> str:
    os.environ["RELOOK_THREADS"] = "1"
    settings = ServiceSettings(
        # Nobody is asked.
        LABEL_STUDIO_URL="http://127.0.0.1:9",
        LABEL_STUDIO_API_KEY=SecretStr("none"),
        data_dir=folder,
        model_dir=_MODELS,
    )
    config = parse_config(CONFIGS["detection"])
    project = Project(1, "", config, "", count, 1)
    asked = ProjectSettings(model="digits-detect.pt")
    work = ProjectWork(OpenedProject(Services(settings), project, asked))
    tasks = np.arange(first, first + count, dtype=np.int64)
    learning.fit(work.opened, tasks[:0])
    idle = psutil.Process().memory_info().rss
    print("ready", flush=True)
    sys.stdin.readline()
    compared = work.comparison
    seconds = {
        "store": _timed(lambda: _write(work, tasks)),
        "fit": _timed(lambda: learning.fit(work.opened, tasks)),
        "score": _timed(lambda: _score(work, tasks)),
        "unchanged": _timed(lambda: (compared.settle(tasks), compared.settled(tasks))),
    }
    peak = int(
        next(
            line.split()[1]
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
    )
    parts = ", ".join(f"{what} {count / spent:,.0f}/s" for what, spent in seconds.items())
    return (
        f"{count:,} tasks: {sum(seconds.values()):.1f} s, peak {peak >> 10:,} MiB "
        f"(of them {idle >> 20:,} before the first task): {parts}"
    )


def _write(work: ProjectWork, tasks: NDArray[np.int64]) -> None:
    control = work.opened.controls[0]
    key = work.opened.answers(control).key
    store, looks = work.opened.services.store, work.opened.services.looks
    for start in range(0, len(tasks), _SHARD):
        some = tasks[start : start + _SHARD]
        said, labels = _made(some)
        sources = [f"/data/{task}.png" for task in some.tolist()]
        store.put_predictions(1, control.name, key, some, sources, said)
        store.put_labels(1, control, some, labels)
        column = np.full(len(some), 1, dtype=np.int64)
        flagged = np.zeros(len(some), dtype=np.bool_)
        told = np.full(len(some), QUIET)
        none = np.full(len(some), np.nan, dtype=np.float32)
        looks.put(1, Looks(some, column, column, column, told, none, flagged))


def _score(work: ProjectWork, tasks: NDArray[np.int64]) -> None:
    for start in range(0, len(tasks), _COMPARED):
        some = tasks[start : start + _COMPARED]
        _, other = work.comparison.compare(some, settled=False)
        nothing_yet = np.full(len(some), "")
        priority = np.where(other, 0.9, 0.1).astype(np.float32)
        at = np.full(len(some), 1.0)
        never = np.zeros(len(some), dtype=np.bool_)
        said = np.full(len(some), "d")
        decide(State(nothing_yet, nothing_yet, said, at, at, "m", priority, never, at), 0.5)


def _made(tasks: NDArray[np.int64]) -> tuple[Predictions, StoredLabels]:
    """Boxes that a model found, and people's, of which one in twenty has another label."""
    random = np.random.default_rng(int(tasks[0]))
    count = len(tasks) * _BOXES
    place = random.uniform(0, _SIZE - 40, (count, 2))
    box = np.hstack([place, random.uniform(10, 40, (count, 2)), np.zeros((count, 1))])
    label = random.integers(0, 10, count).astype(np.int32)
    item = np.repeat(np.arange(len(tasks)), _BOXES)
    size = np.full((len(tasks), 2), int(_SIZE), dtype=np.int32)
    score = random.uniform(0.3, 1, count).astype(np.float32)
    probs = np.empty((len(tasks), 0), dtype=np.float32)
    said = Predictions(size, item, label, score, Outlines.of_table(box), probs)
    given = np.where(random.integers(0, _WRONG, count) == 0, (label + 1) % 10, label)
    drawn = box + np.pad(random.normal(0, 1, (count, 4)), ((0, 0), (0, 1)))
    unit = tasks + 10**9
    labels = StoredLabels(
        task=tasks,
        unit=unit,
        region_unit=unit[item],
        label=given.astype(np.int32),
        outline=Outlines.of_table(drawn),
        held_task=tasks,
        held=unit,
        approved=np.zeros(len(unit), dtype=np.bool_),
        size=np.zeros((len(unit), 2), dtype=np.int32),
    )
    return said, labels


def _print_speed_up(count: int) -> None:
    seconds = []
    for processes in (1, 2):
        with tempfile.TemporaryDirectory(prefix="relook-scale-") as folder:
            each = 2 * count // processes
            starts = [number * each for number in range(processes)]
            seconds.append(_run(*((Path(folder), start, each) for start in starts))[0])
    print(f"- two processes on one store over one: {seconds[0] / seconds[1]:.2f} times as fast")


def nothing() -> None:
    """Do nothing: what is left is the queue's own cost."""


def _print_queue() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="relook-scale-") as folder,
        EmbeddedRedis(Path(folder)) as server,
    ):
        settings = ServiceSettings(REDIS_URL=server.url)
        connection = open_redis(settings)
        queue = Queue(RUNS, connection=connection)
        rates = {}
        for name, worker in (
            ("bare RQ", lambda: SimpleWorker([queue], connection=connection)),
            ("Relook's worker", lambda: LivingWorker(settings, connection)),
        ):
            queue.enqueue_many([Queue.prepare_data(nothing) for _ in range(_JOBS)])
            made = worker()
            rates[name] = _JOBS / _timed(
                lambda made=made: made.work(burst=True, logging_level="WARNING")
            )
        print("- jobs that do nothing: " + ", ".join(f"{n} {r:.0f}/s" for n, r in rates.items()))


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
