"""Everything at once for a while: does memory stay flat, is any event lost, does anything fail?

Run from the repository root, where ``make demo`` has installed Label Studio (Linux only)::

    python -m benchmarks.soak [--minutes 5] [--workers 1]

A real Label Studio, Redis, worker and backend. Meanwhile clients ask for predictions, people save
labels (Label Studio sends the events), runs are begun, and users of the review page look around.
At the end every task that was saved must have been scored as it stands in Label Studio. It ends
with 1 when a request failed, an event was lost, or memory still grew in the second half of the
time.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import httpx
import numpy as np
import psutil
import redis
from label_studio_sdk import LabelStudio
from scipy.stats import theilslopes

from benchmarks import pipeline
from ml_backend.commands.stack import Stack
from ml_backend.demo.projects import CONFIGS, SampleTask, connect_backend, create_project
from ml_backend.demo.scenes import draw_scene, split_digits
from ml_backend.jobs.queues.mailbox import Mailbox
from ml_backend.jobs.runs.book import RunBook
from ml_backend.jobs.runs.run import ENDED
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.regions.results import decode
from ml_backend.settings import ServiceSettings
from ml_backend.storage.store import Store

__all__ = ["main", "still_growing"]

_MODEL = "digits-detect.pt"
_TASKS = 60
_PREDICTING = 4
_LABELLING = 2
_LOOKING = 2
_RUN_EVERY_S = 30.0
_SETTLE_S = 900.0
_MEMORY_EVERY_S = 5.0
#: What a process may grow by in an hour, MiB, and pass for flat.
_FLAT_MIB: Final = 40.0
#: Beyond that, caches fill and the allocator keeps what was freed: 390 MiB in the hour of
#: docs/benchmarks.md, of which 275 in the first 6 minutes and 370 in the first 18.
_WARMING_MIB: Final = 400.0
_WARMING_S: Final = 300.0
#: More moments of memory than these make no line more certain.
_MOMENTS: Final = 1000

#: When a moment was, in seconds since the first, and what each process then held, MiB.
Moment = tuple[float, dict[str, float]]


@dataclass
class Site:
    """What is running.

    Attributes:
        addresses: task to where Label Studio has its image.
        annotations: task to its annotation and what that says.
    """

    settings: ServiceSettings
    stack: Stack
    client: LabelStudio
    token: str
    project: int
    addresses: dict[int, str]
    annotations: dict[int, tuple[int, list[dict[str, Any]]]]
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1_000_000_000))

    def predict(self, http: httpx.Client, random: np.random.Generator) -> str:
        """Ask for a prediction of a task that nobody has seen before."""
        address = self.addresses[int(random.choice(list(self.addresses)))]
        task = {"id": next(self._ids), "data": {"image": address}}
        named = {"project": f"{self.project}.0", "label_config": CONFIGS["detection"]}
        answer = http.post("/predict", json={"tasks": [task], **named})
        answer.raise_for_status()
        if not all(answer.json()["results"]):
            raise RuntimeError("a task without an answer")
        return "prediction"

    def label(self, tasks: list[int], random: np.random.Generator) -> str:
        """Save an annotation with another label."""
        annotation, result = self.annotations[int(random.choice(tasks))]
        for region in result:
            region["value"]["rectanglelabels"] = [str(random.integers(10))]
        self.client.annotations.update(id=annotation, result=result)
        return "annotation saved in Label Studio"

    def look(self, http: httpx.Client, random: np.random.Generator) -> str:
        """Ask for what the review page asks for."""
        task = int(random.choice(list(self.addresses)))
        what, path = [
            ("points", "points"),
            ("overview", f"overview?iou={random.uniform(0.3, 0.9):.3f}"),
            ("search", "search?q=needs"),
            ("task", f"tasks/{task}"),
            ("image", f"tasks/{task}/image?size=128"),
            ("similar", f"similar?task={task}"),
        ][int(random.integers(6))]
        http.get(f"/api/projects/{self.project}/{path}").raise_for_status()
        return f"page: {what}"

    def run(self, http: httpx.Client) -> str:
        """Begin a run."""
        http.post(f"/api/projects/{self.project}/runs").raise_for_status()
        return "begin a run"

    def memory(self) -> dict[str, float]:
        """Return the memory of each process, and what Redis holds, MiB."""
        pids = {name: one.pid for name, one in self.stack.children.items()}
        found = {name: psutil.Process(pid).memory_info().rss for name, pid in pids.items()}
        with redis.Redis.from_url(self.stack.redis_url) as connection:
            said: Any = connection.info("memory")
        return {
            name: size / (1 << 20) for name, size in {**found, "Redis": said["used_memory"]}.items()
        }


class Tally:
    """How long each kind of request took, and what failed."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self._lock = threading.Lock()

    def timed(self, do: Callable[[], str]) -> None:
        """Do something and note how long it took."""
        start = time.perf_counter()
        try:
            kind = do()
        except Exception as error:  # counted, and told at the end
            with self._lock:
                self.errors.append(f"{type(error).__name__}: {error}"[:300])
            return
        with self._lock:
            self.seconds[kind].append(time.perf_counter() - start)


def main() -> None:
    """Print what was measured; end with 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {options.minutes:g} minutes; load of the machine before "
        f"{os.getloadavg()[0]:.1f}\n"
    )
    with pipeline.running(options.workers) as ground:
        site = _site(ground)
        _settle(site)
        tally, memory = Tally(), [(0.0, site.memory())]
        _load(site, tally, memory, 60 * options.minutes)
        print(f"- load of the machine meanwhile {os.getloadavg()[0]:.1f}")
        _tell(tally)
        _tell_memory(memory)
        grown = still_growing(memory)
        print(f"- memory still grew in the second half of the time: {'; '.join(grown) or 'none'}")
        start = time.perf_counter()
        _settle(site)
        print(f"- all work done {time.perf_counter() - start:.0f} s after the last request")
        lost = _lost(site)
        print(f"- tasks not scored as they stand in Label Studio: {len(lost)} of {_TASKS} {lost}")
    sys.exit(bool(tally.errors or lost or grown))


def _load(site: Site, tally: Tally, memory: list[Moment], seconds: float) -> None:
    start = time.monotonic()
    end = start + seconds
    headers = {"Authorization": f"Bearer {site.token}"}

    def repeat(do: Callable[[], str], pause: float) -> None:
        while time.monotonic() < end:
            tally.timed(do)
            time.sleep(max(0.0, min(pause, end - time.monotonic())))

    def predicting(seed: int) -> None:
        random = np.random.default_rng(seed)
        with httpx.Client(base_url=site.stack.url, timeout=100) as http:
            repeat(lambda: site.predict(http, random), 0.05)

    def labelling(number: int) -> None:
        random = np.random.default_rng(100 + number)
        # One person's tasks are not another's: what was saved last is known.
        own = sorted(site.annotations)[number::_LABELLING]
        repeat(lambda: site.label(own, random), 0.2)

    def looking(seed: int) -> None:
        random = np.random.default_rng(200 + seed)
        with httpx.Client(base_url=site.stack.url, timeout=100, headers=headers) as http:
            repeat(lambda: site.look(http, random), 0.1)

    def running(_: int) -> None:
        with httpx.Client(base_url=site.stack.url, timeout=100, headers=headers) as http:
            repeat(lambda: site.run(http), _RUN_EVERY_S)

    def watching(_: int) -> None:
        while time.monotonic() < end:
            time.sleep(_MEMORY_EVERY_S)
            memory.append((time.monotonic() - start, site.memory()))

    roles = [(predicting, _PREDICTING), (labelling, _LABELLING), (looking, _LOOKING)]
    roles += [(running, 1), (watching, 1)]
    _together([partial(role, n) for role, count in roles for n in range(count)])


def _together(parts: list[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(parts)) as pool:
        for one in [pool.submit(part) for part in parts]:
            one.result()


def _tell(tally: Tally) -> None:
    for kind, seconds in sorted(tally.seconds.items()):
        low, high = np.percentile(1e3 * np.array(seconds), [50, 95])
        print(f"- {kind}: {len(seconds)} requests, p50 {low:.0f} ms, p95 {high:.0f} ms")
    print(f"- errors: {len(tally.errors)} of {sum(map(len, tally.seconds.values()))} requests")
    for said in sorted(set(tally.errors))[:10]:
        print(f"  - {tally.errors.count(said)} times {said}")


def _tell_memory(memory: list[Moment]) -> None:
    moments = [memory[n * (len(memory) - 1) // 10][1] for n in range(11)]
    for name in moments[0]:
        row = " ".join(f"{one[name]:.0f}" for one in moments)
        print(f"- memory of {name}, MiB, before and after each tenth of the time: {row}")


def still_growing(memory: list[Moment]) -> list[str]:
    """Tell which processes grew by more in the second half of the time than they may.

    A line is laid through that half (Theil-Sen: a few odd moments do not turn it), and the gentlest
    that its moments allow with 95 % certainty counts, so that noise alone is no growth. In a short
    time a process still warms up: the earlier the half begins, the more it may grow.
    """
    half = [one for one in memory if one[0] >= memory[-1][0] / 2]
    half = half[:: -(-len(half) // _MOMENTS)]
    if len(half) < 3:
        return []
    seconds = np.array([at for at, _ in half])
    lasts = seconds[-1] - seconds[0]
    warming = _WARMING_MIB * np.exp(-seconds[0] / _WARMING_S)
    may = _FLAT_MIB * lasts / 3600 + warming
    said = []
    for name in half[0][1]:
        line = theilslopes(np.array([sizes[name] for _, sizes in half]), seconds)
        grown = line.low_slope * lasts
        if grown > may:
            said.append(f"{name} by at least {grown:.0f} MiB, may {may:.0f}")
    return said


def _settle(site: Site) -> None:
    """Wait until no run is under way and every event has been worked on."""
    connection = redis.Redis.from_url(site.stack.redis_url)
    mailbox, book = Mailbox(connection), RunBook(connection)
    end = time.monotonic() + _SETTLE_S
    while time.monotonic() < end:
        runs = book.of_project(site.project)
        events = mailbox.events
        busy = events.count or events.started_job_registry.count
        if (
            not busy
            and not mailbox.pending.count(site.project)
            and all(r.state in ENDED for r in runs)
        ):
            return
        time.sleep(0.5)
    raise RuntimeError(f"work is left after {_SETTLE_S:.0f} s")


def _lost(site: Site) -> list[int]:
    """Return the tasks whose labels were not read as they now stand in Label Studio."""
    (control,) = parse_config(CONFIGS["detection"]).controls
    tasks = np.array(sorted(site.annotations), dtype=np.int64)
    kept = Store(site.settings.data_dir / "store").get_labels(site.project, control, tasks)
    lost = []
    for task in tasks.tolist():
        annotation = site.annotations[task][0]
        now: Any = site.client.annotations.get(id=annotation)
        stands = sorted(decode(control, [now.result]).label.tolist())
        read = sorted(kept.label[kept.region_unit == annotation].tolist())
        if stands != read:
            lost.append(task)
    return lost


def _site(ground: pipeline.Site) -> Site:
    random = np.random.default_rng(0)
    scenes = [draw_scene(split_digits()[1], random) for _ in range(_TASKS)]
    client, stack = ground.client, ground.stack
    samples = [SampleTask(one.image, one.label, one.box) for one in scenes]
    project, _ = create_project(client, ground.server.url, "detection", "Soak", samples)
    connect_backend(client, project, stack.url, {"model": _MODEL})
    token = ground.server.token()
    headers = {"Authorization": f"Bearer {token}"}
    found = [client.tasks.get(id=str(one.id)) for one in client.tasks.list(project=project)]
    site = Site(
        ground.settings,
        stack,
        client,
        token,
        project,
        {int(one.id): one.data["image"] for one in found},
        {int(one.id): (one.annotations[0]["id"], one.annotations[0]["result"]) for one in found},
    )
    with httpx.Client(base_url=stack.url, timeout=100, headers=headers) as http:
        site.run(http)
    return site


if __name__ == "__main__":
    main()
