import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis import classification
from analysis.findings import NONE

PROBS = np.array(
    [[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9], [0.1, 0.8, 0.1], [0.4, 0.35, 0.25]],
    dtype=np.float32,
)


@st.composite
def projects(draw):
    n, k = draw(st.integers(1, 40)), draw(st.integers(2, 6))
    raw = draw(hnp.arrays(np.float64, (n, k), elements=st.floats(0.001, 1)))
    labels = draw(hnp.arrays(np.int32, n, elements=st.integers(-1, k - 1)))
    return labels, (raw / raw.sum(1, keepdims=True)).astype(np.float32)


def test_a_label_against_a_sure_model_is_worth_a_look_and_an_agreed_one_is_not():
    labels = np.array([0, 1, 2, 0, 0], dtype=np.int32)
    score = classification.mistakenness(labels, PROBS)
    assert score.dtype == np.float32
    assert score[3] > 0.5
    assert (score[:3] < 0.5).all()
    assert score.argmax() == 3
    assert score[4] > score[:3].max()


def test_a_missing_label_is_as_likely_an_error_as_the_model_is_sure_of_one():
    """FiftyOne takes it for agreement, so that missing labels come last."""
    labels = np.array([NONE, 1, 2, 0, 0], dtype=np.int32)
    assert classification.mistakenness(labels, PROBS)[0] == np.float32(0.9)
    found = classification.find(labels, PROBS, tasks=np.arange(5), floor=0)
    (row,) = np.flatnonzero(found.prediction == 0)
    assert (found.kind[row], found.annotation[row], found.label[row]) == ("missing", NONE, 0)


def test_find_names_task_row_and_the_better_class_worst_first():
    labels = np.array([0, 1, 2, 0, 0], dtype=np.int32)
    found = classification.find(labels, PROBS, tasks=np.array([10, 11, 12, 13, 14]), floor=0.5)
    assert set(found.kind) == {"mislabelled"}
    assert found.task[0] == 13
    assert found.annotation[0] == found.prediction[0] == 3
    assert found.label[0] == 1
    assert (np.diff(found.score) <= 0).all()


def test_a_row_alone_scores_as_in_the_whole_project():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(7, 0.3), 3000).astype(np.float32)
    labels = probs.argmax(1).astype(np.int32)
    labels[::9] = (labels[::9] + 1) % 7
    calibration = classification.fit(labels, probs)
    stored = classification.Calibration.from_arrays(calibration.to_arrays())
    whole = classification.mistakenness(labels, probs)
    for rows in (np.array([17]), np.array([5, 2000, 40])):
        alone = classification.mistakenness(labels[rows], probs[rows], calibration=stored)
        assert (alone == whole[rows]).all()


@given(projects(), st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing_but_order(project, random):
    labels, probs = project
    order = np.array(random.sample(range(len(labels)), len(labels)))
    one = classification.mistakenness(labels, probs)
    other = classification.mistakenness(labels[order], probs[order])
    np.testing.assert_allclose(one[order], other, atol=1e-5)


@given(projects())
def test_scores_are_in_range_and_the_fix_is_never_the_given_label(project):
    labels, probs = project
    score = classification.mistakenness(labels, probs)
    assert ((score >= 0) & (score <= 1)).all()
    found = classification.find(labels, probs, tasks=np.arange(len(labels)), floor=0)
    assert (found.label != labels[found.prediction]).all()
    assert len(found) == len(labels)


@given(projects(), st.floats(0.05, 0.9))
def test_more_confidence_in_the_given_label_never_raises_the_score(project, share):
    labels, probs = project
    labels[0] = abs(labels[0])
    calibration = classification.fit(labels, probs)
    before = classification.mistakenness(labels, probs, calibration=calibration)
    surer = probs.copy()
    surer[0] *= 1 - share
    surer[0, labels[0]] += share
    after = classification.mistakenness(labels, surer, calibration=calibration)
    assert after[0] <= before[0] + 1e-6


def test_a_class_that_the_model_mistakes_is_learnt_from_the_labels():
    """The model is unsure between 0 and 1, and people tell them apart by what it half sees."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600).astype(np.int32)
    lean = np.where(labels == 1, 0.42, 0.30) + rng.normal(0, 0.01, 600)
    probs = np.stack([0.95 - lean, lean, np.full(600, 0.05)], axis=1).astype(np.float32)
    wrong = np.arange(0, 600, 20)
    labels[wrong] = 1 - labels[wrong]
    score = classification.mistakenness(labels, probs)
    assert set(np.argsort(-score)[:30]) == set(wrong)


def test_neighbours_testify_where_the_model_is_blind():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 40).astype(np.int32)
    places = np.eye(3)[labels] + rng.normal(0, 0.05, (120, 3))
    probs = np.full((120, 3), 1 / 3, dtype=np.float32)
    labels[[7, 60, 101]] = [1, 2, 0]
    blind = classification.mistakenness(labels, probs)
    seeing = classification.mistakenness(labels, probs, embeddings=places.astype(np.float32))
    assert np.ptp(blind) < 0.2
    assert set(np.argsort(-seeing)[:3]) == {7, 60, 101}


@pytest.mark.parametrize("kind", ["uint8", "int8", "int16", "uint64"])
def test_narrow_labels_score_as_wide_ones(kind):
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(20, 0.2), 400)
    labels = rng.integers(20, size=400)
    wide = classification.mistakenness(labels, probs)
    assert (classification.mistakenness(labels.astype(kind), probs) == wide).all()


def test_plain_lists_will_do():
    probs = PROBS.tolist()
    assert (classification.mistakenness([0, 1, 2, 0, 0], probs) > 0.5).tolist()[3]


def test_a_sample_of_many_rows_does_not_depend_on_their_order():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(5, 0.4), 30_000).astype(np.float32)
    labels = np.array([rng.choice(5, p=row / row.sum()) for row in probs[:300].astype(float)])
    labels = np.tile(labels, 100)
    order = rng.permutation(30_000)
    one = classification.mistakenness(labels, probs)
    other = classification.mistakenness(labels[order], probs[order])
    np.testing.assert_allclose(one[order], other, atol=0.01)


def test_a_calibration_with_neighbours_wants_them():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(3, 0.4), 200)
    labels, places = probs.argmax(axis=1), rng.normal(size=(200, 4))
    calibration = classification.fit(labels, probs, embeddings=places)
    with pytest.raises(ValueError, match="learnt with neighbours"):
        classification.mistakenness(labels, probs, calibration=calibration)


def test_few_labels_leave_the_probabilities_as_they_are():
    calibration = classification.fit(np.array([0, 1, 2]), PROBS[:3])
    assert calibration.recalibration.rows == 0


def test_empty_input_and_one_class():
    none = np.zeros(0, dtype=np.int32)
    assert classification.mistakenness(none, np.zeros((0, 3), dtype=np.float32)).shape == (0,)
    assert not len(classification.find(none, np.zeros((0, 3)), tasks=none.astype(np.int64)))
    assert classification.mistakenness(none, np.zeros((0, 0))).shape == (0,)
    assert classification.mistakenness(np.array([NONE]), np.ones((1, 1))) == 1
    only = np.zeros(4, dtype=np.int32)
    assert (classification.mistakenness(only, np.ones((4, 1), dtype=np.float32)) == 0).all()
    assert not len(classification.find(only, np.ones((4, 1)), tasks=np.arange(4), floor=0))


@pytest.mark.parametrize(
    ("labels", "change", "words"),
    [
        ([0, 1, 3], None, "labels row 2 is 3"),
        ([0, -2, 1], None, "labels row 1 is -2"),
        ([0, 1, 2], (1, [0.5, 0.1, 0.1]), "probs row 1 sums to 0.7"),
        ([0, 1, 2], (2, [np.nan, 0.5, 0.5]), "probs row 2"),
        ([0, 1, 2], (2, [np.inf, 0.5, 0.5]), "probs row 2"),
        ([0, 1, 2], (0, [1.2, -0.1, -0.1]), "probs row 0 holds -0.1"),
        ([0.0, np.nan, 1.0], None, "labels row 1"),
        ([0, 1], None, "do not match"),
    ],
)
def test_bad_rows_are_named(labels, change, words):
    probs = PROBS[:3].copy()
    if change:
        probs[change[0]] = change[1]
    with pytest.raises(ValueError, match=words):
        classification.mistakenness(np.array(labels), probs)
