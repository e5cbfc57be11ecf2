"""People's labels in pixels, beside a model's and where no model has said anything."""

import numpy as np

from ml_backend.labelstudio.config import LabelingConfig
from ml_backend.labelstudio.regions.brush import encode_rle
from ml_backend.labelstudio.tasks.reader import _page
from ml_backend.outlines import Outlines
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.predictors.base import Predictions
from ml_backend.review.policy import Policy
from ml_backend.scoring.page import score_page
from ml_backend.scoring.pixels import page_labels
from tests.unit.regions import BOX, MASK, ONE, SPAN, box, region
from tests.unit.test_results import RLE

DAY = "2026-01-02T03:04:05Z"
SMALL = {"original_width": 4, "original_height": 2}
UNSTATED = {"original_width": None, "original_height": None}


def page_of(control, *results):
    """One task with one annotation a result; task 100 first, annotation 10."""
    tasks = [
        {
            **{"id": 100 + n, "data": {}, "predictions": []},
            **{"created_at": DAY, "updated_at": DAY},
            "annotations": [{"id": 10 + n, "result": result, "created_at": DAY, "updated_at": DAY}],
        }
        for n, result in enumerate(results)
    ]
    return _page(tasks, LabelingConfig((control,), (), ""), "relook")


def predicted(control, *found, size=(400, 300)):
    """A model that sees nothing in those of the tasks that it has answered for."""
    count = sum(found)
    said = Predictions(
        np.tile(np.array([size], dtype=np.int32), (count, 1)),
        np.empty(0, dtype=np.int64),
        np.empty(0, dtype=np.int32),
        np.empty(0, dtype=np.float32),
        Outlines.of_rows([]),
        np.empty((count, 0), dtype=np.float32),
    )
    every = np.ones(2, dtype=np.bool_)
    return ControlPredictions(control, "v", False, np.array(found), said, every)


def of(control, *found, results):
    page = page_of(control, *results)
    table = predicted(control, *found)
    return page_labels(page, table, page.annotations.labels[0]), page, table


def test_the_size_is_the_models_and_without_a_prediction_what_the_regions_state():
    said, _, _ = of(BOX, True, False, results=[[box()], [box(), box("b", x=50.0)]])
    assert said.task.tolist() == [100, 101]
    assert said.size.tolist() == [[400, 300], [200, 100]]
    np.testing.assert_allclose(said.outline[0], [40, 60, 120, 120, 0])
    np.testing.assert_allclose(said.outline[2], [100, 20, 60, 40, 0])


def test_of_regions_that_state_several_sizes_the_first_counts():
    one = [box() | UNSTATED, box(), box() | SMALL]
    said, _, _ = of(BOX, False, results=[one])
    assert said.size.tolist() == [[200, 100]]
    assert len({tuple(said.outline[row]) for row in range(3)}) == 1


def test_what_cannot_be_placed_is_left_out():
    said, _, _ = of(BOX, True, False, results=[[box() | UNSTATED], [box() | UNSTATED]])
    assert (said.task.tolist(), said.region_unit.tolist()) == ([100], [10])
    mask = region(MASK, value={"rle": RLE})
    said, _, _ = of(MASK, False, False, results=[[mask | SMALL], [mask | UNSTATED]])
    assert (said.task.tolist(), said.size.tolist()) == ([100], [[4, 2]])


def test_a_mask_of_few_bytes_is_not_made_as_large_as_another_region_states():
    mask = region(MASK, value={"rle": RLE})
    twice = {"original_width": 8, "original_height": 4}
    wide = region(MASK, value={"rle": encode_rle(np.array([[0, 4]]), 4, 8)})
    said, _, _ = of(MASK, False, results=[[wide | twice, mask | SMALL]])
    assert said.task.tolist() == []
    said, _, _ = of(MASK, True, results=[[wide | twice, mask | SMALL]])
    assert said.region_unit.tolist() == [10, 10]


def test_classes_and_spans_need_no_size():
    span = region(SPAN, value={"start": 3, "end": 7}) | UNSTATED
    assert of(SPAN, False, results=[[span]])[0].outline[0].tolist() == [3, 7]
    assert of(ONE, False, results=[[region(ONE, "y") | UNSTATED]])[0].label.tolist() == [1]


def test_only_what_has_a_prediction_is_scored():
    _, page, table = of(BOX, True, False, results=[[box()], [box()]])
    found = score_page(page, [table], [None], Policy(threshold=0.5), [None])
    assert np.isnan(found.priority).tolist() == [False, True]
    assert found.reason[1] == ""
    (regions,) = found.regions
    assert len(regions.kind) == 1
