"""How much the service adds to a model: its latency, its throughput and its memory.

Run from the repository root, where ``make demo`` has installed Label Studio (Linux only)::

    python -m benchmarks.serving [--quick] [--model FILE | --untrained yolo11n]

A real Label Studio holds the images and the real backend answers ``/predict``. The bare model is
Ultralytics' own ``model.predict`` in this process, on the same images, decoded before, with the
same floor of confidence. Requests and bare calls take turns, so that what else the machine does
meets both. Every request names tasks that the backend has never seen: nothing comes from its store.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from label_studio_sdk import LabelStudio
from numpy.typing import NDArray

from benchmarks import pipeline
from benchmarks.pipeline import Site
from benchmarks.usual import untrained
from ml_backend.demo.projects import CONFIGS, SampleTask, connect_backend, create_project
from ml_backend.demo.scenes import draw_scene, split_digits
from ml_backend.predictors.base import SCORE_FLOOR

__all__ = ["CLIENTS", "IMAGES", "MODELS", "Service", "at_once", "main", "running"]

MODELS = Path(__file__).parents[1] / "ml_backend" / "demo" / "models"
IMAGES = 64
CLIENTS = (1, 4, 16)
_BATCH = 32
#: What the issue asks for.
_OVERHEAD_MS = 10.0
_RATIO = 0.9

RGB = NDArray[np.uint8]


@dataclass
class Service:
    """The running backend of one project.

    Attributes:
        pid: its process.
        images: N images.
        addresses: where Label Studio has them.
        client: a signed-in client of that Label Studio.
    """

    url: str
    pid: int
    project: int
    images: list[RGB]
    addresses: list[str]
    client: LabelStudio

    def __post_init__(self) -> None:
        self._ids = itertools.count(1_000_000_000)

    def body(self, rows: Sequence[int]) -> dict[str, Any]:
        """Name tasks of these images that nobody has seen before."""
        tasks = [{"id": next(self._ids), "data": {"image": self.addresses[n]}} for n in rows]
        config = CONFIGS["detection"]
        return {"tasks": tasks, "project": f"{self.project}.0", "label_config": config}

    def processor_time(self) -> float:
        """Return the seconds that the backend has computed, on all cores together."""
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)

    def predict(self, http: httpx.Client, rows: Sequence[int]) -> float:
        """Return the seconds of one request, checked to have an answer for every task."""
        body = self.body(rows)
        start = time.perf_counter()
        answer = http.post(f"{self.url}/predict", json=body)
        seconds = time.perf_counter() - start
        answer.raise_for_status()
        results = answer.json()["results"]
        if len(results) != len(rows) or not all(results):
            raise RuntimeError(f"not every task has an answer: {answer.text[:300]}")
        return seconds


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer requests")
    parser.add_argument("--model", type=Path, default=MODELS / "digits-detect.pt")
    parser.add_argument("--untrained", help="an architecture of ordinary size, with 640 px inputs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="relook-untrained-") as folder:
        if options.untrained:
            options.model = untrained(options.untrained, Path(folder))
        _measure(options)


def _measure(options: argparse.Namespace) -> None:
    part = 4 if options.quick else 1
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {options.model.name}\n"
    )
    with running(options.model) as service, httpx.Client(timeout=300) as http:
        bare = _bare(options.model)
        print(f"- first answer after connecting: {service.predict(http, [0]):.1f} s")
        _from_label_studio(service, http)
        bare(service.images[:_BATCH])
        _one_by_one(service, http, bare, 120 // part)
        for clients in CLIENTS:
            _many_clients(service, bare, clients, 160 // part)
        _batches(service, http, bare, 320 // part)
        _memory(service, http)


def _one_by_one(
    service: Service, http: httpx.Client, bare: Callable[[list[RGB]], float], count: int
) -> None:
    rows = [n % IMAGES for n in range(count)]
    bare(service.images[:1])
    begun = service.processor_time(), time.process_time()
    pairs = [(service.predict(http, [n]), bare([service.images[n]])) for n in rows]
    work = 1e3 * (service.processor_time() - begun[0]) / count
    # Also holds what sending a request takes.
    bare_work = 1e3 * (time.process_time() - begun[1]) / count
    over = 1e3 * np.array([whole - model for whole, model in pairs])
    alone = 1e3 * statistics.median(model for _, model in pairs)
    print(
        f"- one client, one task a request: bare call p50 {alone:.1f} ms; overhead p50 "
        f"{np.percentile(over, 50):.1f} ms, p95 {np.percentile(over, 95):.1f} ms "
        f"(p50 to reach: {_OVERHEAD_MS:g} ms); processor time of the backend {work:.1f} ms a task, "
        f"of this process {bare_work:.1f} ms"
    )


def at_once(service: Service, clients: int, count: int) -> tuple[float, NDArray[np.float64]]:
    """Let many clients ask at once, one task a request.

    Returns:
        milliseconds a task took, and the latencies of all requests, in milliseconds.
    """
    each = count // clients

    def client(number: int, http: httpx.Client) -> list[float]:
        return [service.predict(http, [(number + n) % IMAGES]) for n in range(each)]

    with ExitStack() as open_:
        https = [open_.enter_context(httpx.Client(timeout=300)) for _ in range(clients)]
        pool = open_.enter_context(ThreadPoolExecutor(clients))
        start = time.perf_counter()
        lots = list(pool.map(client, range(clients), https))
    return 1e3 * (time.perf_counter() - start) / (each * clients), 1e3 * np.concatenate(lots)


def _many_clients(
    service: Service, bare: Callable[[list[RGB]], float], clients: int, count: int
) -> None:
    alone = sum(bare([service.images[n]]) for n in range(IMAGES)) / IMAGES
    task, latency = at_once(service, clients, count)
    print(
        f"- {clients} clients at once, one task a request: {1e3 / task:.0f} tasks/s, "
        f"{task:.1f} ms a task, {task - 1e3 * alone:+.1f} ms beside bare calls one after the "
        f"other; latency p50 {np.percentile(latency, 50):.0f} ms, "
        f"p95 {np.percentile(latency, 95):.0f} ms"
    )


def _batches(
    service: Service, http: httpx.Client, bare: Callable[[list[RGB]], float], count: int
) -> None:
    rows = [n % IMAGES for n in range(count)]
    images = [service.images[n] for n in rows]
    begun = service.processor_time(), time.process_time()
    pairs = [(service.predict(http, rows), bare(images)) for _ in range(5)]
    work = (time.process_time() - begun[1]) / (service.processor_time() - begun[0])
    ratios = [model / whole for whole, model in pairs]
    whole, model = (sum(seconds) / len(pairs) for seconds in zip(*pairs, strict=True))
    print(
        f"- one request of {count} tasks: {count / whole:.0f} tasks/s, model.predict "
        f"{count / model:.0f} images/s, ratio {model / whole:.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f} in {len(pairs)} rounds; to reach: {_RATIO:g}), "
        f"of processor times {work:.3f}"
    )


def _from_label_studio(service: Service, http: httpx.Client) -> None:
    seconds = service.predict(http, range(1, IMAGES))
    print(
        f"- one request of {IMAGES - 1} tasks, their images not fetched before: "
        f"{(IMAGES - 1) / seconds:.0f} tasks/s"
    )


def _memory(service: Service, http: httpx.Client) -> None:
    peaks = {}
    for count in (100, 1000):
        # Linux: begin the peak anew.
        Path(f"/proc/{service.pid}/clear_refs").write_text("5")
        service.predict(http, [n % IMAGES for n in range(count)])
        peaks[count] = _peak_mib(service.pid)
    print(
        f"- peak memory of the backend: {peaks[100]:.0f} MiB with a request of 100 tasks, "
        f"{peaks[1000]:.0f} MiB with one of 1,000"
    )


def _peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _bare(path: Path) -> Callable[[list[RGB]], float]:
    """Return a function that predicts images with Ultralytics alone and returns the seconds."""
    os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
    import torch  # noqa: PLC0415
    from ultralytics import YOLO  # noqa: PLC0415

    model = YOLO(str(path), verbose=False)
    cuda = torch.cuda.is_available()
    options: dict[str, Any] = {"conf": SCORE_FLOOR, "device": 0 if cuda else "cpu"}
    options["quantize"] = 16 if cuda else None

    def predict(images: list[RGB]) -> float:
        flipped = [np.ascontiguousarray(image[..., ::-1]) for image in images]
        start = time.perf_counter()
        for at in range(0, len(flipped), _BATCH):
            some = flipped[at : at + _BATCH]
            model.predict(some, batch=len(some), verbose=False, save=False, **options)
        return time.perf_counter() - start

    return predict


@contextmanager
def running(model: Path) -> Iterator[Service]:
    """Run the backend, with a Label Studio that holds the images."""
    with pipeline.running(0, model.parent) as site:
        yield _service(site, model.name)


def _service(site: Site, model: str) -> Service:
    random = np.random.default_rng(0)
    scenes = [draw_scene(split_digits()[1], random) for _ in range(IMAGES)]
    client, stack = site.client, site.stack
    samples = [SampleTask(scene.image, scene.label, scene.box) for scene in scenes]
    project, ids = create_project(client, site.server.url, "detection", "Serving", samples)
    connect_backend(client, project, stack.url, {"model": model})
    addresses = {int(task.id): task.data["image"] for task in client.tasks.list(project=project)}
    return Service(
        stack.url,
        stack.children["backend"].pid,
        project,
        [scene.image for scene in scenes],
        [addresses[number] for number in ids],
        client,
    )


if __name__ == "__main__":
    main()
