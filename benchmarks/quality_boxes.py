"""Quality of the box scores on COCO images with errors planted at known places.

The human boxes are COCO's, the predictions a real YOLOX-Nano's. A quarter of the images get one
error each: a box dropped, given another label, drawn off, or put where nothing is. COCO's own
errors count as clean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analysis import detection
from analysis.reference import fiftyone
from analysis.regions import Regions
from benchmarks.measures import SHARED, measure, missing
from benchmarks.peers import as_cleanlab

__all__ = ["CLASSES", "DATA", "KINDS", "SEEDS", "plant", "read", "rows", "skipped"]

SEEDS: Final = (0, 1, 2, 3, 4)
RATE: Final = 0.25
KINDS: Final = ("missing", "mislabelled", "badly_drawn", "spurious")
CLASSES: Final = 80
DATA: Final = SHARED / "coco-val128"


def skipped() -> str | None:
    """Why this benchmark cannot run here, or None."""
    return missing(DATA)


def rows() -> list[dict[str, Any]]:
    """Measure every score of the images on every seed; none where ``skipped`` says why."""
    if skipped():
        return []
    people, model, size = read()
    tasks = np.arange(len(size))
    found = []
    for data, kinds in [("all kinds", KINDS), *((kind, (kind,)) for kind in KINDS)]:
        for seed in SEEDS:
            spoilt, wrong = plant(people, size, kinds, seed)
            for score, ranked in _scores(spoilt, model, tasks):
                row = measure(np.isin(tasks, wrong), ranked)
                found.append({"data": f"COCO boxes, {data}", "seed": seed, "score": score} | row)
    return found


def plant(
    people: Regions,
    size: NDArray[np.float64],
    kinds: Sequence[str],
    seed: int,
    images: NDArray[np.int64] | None = None,
) -> tuple[Regions, NDArray[np.int64]]:
    """Return a spoilt copy and the images that hold an error, one each, kinds in turn.

    Args:
        people: boxes.
        size: float64 (N, 2), width and height of each image.
        kinds: of errors.
        seed: of what is drawn.
        images: which to spoil; drawn where None are named.
    """
    random = np.random.default_rng(seed)
    label, box = people.label.copy(), people.box.astype(np.float64)
    kept = np.ones(len(people), dtype=bool)
    added: list[tuple[int, int, NDArray[np.float64]]] = []
    if images is None:
        images = random.permutation(len(size))[: round(RATE * len(size))]
    images = images[np.isin(images, people.task)]
    for turn, image in enumerate(images.tolist()):
        row = random.choice(np.flatnonzero(people.task == image))
        kind = kinds[turn % len(kinds)]
        if kind == "missing":
            kept[row] = False
        elif kind == "mislabelled":
            label[row] = random.choice(np.setdiff1d(people.label, label[row]))
        elif kind == "badly_drawn":
            box[row] = _off(box[row], size[image], random)
        else:
            donor = random.integers(len(people))
            side = np.minimum(box[donor, 2:] - box[donor, :2], 0.9 * size[image])
            corner = random.uniform(0, size[image] - side)
            added.append((image, int(label[donor]), np.append(corner, corner + side)))
    task = np.append(people.task[kept], [image for image, _, _ in added])
    label = np.append(label[kept], [one for _, one, _ in added])
    new = np.array([one for *_, one in added]).reshape(-1, 4)
    boxes = np.concatenate([box[kept], new]).astype(np.float32)
    return Regions(task.astype(np.int64), label.astype(np.int32), boxes), images


def _off(
    box: NDArray[np.float64], size: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """A box moved by a fifth to two fifths of its sides and stretched, inside the image."""
    side = box[2:] - box[:2]
    middle = (box[2:] + box[:2]) / 2 + random.uniform(0.2, 0.4, 2) * random.choice(
        [-1, 1], 2
    ) * side
    half = side * random.uniform(0.7, 1.4, 2) / 2
    return np.append((middle - half).clip(0, size), (middle + half).clip(0, size))


def _scores(
    people: Regions, model: Regions, tasks: NDArray[np.int64]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Each score of the images, higher is more likely wrong."""
    found = detection.find(people, model, num_classes=CLASSES, floor=0)
    yield "relook", detection.task_scores(found, tasks)
    for kind in KINDS:
        some = found.take(found.kind == kind)
        yield f"relook, {kind} alone", detection.task_scores(some, tasks)
    rank = import_module("cleanlab.object_detection.rank")
    theirs = as_cleanlab(people, model, CLASSES, tasks)
    yield "ObjectLab", 1 - rank.get_label_quality_scores(*theirs, verbose=False)
    for part in ("overlooked", "badloc", "swap"):
        boxes = getattr(rank, f"compute_{part}_box_scores")(labels=theirs[0], predictions=theirs[1])
        pooled = rank.pool_box_scores_per_image(boxes)
        yield f"ObjectLab {part}", 1 - np.nan_to_num(np.asarray(pooled), nan=1)
    each = fiftyone.boxes(people, model)
    pooled = fiftyone.task_scores(people, model, each, tasks)
    yield "FiftyOne mistakenness", pooled.mistakenness
    yield "FiftyOne possible missing", pooled.possible_missing
    yield "FiftyOne possible spurious", pooled.possible_spurious
    loose = np.full(len(tasks), -1.0)
    np.fmax.at(loose, people.task, each.mistakenness_loc)
    yield "FiftyOne mistakenness_loc", loose


def read() -> tuple[Regions, Regions, NDArray[np.float64]]:
    """Return people's boxes, the model's, and each image's width and height, float64 (N, 2)."""
    people = json.loads((DATA / "annotations.json").read_text())
    found = json.loads((DATA / "predictions.yolox_nano.json").read_text())
    image = {one["id"]: row for row, one in enumerate(people["images"])}
    size = np.array([[one["width"], one["height"]] for one in people["images"]], dtype=np.float64)

    def table(rows: list[dict[str, Any]], score: NDArray[np.float32] | None) -> Regions:
        box = np.array([one["bbox"] for one in rows], dtype=np.float64)
        box[:, 2:] += box[:, :2]
        return Regions(
            np.array([image[one["image_id"]] for one in rows]),
            np.array([one["category_id"] for one in rows], dtype=np.int32),
            box.astype(np.float32),
            score,
        )

    score = np.array([one["score"] for one in found], dtype=np.float32)
    return table(people["annotations"], None), table(found, score), size
