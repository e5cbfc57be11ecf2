import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import multilabel
from analysis.findings import NONE


def project(rows=400, classes=4, seed=0):
    random = np.random.default_rng(seed)
    truth = random.random((rows, classes)) < 0.3
    probs = np.where(truth, random.beta(8, 2, truth.shape), random.beta(2, 8, truth.shape))
    return truth, probs.astype(np.float32)


def test_wrong_answers_come_first():
    truth, probs = project()
    spoilt = truth.copy()
    places = [(7, 1), (90, 0), (200, 3), (333, 2)]
    for place in places:
        sure = 0.97 if truth[place] else 0.03
        probs[place] = sure
        spoilt[place] = not truth[place]
    found = multilabel.find(spoilt, probs, tasks=np.arange(400) + 10)
    assert (found.task == found.prediction + 10).all()
    worst = {(int(found.prediction[n]), int(found.label[n])) for n in range(4)}
    assert worst == set(places)


def test_a_label_too_many_is_spurious_and_one_too_few_is_missing():
    truth, probs = project()
    probs[0], probs[1] = [0.02, 0.1, 0.1, 0.1], [0.98, 0.1, 0.1, 0.1]
    truth[0], truth[1] = [True, False, False, False], [False] * 4
    found = multilabel.find(truth, probs, tasks=np.arange(400))
    said = {
        int(row): (str(kind), int(about), int(label))
        for row, kind, about, label in zip(
            found.prediction, found.kind, found.annotation, found.label, strict=True
        )
        if row < 2
    }
    assert said == {0: ("spurious", 0, 0), 1: ("missing", NONE, 0)}


def test_nothing_gives_nothing():
    none = np.zeros((0, 3))
    assert multilabel.mistakenness(none, none).shape == (0, 3)
    assert len(multilabel.find(none, none, tasks=np.zeros(0))) == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.integers(1, 30))
def test_order_of_rows_changes_nothing_but_order(seed, rows):
    truth, probs = project(rows, 3, seed)
    order = np.random.default_rng(seed).permutation(rows)
    one = multilabel.mistakenness(truth, probs)
    other = multilabel.mistakenness(truth[order], probs[order])
    np.testing.assert_allclose(one[order], other, atol=1e-4)
    assert ((one >= 0) & (one <= 1)).all()


@pytest.mark.parametrize(
    ("given", "probs", "words"),
    [
        ([[1, 0], [2, 0]], [[0.5, 0.5]] * 2, "given row 1"),
        ([[1, 0]], [[0.5, np.nan]], "probs row 0"),
        ([[1, 0]], [[0.5, 1.5]], "probs row 0"),
        ([[1, 0]], [[0.5]], "do not match"),
    ],
)
def test_bad_rows_are_named(given, probs, words):
    with pytest.raises(ValueError, match=words):
        multilabel.mistakenness(np.array(given), np.array(probs))


def test_what_was_learnt_from_the_project_scores_its_parts_as_it_scores_the_whole():
    truth, probs = project()
    learnt = multilabel.fit(truth, probs)
    kept = multilabel.Calibration.from_arrays(learnt.to_arrays())
    whole = multilabel.mistakenness(truth, probs)
    for some in (slice(0, 7), slice(7, 400)):
        part = multilabel.mistakenness(truth[some], probs[some], calibration=kept)
        np.testing.assert_allclose(part, whole[some], atol=1e-6)
    with pytest.raises(ValueError, match="calibration is of 4 classes, expected 3"):
        multilabel.mistakenness(truth[:, :3], probs[:, :3], calibration=kept)
