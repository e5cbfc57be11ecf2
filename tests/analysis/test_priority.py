import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis import priority
from analysis.priority import Calibrator, KindCalibrator

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


#: How often each kind's score keeps what it promises, as reviewers would find it.
KEPT = {"mislabelled": 1.0, "missing": 0.75, "badly_drawn": 0.15}


def reviewed(count, seed):
    """Flagged tasks: kinds, scores, and what a reviewer would say of each."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(list(KEPT), count)
    scores = rng.uniform(0.5, 1, count)
    chance = scores * np.array([KEPT[one] for one in kind])
    return kind.tolist(), scores, rng.uniform(0, 1, count) < chance


def calibration_error(probability, wrong):
    """Expected calibration error over ten equal ranges."""
    place = np.minimum((probability * 10).astype(int), 9)
    parts = [place == n for n in range(10) if (place == n).any()]
    return sum(abs(probability[p].mean() - wrong[p].mean()) * p.mean() for p in parts)


@pytest.mark.parametrize("seed", range(5))
def test_sixty_verdicts_make_priorities_honest_and_the_queue_better(seed):
    learnt = KindCalibrator.fit(*reviewed(60, seed))
    kind, scores, wrong = reviewed(4000, 100 + seed)
    priority = learnt.predict(kind, scores)
    before, after = calibration_error(scores, wrong), calibration_error(priority, wrong)
    assert after < 0.5 * before, (before, after)
    top = 1000
    by_score, by_priority = np.argsort(-scores)[:top], np.argsort(-priority)[:top]
    assert wrong[by_priority].mean() > wrong[by_score].mean() + 0.1


def test_without_verdicts_the_priority_is_the_score_to_the_letter():
    learnt = KindCalibrator.fit([], np.zeros(0), np.zeros(0, dtype=bool))
    scores = np.append(np.random.default_rng(0).uniform(0, 1, 500), np.nan).astype(np.float32)
    kind = ["missing"] * len(scores)
    np.testing.assert_array_equal(learnt.predict(kind, scores), scores)
    again = KindCalibrator.from_arrays(learnt.to_arrays())
    np.testing.assert_array_equal(again.predict(kind, scores), scores)


@pytest.mark.parametrize("count", [1, 400])
def test_what_the_score_tells_apart_stays_apart(count):
    learnt = KindCalibrator.fit(*reviewed(count, 0))
    scores = np.linspace(0, 1, 2001)
    assert (np.diff(learnt.predict(["missing"] * 2001, scores)) > 0).all()


def test_one_verdict_moves_priorities_a_little():
    learnt = KindCalibrator.fit(["missing"], np.array([0.9]), np.array([False]))
    moved = learnt.predict(["missing"] * len(GRID), GRID) - GRID
    assert np.abs(moved).max() < 0.25
    assert learnt.predict(["missing"], np.array([0.9]))[0] < 0.9


def test_a_kind_without_verdicts_goes_by_all_others():
    kind, scores, wrong = reviewed(300, 1)
    learnt = KindCalibrator.fit(kind, scores, wrong)
    said = learnt.predict(["spurious"] * len(GRID), GRID)
    others = [learnt.predict([kind] * len(GRID), GRID) for kind in KEPT]
    assert (said[1:-1] > np.min(others, axis=0)[1:-1]).all()
    assert (said[1:-1] < np.max(others, axis=0)[1:-1]).all()


@pytest.mark.parametrize("count", [1, 30, 600])
@pytest.mark.parametrize("right", [True, False])
def test_verdicts_of_one_colour_never_turn_the_queue_over(count, right):
    rng = np.random.default_rng(count)
    learnt = KindCalibrator.fit(
        ["missing"] * count, rng.uniform(0.5, 1, count), np.full(count, right)
    )
    said = learnt.predict(["missing"] * len(GRID), GRID)
    assert (np.diff(said) >= 0).all()
    assert ((said > 0) & (said < 1)).all()


@pytest.mark.parametrize("count", [0, 20, 400])
def test_curves_of_kinds_survive_storage(count):
    learnt = KindCalibrator.fit(*reviewed(count, 2))
    kind, scores, _ = reviewed(100, 3)
    again = KindCalibrator.from_arrays(learnt.to_arrays())
    np.testing.assert_array_equal(again.predict(kind, scores), learnt.predict(kind, scores))


def test_kinds_and_scores_must_match():
    with pytest.raises(ValueError, match=r"kind \(1,\), scores \(2,\)"):
        KindCalibrator.fit(["missing"], np.zeros(2), np.zeros(2, dtype=bool))
