"""A made-up project for the page: digits in scenes, their labels, a model's answers, a layout."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pyarrow as pa
from PIL import Image

from ml_backend.demo.scenes import SCENE_SIZE, Scene, draw_scene, split_digits

#: Scenes are drawn once and used again by many tasks.
SCENES = 48
ANNOTATORS = ["", "ada@example.org", "grace@example.org", "alan@example.org"]
KINDS = ["", "mislabelled", "missing", "spurious", "badly_drawn", "outlier"]
FLAGS = ["", "needs-review", "corrected", "confirmed"]
LABELS = [str(digit) for digit in range(10)]
#: A day in 2026, seconds since 1970.
SOME_DAY = 1_780_000_000


@cache
def scenes() -> tuple[Scene, ...]:
    digits, _ = split_digits()
    random = np.random.default_rng(7)
    return tuple(draw_scene(digits, random) for _ in range(SCENES))


def scene_of(task: int) -> Scene:
    return scenes()[task % SCENES]


def ring(box) -> list[list[list[float]]]:
    x0, y0, x1, y1 = (float(value) for value in box)
    return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]


@dataclass
class Project:
    """What the server knows of one project.

    Attributes:
        tasks: number of tasks, ids 1 to N.
        flag, kind: per task, places in FLAGS and KINDS.
        tags: per task, those put there by somebody.
        plane: names the map as it is laid out.
    """

    tasks: int
    seed: int = 3
    tags: dict[int, list[str]] = field(default_factory=dict)
    plane: str = "p1"

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        self.priority = random.beta(1.2, 5, self.tasks).astype(np.float32)
        suspect = self.priority > 0.5
        self.kind = np.where(suspect, random.integers(1, 5, self.tasks), 0)
        self.kind[random.random(self.tasks) < 0.01] = 5
        self.flag = np.where(suspect, 1, 0)
        done = suspect & (random.random(self.tasks) < 0.3)
        self.flag[done] = random.integers(2, 4, self.tasks)[done]
        self.annotator = random.integers(1, 4, self.tasks)
        self.outlier = random.beta(1, 6, self.tasks).astype(np.float32)
        self.updated = SOME_DAY - random.integers(0, 90 * 86_400, self.tasks)

    def ids(self) -> np.ndarray:
        return np.arange(1, self.tasks + 1, dtype=np.int32)

    def is_mislabelled(self, task: int) -> bool:
        return bool(self.kind[task - 1] == 1)

    def human_labels(self, task: int) -> list[int]:
        """Labels as people gave them: where the task is mislabelled, the first is wrong."""
        labels = [int(digit) for digit in scene_of(task).label]
        if self.is_mislabelled(task):
            labels[0] = (labels[0] + 3) % 10
        return labels


def _place(label: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Put each row into the cluster of its label, float32 x and y in [-1, 1]."""
    around = label / 10 * 2 * np.pi
    x = 0.66 * np.cos(around) + random.normal(0, 0.085, len(label))
    y = 0.66 * np.sin(around) + random.normal(0, 0.085, len(label))
    return np.clip(x, -1, 1).astype(np.float32), np.clip(y, -1, 1).astype(np.float32)


def _words(codes: np.ndarray, words: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int16)), pa.array(words))


def points(project: Project, part: str) -> bytes:
    """Return the points of a part as an Arrow stream."""
    random = np.random.default_rng(11)
    ids = project.ids()
    if part == "regions":
        counts = np.array([len(scene.label) for scene in scenes()])[ids % SCENES]
        task = np.repeat(ids, counts)
        first = np.cumsum(counts) - counts
        region = (np.arange(len(task)) - np.repeat(first, counts)).astype(np.int32)
        ends = np.cumsum([0, *(len(scene.label) for scene in scenes())])
        flat = np.concatenate([scene.label for scene in scenes()])
        true = flat[ends[task % SCENES] + region]
    else:
        task, region = ids, np.full(len(ids), -1, dtype=np.int32)
        true = np.array([scene.label[0] for scene in scenes()])[ids % SCENES]
    n = len(task)
    row = task - 1
    given = true.copy()
    wrong = (project.kind[row] == 1) & (region <= 0)
    given[wrong] = (given[wrong] + 3) % 10
    missed = random.random(n) < 0.04
    predicted = np.where(missed, 10, true)
    x, y = _place(true, random)
    lost = random.random(n) < 0.002
    x[lost] = y[lost] = np.nan
    confidence = random.beta(8, 2, n).astype(np.float32)
    confidence[missed] = np.nan
    iou = random.beta(12, 2, n).astype(np.float32)
    iou[missed] = np.nan
    tags = sorted({"\n".join(said) for said in project.tags.values()} | {""})
    tag = np.zeros(project.tasks, dtype=np.int16)
    for tagged, said in project.tags.items():
        tag[tagged - 1] = tags.index("\n".join(said))
    columns = {
        "task": task,
        "region": region,
        "x": x,
        "y": y,
        "label": _words(given, LABELS),
        "predicted": _words(predicted, [*LABELS, ""]),
        "kind": _words(project.kind[row], KINDS),
        "flag": _words(project.flag[row], FLAGS),
        "annotator": _words(project.annotator[row], ANNOTATORS),
        "tags": _words(tag[row], tags),
        "confidence": confidence,
        "iou": iou,
        "priority": project.priority[row],
        "outlier": project.outlier[row],
        "updated": project.updated[row].astype(np.float64),
        "false_positives": (project.kind[row] == 2).astype(np.uint8),
        "false_negatives": (project.kind[row] == 3).astype(np.uint8),
    }
    table = pa.table(columns, metadata={"plane": project.plane})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def cells(project: Project, iou: float, confidence: float) -> dict[str, np.ndarray]:
    """Return what the confusion counts: ``given`` and ``said``, ``task`` and ``region`` (-1: none).

    Of a task with a spurious region the model says its first label once more, or twice.
    """
    table = pa.ipc.open_stream(points(project, "regions")).read_all()
    column = {name: table[name].combine_chunks() for name in table.column_names}
    sure = column["confidence"].to_numpy(zero_copy_only=False) >= confidence
    sure &= column["iou"].to_numpy(zero_copy_only=False) >= iou
    predicted = column["predicted"].indices.to_numpy()
    task = column["task"].to_numpy()
    alone = np.repeat(project.ids()[project.kind == 2], 1 + (project.ids()[project.kind == 2] % 2))
    first = np.array([scene_of(one).label[0] for one in alone], dtype=np.int64)
    nothing = len(LABELS)
    return {
        "given": np.append(column["label"].indices.to_numpy(), np.full(len(alone), nothing)),
        "said": np.append(np.where(sure, predicted, nothing), first),
        "task": np.append(task, alone),
        "region": np.append(column["region"].to_numpy(), np.full(len(alone), -1)),
    }


def detail(project: Project, task: int) -> dict:
    """Return one task as the page asks for it."""
    scene = scene_of(task)
    row = task - 1
    human = [
        {
            "annotation": task * 10,
            "annotator": ANNOTATORS[project.annotator[row]],
            "label": str(label),
            "outline": ring(box),
        }
        for label, box in zip(project.human_labels(task), scene.box, strict=True)
    ]
    random = np.random.default_rng(task)
    model = [
        {
            "label": str(label),
            "score": float(random.beta(8, 2)),
            "outline": ring(box + random.normal(0, 1.5, 4)),
        }
        for label, box in zip(scene.label, scene.box, strict=True)
    ]
    kind = KINDS[project.kind[row]]
    reason = f"The model sees {scene.label[0]} where the label says otherwise." if kind else ""
    return {
        "task": task,
        "url": f"/label-studio/projects/1/data?task={task}",
        "width": SCENE_SIZE,
        "height": SCENE_SIZE,
        "text": None,
        "reason": reason,
        "kind": kind,
        "priority": float(project.priority[row]),
        "flag": FLAGS[project.flag[row]],
        "tags": project.tags.get(task, []),
        "human": human,
        "model": model,
    }


def picture(task: int, size: int, crop: str | None) -> bytes:
    """Return a task's image as WebP, cut out and made smaller as asked."""
    image = Image.fromarray(scene_of(task).image)
    if crop:
        x0, y0, x1, y1 = (int(edge) for edge in crop.split(","))
        image = image.crop((x0, y0, x1, y1))
    scale = size / max(image.size)
    across, down = (max(round(side * scale), 1) for side in image.size)
    buffer = io.BytesIO()
    image.resize((across, down)).save(buffer, "WEBP", quality=80)
    return buffer.getvalue()
