"""Bad input in bulk: what only the named errors may come of.

A bounded, repeatable part runs with the other tests (``tests/unit/test_fuzz.py``). More of it,
other each time: ``make fuzz ARGS="--count 1000000"``.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from ml_backend.errors import ConfigError, MediaError, SettingsError
from ml_backend.labelstudio.config import SERVED, LabelingConfig, parse_config
from ml_backend.labelstudio.files.images import count_pixels, decode_image
from ml_backend.labelstudio.regions.units import to_pixels
from ml_backend.labelstudio.tasks.reader import _page
from ml_backend.outlines import Outlines
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.predictors.base import Predictions
from ml_backend.review.policy import Policy
from ml_backend.scoring.page import fit_calibration, score_page
from ml_backend.scoring.pixels import page_labels
from ml_backend.settings import ProjectSettings, project_settings
from tests.bad_values import anything, numbers, texts
from tests.fuzzing_requests import opened
from tests.unit.regions import IMAGE, SPAN, region
from tests.unit.test_results import RLE, TRIANGLE

__all__ = ["TARGETS", "main", "run"]

#: Of a thousand inputs: one lot of tasks takes as long as hundreds of all others.
_SHARES: Final = {"configs": 300, "settings": 200, "images": 300, "requests": 195, "tasks": 5}

# Labelling configs.

_TAGS = (*SERVED, "Image", "Text", "Label", "Choice", "View", "Audio")
_VALUES = st.sampled_from(
    ["i", "$i", "a", "b", "multiple", "single", "true", "url", "0.5", "1e400", "nan", "-1", "٣"]
) | st.text(max_size=6)
_ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            *("name", "toName", "value", "valueType", "alias", "choice", "perRegion"),
            *("model_path", "model_skip", "model_index", "model_score_threshold"),
            "predicted_values",
        ]
    ),
    _VALUES,
    max_size=6,
)


def _written(tag: str, attributes: dict[str, str], inside: list[str]) -> str:
    # As XML has it; what XML cannot hold stands there all the same.
    marks = {"&": "&amp;", "<": "&lt;", '"': "&quot;"}
    said = "".join(
        f' {name}="{"".join(marks.get(one, one) for one in value)}"'
        for name, value in attributes.items()
    )
    return f"<{tag}{said}>{''.join(inside)}</{tag}>"


_elements = st.recursive(
    st.builds(_written, st.sampled_from(_TAGS), _ATTRIBUTES, st.just([])),
    lambda inner: st.builds(
        _written, st.sampled_from(_TAGS), _ATTRIBUTES, st.lists(inner, max_size=4)
    ),
    max_leaves=10,
)
configs = st.one_of(
    st.text(max_size=40),
    _elements,
    _elements.map(lambda one: f'<View><Image name="i" value="$i"/>{one}</View>'),
    _elements.map(lambda one: f"<!DOCTYPE a [<!ENTITY b 'c'>]>{one}"),
)


def check_config(xml: str) -> None:
    """A labelling config is read, or refused by name."""
    with contextlib.suppress(ConfigError):
        assert parse_config(xml).controls


# Image files: whole ones of every kind, with some bytes changed, cut out or put in.


def _image_file(kind: str, mode: str) -> bytes:
    ramp = np.arange(20 * 12 * 4, dtype=np.uint8).reshape(12, 20, 4)
    file = io.BytesIO()
    Image.fromarray(ramp, "RGBA").convert(mode).save(file, kind)
    return file.getvalue()


_FILES = [
    _image_file(kind, mode)
    for kind, modes in {
        "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
        "JPEG": ("L", "RGB", "CMYK"),
        "TIFF": ("1", "L", "RGB", "CMYK", "I;16", "F"),
        "GIF": ("P",),
        "BMP": ("1", "RGB"),
        "WEBP": ("RGB", "RGBA"),
        "PPM": ("L", "RGB"),
        "JPEG2000": ("RGB",),
        "AVIF": ("RGB",),
    }.items()
    for mode in modes
]
#: Where the file is changed, how many bytes are cut out there, and what is put in.
_changes = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 8) | st.just(1 << 20), st.binary(max_size=4)),
    max_size=4,
)


@st.composite
def images(draw: Callable[..., Any]) -> bytes:
    """An image file: nearly whole, or anything."""
    file = draw(st.sampled_from(_FILES) | st.binary(max_size=64))
    for place, cut, put in draw(_changes):
        at = int(place * len(file))
        file = file[:at] + put + file[at + cut :]
    return file


def check_image(file: bytes) -> None:
    """An image file is decoded as large as it says, or refused by name."""
    with contextlib.suppress(MediaError):
        pixels = count_pixels(file, 1)
        decoded = decode_image(file, 1)
        assert decoded.dtype == np.uint8
        assert decoded.shape[2] == 3
        assert decoded.shape[0] * decoded.shape[1] == pixels


# Settings.

extra_params = st.dictionaries(
    st.sampled_from(list(ProjectSettings.model_fields)) | texts, anything, max_size=4
) | anything.map(lambda value: json.dumps(value) if value != value else value)


def check_settings(given_params: Any) -> None:
    """Extra params are read, or refused by name."""
    with contextlib.suppress(SettingsError):
        assert project_settings(given_params)


# Regions of every kind, through decoding and scoring to findings.

_FIELDS = ("x", "y", "width", "height", "rotation", "points", "rle", "start", "end", "text")
_near = st.floats(-20, 120) | st.integers(0, 100) | numbers
_pairs = st.lists(st.lists(_near, min_size=2, max_size=2), max_size=8)
_likely = {
    **dict.fromkeys(("x", "y", "width", "height", "rotation"), _near),
    "points": _pairs | st.just(TRIANGLE["points"]),
    "rle": st.just(RLE) | st.lists(st.integers(0, 255), max_size=30),
    "start": st.integers(-2, 60),
    "end": st.integers(-2, 60),
    "text": texts,
}


@st.composite
def regions(draw: Callable[..., Any]) -> Any:
    """A region: nearly right, or anything."""
    control = draw(st.sampled_from([*IMAGE, SPAN]))
    label = draw(st.sampled_from(["a", "b", "x", "unknown"]) | st.lists(anything, max_size=3))
    value = {
        name: draw(st.one_of(_likely[name], _likely[name], anything))
        for name in draw(st.sets(st.sampled_from(_FIELDS)))
    }
    whole = {"x": 10, "y": 20, "width": 30, "height": 40, "points": TRIANGLE["points"]}
    item = region(control, label, {**whole, "start": 2, "end": 9, "rle": RLE, **value})
    item |= draw(st.sampled_from([{}, {"original_width": 4, "original_height": 2}]))
    keys = st.sampled_from(["original_width", "original_height", "id", "parentID", "type", "value"])
    return draw(st.sampled_from([item, item | draw(st.dictionaries(keys, anything, max_size=2))]))


_time = st.sampled_from(["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456Z"])


@st.composite
def tasks(draw: Callable[..., Any]) -> list[dict[str, Any]]:
    """Tasks as Label Studio sends them: what it writes itself is right, what people wrote not."""
    made = []
    for number in range(draw(st.integers(1, 30))):
        annotations = [
            {
                "id": 100 * number + n,
                "result": draw(st.lists(regions() | anything, max_size=4)),
                "was_cancelled": draw(st.booleans()),
                "completed_by": draw(st.integers(0, 3)),
                "created_at": draw(_time),
                "updated_at": draw(_time),
            }
            for n in range(draw(st.integers(0, 2)))
        ]
        data = draw(st.dictionaries(st.sampled_from(["image", "text", "relook_flag"]), anything))
        prediction = {"id": 7, "model_version": draw(texts), "result": draw(anything)}
        made.append(
            {
                "id": number,
                "data": data,
                "annotations": annotations,
                "predictions": draw(st.sampled_from([[], [prediction]])),
                "created_at": draw(_time),
                "updated_at": draw(_time),
            }
        )
    return made


_CONFIG = LabelingConfig((*IMAGE, SPAN), (), "")


def check_tasks(given_tasks: list[dict[str, Any]]) -> None:
    """Whatever people wrote becomes findings in [0, 1], or is left out."""
    page = _page(given_tasks, _CONFIG, "relook")
    tables = [_predicted(control, len(page)) for control in _CONFIG.controls]
    learnt = [
        fit_calibration(*_of_labelled(table, page_labels(page, table, labels)), None)
        for table, labels in zip(tables, page.annotations.labels, strict=True)
    ]
    for calibrations in (learnt, [None] * len(tables)):
        found = score_page(page, tables, calibrations, Policy(threshold=0.5), [None] * len(tables))
        known = found.priority[~np.isnan(found.priority)]
        assert ((known >= 0) & (known <= 1)).all()
        assert len(found.reason) == len(page)


def _predicted(control: Any, count: int) -> ControlPredictions:
    """One region, or a class, that the model sees in each task."""
    place = {
        "box": [10, 20, 30, 40, 0],
        "polygon": [10, 10, 50, 10, 50, 60],
        "mask": [100, 200, 5, 90],
        "point": [10, 20, 0],
        "span": [2, 9],
    }.get(control.geometry)
    size = np.tile(np.array([[200, 100]], dtype=np.int32), (count, 1))
    drawn = place is not None
    outline = Outlines.of_rows([np.array(place, dtype=np.float64)] * count if drawn else [])
    probs = np.tile(np.array([[0.9, 0.1]], dtype=np.float32), (count, 1))
    said = Predictions(
        size,
        np.arange(count if drawn else 0),
        np.zeros(count if drawn else 0, dtype=np.int32),
        np.full(count if drawn else 0, 0.9, dtype=np.float32),
        to_pixels(control.geometry, outline, size) if drawn else outline,
        np.empty((count, 0), dtype=np.float32) if drawn else probs,
    )
    every = np.ones(2, dtype=np.bool_)
    return ControlPredictions(control, "v", False, np.ones(count, dtype=np.bool_), said, every)


def _of_labelled(table: ControlPredictions, labels: Any) -> tuple[ControlPredictions, Any]:
    there = np.unique(labels.task)
    return _predicted(table.control, len(there)), labels


TARGETS: Final[dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]]] = {
    "configs": (configs, check_config),
    "settings": (extra_params, check_settings),
    "images": (images(), check_image),
    "tasks": (tasks(), check_tasks),
}


def main() -> None:
    """Try bad input until so much has been tried."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="of all kinds together")
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as requests:
        kinds = {**TARGETS, "requests": (requests.to(*requests.routes), requests.check)}
        for name, share in _SHARES.items():
            strategy, check = kinds[name]
            start = time.monotonic()
            tried = run(strategy, check, -(-count * share // 1000), derandomize=False)
            print(f"{name}: {tried} tried in {time.monotonic() - start:.0f} s, none failed")
        for ((method, path), status), count in sorted(requests.answers.items()):
            print(f"{count:>8} x {status} {method} {path}")


def run(
    strategy: st.SearchStrategy[Any],
    check: Callable[[Any], None],
    count: int,
    *,
    derandomize: bool,
) -> int:
    """Check so many inputs; return how many were tried."""
    tried = 0

    @settings(
        max_examples=count,
        derandomize=derandomize,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def each(one: Any) -> None:
        nonlocal tried
        tried += 1
        check(one)

    each()
    return tried


if __name__ == "__main__":
    main()
