import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.findings import NONE
from analysis.reference import fiftyone
from analysis.regions import Regions

# task, label, box; and the confidence of a prediction.
ANNOTATIONS = np.array(
    [
        (0, 0, 10, 10, 50, 50),
        (0, 1, 60, 60, 100, 100),
        (0, 2, 200, 10, 240, 60),
        (1, 0, 0, 0, 40, 40),
        (1, 1, 0, 0, 40, 40.5),
        (1, 2, 100, 100, 160, 150),
        (2, 1, 30, 30, 90, 90),
        (2, 1, 300, 300, 310, 310),
        (4, 0, 5, 5, 25, 25),
    ]
)
PREDICTIONS = np.array(
    [
        (0, 0, 12, 8, 50, 52, 0.97),
        (0, 2, 61, 60, 99, 101, 0.99),
        (0, 1, 150, 150, 190, 190, 0.96),
        (0, 0, 11, 11, 49, 50, 0.6),
        (1, 0, 1, 0, 41, 40, 0.98),
        (1, 2, 110, 105, 170, 150, 0.7),
        (1, 2, 130, 100, 190, 150, 0.55),
        (2, 1, 30, 30, 90, 60, 0.93),
        (2, 0, 400, 100, 450, 150, 0.99),
        (2, 1, 30, 45, 90, 90, 0.97),
        (3, 1, 50, 50, 70, 70, 0.96),
        (4, 0, 5, 5, 25, 25, 0.3),
    ]
)
TASKS = np.arange(5)


def regions(rows):
    rows = np.asarray(rows, dtype=np.float64)
    score = rows[:, 6] if rows.shape[1] == 7 else None
    return Regions(rows[:, 0], rows[:, 1], rows[:, 2:6], score)


def test_boxes_are_fiftyones():
    # FiftyOne 1.22.1 run on these boxes (divided by 1000): COCOEvaluation(iou=0.5,
    # classwise=False), then DetectionMistakenness.process_image, use_logits=False.
    annotations, predictions = regions(ANNOTATIONS), regions(PREDICTIONS)
    found = fiftyone.boxes(annotations, predictions)
    nan = np.nan
    np.testing.assert_allclose(
        found.mistakenness,
        [0.015, 0.995, nan, 0.01, nan, 0.15, 0.015, nan, 0.35],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        found.mistakenness_loc,
        [0.27189497, 0.14763736, nan, 0.10560975, nan, 0.63695652, 0.5, nan, 0.35],
        atol=1e-6,
    )
    assert found.prediction.tolist() == [0, 1, -1, 4, -1, 5, 9, -1, 11]
    assert np.flatnonzero(found.possible_spurious).tolist() == [2, 4, 7]
    assert np.flatnonzero(found.possible_missing).tolist() == [2, 8, 10]
    pooled = fiftyone.task_scores(annotations, predictions, found, TASKS)
    np.testing.assert_allclose(pooled.mistakenness, [0.995, 0.15, 0.015, -1, 0.35], atol=1e-6)
    assert pooled.possible_missing.tolist() == [1, 0, 1, 1, 0]
    assert pooled.possible_spurious.tolist() == [1, 1, 1, 0, 0]


def test_thresholds_are_parameters():
    annotations, predictions = regions(ANNOTATIONS), regions(PREDICTIONS)
    found = fiftyone.boxes(annotations, predictions, iou=0.8, confidence=0.98)
    assert found.prediction.tolist() == [0, 1, -1, 4, -1, -1, -1, -1, 11]
    assert np.flatnonzero(found.possible_missing).tolist() == [8]
    halved = fiftyone.boxes(annotations, predictions, certainty=np.full(12, 0.5))
    np.testing.assert_allclose(halved.mistakenness[:2], [0.25, 0.75])


def test_images_are_fiftyones():
    # _compute_mistakenness_class(logits, m) and _conf of FiftyOne 1.22.1 for right and wrong.
    labels, predicted = np.array([1, 0]), np.array([1, 1])
    by_confidence = fiftyone.mistakenness(labels, predicted, np.array([0.8, 0.8]))
    np.testing.assert_allclose(by_confidence, [0.1, 0.9])
    logits = np.array([[0.0, np.log(4)], [0, np.log(4)]])
    sure = 0.8**0.8 * 0.2**0.2
    np.testing.assert_allclose(fiftyone.certainty(logits), [sure, sure], rtol=1e-6)
    by_logits = fiftyone.mistakenness(labels, predicted, fiftyone.certainty(logits))
    np.testing.assert_allclose(by_logits, [(1 - sure) / 2, (1 + sure) / 2], rtol=1e-6)


def test_a_missing_label_is_not_agreement():
    labels, predicted = np.array([NONE, 2, NONE, 2]), np.array([2, NONE, NONE, 2])
    score = fiftyone.mistakenness(labels, predicted, np.array([0.9, np.nan, np.nan, 0.9]))
    np.testing.assert_allclose(score, [0.95, 1, np.nan, 0.05], rtol=1e-6)


def test_several_labels_are_right_together_or_not_at_all():
    labels = np.array([[1, 0], [1, 1], [0, 0]])
    predicted = np.array([[1, 0], [1, 0], [0, 0]])
    score = fiftyone.multilabel_mistakenness(labels, predicted, np.array([0.6, 0.6, 1]))
    np.testing.assert_allclose(score, [0.2, 0.8, 0])


coordinate = st.integers(0, 12)
box = st.tuples(
    st.integers(0, 2), st.integers(0, 2), coordinate, coordinate, coordinate, coordinate
)
scored = st.tuples(box, st.integers(0, 5)).map(lambda both: (*both[0], both[1] / 5))


def sized(rows):
    return [(t, c, x, y, x + w + 1, y + h + 1, *rest) for t, c, x, y, w, h, *rest in rows]


def one_by_one(annotations, predictions, iou):
    """COCO's loop as FiftyOne writes it."""
    taken = np.full(len(annotations), NONE)
    for row in np.argsort(-predictions.score, kind="stable"):
        best, which = iou, NONE
        for other in np.flatnonzero(annotations.task == predictions.task[row]):
            a, b = annotations.box[other], predictions.box[row]
            side = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
            shared = np.prod(np.maximum(side, 0))
            union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
            if taken[other] == NONE and shared / union >= best:
                best, which = shared / union, other
        if which != NONE:
            taken[which] = row
    return taken


@given(st.lists(box, max_size=12), st.lists(scored, max_size=16), st.sampled_from([0.1, 0.5]))
def test_matching_is_that_of_one_prediction_after_another(mine, theirs, iou):
    annotations = regions(np.array(sized(mine)).reshape(-1, 6))
    predictions = regions(np.array(sized(theirs)).reshape(-1, 7))
    found = fiftyone.boxes(annotations, predictions, iou=iou)
    np.testing.assert_array_equal(found.prediction, one_by_one(annotations, predictions, iou))
    assert ((found.iou >= np.float32(iou)) == (found.prediction != NONE)).all()


def test_boxes_without_a_label_match_and_boxes_without_area_do_not():
    annotations = regions([(0, NONE, 0, 0, 9, 9), (0, 1, 5, 5, 5, 5)])
    predictions = regions([(0, 1, 0, 0, 9, 9, 0.5), (0, 1, 5, 5, 5, 5, 0.5)])
    found = fiftyone.boxes(annotations, predictions)
    assert found.prediction.tolist() == [0, NONE]
    assert found.mistakenness[0] == 0.75
    unlabelled = predictions.take(np.array([0]))
    unlabelled = Regions(unlabelled.task, np.array([NONE]), unlabelled.box, unlabelled.score)
    assert fiftyone.boxes(annotations, unlabelled).mistakenness[0] == 0.25


@given(st.lists(box, max_size=10), st.lists(scored, max_size=10))
def test_scores_are_in_range_and_each_box_is_judged_once(mine, theirs):
    annotations = regions(np.array(sized(mine)).reshape(-1, 6))
    predictions = regions(np.array(sized(theirs)).reshape(-1, 7))
    found = fiftyone.boxes(annotations, predictions)
    for score in (found.mistakenness, found.mistakenness_loc):
        told = score[~found.possible_spurious]
        assert ((told >= 0) & (told <= 1)).all()
        assert np.isnan(score[found.possible_spurious]).all()
    taken = found.prediction[found.prediction != NONE]
    assert len(set(taken.tolist())) == len(taken)
    assert not found.possible_missing[taken].any()


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_confidence_moves_right_labels_down_and_wrong_ones_up(one, other):
    low, high = sorted((one, other))
    labels, predicted = np.array([0, 0, 0, 0]), np.array([0, 0, 1, 1])
    score = fiftyone.mistakenness(labels, predicted, np.array([low, high, low, high]))
    assert score[0] >= score[1]
    assert score[2] <= score[3]


def test_a_crowd_of_predictions_on_a_crowd_of_boxes():
    rng = np.random.default_rng(0)
    rows = np.zeros((400, 7))
    rows[:, 2:4] = rng.uniform(0, 5, (400, 2))
    rows[:, 4:6] = rows[:, 2:4] + 20
    rows[:, 6] = rng.random(400)
    annotations, predictions = regions(rows[:150, :6]), regions(rows)
    assert (fiftyone.boxes(annotations, predictions).prediction != NONE).all()


def test_empty_tables_and_bad_input():
    none, some = regions(np.zeros((0, 6))), regions(np.zeros((0, 7)))
    found = fiftyone.boxes(none, some)
    assert len(found.mistakenness) == len(found.possible_missing) == 0
    assert fiftyone.task_scores(none, some, found, TASKS).mistakenness.tolist() == [-1] * 5
    only = fiftyone.boxes(none, regions(PREDICTIONS))
    assert only.possible_missing.sum() == 7
    with pytest.raises(ValueError, match=r"predictions\.score is None"):
        fiftyone.boxes(none, none)
    with pytest.raises(ValueError, match=r"predictions\.task row 10 is 3, not one of tasks"):
        fiftyone.task_scores(none, regions(PREDICTIONS), only, np.array([0, 1, 2, 4]))
    with pytest.raises(ValueError, match="iou is 1"):
        fiftyone.boxes(none, some, iou=1)
    with pytest.raises(ValueError, match=r"confidence row 1 is 1\.5, expected 0 to 1"):
        fiftyone.mistakenness(np.zeros(2, int), np.zeros(2, int), np.array([0.5, 1.5]))
    with pytest.raises(ValueError, match="do not match"):
        fiftyone.mistakenness(np.zeros(2, int), np.zeros(3, int), np.zeros(3))
    with pytest.raises(ValueError, match="logits row 0 is"):
        fiftyone.certainty(np.array([[np.inf, 0]]))
