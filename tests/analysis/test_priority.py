import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis import priority
from analysis.priority import Calibrator

GRID = np.linspace(0, 1, 201)


def verdicts(count, truth, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 1, count)
    return scores, rng.uniform(0, 1, count) < truth(scores)


def test_initial_rises_and_is_never_certain():
    mapped = priority.initial(np.array([0.0, 0.5, 1.0, np.nan]))
    assert mapped.dtype == np.float32
    np.testing.assert_allclose(mapped[:3], [0.02, 0.485, 0.95], atol=1e-6)
    assert np.isnan(mapped[3])


def test_without_verdicts_the_curve_stays_near_initial():
    curve = Calibrator.fit(np.zeros(0), np.zeros(0, dtype=bool))
    np.testing.assert_allclose(curve.predict(GRID), priority.initial(GRID), atol=0.12)


@pytest.mark.parametrize("count", [300, 5000])
def test_learns_that_the_score_promises_too_much(count):
    scores, wrong = verdicts(count, lambda s: s**3)
    curve = Calibrator.fit(scores, wrong)
    assert np.abs(curve.predict(GRID) - GRID**3).mean() < 0.06


def test_a_handful_of_verdicts_moves_it_a_little_and_never_to_certainty():
    before = Calibrator.fit(np.zeros(0), np.zeros(0, dtype=bool)).predict(np.array([0.9]))
    after = Calibrator.fit(np.full(5, 0.9), np.zeros(5, dtype=bool)).predict(np.array([0.9]))
    assert 0.2 < after[0] < before[0]


def test_eighty_percent_of_the_tasks_at_point_eight_hold_an_error():
    curve = Calibrator.fit(*verdicts(4000, lambda s: 0.1 + 0.8 * (s > 0.6)))
    scores, wrong = verdicts(20000, lambda s: 0.1 + 0.8 * (s > 0.6), seed=1)
    predicted = curve.predict(scores)
    for low in (0.05, 0.85):
        chosen = (predicted >= low) & (predicted < low + 0.1)
        assert abs(wrong[chosen].mean() - predicted[chosen].mean()) < 0.05


def test_survives_storage():
    curve = Calibrator.fit(*verdicts(50, lambda s: s))
    again = Calibrator.from_arrays(curve.to_arrays())
    assert (again.predict(GRID) == curve.predict(GRID)).all()
    assert again.verdicts == 50


@given(hnp.arrays(np.float64, st.integers(0, 300), elements=st.floats(0, 1)), st.integers(0, 2**31))
def test_the_curve_rises_and_stays_in_range_whatever_the_verdicts(scores, seed):
    wrong = np.random.default_rng(seed).uniform(0, 1, len(scores)) < 0.5
    mapped = Calibrator.fit(scores, wrong).predict(GRID)
    assert ((mapped >= 0) & (mapped <= 1)).all()
    assert (np.diff(mapped) > 0).all()


def test_bad_scores_are_named():
    with pytest.raises(ValueError, match=r"scores row 1 is 1\.5"):
        priority.initial(np.array([0.1, 1.5]))
    with pytest.raises(ValueError, match="do not match"):
        Calibrator.fit(np.zeros(2), np.zeros(3, dtype=bool))
