import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import detection
from analysis.boxes import rehearsal
from analysis.findings import Findings
from analysis.regions import Regions

GOOD = [10, 10, 30, 30]
FAR = [100, 100, 120, 120]


def people(*rows) -> Regions:
    """Rows of (task, label, box)."""
    return Regions(
        np.array([row[0] for row in rows]),
        np.array([row[1] for row in rows]),
        np.array([row[2] for row in rows]).reshape(-1, 4),
    )


def model(*rows) -> Regions:
    """Rows of (task, label, box, score)."""
    table = people(*rows)
    return Regions(table.task, table.label, table.box, np.array([row[3] for row in rows]))


#: What is believed of a detector that nothing is known of.
PRIOR = detection.fit(people(), model(), num_classes=10)


def find(annotations: Regions, predictions: Regions, **options) -> list[tuple]:
    options = {"num_classes": 10, "calibration": PRIOR} | options
    found = detection.find(annotations, predictions, **options)
    return [
        (int(task), str(kind), int(annotation), int(prediction), float(score), int(label))
        for task, kind, annotation, prediction, score, label in zip(
            *(found.task, found.kind, found.annotation, found.prediction),
            *(found.score, found.label),
            strict=True,
        )
    ]


def about(low, high):
    return pytest.approx((low + high) / 2, abs=(high - low) / 2)


@pytest.mark.parametrize("score", [0.95, 0.5, 0.2, 0.05])
def test_agreement_finds_nothing_however_weak(score):
    assert find(people((1, 3, GOOD)), model((1, 3, GOOD, score))) == []


def test_another_class_on_the_box_is_mislabelled():
    found = find(people((1, 3, GOOD)), model((1, 8, GOOD, 0.95)))
    assert found == [(1, "mislabelled", 0, 0, about(0.8, 1), 8)]


def test_a_weak_prediction_of_the_same_class_supports_the_label():
    alone = find(people((1, 3, GOOD)), model((1, 8, GOOD, 0.9)))
    supported = find(people((1, 3, GOOD)), model((1, 8, GOOD, 0.9), (1, 3, GOOD, 0.1)))
    assert 1 - supported[0][4] > 2 * (1 - alone[0][4])


def test_a_confident_prediction_nobody_labelled_is_missing():
    found = find(people((1, 3, GOOD)), model((1, 3, GOOD, 0.9), (1, 7, FAR, 0.94)))
    assert found == [(1, "missing", -1, 1, about(0.7, 1), 7)]


def test_of_two_predictions_on_one_spot_the_surer_is_missing():
    found = find(people(), model((1, 7, FAR, 0.85), (1, 8, FAR, 0.9)))
    assert found == [(1, "missing", -1, 1, about(0.7, 1), 8)]


def test_a_box_without_support_is_spurious():
    assert find(people((1, 3, GOOD)), model()) == [(1, "spurious", 0, -1, about(0.3, 0.8), -1)]


@pytest.mark.parametrize(("bottom", "low", "high"), [(20, 0.6, 1), (16, 0.6, 1)])
def test_a_box_far_off_the_models_is_badly_drawn_and_nothing_else(bottom, low, high):
    found = find(people((1, 3, [10, 10, 30, bottom])), model((1, 3, GOOD, 0.9)))
    assert found[0] == (1, "badly_drawn", 0, 0, about(low, high), 3)
    assert all(score < 0.2 for *_, score, _ in found[1:])


def test_a_box_near_the_models_is_well_drawn():
    assert find(people((1, 3, [10, 10, 30, 27])), model((1, 3, GOOD, 0.9))) == []


def test_a_box_drawn_twice_is_a_duplicate_where_it_fits_worse():
    found = find(people((1, 3, GOOD), (1, 3, [10, 10, 30, 29])), model((1, 3, GOOD, 0.95)))
    assert found == [(1, "duplicate", 1, -1, about(0.8, 1), -1)]


def test_two_boxes_that_the_model_sees_too_are_no_duplicates():
    beside = [12, 10, 32, 30]
    found = find(
        people((1, 3, GOOD), (1, 3, beside)), model((1, 3, GOOD, 0.95), (1, 3, beside, 0.95))
    )
    assert all(score < 0.1 for *_, score, _ in found)


def test_of_a_row_of_overlapping_predictions_every_second_is_missing():
    """As non-maximum suppression has it: a box that is beaten beats none."""
    steps = [[10 + 9 * n, 10, 40 + 9 * n, 40] for n in range(3)]
    rows = [(1, 7, box, score) for box, score in zip(steps, (0.9, 0.8, 0.7), strict=True)]
    found = find(people(), model(*rows))
    assert [row[3] for row in found] == [0, 2]


def test_a_prediction_without_a_label_of_the_project_hides_nothing():
    found = find(people(), model((1, -1, GOOD, 0.98), (1, 7, GOOD, 0.97)))
    assert [row[3] for row in found] == [1]


def test_a_faint_prediction_says_next_to_nothing():
    alone = find(people((1, 3, GOOD)), model(), floor=0)
    faint = find(people((1, 3, GOOD)), model((1, 3, GOOD, 1e-6)), floor=0)
    assert sum(row[4] for row in faint) > 0.9 * sum(row[4] for row in alone)


def test_a_calibration_of_other_classes_is_refused():
    with pytest.raises(ValueError, match="of 10 classes, expected 5"):
        find(people(), model(), num_classes=5)


def test_tasks_do_not_mix():
    assert (
        find(people((1, 3, GOOD), (2, 3, FAR)), model((2, 3, FAR, 0.95), (1, 3, GOOD, 0.95))) == []
    )


def test_a_label_the_model_does_not_know_is_never_in_doubt():
    assert find(people((1, -1, GOOD)), model((1, 7, GOOD, 0.9))) == []
    assert find(people((1, -1, GOOD), (1, -1, GOOD)), model()) == []


def test_nothing_gives_nothing():
    assert find(people(), model(), calibration=None) == []


def test_one_class_has_no_wrong_labels():
    boxes = people(*[(task, 0, GOOD) for task in range(30)])
    said = model(*[(task, 0, GOOD, 0.9) for task in range(25)])
    found = find(boxes, said, num_classes=1, calibration=None)
    assert {row[1] for row in found} <= {"spurious"}


def test_boxes_without_area_match_their_equals_alone():
    flat, other = [10, 10, 10, 10], [10, 10, 10, 12]
    assert find(people((1, 3, flat)), model((1, 3, flat, 0.9))) == []
    found = find(people((1, 3, flat)), model((1, 3, other, 0.9)))
    assert {row[1] for row in found} == {"spurious", "missing"}


def scene(seen, random, tasks=60, objects=5, classes=6):
    """Right labels, and a detector that sees a share of them."""
    n = tasks * objects
    corner = np.tile(np.arange(objects) * 100.0, tasks)[:, None] + random.uniform(0, 40, (n, 2))
    box = np.concatenate([corner, corner + random.uniform(20, 50, (n, 2))], axis=1)
    task, label = np.repeat(np.arange(tasks), objects), random.integers(classes, size=n)
    found = random.random(n) < seen
    drawn = box + random.normal(0, 1, box.shape)
    return Regions(task, label, box), Regions(
        task[found], label[found], drawn[found], random.uniform(0.7, 0.99, found.sum())
    )


def test_a_model_that_misses_much_makes_little_of_what_it_misses():
    worst = {}
    for seen in (0.95, 0.3):
        boxes, said = scene(seen, np.random.default_rng(1))
        found = find(boxes, said, num_classes=6, calibration=None)
        worst[seen] = max(score for _, kind, *_, score, _ in found if kind == "spurious")
    assert worst[0.95] > 1.5 * worst[0.3]


def test_planted_errors_come_first():
    random = np.random.default_rng(2)
    boxes, said = scene(0.95, random)
    label, box = boxes.label.copy(), boxes.box.copy()
    label[7] = (label[7] + 1) % 6
    box[100, 2:] += 40
    kept = np.delete(np.arange(len(boxes)), 200)
    spoilt = Regions(boxes.task, label, box).take(kept)
    found = detection.find(spoilt, said, num_classes=6)
    for kind, task in (("mislabelled", 1), ("badly_drawn", 20), ("missing", 40)):
        some = found.take(found.kind == kind)
        assert int(some.task[some.score.argmax()]) == task
        assert some.score.max() > 0.5


def test_a_project_of_few_crowded_tasks_is_rehearsed_on(monkeypatch):
    monkeypatch.setattr(rehearsal, "_MOST", 20)
    boxes, said = scene(0.95, np.random.default_rng(3), tasks=4, objects=60)
    some, beside = rehearsal._some(boxes, said)
    assert len(np.unique(some.task)) == 1
    assert set(beside.task.tolist()) == set(some.task.tolist())
    learnt = detection.fit(boxes, said, num_classes=10)
    assert not np.array_equal(learnt.people.weight, PRIOR.people.weight)


def test_a_duplicate_does_not_add_up_with_what_else_may_be_wrong():
    found = Findings(
        np.array([4, 4, 4]),
        np.array(["spurious", "duplicate", "badly_drawn"]),
        np.array([0, 0, 0]),
        np.array([-1, -1, 0]),
        np.array([0.15, 0.4, 0.2]),
        np.array([-1, -1, 3]),
    )
    for score, wanted in ((0.4, 0.4), (0.3, 0.35)):
        one = replace(found, score=np.where(found.kind == "duplicate", score, found.score))
        np.testing.assert_allclose(detection.task_scores(one, np.array([4])), [wanted], atol=1e-6)


def test_a_calibration_survives_storage():
    again = detection.Calibration.from_arrays(PRIOR.to_arrays())
    for column in dataclasses.fields(again):
        np.testing.assert_array_equal(getattr(again, column.name), getattr(PRIOR, column.name))


@pytest.mark.parametrize(
    ("annotations", "predictions", "said"),
    [
        (people((5, 10, GOOD)), model(), "annotations.label row 0 .task 5. is 10"),
        (people(), model((5, 99, GOOD, 0.5)), "predictions.label row 0 .task 5. is 99"),
        (people(), people((5, 1, GOOD)), "predictions.score is None"),
    ],
)
def test_wrong_input_is_named(annotations, predictions, said):
    with pytest.raises(ValueError, match=said):
        find(annotations, predictions)


def test_ten_thousand_boxes_in_one_task():
    random = np.random.default_rng(0)
    corner = random.uniform(0, 4000, (10_000, 2))
    box = np.concatenate([corner, corner + random.uniform(10, 60, (10_000, 2))], axis=1)
    label = random.integers(5, size=10_000)
    boxes = Regions(np.zeros(10_000), label, box)
    found = find(boxes, Regions(boxes.task, label, box, np.full(10_000, 0.9)), num_classes=10)
    assert len(found) < 500


corner = st.floats(0, 90, width=32)
side = st.floats(1, 40, width=32)
rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), corner, corner, side, side, st.floats(0, 1)),
    max_size=12,
)


def tables(human, machine):
    def box(row):
        return [row[2], row[3], row[2] + row[4], row[3] + row[5]]

    return (
        people(*[(row[0], row[1], box(row)) for row in human]),
        model(*[(row[0], row[1], box(row), row[6]) for row in machine]),
    )


def gist(found):
    """What is found, less the rows: task, kind, label and a score as exact as a sum can be."""
    return sorted((task, kind, label, round(score, 4)) for task, kind, _, _, score, label in found)


@settings(max_examples=100, deadline=None)
@given(rows, rows, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_rows_changes_nothing_but_their_order(human, machine, random, fitted):
    calibration = None if fitted else PRIOR
    first = find(*tables(human, machine), calibration=calibration)
    random.shuffle(human)
    random.shuffle(machine)
    second = find(*tables(human, machine), calibration=calibration)
    close = [(a[:3], a[3]) for a in gist(first)], [(a[:3], a[3]) for a in gist(second)]
    assert [a for a, _ in close[0]] == [b for b, _ in close[1]]
    np.testing.assert_allclose([a for _, a in close[0]], [b for _, b in close[1]], atol=2e-4)


@settings(max_examples=100, deadline=None)
@given(rows, rows)
def test_a_task_alone_scores_as_in_the_project(human, machine):
    calibration = detection.fit(*tables(human, machine), num_classes=10)
    whole = find(*tables(human, machine), calibration=calibration)
    for task in range(4):
        alone = find(
            *tables([r for r in human if r[0] == task], [r for r in machine if r[0] == task]),
            calibration=calibration,
        )
        assert [(row[1], row[4], row[5]) for row in alone] == [
            (row[1], row[4], row[5]) for row in whole if row[0] == task
        ]


@settings(max_examples=100, deadline=None)
@given(rows, rows)
def test_scores_are_in_range_and_rows_exist(human, machine):
    found = detection.find(*tables(human, machine), num_classes=3, floor=0.0)
    assert ((found.score > 0) & (found.score <= 1)).all()
    assert (found.annotation < len(human)).all()
    assert (found.prediction < len(machine)).all()
    scores = detection.task_scores(found, np.arange(5))
    assert ((scores >= 0) & (scores <= 1)).all()
    assert scores[4] == 0


@settings(max_examples=60, deadline=None)
@given(st.floats(0.02, 1), st.floats(0.02, 1))
def test_a_surer_model_is_believed_more(one, other):
    low, high = sorted([one, other])
    cases = {
        "missing": (people(), lambda s: model((1, 7, FAR, s))),
        "mislabelled": (people((1, 3, GOOD)), lambda s: model((1, 8, GOOD, s))),
        "badly_drawn": (people((1, 3, [10, 10, 30, 20])), lambda s: model((1, 3, GOOD, s))),
    }
    for kind, (boxes, said) in cases.items():
        scores = [
            max([row[4] for row in find(boxes, said(s), floor=0.0) if row[1] == kind], default=0)
            for s in (low, high)
        ]
        assert scores[0] <= scores[1] + 1e-6, kind


def test_task_scores_are_of_the_worst_box():
    found = Findings(
        np.array([4, 4, 4, 9]),
        np.array(["missing", "spurious", "mislabelled", "missing"]),
        np.array([-1, 0, 0, -1]),
        np.array([0, -1, 2, 1]),
        np.array([0.2, 0.5, 0.1, 0.5]),
        np.array([1, -1, 3, 1]),
    )
    np.testing.assert_allclose(
        detection.task_scores(found, np.array([9, 1, 4])), [0.5, 0, 0.6], atol=1e-6
    )
    # Tables of several projects number their boxes each from 0.
    other = replace(found, task=found.task + 10)
    both = detection.task_scores(Findings.concatenate([found, other]), np.array([4, 14]))
    np.testing.assert_allclose(both, [0.6, 0.6], atol=1e-6)
    assert len(detection.task_scores(found, np.array([], dtype=np.int64))) == 0
    np.testing.assert_array_equal(detection.task_scores(Findings(), np.array([3])), [0])
