"""What a GPU brings: images and texts a second on CUDA and on the CPU, beside the peers' own calls.

Run from the repository root with Relook's interpreter::

    python -m benchmarks.gpu [--quick] [--cpu]

Without CUDA it says so and measures nothing; ``--cpu`` measures the CPU alone, to see that it runs.
Models are of usual size with random weights, images are JPEG files of 1280 x 960 pixels on disk,
read as Relook reads them: 16 at once, one chunk ahead of the model (embedders are not read ahead
for). Each device, and each number of CPU threads, has a process of its own. A peer is called on the
same files, or the same texts, with the same floor of confidence and in the same precision.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks.usual import texts, write_images, write_models
from ml_backend.checks.finding import Findings
from ml_backend.checks.machine import check_gpu
from ml_backend.embedders.registry import make_embedder, shared_features
from ml_backend.labelstudio.files.images import decode_image
from ml_backend.outlines import Geometry
from ml_backend.prediction.reading import ahead
from ml_backend.predictors.base import SCORE_FLOOR, Input
from ml_backend.predictors.registry import ModelRegistry
from ml_backend.settings import ServiceSettings

__all__ = ["main"]

_THREADS: Final = (1, 4, 16)
#: Images of a quick run, which also leaves out what takes minutes on a CPU.
_FEW: Final = 12
_FIRST: Final = 8
_AT_ONCE: Final = 32
_PARALLEL: Final = 16
_MIB: Final = 1 << 20
_COLUMNS: Final = (
    *("model", "items", "read ms", "model ms", "of it network ms", "items/s", "model busy"),
    *("peer items/s", "ratio", "GPU MiB"),
)

_Call = Callable[[Sequence[Input]], object]


@dataclass(frozen=True)
class _Job:
    """One model: what makes its call, its peer's call on files or texts, and how it is fed."""

    name: str
    load: Callable[[ModelRegistry, int], _Call]
    peer: Callable[[], Callable[[list[str]], object]] | None = None
    texts: bool = False
    read_ahead: bool = True


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few items, to see that it runs")
    parser.add_argument("--cpu", action="store_true", help="measure the CPU alone")
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _measure(Path(options.child[0]), int(options.child[1]))
        return
    if not options.cpu and not torch.cuda.is_available():
        print("skipped: PyTorch finds no CUDA device (--cpu measures the CPU alone)")
        return
    found = Findings()
    check_gpu(found)
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, PyTorch {torch.__version__}; GPU: {found.lines[-1].said}"
    )
    with tempfile.TemporaryDirectory(prefix="relook-gpu-") as name:
        folder = Path(name)
        write_models(folder)
        write_images(folder, _FEW if options.quick else 256)
        for device in ("cpu",) if options.cpu else ("cpu", "cuda"):
            for threads in (os.cpu_count() or 1,) if device == "cpu" else _THREADS:
                _print_table(folder, device, threads)


def _print_table(folder: Path, device: str, threads: int) -> None:
    print(f"\n{device}, {threads} CPU threads\n\n| {' | '.join(_COLUMNS)} |")
    print("|---" + "|--:" * (len(_COLUMNS) - 1) + "|", flush=True)
    environment = dict(os.environ)
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-m", "benchmarks.gpu", "--child", str(folder), str(threads)],
        env=environment,
        check=True,
    )


def _measure(folder: Path, threads: int) -> None:
    settings = ServiceSettings(model_dir=folder, data_dir=folder / "data", threads=threads)
    registry = ModelRegistry(settings)
    files = sorted(map(str, folder.glob("*.jpg")))
    written = texts(4 * len(files))
    for job in _jobs(folder, quick=len(files) == _FEW):
        print("| " + " | ".join(_row(job, registry, threads, files, written)) + " |", flush=True)
    if torch.cuda.is_available():
        print(f"\n{_at_once(registry, files)}\n\n{_eviction(folder, threads)}", flush=True)


def _row(
    job: _Job, registry: ModelRegistry, threads: int, files: list[str], written: list[str]
) -> list[str]:
    items: Sequence[Input] = written
    read = 0.0
    if not job.texts:
        _read(files)
        began = time.perf_counter()
        items = _read(files)
        read = time.perf_counter() - began
    call = job.load(registry, threads)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    chunks = list(_chunks(items))
    for chunk in (chunks[0], chunks[-1]):
        call(chunk)
    alone = _seconds(lambda: [call(chunk) for chunk in chunks])
    with _networks() as clock:
        for chunk in chunks:
            call(chunk)
    whole = alone if job.texts else _seconds(lambda: _pipeline(call, files, job.read_ahead))
    count, rate = len(items), len(items) / whole
    cells = [f"{1e3 * seconds / count:.2f}" for seconds in (read, alone, clock[0])]
    peer = ""
    if job.peer is not None:
        theirs, given = job.peer(), written if job.texts else files
        theirs(given[:_AT_ONCE])
        peer = f"{count / _seconds(lambda: theirs(given)):.0f}"
    ratio = f"{rate / float(peer):.2f}" if peer else ""
    peak = torch.cuda.max_memory_allocated() / _MIB if torch.cuda.is_available() else 0
    return [
        *(job.name, str(count), *cells, f"{rate:.0f}", f"{alone / whole:.0%}"),
        *(peer, ratio, f"{peak:.0f}"),
    ]


def _seconds(work: Callable[[], object]) -> float:
    """Return the seconds of the better of two runs; what they return has left the GPU."""
    took = []
    for _ in range(2):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    yield items[:_FIRST]
    yield from (items[at : at + _AT_ONCE] for at in range(_FIRST, len(items), _AT_ONCE))


def _read(files: Sequence[str]) -> list[Input]:
    with ThreadPoolExecutor(_PARALLEL) as pool:
        return list(pool.map(lambda file: decode_image(Path(file).read_bytes(), 100), files))


def _pipeline(call: _Call, files: list[str], read_ahead: bool) -> None:
    chunks = (_read(some) for some in _chunks(files))
    for images in ahead(chunks, lambda _: None) if read_ahead else chunks:
        call(images)


@contextmanager
def _networks() -> Iterator[list[float]]:
    """Collect the seconds in which a network computes, the GPU awaited; other work stands by."""
    total, depth, began = [0.0], 0, 0.0

    def enter(module: torch.nn.Module, _inputs: object) -> None:
        nonlocal depth, began
        if not _has_weights(module):
            return
        if not depth:
            _wait()
            began = time.perf_counter()
        depth += 1

    def leave(module: torch.nn.Module, _inputs: object, _output: object) -> None:
        nonlocal depth
        if not _has_weights(module):
            return
        depth -= 1
        if not depth:
            _wait()
            total[0] += time.perf_counter() - began

    hooks = (
        torch.nn.modules.module.register_module_forward_pre_hook(enter),
        torch.nn.modules.module.register_module_forward_hook(leave),
    )
    try:
        yield total
    finally:
        for hook in hooks:
            hook.remove()


def _has_weights(module: torch.nn.Module) -> bool:
    return next(module.parameters(), None) is not None


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _at_once(registry: ModelRegistry, files: list[str]) -> str:
    """Tell what threads that ask one model at once get, one image a call."""
    model, images = registry.get("yolo11n.pt"), _read(files[:_AT_ONCE])
    said = []
    for clients in (1, 4, 16):
        barrier = threading.Barrier(clients)

        def ask(number: int, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            for turn in range(16):
                model.predict([images[(number + turn) % len(images)]], "box")

        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(ask, range(clients)))
        said.append(f"{clients}: {16 * clients / (time.perf_counter() - began):.0f} images/s")
    return f"threads that ask yolo11n at once, an image a call: {', '.join(said)}"


def _eviction(folder: Path, threads: int) -> str:
    """Tell the GPU's free memory before a large model, with it, and when a small one displaced it.

    The limit has room for the small model alone.
    """
    settings = ServiceSettings(
        model_dir=folder, data_dir=folder / "data", threads=threads, model_memory_mb=64
    )
    registry = ModelRegistry(settings)
    free = []
    for name in ("", "yolo11x.pt", "yolo11n.pt"):
        if name:
            registry.get(name)
        free.append(torch.cuda.mem_get_info()[0] / _MIB)
    return (
        f"GPU memory free: {free[0]:.0f} MiB, with yolo11x {free[1]:.0f}, after yolo11n took its "
        f"place {free[2]:.0f}"
    )


def _jobs(folder: Path, *, quick: bool) -> Iterator[_Job]:
    yolos: tuple[tuple[str, Geometry], ...] = (
        *(("digits-detect", "box"), ("yolo11n", "box"), ("yolo11x", "box")),
        *(("yolo11n-seg", "polygon"), ("yolo11n-pose", "point"), ("yolo11n-obb", "box")),
        ("yolo11n-cls", "choice"),
    )
    for name, geometry in yolos:
        if quick and name == "yolo11x":
            continue
        path = folder / f"{name}.pt"
        yield _Job(f"{name}, {geometry}", _predictor(path.name, geometry), _ultralytics(path))
    for name in ("resnet50", "vit_base_patch16_224"):
        yield _Job(f"timm:{name}", _predictor(f"timm:{name}.pth", "choice"))
    yield _Job("yolo11n's features", _features, read_ahead=False)
    yield _Job("embedder timm:vit_base_patch16_224", _embedder(folder), read_ahead=False)
    if (folder / "tagger").is_dir():
        yield _Job("BERT, base, tagger", _predictor("transformers:tagger", "span"), texts=True)


def _predictor(name: str, geometry: Geometry) -> Callable[[ModelRegistry, int], _Call]:
    return lambda registry, _: lambda items: registry.get(name).predict(items, geometry)


def _features(registry: ModelRegistry, _threads: int) -> _Call:
    found = shared_features(registry.get("yolo11n.pt"))
    assert found is not None
    return found.embed


def _embedder(folder: Path) -> Callable[[ModelRegistry, int], _Call]:
    name = "timm:vit_base_patch16_224.pth"
    return lambda _, threads: make_embedder(name, folder, threads=threads).embed


def _ultralytics(path: Path) -> Callable[[], Callable[[list[str]], object]]:
    def load() -> Callable[[list[str]], object]:
        from ultralytics import YOLO  # noqa: PLC0415

        model, cuda = YOLO(str(path), verbose=False), torch.cuda.is_available()
        return lambda files: model.predict(
            files,
            batch=_AT_ONCE,
            conf=SCORE_FLOOR,
            max_det=1000,
            # Masks at the image's own size, as Relook's outlines are.
            retina_masks=True,
            device=0 if cuda else "cpu",
            quantize=16 if cuda else None,
            verbose=False,
            save=False,
        )

    return load


if __name__ == "__main__":
    main()
