"""Every kind of model and every label type, through a real Label Studio: shown, scored, flagged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ml_backend.labelstudio.regions.results import decode
from ml_backend.labelstudio.regions.units import to_pixels
from ml_backend.outlines import boxes
from tests.integration import label_types
from tests.integration.conftest import Bench
from tests.integration.label_types import TASKS, WRONG, Case, of_shapes

CASES: dict[str, Callable[[], Case]] = {
    "rotated boxes": lambda: of_shapes(
        "RectangleLabels", "plates", "plates-obb.pt", 'model_obb="true"'
    ),
    "polygons": lambda: of_shapes("PolygonLabels", "rounds", "rounds-segment.pt"),
    "masks": lambda: of_shapes("BrushLabels", "rounds", "rounds-segment.pt"),
    "key points": label_types.of_needles,
    "boxes by an ONNX export": lambda: label_types.of_boxes("digits-detect.onnx"),
    "choices": lambda: label_types.of_digits("digits-classify.pt"),
    "several choices": lambda: label_types.of_digits("digits-classify.pt", "multiple"),
    "choices by timm": lambda: label_types.of_digits("timm:digits-timm.pth"),
    "spans of text": lambda: label_types.of_spans("transformers:tagger"),
    "choices of text": lambda: label_types.of_topics("transformers:topics"),
}


@pytest.fixture(scope="module", params=CASES)
def analysed(request, bench: Bench, trained_models):
    case = CASES[request.param]()
    project, ids = bench.labelled(case)
    run = bench.analyze(project)
    assert run.state == "done", run
    return case, project, ids, run


def test_the_error_alone_is_flagged_with_its_reason(bench, analysed):
    case, _, ids, run = analysed
    flags = {n: bench.flag(task) for n, task in enumerate(ids)}
    said = bench.task(ids[WRONG]).data
    assert flags[WRONG] == "needs-review", (said, run.errors)
    assert said["relook_kind"] == case.kind, said
    assert said["relook_reason"]
    others = [flags[n] for n in range(TASKS) if n != WRONG]
    assert others.count("needs-review") == 0, [bench.task(task).data for task in ids]


def test_every_task_shows_what_the_model_sees(bench, analysed):
    case, project, ids, _ = analysed
    version = bench.client.projects.get(id=project).model_version
    name, digits = version.split("@")
    assert len(digits) == 8
    assert name in case.model
    for n, task in enumerate(ids):
        (prediction,) = bench.predictions(task, version)
        assert 0 < prediction.score <= 1
        assert all(0 < item["score"] <= 1 for item in prediction.result)
        truth = case.truth if n == WRONG else case.results[n]
        assert_alike(case, prediction.result, truth)


def test_the_suggestion_is_what_would_be_right(bench, analysed):
    case, _, ids, _ = analysed
    (suggestion,) = bench.predictions(ids[WRONG], "relook-suggestion")
    assert_alike(case, suggestion.result, case.truth)


def assert_alike(case: Case, said: list, truth: list) -> None:
    """The same labels at the same places, give or take what a model draws otherwise."""
    control = case.control
    both = [decode(control, [result]) for result in (said, truth)]
    assert sorted(both[0].label.tolist()) == sorted(both[1].label.tolist()), (said, truth)
    if control.geometry == "span":
        (mine, theirs) = (np.sort(part.outline.table(2), axis=0) for part in both)
        np.testing.assert_array_equal(mine, theirs)
    elif control.reads == "image" and control.geometry != "choice":
        height, width = np.asarray(case.objects[0]).shape[:2]
        size = np.array([[width, height]], dtype=np.int32)
        drawn = [
            boxes(
                control.geometry,
                to_pixels(control.geometry, part.outline, size.repeat(len(part), 0)),
            )
            for part in both
        ]
        # Each thing has its place, whatever the order they were drawn in.
        apart = np.abs(drawn[0][:, None] - drawn[1][None]).max(axis=2)
        apart[both[0].label[:, None] != both[1].label[None]] = np.inf
        assert (apart.min(axis=1) < 0.05 * max(width, height)).all(), apart
