import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from analysis import evaluation
from analysis.evaluation import confusion, flags, match, task_counts
from analysis.geometry.assignment import match_at
from analysis.geometry.matching import box_iou
from analysis.rates import curves
from analysis.regions import Regions

# (image, class, x, y, width, height) and, for predictions, the confidence.
ANNOTATED = [
    (1, 0, 40, 48, 10, 34),
    (1, 0, 7, 2, 10, 11),
    (1, 1, 39, 40, 29, 11),
    (1, 1, 7, 52, 20, 16),
    (2, 1, 48, 7, 14, 18),
    (2, 1, 14, 31, 25, 18),
    (2, 0, 57, 16, 26, 30),
    (2, 1, 44, 11, 30, 38),
    (3, 0, 56, 22, 19, 33),
    (3, 1, 11, 23, 14, 33),
    (3, 0, 37, 43, 21, 34),
    (3, 1, 21, 42, 24, 35),
    (4, 1, 24, 47, 22, 20),
    (4, 0, 19, 49, 34, 10),
    (4, 1, 15, 42, 13, 39),
    (4, 1, 55, 20, 23, 10),
]
PREDICTED = [
    (1, 0, 41, 47, 13, 31, 0.41),
    (1, 0, 5, 3, 12, 9, 0.97),
    (1, 0, 5, 5, 12, 13, 0.49),
    (1, 1, 42, 38, 28, 14, 0.68),
    (1, 1, 10, 55, 19, 13, 0.0),
    (1, 1, 4, 52, 19, 16, 0.32),
    (1, 0, 70, 70, 20, 20, 0.32),
    (2, 1, 48, 5, 16, 20, 0.8),
    (2, 1, 12, 33, 22, 17, 0.84),
    (2, 1, 17, 31, 24, 21, 0.94),
    (2, 1, 44, 14, 28, 37, 0.69),
    (2, 1, 70, 70, 20, 20, 0.64),
    (3, 0, 8, 24, 11, 34, 0.99),
    (3, 0, 20, 42, 25, 35, 0.32),
    (3, 0, 70, 70, 20, 20, 0.0),
    (4, 0, 27, 48, 25, 21, 0.19),
    (4, 1, 18, 48, 31, 8, 0.14),
    (4, 0, 22, 48, 34, 13, 0.55),
    (4, 1, 13, 42, 13, 38, 0.2),
    (4, 0, 12, 43, 12, 37, 0.48),
    (4, 1, 58, 18, 22, 7, 0.59),
    (4, 1, 70, 70, 20, 20, 0.74),
]


def regions(rows, width=6):
    columns = np.array(rows, dtype=float).reshape(-1, width)
    box = np.concatenate([columns[:, 2:4], columns[:, 2:4] + columns[:, 4:6]], axis=1)
    score = columns[:, 6] if width == 7 else None
    return Regions(columns[:, 0].astype(int), columns[:, 1].astype(int), box, score)


PEOPLE, MODEL = regions(ANNOTATED), regions(PREDICTED, 7)


def test_matches_are_pycocotools():
    # COCOeval(...).evaluate() on these rows: dtMatches at IoU 0.5, with and without useCats.
    assert match(PEOPLE, MODEL).annotation.tolist() == (
        [0, 1, -1, 2, -1, 3, -1, 4, -1, 5, 7, -1, -1, -1, -1, -1, -1, 13, 14, -1, -1, -1]
    )
    either = match(PEOPLE, MODEL, classwise=False)
    assert either.annotation.tolist() == (
        [0, 1, -1, 2, -1, 3, -1, 4, -1, 5, 7, -1, -1, 11, -1, 12, -1, 13, -1, 14, -1, -1]
    )
    taken = np.flatnonzero(either.annotation >= 0)
    assert either.prediction[either.annotation[taken]].tolist() == taken.tolist()
    exact = box_iou(MODEL.box[taken], PEOPLE.box[either.annotation[taken]])
    np.testing.assert_array_equal(either.iou[taken], exact)


def test_average_precision_is_pycocotools():
    # COCOeval(...).accumulate() on these rows, three categories; class 2 has no annotation.
    found = evaluation.regions(PEOPLE, MODEL, num_classes=3)
    np.testing.assert_allclose(found.ap, [0.30858085808580865, 0.42574257425742623, np.nan])
    np.testing.assert_allclose(found.ap_range, [0.11501650165016525, 0.2081848184818477, np.nan])
    assert found.overall["ap"] == pytest.approx(0.36716171617161714)
    assert found.overall["ap_range"] == pytest.approx(0.1616006600660066)
    tight = evaluation.regions(PEOPLE, MODEL, num_classes=3, iou=0.75)
    np.testing.assert_allclose(tight.ap, [0, 0.08316831683168319, np.nan], atol=1e-12)


def test_rates_by_hand():
    found = evaluation.regions(PEOPLE, MODEL, num_classes=2, confidence=0.5)
    # From 0.5 up: class 0 has 1 (right), 12 and 17 (right), class 1 3, 7, 9, 10 right of 8.
    assert found.counts.true_positive.tolist() == [2, 4]
    assert found.counts.false_positive.tolist() == [1, 4]
    assert found.counts.false_negative.tolist() == [4, 6]
    np.testing.assert_allclose(found.precision, [2 / 3, 4 / 8])
    np.testing.assert_allclose(found.recall, [2 / 6, 4 / 10])
    np.testing.assert_allclose(found.f1, [4 / 9, 8 / 18])
    assert found.overall["precision"] == pytest.approx(6 / 11)
    assert found.overall["recall"] == pytest.approx(6 / 16)
    assert found.overall["f1"] == pytest.approx(12 / 27)


def test_tasks_with_a_sure_false_positive_are_one_line():
    matches = match(PEOPLE, MODEL)
    tasks = np.array([4, 3, 9, 2, 1])
    counts = task_counts(tasks, PEOPLE, MODEL, matches, confidence=0.75)
    assert tasks[counts.false_positive > 0].tolist() == [3, 2]
    assert counts.true_positive.tolist() == [0, 0, 0, 2, 1]
    assert counts.false_negative.tolist() == [4, 4, 0, 2, 3]
    none = task_counts(tasks[:0], PEOPLE, MODEL, matches)
    assert len(none.true_positive) == 0


def test_confusion_by_hand():
    table = confusion(PEOPLE, MODEL, num_classes=2, confidence=0.3)
    # Row: annotated 0, 1, nothing; column: predicted 0, 1, nothing.
    assert table.tolist() == [[3, 0, 3], [2, 5, 3], [3, 4, 0]]
    assert evaluation.regions(PEOPLE, MODEL, num_classes=2, confidence=0.3).confusion.tolist() == (
        table.tolist()
    )


def test_unknown_labels_excuse_and_are_not_counted():
    people = regions([(1, -1, 0, 0, 10, 10), (1, 0, 50, 50, 10, 10)])
    model = regions(
        [
            (1, 0, 0, 0, 10, 10, 0.9),
            (1, 0, 80, 0, 10, 10, 0.8),
            (1, -1, 50, 50, 10, 10, 0.7),
        ],
        7,
    )
    matches = match(people, model)
    assert matches.counted.tolist() == [False, True, False]
    found = flags(people, model, matches)
    assert found.false_positive.tolist() == [False, True, False]
    assert found.false_negative.tolist() == [False, True]
    assert confusion(people, model, num_classes=1).tolist() == [[0, 1], [1, 0]]


def test_only_the_surest_take_part():
    people = regions([(1, 0, 0, 0, 10, 10), (1, 0, 50, 50, 10, 10)])
    model = regions(
        [(1, 0, 0, 0, 10, 10, 0.5), (1, 0, 50, 50, 10, 10, 0.9), (2, 0, 0, 0, 1, 1, 0.1)], 7
    )
    matches = match(people, model, most=1)
    assert matches.counted.tolist() == [False, True, True]
    assert matches.annotation.tolist() == [-1, 1, -1]


def test_rivals_for_one_object_go_on_to_their_next_choice():
    people = regions([(1, 0, 0, 0, 10, 10), (1, 0, 2, 0, 10, 10), (1, 0, 4, 0, 10, 10)])
    model = regions([(1, 0, 2, 0, 10, 10, score) for score in (0.3, 0.9, 0.6, 0.1)], 7)
    # The surest takes the middle; of the two others, equally far, the last row goes first.
    assert match(people, model).annotation.tolist() == [0, 1, 2, -1]


def greedy(people, model, iou, classwise):
    """COCO's matching as its authors wrote it: one prediction after the other."""
    taken, chosen = set(), [-1] * len(model)
    for row in np.lexsort((model.task, -model.score)).tolist():
        best, which = iou - 1e-6, -1
        for other in range(len(people)):
            alike = people.label[other] == model.label[row] or not classwise
            if other not in taken and people.task[other] == model.task[row] and alike:
                overlap = box_iou(model.box[[row]], people.box[[other]])[0]
                if overlap >= best:
                    best, which = overlap, other
        if which >= 0:
            taken.add(which)
            chosen[row] = which
    return chosen


place, side = st.integers(0, 12), st.integers(1, 8)
row = (st.integers(0, 1), st.integers(0, 1), place, place, side, side)
people_rows = st.lists(st.tuples(*row), max_size=12)
model_rows = st.lists(st.tuples(*row, st.sampled_from([0.1, 0.3, 0.5, 0.9])), max_size=12)


@settings(max_examples=150, deadline=None)
@given(people_rows, model_rows, st.sampled_from([0.1, 0.5, 0.75]), st.booleans())
def test_matches_are_those_of_choosing_in_turn(mine, theirs, iou, classwise):
    people, model = regions(mine), regions(theirs, 7)
    found = match(people, model, iou=iou, classwise=classwise)
    assert found.annotation.tolist() == greedy(people, model, iou, classwise)


@settings(max_examples=60, deadline=None)
@given(people_rows, model_rows, st.sampled_from([0.2, 0.4]), st.randoms(use_true_random=False))
def test_order_and_weaker_predictions_change_nothing(mine, theirs, confidence, random):
    people, model = regions(mine), regions(theirs, 7)
    whole = flags(people, model, match(people, model), confidence=confidence)
    sure = np.flatnonzero(model.score >= np.float32(confidence))
    strong = model.take(sure)
    alone = flags(people, strong, match(people, strong))
    np.testing.assert_array_equal(whole.true_positive[sure], alone.true_positive)
    np.testing.assert_array_equal(whole.false_negative, alone.false_negative)
    # Rows of one task keep their order: it decides ties.
    order = np.array(sorted(range(len(model)), key=lambda at: model.task[at]), dtype=np.int64)
    again = match(people, model.take(order))
    np.testing.assert_array_equal(again.annotation, match(people, model).annotation[order])


@settings(max_examples=60, deadline=None)
@given(people_rows, model_rows)
def test_counts_add_up(mine, theirs):
    people, model = regions(mine), regions(theirs, 7)
    found = evaluation.regions(people, model, num_classes=2, confidence=0.2)
    reached = int((model.score >= np.float32(0.2)).sum())
    assert found.counts.true_positive.sum() + found.counts.false_positive.sum() == reached
    total = found.counts.true_positive + found.counts.false_negative
    assert total.tolist() == np.bincount(people.label, minlength=2).tolist()
    assert found.confusion[:2].sum() == len(people)
    assert found.confusion[:, :2].sum() == reached
    for column in (found.ap, found.ap_area, found.ap_range, found.f1):
        assert (np.isnan(column) | ((column >= 0) & (column <= 1))).all()
    tight, loose = match_at(people, model, (0.75, 0.25))
    assert (tight.annotation >= 0).sum() <= (loose.annotation >= 0).sum()


def test_average_precision_by_hand():
    hits = np.array([True, False, True])
    # Recall 1/4 at precision 1, 1/2 at 2/3: 26 recalls of 101 up to 0.25, 25 more up to 0.5.
    coco, area = curves.average_precision(hits, 4)
    assert coco == pytest.approx((26 + 25 * 2 / 3) / 101)
    assert area == pytest.approx((1 + 2 / 3) / 4)
    assert np.isnan(curves.average_precision(hits, 0)).all()
    assert curves.average_precision(hits[:0], 3) == (0, 0)


def test_nothing_to_evaluate():
    none, nobody = regions([], 7), regions([])
    found = evaluation.regions(nobody, none, num_classes=2)
    assert np.isnan(found.ap).all()
    assert np.isnan(found.overall["ap"])
    assert found.confusion.tolist() == np.zeros((3, 3)).tolist()
    assert evaluation.regions(PEOPLE, none, num_classes=2).ap.tolist() == [0, 0]
    assert evaluation.regions(nobody, MODEL, num_classes=2).overall["precision"] == 0


@pytest.mark.parametrize(
    ("people", "model", "options", "said"),
    [
        (PEOPLE, PEOPLE, {}, r"predictions\.score is None"),
        (PEOPLE, MODEL, {"num_classes": 1}, r"annotations\.label row 2 .task 1. is 1"),
        (PEOPLE, MODEL, {"iou": 0}, "iou is 0"),
    ],
)
def test_wrong_input_is_named(people, model, options, said):
    with pytest.raises(ValueError, match=said):
        evaluation.regions(people, model, **({"num_classes": 2} | options))


def test_classes_by_hand():
    labels = np.array([0, 0, 1, 1, 2, -1])
    probs = np.array(
        [
            [0.8, 0.1, 0.1],
            [0.2, 0.7, 0.1],
            [0.1, 0.6, 0.3],
            [0.4, 0.35, 0.25],
            [0.1, 0.1, 0.8],
            [0.9, 0.1, 0.0],
        ]
    )
    found = evaluation.classes(labels, probs)
    assert found.confusion.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert found.precision.tolist() == found.recall.tolist() == [0.5, 0.5, 1]
    assert found.overall["f1"] == pytest.approx(3 / 5)
    # Class 0 ranks a right row first and third; class 1 second and third.
    np.testing.assert_allclose(found.ap, [(1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2, 1])
    sure = evaluation.classes(labels, probs, confidence=0.5)
    assert sure.confusion.tolist() == [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert sure.counts.false_negative.tolist() == [1, 1, 0]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.9])), min_size=1, max_size=20
    )
)
def test_the_area_under_a_ranking_is_scikit_learns(rows):
    positive, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = curves.ranking_precision(scores, positive)
    if positive.any():
        assert found == pytest.approx(average_precision_score(positive, scores))
    else:
        assert np.isnan(found)


def test_classes_of_nothing():
    found = evaluation.classes(np.empty(0, dtype=int), np.empty((0, 2)))
    assert np.isnan(found.ap).all()
    single = evaluation.classes(np.zeros(3, dtype=int), np.ones((3, 1)))
    assert single.overall["ap"] == single.overall["f1"] == 1
    with pytest.raises(ValueError, match="labels row 1 is 5"):
        evaluation.classes(np.array([0, 5]), np.full((2, 2), 0.5))
