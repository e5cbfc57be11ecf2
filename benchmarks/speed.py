"""How fast Relook's scores are beside cleanlab's and FiftyOne's, in one process and one run.

Run from the repository root with an interpreter that has ``benchmarks/requirements.txt``::

    python -m benchmarks.speed [--quick]

Rates are compared, so a peer that would take minutes is measured on fewer samples; the table says
on how many. Inputs are made up; each side gets them in its own format, made before the clock
starts. "cold" is the first call in the process, the rate is the best later one.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import math
import os
import platform
import time
import tracemalloc
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis import classification, confident_learning, detection
from analysis.reference import fiftyone, objectlab
from analysis.regions import Regions
from benchmarks import inputs, peers
from benchmarks.peers import Side

__all__ = ["main", "rows"]

_CLASSES = 80
_BOXES = 10
_REPEATS = 3
#: Peers that took longer than this are not run again.
_PATIENCE = 5.0


@dataclass(frozen=True)
class Job:
    """What is measured, a peer or why there is none, and the ratio of rates to reach."""

    name: str
    shape: str
    ours: Side
    peer: Side | str
    target: float | None = None


def rows(*, quick: bool = False) -> list[dict[str, Any]]:
    """Measure everything.

    Args:
        quick: a twentieth of the size, to see that it runs.

    Returns:
        one dict per line of the table: job, shape, ours, cold_s, warm_s, rate, peak_mb, peer,
        peer_size, peer_cold_s, peer_warm_s, peer_rate, peer_peak_mb, ratio, target, note.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_measure(job) for job in _jobs(20 if quick else 1)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a twentieth of the size")
    quick = parser.parse_args().quick
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, NumPy {np.__version__}\n"
    )
    print(
        "| job | input | cold s | warm s | rate /s | peak MB | peer | rate /s | peak MB "
        "| ratio | target | notes |"
    )
    print("|" + "---|" * 12)
    for row in rows(quick=quick):
        cells = (
            row["job"],
            row["shape"],
            _number(row["cold_s"]),
            _number(row["warm_s"]),
            _number(row["rate"]),
            _number(row["peak_mb"]),
            row["peer"],
            _number(row["peer_rate"]),
            _number(row["peer_peak_mb"]),
            _number(row["ratio"]),
            "" if row["target"] is None else f">= {row['target']:g}",
            row["note"],
        )
        print("| " + " | ".join(cells) + " |", flush=True)


def _jobs(part: int) -> Iterator[Job]:
    yield from _classification_jobs(part)
    yield from _image_jobs(part)
    yield from _box_jobs(part)
    yield from _scaling_jobs(part)


def _classification_jobs(part: int) -> Iterator[Job]:
    for size, classes, dtype, scores, issues in (
        (1_000_000, 10, "float32", 4, 3),
        (1_000_000, 10, "float64", 4, 3),
        (100_000, 1000, "float32", 1, 1),
    ):
        yield from _one_size(size // part, classes, dtype, scores, issues)


def _one_size(n: int, classes: int, dtype: str, scores: float, issues: float) -> Iterator[Job]:
    labels, probs = inputs.classified(n, classes, dtype)
    for name, peer, target in (
        ("quality_scores", peers.three_scores, scores),
        ("confident_joint", peers.confident_joint, None),
        ("find_label_issues", peers.label_issues, issues),
    ):
        call = functools.partial(getattr(confident_learning, name), labels, probs)
        yield Job(
            name.replace("_", " "),
            f"{n:,} x {classes} {dtype}",
            Side(f"confident_learning.{name}", n, call, memory=True),
            peer(labels, probs),
            target,
        )


def _image_jobs(part: int) -> Iterator[Job]:
    n, few = 1_000_000 // part, 10_000 // part
    labels, probs = inputs.classified(n, 10, "float32")
    logits = np.log(probs + 1e-6)

    def ours() -> object:
        return fiftyone.mistakenness(labels, logits.argmax(axis=1), fiftyone.certainty(logits))

    yield Job(
        "mistakenness of images",
        f"{n:,} x 10 logits",
        Side("fiftyone.mistakenness", n, ours, memory=True),
        peers.image_mistakenness(labels[:few], logits[:few]),
        1000,
    )


def _box_jobs(part: int) -> Iterator[Job]:
    n = 5000 // part
    boxes = inputs.detected(n, _BOXES, _CLASSES)
    some = inputs.detected(max(n // 10, 40), _BOXES, _CLASSES)
    few = inputs.detected(max(n // 25, 40), _BOXES, _CLASSES)
    issues = peers.box_issues(*few, _CLASSES)

    def mistakenness(*tables: Regions) -> object:
        return fiftyone.task_scores(*tables, fiftyone.boxes(*tables), np.arange(n))

    for job, name, call, peer, target in (
        (
            "ObjectLab scores",
            "objectlab.score_images",
            objectlab.score_images,
            peers.box_scores(*some, _CLASSES),
            100,
        ),
        (
            "ObjectLab label issues",
            "objectlab.find_label_issues",
            functools.partial(objectlab.find_label_issues, num_classes=_CLASSES),
            issues,
            500,
        ),
        (
            "findings against label issues",
            "detection.find",
            functools.partial(detection.find, num_classes=_CLASSES),
            issues,
            500,
        ),
        (
            "mistakenness of boxes",
            "fiftyone.boxes",
            mistakenness,
            peers.box_mistakenness(*few),
            1000,
        ),
    ):
        shape = f"{n:,} x {_BOXES} boxes, {_CLASSES} classes"
        ours = Side(name, n, functools.partial(call, *boxes), memory=True)
        yield Job(job, shape, ours, peer, target)


def _scaling_jobs(part: int) -> Iterator[Job]:
    for size in (1_000, 10_000, 100_000, 1_000_000):
        n = max(size // part, 1)
        call = functools.partial(classification.mistakenness, *inputs.classified(n, 10, "float32"))
        ours = Side("classification.mistakenness", n, call, memory=True)
        yield Job("cost by size", f"{n:,} x 10", ours, "")
    for size in (1_000, 10_000, 100_000, 1_000_000):
        n = max(size // part, 1)
        boxes = inputs.detected(n, _BOXES, _CLASSES)
        call = functools.partial(detection.find, *boxes, num_classes=_CLASSES)
        ours = Side("detection.find", n, call, memory=True)
        yield Job("cost by size", f"{n:,} x {_BOXES} boxes", ours, "")


def _measure(job: Job) -> dict[str, Any]:
    cold, warm, peak = _clock(job.ours)
    rate = job.ours.size / warm
    row: dict[str, Any] = {
        "job": job.name,
        "shape": job.shape,
        "ours": job.ours.name,
        "cold_s": cold,
        "warm_s": warm,
        "rate": rate,
        "peak_mb": peak,
        "peer": job.peer if isinstance(job.peer, str) else job.peer.name,
        "peer_size": None,
        "peer_cold_s": None,
        "peer_warm_s": None,
        "peer_rate": None,
        "peer_peak_mb": None,
        "ratio": None,
        "target": job.target,
        "note": f"`{job.ours.name}`",
    }
    if isinstance(job.peer, str):
        return row
    cold, warm, peak = _clock(job.peer)
    row["peer_size"], row["peer_cold_s"], row["peer_warm_s"] = job.peer.size, cold, warm
    row["peer_rate"], row["peer_peak_mb"] = job.peer.size / warm, peak
    row["ratio"] = rate / row["peer_rate"]
    if job.peer.size != job.ours.size:
        row["note"] += f"; peer on {job.peer.size:,}"
    if job.peer.note:
        row["note"] += f"; {job.peer.note}"
    return row


def _clock(side: Side) -> tuple[float, float, float | None]:
    """Seconds of the first call and of the best later one, and the peak of allocations in MB."""
    times = []
    with contextlib.redirect_stdout(io.StringIO()):
        for _ in range(1 + _REPEATS):
            start = time.perf_counter()
            side.call()
            times.append(time.perf_counter() - start)
            if sum(times) > _PATIENCE and len(times) > 1:
                break
        peak = _peak(side) if side.memory else None
    return times[0], min(times[1:] or times), peak


def _peak(side: Side) -> float:
    tracemalloc.start()
    try:
        side.call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(2 - math.floor(math.log10(max(value, 1e-9))), 0)}f}" if value else "0"


if __name__ == "__main__":
    main()
