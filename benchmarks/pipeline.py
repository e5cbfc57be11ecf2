"""Where the time of a run over a whole project goes, and the ceiling of Label Studio's API.

Run from the repository root, where ``make demo`` has installed Label Studio::

    python -m benchmarks.pipeline [TASKS ...] [--workers N] [--threads N] [--pixels N]

A real Label Studio holds the tasks: 64 small images with people's labels, a tenth of them wrong,
each named by many tasks. The real stack analyses the project three times: all of it, unchanged,
and after one label in a hundred was changed. What Label Studio's API can do at best is measured on
the same project. The demo's detector sees 128 pixels; with 640 it costs what a model of ordinary
size does.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import redis
from label_studio_sdk import LabelStudio
from pydantic import SecretStr

from ml_backend.commands.stack import Stack
from ml_backend.demo.labelstudio import LabelStudioServer
from ml_backend.demo.projects import (
    CONFIGS,
    SampleTask,
    connect_backend,
    human_result,
    upload_images,
)
from ml_backend.demo.scenes import draw_scene, split_digits
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.graph import RunGraph
from ml_backend.jobs.runs.run import ENDED, Run
from ml_backend.labelstudio.client import connect
from ml_backend.labelstudio.tasks.changes import read_states
from ml_backend.labelstudio.tasks.importing import import_tasks
from ml_backend.labelstudio.tasks.reader import read_project, read_tasks
from ml_backend.labelstudio.writer import create_predictions, write_field
from ml_backend.processes import free_port
from ml_backend.settings import ServiceSettings

__all__ = ["Site", "main", "make_project", "running"]

_MODELS = Path(__file__).parents[1] / "ml_backend" / "demo" / "models"
_IMAGES = 64
_WRONG = 10
_IMPORTED = 1000
_SAMPLE = 1000


@dataclass
class Site:
    """A running Label Studio and Relook beside it."""

    server: LabelStudioServer
    settings: ServiceSettings
    client: LabelStudio
    stack: Stack

    def __post_init__(self) -> None:
        mailbox = Mailbox(redis.Redis.from_url(self.stack.redis_url))
        self.mailbox, self.book = mailbox, RunBook(mailbox.redis)
        self.graph = RunGraph(mailbox, self.book)

    def start(self, project: int) -> Run:
        """Begin a run."""
        return self.graph.start(project)

    def ended(self, run: Run) -> Run:
        """Wait for the end of a run."""
        while (now := self.book.read(run.id)).state not in ENDED:
            time.sleep(0.1)
        if now.state != "done":
            raise RuntimeError(f"the run ended as {now.state}: {now.errors}, {now.log}")
        return now


@contextmanager
def running(workers: int = 1, models: Path = _MODELS, threads: int = 0) -> Iterator[Site]:
    """Run Label Studio and Relook in a folder that is deleted afterwards.

    Args:
        workers: how many workers.
        models: the folder that models are loaded from.
        threads: of one model; 0 is one per core.
    """
    folder = Path(tempfile.mkdtemp(prefix="relook-benchmark-"))
    try:
        with LabelStudioServer(folder / "label-studio") as server:
            settings = ServiceSettings(
                LABEL_STUDIO_URL=server.url,
                LABEL_STUDIO_API_KEY=SecretStr(server.token()),
                data_dir=folder / "relook",
                model_dir=models,
                threads=threads,
                port=free_port(),
            )
            with Stack(settings, workers) as stack:
                yield Site(server, settings, connect(settings), stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_project(site: Site, count: int, wrong: int = _WRONG) -> tuple[int, list[int]]:
    """Make a connected project of labelled scenes; return its id and its tasks'.

    Args:
        site: where.
        count: how many tasks.
        wrong: one in so many has a wrong label.
    """
    random = np.random.default_rng(0)
    scenes = [draw_scene(split_digits()[1], random) for _ in range(_IMAGES)]
    client = site.client
    made = client.projects.create(title=f"{count} tasks", label_config=CONFIGS["detection"])
    project = int(made.id or 0)
    images = upload_images(client, site.server.url, project, [one.image for one in scenes])
    tasks: list[int] = []
    for start in range(0, count, _IMPORTED):
        body = []
        for number in range(start, min(start + _IMPORTED, count)):
            scene = scenes[number % _IMAGES]
            label = np.array(scene.label)
            if number % wrong == 0:
                label[0] = (label[0] + 5) % 10
            result = human_result("detection", SampleTask(scene.image, label, scene.box))
            image = images[number % _IMAGES]
            body.append({"data": {"image": image}, "annotations": [{"result": result}]})
        tasks += import_tasks(client, project, body)
    connect_backend(client, project, site.stack.url, {"model": "digits-detect.pt"})
    return project, tasks


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", type=int, default=[1000, 10_000])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of one model; 0: one per core")
    parser.add_argument("--pixels", type=int, help="that the detector sees")
    options = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, {options.workers} workers, "
        f"{options.threads or 'all'} threads, {options.pixels or 'its own'} pixels\n"
    )
    for count in options.tasks:
        with (
            _seeing(options.pixels) as models,
            running(options.workers, models, options.threads) as site,
        ):
            project, tasks = make_project(site, count)
            _print_run(f"{count:,} tasks, first run", site.ended(site.start(project)))
            _print_run(f"{count:,} tasks, unchanged", site.ended(site.start(project)))
            _change(site, tasks[:: len(tasks) // max(1, len(tasks) // 100)])
            _print_run(f"{count:,} tasks, 1 % relabelled", site.ended(site.start(project)))
            _print_ceiling(site.client, project, tasks)


@contextmanager
def _seeing(pixels: int | None) -> Iterator[Path]:
    """Yield a model folder whose detector scales images to so many pixels."""
    if pixels is None:
        yield _MODELS
        return
    with tempfile.TemporaryDirectory(prefix="relook-models-") as folder:
        # Imported where it is needed: PyTorch takes seconds.
        import torch  # noqa: PLC0415
        from ultralytics import YOLO  # noqa: PLC0415

        checkpoint = YOLO(_MODELS / "digits-detect.pt").ckpt
        checkpoint["train_args"]["imgsz"] = pixels
        torch.save(checkpoint, Path(folder) / "digits-detect.pt")
        yield Path(folder)


def _change(site: Site, tasks: list[int]) -> None:
    for task in tasks:
        (annotation,) = site.client.tasks.get(id=str(task)).annotations or []
        result = annotation["result"][1:]
        site.client.annotations.update(id=annotation["id"], result=result)


def _print_run(what: str, run: Run) -> None:
    began = {"listing": run.started}
    for line in run.log:
        found = re.match(r"([0-9.]+) (\w+): \d+ of \d+ tasks", line)
        if found:
            began[found[2]] = float(found[1])
    ends = [*list(began.values())[1:], run.ended]
    took = run.ended - run.started
    shares = ", ".join(
        f"{stage} {end - start:.1f} s ({(end - start) / took:.0%})"
        for (stage, start), end in zip(began.items(), ends, strict=True)
    )
    rate = run.total / took
    print(
        f"- {what}: {took:.1f} s, {rate:.0f} tasks/s, {run.flagged} flagged: {shares}", flush=True
    )


def _print_ceiling(client: LabelStudio, project: int, tasks: list[int]) -> None:
    opened, some = read_project(client, project), tasks[:_SAMPLE]
    box: list[dict[str, Any]] = [
        {
            **{"from_name": "label", "to_name": "image", "type": "rectanglelabels"},
            **{"original_width": 128, "original_height": 128},
            "value": {"x": 10, "y": 10, "width": 9, "height": 9, "rectanglelabels": ["3"]},
        }
    ]
    made = dict.fromkeys(some, (box, 0.5))
    few = dict(list(made.items())[:20])
    _timed("list id and stamp", len(tasks), lambda: read_states(client, project))
    _timed("read tasks", len(some), lambda: list(read_tasks(client, opened, "relook", some)))
    _timed(
        "import predictions, one call",
        len(some),
        lambda: create_predictions(client, project, "bench", made),
    )
    _timed(
        "predictions one by one",
        len(few),
        lambda: create_predictions(client, project, "bench", few, 10**6),
    )
    steps = {task: (number % 50) / 50 for number, task in enumerate(some)}
    _timed("a field, 50 values", len(some), lambda: write_field(client, project, "bench", steps))
    other = {task: f"r{task}" for task in some[:40]}
    _timed("a field, all values distinct", 40, lambda: write_field(client, project, "b", other))


def _timed(what: str, count: int, work: Callable[[], object]) -> None:
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    print(f"  - Label Studio, {what}: {count / seconds:.0f} tasks/s ({seconds:.2f} s)", flush=True)


if __name__ == "__main__":
    main()
