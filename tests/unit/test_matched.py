"""People's regions beside the model's: partners, overlaps, false positives and negatives."""

from dataclasses import replace

import numpy as np

from analysis.findings import NONE
from ml_backend.outlines import Outlines
from ml_backend.scoring.agreed import agreed, cells
from ml_backend.scoring.matched import matched
from ml_backend.storage.labels import StoredLabels
from tests.unit.test_scoring import units

HERE, THERE = (10, 10, 100, 100, 0), (200, 100, 50, 50, 0)
NAN = np.nan


def of(tag, human, model, threshold=0.5, **more):
    _, table, labels = units(tag, human, model, **more)
    tasks = np.arange(more.get("count", 1)) + 100
    return matched(table, labels, tasks, threshold), (table, labels, tasks)


def test_a_region_stands_beside_the_prediction_that_covers_it_whatever_its_class():
    shifted = (20, 10, 100, 100, 0)
    found, _ = of("RectangleLabels", [(0, 0, HERE), (0, 1, THERE)], [(0, 2, 0.9, shifted)])
    assert found.region_predicted.tolist() == [2, NONE]
    np.testing.assert_allclose(found.region_confidence, [0.9, NAN], rtol=1e-6)
    np.testing.assert_allclose(found.region_iou, [90 / 110, NAN], rtol=1e-5)
    # The class is wrong, and one thing was not seen.
    assert (found.false_positives.tolist(), found.false_negatives.tolist()) == ([1], [2])
    np.testing.assert_allclose([found.confidence[0], found.iou[0]], [0.9, 90 / 110], rtol=1e-5)


def test_a_badly_drawn_region_keeps_its_partner_but_takes_nobody_elses():
    grown = (10, 10, 100, 300, 0)
    found, _ = of("RectangleLabels", [(0, 0, HERE)], [(0, 0, 0.9, grown)])
    np.testing.assert_allclose(found.region_iou, [1 / 3], rtol=1e-5)
    assert found.false_negatives.tolist() == [1]
    beside = (60, 10, 100, 100, 0)
    found, _ = of("RectangleLabels", [(0, 0, HERE), (0, 0, beside)], [(0, 0, 0.9, HERE)])
    assert found.region_predicted.tolist() == [0, NONE]


def test_weak_predictions_are_shown_but_count_for_nothing():
    found, _ = of("RectangleLabels", [(0, 0, HERE)], [(0, 0, 0.3, HERE), (0, 1, 0.4, THERE)])
    assert found.region_predicted.tolist() == [0]
    assert (found.false_positives.tolist(), found.false_negatives.tolist()) == ([0], [1])
    assert found.predicted.tolist() == [NONE]


def test_beside_labels_of_a_task_without_a_prediction_nothing_stands():
    human = [(0, 0, HERE), (1, 1, HERE), (1, 2, THERE), (1, 2, HERE)]
    _, table, labels = units("RectangleLabels", human, [(0, 0, 0.9, HERE)], count=2)
    there = table.predictions.take(np.array([0]))
    table = replace(table, found=np.array([True, False]), predictions=there)
    found = matched(table, labels, np.array([100, 101]), 0.5)
    assert (found.label.tolist(), found.predicted.tolist()) == ([0, 2], [0, NONE])
    assert found.region_predicted.tolist() == [0, NONE, NONE, NONE]
    assert np.isnan(found.region_iou).tolist() == [False, True, True, True]
    assert (found.false_positives.tolist(), found.false_negatives.tolist()) == ([0, 0], [0, 0])


def test_of_several_annotators_the_one_with_most_errors_counts():
    _, table, labels = units("RectangleLabels", [(0, 0, HERE)], [(0, 0, 0.9, HERE)])
    both = replace(
        labels,
        task=np.array([100, 100]),
        unit=np.array([10, 11]),
        region_unit=np.array([10, 11, 11]),
        label=np.array([0, 0, 0], dtype=np.int32),
        outline=Outlines.of_rows([HERE, HERE, THERE]),
        size=np.zeros((2, 2), dtype=np.int32),
        approved=np.zeros(2, dtype=np.bool_),
    )
    found = matched(table, both, np.array([100]), 0.5)
    assert (found.false_positives.tolist(), found.false_negatives.tolist()) == ([0], [1])
    assert found.region_predicted.tolist() == [0, 0, NONE]


def test_tasks_without_labels_have_no_errors_and_the_surest_prediction():
    _, table, _ = units("RectangleLabels", [], [(0, 1, 0.7, HERE), (0, 1, 0.8, THERE)])
    found = matched(table, StoredLabels.empty(), np.array([100]), 0.5)
    assert found.label.tolist() == [NONE]
    assert found.predicted.tolist() == [1]
    assert found.confidence.tolist() == [np.float32(0.8)]
    assert found.false_positives.tolist() == [0]


def test_spans_and_key_points_have_partners_too():
    found, _ = of("Labels", [(0, 0, (10, 20))], [(0, 1, 0.9, (10, 15)), (0, 0, 0.8, (40, 50))])
    assert found.region_predicted.tolist() == [1]
    np.testing.assert_allclose(found.region_iou, [0.5])
    near, far = (102, 100, 0), (150, 100, 0)
    found, _ = of("KeyPointLabels", [(0, 0, (100, 100, 0))], [(0, 0, 0.9, near)])
    assert found.false_negatives.tolist() == [0]
    found, _ = of("KeyPointLabels", [(0, 0, (100, 100, 0))], [(0, 0, 0.9, far)])
    assert found.region_predicted.tolist() == [NONE]


def test_choices_have_the_surest_class_beside_them():
    probs = [[0.1, 0.85, 0.05], [0.4, 0.35, 0.25]]
    found, _ = of("Choices", [(0, 0, ()), (1, 1, ())], [], count=2, probs=probs)
    assert found.label.tolist() == [0, 1]
    assert found.predicted.tolist() == [1, 0]
    np.testing.assert_allclose(found.confidence, [0.85, 0.4], rtol=1e-6)
    assert found.false_positives.tolist() == [1, 0]
    assert found.false_negatives.tolist() == [1, 1]


def test_agreement_names_what_is_confused_with_what():
    human = [(0, 0, HERE), (1, 1, HERE), (1, 0, THERE)]
    model = [(0, 0, 0.9, HERE), (1, 2, 0.8, HERE)]
    _, (table, labels, tasks) = of("RectangleLabels", human, model, count=2)
    found = agreed(table, labels, tasks, 0.5, 0.5)
    assert found.support.tolist() == [2, 1, 0]
    expected = np.zeros((4, 4), dtype=np.int64)
    expected[0, 0] = expected[1, 2] = expected[0, 3] = 1
    np.testing.assert_array_equal(found.confusion, expected)
    np.testing.assert_allclose(found.recall, [0.5, 0, NAN], equal_nan=True)


def test_agreement_of_several_choices_is_a_question_each():
    probs = [[0.9, 0.2, 0.8]]
    human = [(0, 0, ()), (0, 1, ())]
    _, (table, labels, tasks) = of("Choices", human, [], probs=probs, extra='choice="multiple"')
    found = agreed(table, labels, tasks, 0.5, 0.5)
    assert found.confusion[0, 0] == found.confusion[1, 3] == found.confusion[3, 2] == 1
    assert found.confusion.sum() == 3


def counted(table, labels, tasks, iou, confidence):
    """The confusion, and its things as a list by cell; the two agree cell by cell."""
    confusion = agreed(table, labels, tasks, iou, confidence).confusion
    found = cells(table, labels, tasks, iou, confidence)
    things = {}
    rows = zip(found.given, found.said, found.task, found.region, strict=True)
    for given, said, task, region in rows:
        things.setdefault((int(given), int(said)), []).append((int(task), int(region)))
    many = {cell: len(items) for cell, items in things.items()}
    assert many == {(i, j): int(confusion[i, j]) for i, j in np.argwhere(confusion)}
    return {cell: sorted(items) for cell, items in things.items()}


def test_a_cell_names_the_regions_that_it_counts():
    human = [(0, 0, HERE), (1, 1, HERE), (1, 0, THERE)]
    model = [(0, 0, 0.9, HERE), (0, 2, 0.6, THERE), (1, 2, 0.8, HERE), (1, 0, 0.4, THERE)]
    _, stored = of("RectangleLabels", human, model, count=2)
    assert counted(*stored, 0.5, 0.5) == {
        (0, 0): [(100, 0)],
        (3, 2): [(100, -1)],
        (1, 2): [(101, 0)],
        (0, 3): [(101, 1)],
    }
    # What counts as said is what is asked for, not what stands beside a region.
    assert counted(*stored, 0.5, 0.3)[0, 0] == [(100, 0), (101, 1)]
    assert (3, 2) not in counted(*stored, 0.5, 0.7)


def test_regions_are_numbered_by_annotation_and_then_as_they_stand():
    _, table, labels = units("RectangleLabels", [(0, 0, HERE)], [(0, 0, 0.9, HERE)])
    both = replace(
        labels,
        task=np.array([100, 100]),
        unit=np.array([11, 10]),
        region_unit=np.array([11, 10, 11]),
        label=np.array([0, 1, 2], dtype=np.int32),
        outline=Outlines.of_rows([HERE, HERE, THERE]),
        approved=np.zeros(2, dtype=np.bool_),
        size=np.repeat(labels.size, 2, axis=0),
    )
    found = counted(table, both, np.array([100]), 0.5, 0.5)
    assert found == {(0, 0): [(100, 1)], (1, 0): [(100, 0)], (2, 3): [(100, 2)]}


def test_a_cell_of_choices_names_its_inputs():
    probs = [[0.1, 0.85, 0.05], [0.4, 0.35, 0.25], [0.9, 0.05, 0.05]]
    human = [(0, 0, ()), (1, 1, ())]
    _, stored = of("Choices", human, [], count=3, probs=probs)
    assert counted(*stored, 0.5, 0.5) == {
        (0, 1): [(100, -1)],
        (1, 3): [(101, -1)],
        (3, 0): [(102, -1)],
    }
    assert counted(*stored, 0.5, 0.3)[1, 0] == [(101, -1)]
    several = of("Choices", human, [], count=3, probs=probs, extra='choice="multiple"')[1]
    assert counted(*several, 0.5, 0.5) == {
        (0, 3): [(100, -1)],
        (3, 1): [(100, -1)],
        (1, 3): [(101, -1)],
    }


def test_where_nobody_says_anything_nothing_is_said():
    _, table, _ = units("RectangleLabels", [], [])
    found = matched(table, StoredLabels.empty(), np.array([100]), 0.5)
    assert np.isnan(found.confidence).all()
