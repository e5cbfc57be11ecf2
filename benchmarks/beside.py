"""Relook beside the serving stack that YOLO models in Label Studio usually have, under equal load.

Run from the repository root, where ``make beside`` has installed all of it (Linux only)::

    python -m benchmarks.beside [--model FILE] [--rounds 3]

The other one is label-studio-ml's own server under gunicorn, one process with eight threads, with
the class of ``benchmarks.yolo_backend``. Both answer the same clients for the same images, which
both have fetched before, in turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import psutil

from benchmarks.serving import CLIENTS, IMAGES, MODELS, Service, at_once, running
from ml_backend.demo.projects import CONFIGS
from ml_backend.labelstudio.client import access_headers
from ml_backend.processes import ChildProcess, free_port

__all__ = ["main"]

_ROOT = Path(__file__).parents[1]
_GUNICORN = Path(sys.prefix).parent / ".venv-ml" / "bin" / "gunicorn"
_REQUESTS = 160


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODELS / "digits-detect.pt")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {options.model.name}, load {os.getloadavg()[0]:.1f}\n"
    )
    with running(options.model) as ours, _yolo_backend(ours, options.model) as theirs:
        both = {"Relook": ours, "label-studio-ml": theirs}
        for service in both.values():
            at_once(service, 1, IMAGES)
        for clients in CLIENTS:
            _compare(both, clients, options.rounds)
        for name, service in both.items():
            print(f"- memory of {name}: {_memory(service.pid):.0f} MiB")


def _compare(both: dict[str, Service], clients: int, rounds: int) -> None:
    found = [
        [at_once(service, clients, _REQUESTS) for service in both.values()] for _ in range(rounds)
    ]
    for name, lots in zip(both, zip(*found, strict=True), strict=True):
        rate = 1e3 / np.mean([task for task, _ in lots])
        low, high = np.percentile(np.concatenate([latency for _, latency in lots]), [50, 95])
        print(f"- {clients} clients, {name}: {rate:.0f} tasks/s, p50 {low:.0f}, p95 {high:.0f} ms")
    ratios = [theirs[0] / ours[0] for ours, theirs in found]
    print(
        f"  - ratio of the rates {np.mean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f} in "
        f"{rounds} rounds)"
    )


def _memory(pid: int) -> float:
    process = psutil.Process(pid)
    every = [process, *process.children(recursive=True)]
    return sum(one.memory_info().rss for one in every) / (1 << 20)


@contextmanager
def _yolo_backend(ours: Service, model: Path) -> Iterator[Service]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    with tempfile.TemporaryDirectory(prefix="relook-beside-") as folder:
        client = ours.client
        environment = {
            **os.environ,
            "PYTHONPATH": str(_ROOT),
            "LABEL_STUDIO_URL": client._client_wrapper.get_base_url(),
            "YOLO_AUTHORIZATION": access_headers(client)["Authorization"],
            "YOLO_MODEL": str(model),
            "YOLO_FOLDER": folder,
            "YOLO_OFFLINE": "true",
        }
        served = [
            "--workers=1",
            "--threads=8",
            f"--bind=127.0.0.1:{port}",
            "--timeout=300",
            "--no-control-socket",
        ]
        command = [str(_GUNICORN), *served, "benchmarks.yolo_backend:app"]
        log = Path(folder) / "log"
        with ChildProcess("label-studio-ml", command, log, environment) as process:
            process.wait_ready(lambda: _answers(url), 120)
            about = {"project": f"{ours.project}.0", "schema": CONFIGS["detection"]}
            httpx.post(f"{url}/setup", json=about, timeout=60).raise_for_status()
            yield replace(ours, url=url, pid=process.pid)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    main()
