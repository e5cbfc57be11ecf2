"""Neighbours and projection beside their peers: seconds, ratios, recall and memory in one run.

``python -m benchmarks.embeddings [--quick]``, with faiss-cpu, pynndescent, umap-learn, cleanlab and
fiftyone installed. Every part runs in a process of its own, so that peaks of memory and first calls
are its own; a ratio is always between two measurements of one process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import coverage, duplicates, outliers, projection
from analysis.neighbors import Neighbors, knn
from benchmarks.measures import SHARED

Row = dict[str, Any]
Rows = NDArray[np.float32]

K = 10
COLUMNS = 512
SAMPLE = 1000
CIFAR = SHARED / "cifar10-test/images.zip"


def clustered(rows: int, columns: int = COLUMNS, clusters: int = 100, seed: int = 0) -> Rows:
    """Normal clouds as wide as the distance between their centres: float32 (rows, columns)."""
    random = np.random.default_rng(seed)
    middle = random.standard_normal((clusters, columns), dtype=np.float32)
    data = random.standard_normal((rows, columns), dtype=np.float32)
    of = random.integers(0, clusters, rows)
    for start in range(0, rows, 10_000):
        data[start : start + 10_000] += middle[of[start : start + 10_000]]
    return data


def pictures(rows: int, columns: int = COLUMNS) -> Rows:
    """Random 16 x 16 cuts of the CIFAR-10 test pictures through random rectified filters."""
    from PIL import Image  # noqa: PLC0415

    random = np.random.default_rng(0)
    with zipfile.ZipFile(CIFAR) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        whole = np.stack(
            [np.asarray(Image.open(BytesIO(archive.read(name))).convert("RGB")) for name in names]
        )
    cuts = np.empty((rows, 16 * 16 * 3), dtype=np.float32)
    for row in range(rows):
        x, y = random.integers(0, 17, 2)
        cuts[row] = whole[row % len(whole), y : y + 16, x : x + 16].ravel() / 255
    cuts -= cuts.mean(axis=0)
    filters = random.standard_normal((16 * 16 * 3, columns), dtype=np.float32)
    return np.maximum(cuts @ filters, 0)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and the result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def bare_product(data: Rows, block: int = 1024, most: int = 12) -> float:
    """Seconds that all products of all rows would take, from some blocks of them."""
    used = min(len(data), block * most)
    scores = np.empty((block, len(data)), dtype=np.float32)
    start = time.perf_counter()
    for at in range(0, used, block):
        part = data[at : min(at + block, used)]
        np.matmul(part, data.T, out=scores[: len(part)])
    return (time.perf_counter() - start) * len(data) / used


def recall(data: Rows, found: Neighbors) -> float:
    """Share of true neighbours found, over a sample of rows."""
    rows = np.random.default_rng(1).permutation(len(data))[:SAMPLE]
    unit = data / np.linalg.norm(data, axis=1, keepdims=True)
    hits = 0
    for part in np.array_split(rows, 10):
        near = unit[part] @ unit.T
        near[np.arange(len(part)), part] = -np.inf
        true = np.argpartition(-near, K, axis=1)[:, :K]
        hits += sum(
            len(np.intersect1d(a, b)) for a, b in zip(true, found.indices[part], strict=True)
        )
    return hits / len(rows) / K


def row(what: str, rows: int, seconds: float, **more: Any) -> Row:
    """One line of the table."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "what": what,
        "rows": rows,
        "seconds": round(seconds, 3),
        "rate": round(rows / seconds),
        "peak MB": round(peak),
    } | {name: round(value, 4) for name, value in more.items()}


def scaling(rows: int, kind: str = "clustered") -> list[Row]:
    """Our neighbours at one size, as called by default, and the bare product beside them."""
    data = clustered(rows) if kind == "clustered" else pictures(rows)
    seconds, found = timed(lambda: knn(data, K))
    ours = row(f"relook knn, {kind}", rows, seconds)  # before the rest raises the peak
    block = 1024 if rows <= 200_000 else 256
    product = bare_product(data, block)
    ours["recall"] = round(recall(data, found), 4)
    ours["faster_than_product"] = round(product / seconds, 2)
    return [ours, row(f"bare product, {kind}", rows, product)]


def exact(rows: int) -> list[Row]:
    """All pairs, beside the bare product and FAISS."""
    import faiss  # noqa: PLC0415

    data = clustered(rows)
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(data.shape[1])
    index.add(data)
    times: list[tuple[float, float, float]] = []
    for _ in range(3):
        product = bare_product(data, most=1 << 20)
        seconds, found = timed(lambda: knn(data, K, exact=True))
        times.append((product, seconds, timed(lambda: index.search(data, K + 1))[0]))
    # The least of three turns each: what else runs on the machine only ever adds.
    product, seconds, flat = np.min(times, axis=0)
    return [
        row("bare product", rows, product),
        row(
            "relook knn exact",
            rows,
            seconds,
            recall=recall(data, found),
            of_product=seconds / product,
        ),
        row("faiss flat", rows, flat, of_product=flat / product),
    ]


def approximate(rows: int, kind: str) -> list[Row]:
    """Lists beside FAISS's IVF and PyNNDescent, on one data set."""
    import faiss  # noqa: PLC0415
    from pynndescent import NNDescent  # noqa: PLC0415

    data = clustered(rows) if kind == "clustered" else pictures(rows)
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    nowhere = np.zeros((rows, K), np.float32)
    lines = []
    product = bare_product(data)
    seconds, found = timed(lambda: knn(data, K))
    lines.append(
        row(
            f"relook knn, {kind}",
            rows,
            seconds,
            recall=recall(data, found),
            faster_than_product=product / seconds,
        )
    )

    def ivf() -> Neighbors:
        lists = int(4 * np.sqrt(rows))
        quantizer = faiss.IndexFlatIP(data.shape[1])
        index = faiss.IndexIVFFlat(quantizer, data.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        index.train(data[: 50 * lists])
        index.add(data)
        index.nprobe = 16
        return Neighbors(index.search(data, K + 1)[1][:, 1:].astype(np.int32), nowhere)

    seconds, found = timed(ivf)
    lines.append(
        row(
            f"faiss IVF nprobe 16, {kind}",
            rows,
            seconds,
            recall=recall(data, found),
            faster_than_product=product / seconds,
        )
    )
    for call, wider in (("cold", K + 1), ("warm", K + 1), ("warm", 2 * K + 1)):
        seconds, found = timed(
            lambda wider=wider: Neighbors(
                NNDescent(data, "cosine", n_neighbors=wider).neighbor_graph[0][:, 1 : K + 1],
                nowhere,
            )
        )
        lines.append(
            row(
                f"pynndescent {wider} {call}, {kind}",
                rows,
                seconds,
                recall=recall(data, found),
                faster_than_product=product / seconds,
            )
        )
    return lines


def scores(rows: int, peers: bool = True) -> list[Row]:
    """What is read off the neighbours, beside cleanlab and FiftyOne's own functions."""
    data = clustered(rows)
    lines = []
    seconds, found = timed(lambda: knn(data, K))
    spent, ours = timed(lambda: outliers.outlier_scores(found))
    lines.append(row("relook knn + outliers", rows, seconds + spent))
    spent, _ = timed(lambda: coverage.uniqueness(found))
    lines.append(row("relook knn + uniqueness", rows, seconds + spent))
    spent, _ = timed(lambda: duplicates.groups(found, within=duplicates.near(found)))
    lines.append(row("relook knn + near duplicates", rows, seconds + spent))
    spent, _ = timed(lambda: coverage.representativeness(found))
    lines.append(row("relook knn + representativeness", rows, seconds + spent))
    if not peers:
        return lines
    from cleanlab.outlier import OutOfDistribution  # noqa: PLC0415

    seconds, theirs = timed(lambda: OutOfDistribution().fit_score(features=data, verbose=False))
    same = np.corrcoef(np.argsort(np.argsort(-theirs)), np.argsort(np.argsort(ours)))[0, 1]
    lines.append(row("cleanlab OutOfDistribution", rows, seconds, rank_correlation=same))
    return lines + fiftyone(data)


def fiftyone(data: Rows) -> list[Row]:
    """FiftyOne's uniqueness and near duplicates, from its own index without its database."""
    from fiftyone.brain.internal.core import uniqueness as theirs  # noqa: PLC0415
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415

    class Index:
        class config:  # noqa: N801
            method = "sklearn"

        @staticmethod
        def _kneighbors(k: int, **_: Any) -> tuple[Any, Any]:
            near = NearestNeighbors(n_neighbors=k, metric="cosine").fit(data).kneighbors(data)
            return near[1], near[0]

    seconds, _ = timed(lambda: theirs._compute_uniqueness(data, Index()))
    return [row("fiftyone uniqueness (no database)", len(data), seconds)]


def layout(rows: int, seed: int | None, kind: str = "clustered") -> list[Row]:
    """UMAP over our neighbours beside umap-learn, both warm; the first call beside both."""
    import umap  # noqa: PLC0415
    from sklearn.manifold import trustworthiness  # noqa: PLC0415

    data = clustered(rows) if kind == "clustered" else pictures(rows)
    some = np.random.default_rng(0).permutation(rows)[:3000]

    def trusted(places: Rows) -> float:
        return float(trustworthiness(data[some], places[some], n_neighbors=10, metric="cosine"))

    def peer(data: Rows) -> Rows:
        return np.asarray(umap.UMAP(metric="cosine", random_state=seed).fit_transform(data))

    warming, _ = timed(projection.warm)
    first, _ = timed(lambda: peer(data[:5000]))
    times = []
    for _ in range(2):
        ours, places = timed(lambda: projection.project(data, seed=seed))
        theirs, other = timed(lambda: peer(data))
        times.append((ours, theirs))
    # The lesser of two turns each: what else runs on the machine only ever adds.
    ours, theirs = np.min(times, axis=0)
    how = "unseeded" if seed is None else "seeded"
    return [
        row("relook warm()", 64, warming),
        row("umap-learn first call, after it", 5000, first),
        row(
            f"relook project {how}, {kind}",
            rows,
            ours,
            trustworthiness=trusted(places),
            of_umap=ours / theirs,
        ),
        row(f"umap-learn {how} warm, {kind}", rows, theirs, trustworthiness=trusted(other)),
    ]


def large_layout(rows: int) -> list[Row]:
    """The projection where only a sample is laid out."""
    data = clustered(rows)
    projection.warm()
    seconds, places = timed(lambda: projection.project(data, most=50_000))
    assert np.isfinite(places).all()
    return [row("relook project, 50,000 laid out", rows, seconds)]


QUICK = [
    ("scaling", 1_000),
    ("scaling", 10_000),
    ("scaling", 50_000),
    ("exact", 10_000),
    ("approximate", 50_000, "clustered"),
    ("scores", 5_000),
    ("layout", 10_000, None),
]
FULL = [
    ("scaling", 1_000),
    ("scaling", 10_000),
    ("scaling", 50_000),
    ("scaling", 200_000),
    ("exact", 20_000),
    ("exact", 50_000),
    ("approximate", 50_000, "clustered"),
    ("approximate", 50_000, "pictures"),
    ("approximate", 200_000, "clustered"),
    ("scores", 10_000),
    ("scores", 200_000, False),
    ("layout", 50_000, None),
    ("layout", 50_000, 0),
    ("large_layout", 200_000),
    ("scaling", 1_000_000),
    ("large_layout", 1_000_000),
]


def rows(quick: bool = False) -> list[Row]:
    """Run every part in its own process and return the lines of the table."""
    lines: list[Row] = []
    for part in QUICK if quick else FULL:
        done = subprocess.run(  # noqa: S603, our own command
            [sys.executable, "-m", "benchmarks.embeddings", "--part", json.dumps(part)],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            print(f"{part} failed", file=sys.stderr)
            continue
        lines += json.loads(done.stdout.splitlines()[-1])
    return lines


def main() -> None:
    """Print the table, or one part's lines as JSON."""
    if "--part" in sys.argv:
        name, *options = json.loads(sys.argv[-1])
        parts: dict[str, Callable[..., list[Row]]] = {
            function.__name__: function
            for function in (scaling, exact, approximate, scores, layout, large_layout)
        }
        print(json.dumps(parts[name](*options)))
        return
    fixed = ("what", "rows", "seconds", "rate", "peak MB")
    print("| what | rows | seconds | rows/s | peak MB | |\n|---|---|---|---|---|---|", flush=True)
    for line in rows("--quick" in sys.argv):
        more = ", ".join(f"{name} {value}" for name, value in line.items() if name not in fixed)
        print("| " + " | ".join(f"{line[name]}" for name in fixed) + f" | {more} |", flush=True)


if __name__ == "__main__":
    main()
