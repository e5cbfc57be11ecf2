import copy

import pytest

from ml_backend.labelstudio.approval_marks import approval_version, batch_of, untouched_approval
from tests.unit.regions import box

VERSION = approval_version("20261121-130000", "yolo@1a2b3c4d")
PREDICTIONS = {7: {"id": 7, "model_version": VERSION, "result": [box("a")]}}
ANNOTATION = {
    "id": 3,
    "result": [box("a")],
    "parent_prediction": 7,
    "created_at": "2026-11-21T12:57:57.861191Z",
    "updated_at": "2026-11-21T12:57:57.861212Z",
    "updated_by": None,
    "was_cancelled": False,
    "ground_truth": False,
}


def test_a_version_names_its_batch():
    assert batch_of(VERSION) == "20261121-130000"
    for other in ("", "yolo@1a2b3c4d", "relook-suggestion", "relook-approved"):
        assert batch_of(other) == ""


def test_an_approval_is_known_by_its_prediction():
    assert untouched_approval(ANNOTATION, PREDICTIONS) == VERSION


def test_regions_written_anew_by_the_editor_are_the_same_word():
    saved = copy.deepcopy(ANNOTATION)
    saved["result"][0] |= {"id": "other"}
    saved["result"][0]["value"]["x"] += 1e-6
    assert untouched_approval(saved, PREDICTIONS) == VERSION


@pytest.mark.parametrize(
    "change",
    [
        {"updated_by": 1},
        {"updated_at": "2026-11-21T12:57:59.000000Z"},
        {"result": [box("b")]},
        {"result": []},
        {"result": None},
        {"was_cancelled": True},
        {"ground_truth": True},
        {"parent_prediction": None},
        {"parent_prediction": 8},
    ],
)
def test_what_somebody_has_touched_is_their_own(change):
    assert untouched_approval(ANNOTATION | change, PREDICTIONS) == ""


@pytest.mark.parametrize("version", [None, "", "yolo@1a2b3c4d", 3])
def test_a_prediction_that_a_person_took_over_makes_no_approval(version):
    assert untouched_approval(ANNOTATION, {7: PREDICTIONS[7] | {"model_version": version}}) == ""
