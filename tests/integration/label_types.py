"""A project of each label type: what people drew, one task with a known error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.geometry.masks import Masks
from ml_backend.labelstudio.config import Control, parse_config
from ml_backend.labelstudio.regions.results import Result, encode, encode_choices
from ml_backend.outlines import Geometry, Outlines
from tests import shapes
from tests.integration.samples import digit, scenes
from tests.sentences import Sentence, sentences

IMAGE = '<Image name="object" value="$object"/>'
TEXT = '<Text name="object" value="$object"/>'
TASKS, WRONG = 6, 2


@dataclass(frozen=True)
class Case:
    """One project.

    Attributes:
        config: its labelling config.
        model: what the project's setting names.
        objects: the image or text of each task.
        results: what people said of each; ``WRONG`` holds an error.
        truth: what would be right there.
        kind: the kind of that error.
    """

    config: str
    model: str
    objects: list[NDArray[np.uint8]] | list[str]
    results: list[Result]
    truth: Result
    kind: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def control(self) -> Control:
        return parse_config(self.config).controls[0]


def labels(names: Sequence[str], inside: str = "Label") -> str:
    return "".join(f'<{inside} value="{name}"/>' for name in names)


def of_shapes(tag: str, kind: str, model: str, extra: str = "") -> Case:
    """Regions in an image; one of them under the wrong name."""
    names = shapes.CLASSES[kind]
    config = (
        f'<View>{IMAGE}<{tag} name="label" toName="object" {extra}>{labels(names)}</{tag}></View>'
    )
    control = parse_config(config).controls[0]
    drawn = shapes.draw_scenes(kind, TASKS, seed=11, wanted=(2, 3))
    right = [_regions(control, scene, scene.label) for scene in drawn]
    label = drawn[WRONG].label.copy()
    label[0] = 1 - label[0]
    wrong = _regions(control, drawn[WRONG], label)
    results = [wrong if n == WRONG else result for n, result in enumerate(right)]
    images = [scene.image for scene in drawn]
    return Case(config, model, images, results, right[WRONG], "mislabelled")


def of_needles() -> Case:
    """Key points of needles; the head of one lies where its tail is, and the other way round."""
    names = ("head", "middle", "tail")
    inside = "".join(f'<Label value="{name}" model_index="{n}"/>' for n, name in enumerate(names))
    tag = f'<KeyPointLabels name="label" toName="object">{inside}</KeyPointLabels>'
    config = f"<View>{IMAGE}{tag}</View>"
    control = parse_config(config).controls[0]
    # The small model that reads them sees the middle also where there is none.
    every = shapes.draw_scenes("needles", 40, seed=11, wanted=(1, 1))
    drawn = [scene for scene in every if scene.joints[..., 2].all()][:TASKS]
    right = [_points(control, scene) for scene in drawn]
    swap = np.array([2, 1, 0], dtype=np.int32)
    results = [
        _points(control, scene, swap) if n == WRONG else result
        for n, (scene, result) in enumerate(zip(drawn, right, strict=True))
    ]
    images = [scene.image for scene in drawn]
    return Case(config, "needles-pose.pt", images, results, right[WRONG], "mislabelled")


def of_spans(model: str, count: int = TASKS) -> Case:
    """Names in sentences; one of them is missing."""
    config = f'<View><Labels name="label" toName="object">{labels(("person", "place", "date"))}'
    config += f"</Labels>{TEXT}</View>"
    control = parse_config(config).controls[0]
    said = [one for one in sentences(count * 8, seed=5) if len(one.spans) >= 2][:count]
    right = [_spans(control, one, one.spans) for one in said]
    wrong = _spans(control, said[WRONG], said[WRONG].spans[1:])
    results = [wrong if n == WRONG else result for n, result in enumerate(right)]
    texts = [one.text for one in said]
    return Case(config, model, texts, results, right[WRONG], "missing")


def of_topics(model: str, count: int = TASKS) -> Case:
    """The topics of sentences; one of them is wrong."""
    topics = ("travel", "work", "weather")
    config = f'<View>{TEXT}<Choices name="label" toName="object">{labels(topics, "Choice")}'
    config += "</Choices></View>"
    said = sentences(count, seed=5)
    return _choices(
        config, model, [one.text for one in said], [topics.index(one.topic) for one in said]
    )


def of_digits(model: str, choice: str = "single") -> Case:
    """Single digits; one of them under the wrong number."""
    config = f'<View>{IMAGE}<Choices name="label" toName="object" choice="{choice}">'
    config += f"{labels('0123456789', 'Choice')}</Choices></View>"
    drawn = [digit(row) for row in range(TASKS)]
    return _choices(config, model, [image for image, _ in drawn], [label for _, label in drawn])


def of_boxes(model: str, params: dict[str, Any] | None = None) -> Case:
    """Digits in scenes, boxes upright; one of them under the wrong number."""
    config = f'<View>{IMAGE}<RectangleLabels name="label" toName="object">{labels("0123456789")}'
    config += "</RectangleLabels></View>"
    control = parse_config(config).controls[0]
    drawn = scenes(TASKS + 1)
    del drawn[3]  # The demo's detector overlooks a 5 there.

    def said(scene: Any, label: NDArray[np.int32]) -> Result:
        corner, far = scene.box[:, :2], scene.box[:, 2:]
        table = np.hstack([corner, far - corner, np.zeros((len(label), 1))])
        return _result(control, label, Outlines.of_table(table), scene.image)

    right = [said(scene, scene.label) for scene in drawn]
    label = drawn[WRONG].label.copy()
    label[0] = (label[0] + 5) % 10
    wrong = said(drawn[WRONG], label)
    results = [wrong if n == WRONG else result for n, result in enumerate(right)]
    images = [scene.image for scene in drawn]
    return Case(config, model, images, results, right[WRONG], "mislabelled", params or {})


def _choices(config: str, model: str, objects: Any, truth: list[int]) -> Case:
    control = parse_config(config).controls[0]
    right = [encode_choices(control, [label], 1.0) for label in truth]
    other = (truth[WRONG] + 1) % len(control.labels)
    # Where several may hold, the right one is there too: the other is one too many.
    several = [truth[WRONG], other] if control.multiple else [other]
    wrong = encode_choices(control, several, 1.0)
    results = [wrong if n == WRONG else result for n, result in enumerate(right)]
    kind = "spurious" if control.multiple else "mislabelled"
    return Case(config, model, objects, results, right[WRONG], kind)


def _regions(control: Control, scene: shapes.Scene, label: NDArray[np.int32]) -> Result:
    draw: dict[Geometry, Callable[[], Outlines]] = {
        "box": lambda: Outlines.of_table(scene.box),
        "polygon": lambda: _outlines(scene),
        "mask": lambda: _masks(scene),
    }
    return _result(control, label, draw[control.geometry](), scene.image)


def _outlines(scene: shapes.Scene) -> Outlines:
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    corners = []
    for x, y, width, height, _ in scene.box:
        across, down = x + width / 2 * (1 + np.cos(turn)), y + height / 2 * (1 + np.sin(turn))
        corners.append(np.stack([across, down], axis=1).reshape(-1))
    return Outlines.of_rows(corners)


def _masks(scene: shapes.Scene) -> Outlines:
    masks = Masks.from_dense(scene.mask)
    height, width = scene.image.shape[:2]
    runs = np.split(masks.runs, masks.offsets[1:-1])
    return Outlines.of_rows([np.concatenate([[height, width], run.reshape(-1)]) for run in runs])


def _points(control: Control, scene: shapes.Scene, swap: Any = None) -> Result:
    outline, label = scene.points
    return _result(control, label if swap is None else swap[label], outline, scene.image)


def _spans(control: Control, said: Sentence, spans: Sequence[tuple[int, int, str]]) -> Result:
    label = np.array([control.labels.index(name) for _, _, name in spans], dtype=np.int32)
    outline = Outlines.of_table(np.array([[start, end] for start, end, _ in spans]))
    score = np.ones(len(label), dtype=np.float32)
    return encode(control, label, score, outline, (0, 0), text=said.text)


def _result(
    control: Control, label: NDArray[np.int32], outline: Outlines, image: NDArray[np.uint8]
) -> Result:
    size = image.shape[1], image.shape[0]
    score = np.ones(len(label), dtype=np.float32)
    return encode(control, label.astype(np.int32), score, outline, size)
