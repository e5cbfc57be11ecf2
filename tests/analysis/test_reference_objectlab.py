import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.findings import NONE
from analysis.reference import objectlab, objectlab_boxes
from analysis.reference.precision import average_precision, exact_iou
from analysis.regions import Regions
from tests.analysis.test_reference_fiftyone import (
    ANNOTATIONS,
    PREDICTIONS,
    TASKS,
    box,
    regions,
    scored,
    sized,
)

# Literals: cleanlab 2.9.0 on these very boxes as lists, confidences rounded to 4 digits.
SMALLEST = 1.1102230246251563e-17


@pytest.fixture(params=[1 << 18, 3])
def tables(request, monkeypatch):
    monkeypatch.setattr(objectlab_boxes, "_BLOCK", request.param)
    return regions(ANNOTATIONS), regions(PREDICTIONS)


def test_boxes_are_cleanlabs(tables):
    found = objectlab.score_boxes(*tables)
    assert found.smallest == SMALLEST
    overlooked = np.full(12, np.nan)
    overlooked[[2, 8, 10]] = 2.967110241836046e-07, 1.1102230246251573e-19, 4.440892098500629e-19
    np.testing.assert_allclose(found.overlooked, overlooked, rtol=1e-5)
    np.testing.assert_allclose(
        found.badloc,
        [0.92874794, 1, 1, 0.9465813, 1, 0.62262951, 0.72223666, 1, 1],
        rtol=1e-7,
    )
    np.testing.assert_allclose(
        found.swap,
        [0.999918024996, 0.069712222385, 0.999999944, SMALLEST, SMALLEST, 0.99999997, 1, 1, 1],
        rtol=1e-7,
    )


def test_images_are_cleanlabs(tables):
    found = objectlab.score_images(*tables, tasks=TASKS)
    np.testing.assert_allclose(
        found.overlooked,
        [2.967110241836046e-07, 1, 1.1102230246251573e-19, 4.440892098500629e-19, 1],
        rtol=1e-5,
    )
    np.testing.assert_allclose(found.badloc, [0.96402888, 0.64273998, 0.73849827, 1, 1], rtol=1e-7)
    np.testing.assert_allclose(found.swap, [0.06988187, 2.26994551e-05, 1, 1, 1], rtol=1e-6)
    np.testing.assert_allclose(
        found.total,
        [0.0027139139591, 0.0244352572793, 4.3443009593e-07, 7.6293945312e-07, 1],
        rtol=1e-5,
    )
    weights = objectlab.Constants(weights=(0.5, 0.2, 0.3))
    np.testing.assert_allclose(
        objectlab.score_images(*tables, tasks=TASKS, constants=weights).total,
        [0.000243385218817345, 0.03701789274676, 3.1359924717e-10, 6.6640018746e-10, 1],
        rtol=1e-5,
    )


def test_issues_are_cleanlabs(tables):
    precision = average_precision(*tables, 3, np.linspace(0.5, 0.95, 10)).mean(axis=0)
    np.testing.assert_allclose(precision, [0.605555594, 0.15, 0.1], rtol=1e-6)
    found = objectlab.find_label_issues(*tables, num_classes=3, tasks=TASKS)
    assert found.image.tolist() == [True, True, True, True, False]
    order = np.argsort(found.scores.total)
    assert order[found.image[order]].tolist() == [2, 3, 0, 1]
    assert np.flatnonzero(found.overlooked).tolist() == [2, 8, 10]
    assert not found.badloc.any()
    assert np.flatnonzero(found.swap).tolist() == [3, 4]
    drawn = objectlab.Constants(ap_scale=1, factors=(0, 1.6, 0))
    strict = objectlab.find_label_issues(*tables, num_classes=3, constants=drawn)
    assert np.flatnonzero(strict.badloc).tolist() == [0, 3]
    assert not strict.overlooked.any()
    assert not strict.swap.any()
    assert strict.scores.task[strict.image].tolist() == [0, 1]


def test_a_given_smallest_keeps_images_apart():
    annotations, predictions = regions(ANNOTATIONS), regions(PREDICTIONS)
    fixed = objectlab.Constants(smallest=1e-3)
    whole = objectlab.score_images(annotations, predictions, tasks=TASKS, constants=fixed)
    for task in TASKS:
        alone = objectlab.score_images(
            annotations.take(annotations.task == task),
            predictions.take(predictions.task == task),
            tasks=TASKS[[task]],
            constants=fixed,
        )
        np.testing.assert_allclose(alone.total[0], whole.total[task])


def test_classes_on_one_object_may_go_unchecked():
    annotations, predictions = regions(ANNOTATIONS), regions(PREDICTIONS)
    unchecked = objectlab.Constants(label_overlap=2)
    assert objectlab.score_boxes(annotations, predictions, unchecked).swap[3] > 0.9


def test_a_class_that_the_model_does_not_know_covers_and_is_never_wrong():
    annotations = regions([(0, NONE, 150, 150, 190, 190)])
    predictions = regions(PREDICTIONS[2:3])
    found = objectlab.find_label_issues(annotations, predictions, num_classes=3)
    assert not found.image.any()
    assert objectlab.score_boxes(annotations, predictions).swap.tolist() == [1]


def naive_precision(annotations, predictions, label, iou):
    hits = []
    for row in np.argsort(-predictions.score, kind="stable"):
        if predictions.label[row] != label:
            continue
        near = np.flatnonzero(
            (annotations.task == predictions.task[row]) & (annotations.label == label)
        )
        many = np.repeat(predictions.box[[row]].T, len(near), axis=1)
        overlap = exact_iou(annotations.box[near].T, many)
        good = len(near) > 0 and overlap.max() >= iou
        hits.append(near[overlap.argmax()] if good else NONE)
    right = [hit != NONE and hit not in hits[:at] for at, hit in enumerate(hits)]
    curve = [sum(right[: at + 1]) / (at + 1) for at in range(len(right))]
    count = int((annotations.label == label).sum())
    return sum(max(curve[at:]) for at in range(len(right)) if right[at]) / max(count, 1)


def test_an_iou_of_the_very_threshold_is_enough():
    # In float32 the IoU of 0.7 is 0.69999999, and would not be.
    annotations = regions([(0, 0, 0, 0, 10, 10)])
    predictions = regions([(0, 0, 0, 0, 10, 7, 0.9)])
    assert average_precision(annotations, predictions, 1, np.array([0.7, 0.71])).tolist() == [
        [1],
        [0],
    ]


@given(st.lists(box, max_size=10), st.lists(scored, max_size=12))
def test_precision_is_that_of_the_plain_loop(mine, theirs):
    annotations = regions(np.array(sized(mine)).reshape(-1, 6))
    predictions = regions(np.array(sized(theirs)).reshape(-1, 7))
    predictions = predictions.take(np.argsort(predictions.task, kind="stable"))
    steps = np.array([0.3, 0.5, 0.75])
    found = average_precision(annotations, predictions, 3, steps)
    for step, iou in enumerate(steps):
        for label in range(3):
            naive = naive_precision(annotations, predictions, label, iou)
            assert found[step, label] == pytest.approx(naive)


@given(st.lists(box, max_size=10), st.lists(scored, max_size=10), st.randoms(use_true_random=False))
def test_scores_are_in_range_and_order_changes_nothing_but_order(mine, theirs, random):
    annotations = regions(np.array(sized(mine)).reshape(-1, 6))
    predictions = regions(np.array(sized(theirs)).reshape(-1, 7))
    constants = objectlab.Constants(high=0.5, low=0.2)
    found = objectlab.score_boxes(annotations, predictions, constants)
    for score in (found.overlooked[~np.isnan(found.overlooked)], found.badloc, found.swap):
        assert ((score >= 0) & (score <= 1)).all()
    order = np.array(random.sample(range(len(mine)), len(mine)), dtype=int)
    other = objectlab.score_boxes(annotations.take(order), predictions, constants)
    np.testing.assert_allclose(other.badloc, found.badloc[order])
    np.testing.assert_allclose(other.swap, found.swap[order])
    np.testing.assert_allclose(other.overlooked, found.overlooked)
    images = objectlab.score_images(annotations, predictions, constants=constants)
    assert ((images.total >= 0) & (images.total <= 1 + 1e-9)).all()


def test_a_crowded_image_zero_areas_and_empty_tables():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 1000, (3000, 2))
    crowd = Regions(
        np.zeros(3000), rng.integers(0, 5, 3000), np.hstack([corner, corner + 9]), rng.random(3000)
    )
    found = objectlab.find_label_issues(crowd, crowd, num_classes=5)
    assert len(found.image) == 1
    flat = regions([(0, 1, 5, 5, 5, 5, 0.99)])
    assert objectlab.score_images(flat, flat).total.shape == (1,)
    none = regions(np.zeros((0, 7)))
    twins = regions([(0, 0, 5, 5, 5, 5), (0, 1, 5, 5, 5, 5)])
    beside = regions([(0, 2, 50, 5, 60, 9, 0.6)])
    assert objectlab.score_boxes(twins, beside).swap.tolist() == [1, 1]
    assert len(objectlab.find_label_issues(none, none, num_classes=3).image) == 0
    scores = objectlab.score_images(none, none, tasks=TASKS)
    np.testing.assert_array_equal(scores.total, np.ones(5))
    assert not objectlab.find_label_issues(regions(ANNOTATIONS), none, num_classes=3).image.any()


def test_bad_input_is_named():
    annotations, predictions = regions(ANNOTATIONS), regions(PREDICTIONS)
    with pytest.raises(ValueError, match=r"annotations\.label row 2 \(task 0\) is 2, expected"):
        objectlab.find_label_issues(annotations, predictions, num_classes=2)
    with pytest.raises(ValueError, match=r"predictions\.score is None"):
        objectlab.score_boxes(annotations, annotations)
    with pytest.raises(ValueError, match=r"annotations\.task row 8 is 4, not one of tasks"):
        objectlab.score_images(annotations, predictions, tasks=TASKS[:4])
    with pytest.raises(ValueError, match="weights are"):
        objectlab.score_images(
            annotations, predictions, constants=objectlab.Constants(weights=(1, 1, 1))
        )
