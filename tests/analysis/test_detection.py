import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import detection, reasons
from analysis.findings import Findings
from analysis.matching import box_iou, overlapping_pairs
from analysis.regions import Regions

GOOD = [10, 10, 30, 30]
FAR = [100, 100, 120, 120]
TRUST = detection.Calibration(recall=0.9, low_iou=0.8)


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


def find(annotations: Regions, predictions: Regions, **options) -> list[tuple]:
    options = {"num_classes": 10, "calibration": TRUST} | options
    found = detection.find(annotations, predictions, **options)
    return [
        (int(task), str(kind), int(annotation), int(prediction), round(float(score), 2), int(label))
        for task, kind, annotation, prediction, score, label in zip(
            *(found.task, found.kind, found.annotation, found.prediction),
            *(found.score, found.label),
            strict=True,
        )
    ]


def test_agreement_finds_nothing():
    assert find(people((1, 3, GOOD)), model((1, 3, GOOD, 0.9))) == []


def test_another_class_on_the_box_is_mislabelled():
    found = find(people((1, 3, GOOD)), model((1, 8, GOOD, 0.9), (1, 3, GOOD, 0.1)))
    assert found == [(1, "mislabelled", 0, 0, 0.81, 8)]


def test_a_confident_prediction_nobody_labelled_is_missing():
    found = find(people((1, 3, GOOD)), model((1, 3, GOOD, 0.9), (1, 7, FAR, 0.94)))
    assert found == [(1, "missing", -1, 1, 0.94, 7)]


def test_of_two_predictions_on_one_spot_the_surer_is_missing():
    found = find(people(), model((1, 7, FAR, 0.5), (1, 8, FAR, 0.6)))
    assert found == [(1, "missing", -1, 1, 0.6, 8)]


def test_a_box_without_support_is_spurious_as_far_as_the_model_sees():
    assert find(people((1, 3, GOOD)), model()) == [(1, "spurious", 0, -1, 0.9, -1)]
    assert find(people((1, 3, GOOD)), model((1, 3, GOOD, 0.5))) == [
        (1, "spurious", 0, -1, 0.45, -1)
    ]


def test_a_box_far_off_the_models_is_badly_drawn():
    found = find(people((1, 3, [10, 10, 30, 22])), model((1, 3, GOOD, 0.9)))
    assert found == [(1, "badly_drawn", 0, 0, pytest.approx(0.79, abs=0.02), 3)]


def test_a_box_drawn_twice_is_a_duplicate_where_it_fits_worse():
    found = find(people((1, 3, GOOD), (1, 3, [10, 10, 30, 29])), model((1, 3, GOOD, 0.95)))
    assert found == [(1, "duplicate", 1, -1, 0.95, -1)]


def test_tasks_do_not_mix():
    assert (
        find(people((1, 3, GOOD), (2, 3, FAR)), model((2, 3, FAR, 0.95), (1, 3, GOOD, 0.95))) == []
    )


def test_a_label_the_model_does_not_know_is_never_in_doubt():
    assert find(people((1, -1, GOOD)), model((1, 7, GOOD, 0.9))) == []
    assert find(people((1, -1, GOOD)), model()) == []


def test_nothing_gives_nothing():
    assert find(people(), model()) == []
    assert detection.fit(people(), model(), num_classes=3) == detection.Calibration()


def test_boxes_without_area_overlap_nothing():
    flat = [10, 10, 10, 10]
    assert find(people((1, 3, flat)), model((1, 3, flat, 0.9)), floor=0.95) == []
    np.testing.assert_array_equal(
        box_iou(np.array([flat], dtype=np.float32), np.array([GOOD], dtype=np.float32)), [0]
    )


def test_a_model_that_misses_much_makes_little_of_what_it_misses():
    boxes = [(task, 1, GOOD) for task in range(40)]
    weak = model(*[(task, 1, GOOD, 0.9) for task in range(10)])
    assert detection.fit(people(*boxes), weak, num_classes=2).recall == pytest.approx(0.34)
    spurious = find(people(*boxes), weak, calibration=None)
    assert {score for *_, score, _ in spurious} == {0.34}


def test_a_calibration_survives_storage():
    again = detection.Calibration.from_arrays(TRUST.to_arrays())
    assert again == TRUST


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


@pytest.mark.parametrize(
    ("box", "score", "said"),
    [
        ([np.nan, 0, 1, 1], 0.5, "box row 0 .task 1."),
        ([5, 0, 1, 1], 0.5, "box row 0 .task 1."),
        ([0, 0, 1, 1], 1.5, "score row 0 .task 1. is 1.5"),
        ([0, 0, 1, 1], np.nan, "score row 0 .task 1. is nan"),
    ],
)
def test_wrong_columns_are_named(box, score, said):
    with pytest.raises(ValueError, match=said):
        model((1, 0, box, score))


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


@settings(max_examples=150, deadline=None)
@given(rows, rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_but_their_order(human, machine, random):
    first = find(*tables(human, machine))
    places = list(range(len(human)))
    random.shuffle(places)
    second = find(*tables([human[place] for place in places], machine))
    restored = [(*row[:2], places[row[2]] if row[2] >= 0 else -1, *row[3:]) for row in second]
    # Of boxes drawn twice exactly alike either may be named; the rest is the same.
    assert sorted(row for row in restored if row[1] != "duplicate") == sorted(
        row for row in first if row[1] != "duplicate"
    )


@settings(max_examples=150, deadline=None)
@given(rows, rows)
def test_a_task_alone_scores_as_in_the_project(human, machine):
    whole = find(*tables(human, machine))
    for task in range(4):
        alone = find(
            *tables([r for r in human if r[0] == task], [r for r in machine if r[0] == task])
        )
        assert [(row[1], row[4], row[5]) for row in alone] == [
            (row[1], row[4], row[5]) for row in whole if row[0] == task
        ]


def test_pairs_are_found_in_blocks(monkeypatch):
    random = np.random.default_rng(0)
    corners = random.uniform(0, 50, (300, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 30, (300, 2))], axis=1)
    table = Regions(random.integers(0, 5, 300), np.zeros(300), boxes)
    whole = overlapping_pairs(table, table)
    monkeypatch.setattr("analysis.matching._BLOCK", 1000)
    blocks = overlapping_pairs(table, table)
    np.testing.assert_array_equal(whole.first, blocks.first)
    np.testing.assert_array_equal(whole.second, blocks.second)
    assert len(whole.first) > 1000


def test_task_scores_are_the_worst_finding():
    found = Findings(
        np.array([4, 4, 9]),
        np.array(["missing", "spurious", "missing"]),
        np.array([-1, 0, -1]),
        np.array([0, -1, 1]),
        np.array([0.2, 0.7, 0.5]),
        np.array([1, -1, 1]),
    )
    np.testing.assert_allclose(
        detection.task_scores(found, np.array([9, 1, 4])), [0.5, 0, 0.7], atol=1e-6
    )
    assert len(detection.task_scores(found, np.array([], dtype=np.int64))) == 0


def test_reasons_are_plain_words():
    found = Findings(
        np.arange(5),
        np.array(["mislabelled", "missing", "spurious", "badly_drawn", "duplicate"]),
        np.array([0, -1, 2, 3, 4]),
        np.array([0, 1, -1, 3, -1]),
        np.full(5, 0.9),
        np.array([2, 1, -1, 0, -1]),
    )
    said = reasons.describe(
        found,
        ["a", "b", "c"],
        given=np.array([0, -1, 1, 0, 2]),
        confidence=np.array([0.97, 0.94, 0, 0.93, 0]),
        iou=np.array([0.9, 0, 0, 0.48, 0]),
    )
    assert said == [
        "labelled a, model says c (0.97)",
        "missing: b, model 0.94",
        "spurious: b, model sees nothing there",
        "badly drawn: a, overlaps the model's box by 48% (0.93)",
        "drawn twice: c",
    ]
