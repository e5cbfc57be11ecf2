import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import error_rate
from analysis.error_rate import from_probabilities, from_queue, from_sample, from_weighted


def test_probabilities_add_up():
    found = from_probabilities(np.array([0.5, 0.5, np.nan, 0.0, 1.0]))
    # Mean 0.5, variance 2 * 0.25 / 16: Wilson's interval for 8 rows.
    assert (found.share, found.rows, found.verdicts) == (0.5, 4, 0)
    assert (found.low, found.high) == pytest.approx((0.2152, 0.7848), abs=1e-4)
    sure = from_probabilities(np.array([0.0, 1.0]))
    assert (sure.low, sure.share, sure.high) == (0.5, 0.5, 0.5)


def test_a_sample_has_wilsons_interval():
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for wrong, count, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        found = from_sample(np.arange(count) < wrong)
        assert found.share == wrong / count
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_the_more_of_the_rows_are_judged_the_narrower():
    wrong = np.arange(100) < 10
    wide, half, all_of_them = (from_sample(wrong, population=n) for n in (10**9, 200, 100))
    assert wide.high == pytest.approx(from_sample(wrong).high, abs=1e-6)
    assert half.high - half.low < wide.high - wide.low
    assert (all_of_them.low, all_of_them.high) == (0.1, 0.1)


def test_weights_undo_unequal_chances():
    # 10 of 10 sure ones and 20 of 200 doubtful ones judged: 8 and 2 wrong.
    wrong = np.array([True] * 8 + [False] * 2 + [True] * 2 + [False] * 18)
    inclusion = np.array([1.0] * 10 + [0.1] * 20)
    found = from_weighted(wrong, inclusion)
    assert found.share == pytest.approx((8 + 20) / 210)
    assert found.rows == 210
    assert found.low < found.share < found.high
    even = from_weighted(wrong, np.full(30, 0.5))
    assert (even.low, even.high) == pytest.approx((from_sample(wrong).low, from_sample(wrong).high))


def test_the_queue_by_hand():
    probability = np.array([0.9, 0.9, 0.8, 0.2, 0.1, 0.0])
    verdict = np.array([1, 0, -1, -1, -1, -1])
    found = from_queue(probability, verdict, belief=2)
    # One stratum of judged rows (0.9), all else rests on its mean probability, 1.1 / 4.
    assert found.share == pytest.approx((1 + 1.1) / 6)
    assert found.verdicts == 2
    assert found.covered == pytest.approx(2 / 6)
    assert 1 / 6 <= found.low < found.high <= 5 / 6


def test_verdicts_correct_the_probabilities_where_they_speak():
    probability = np.full(1000, 0.5)
    verdict = np.full(1000, -1)
    verdict[:100] = np.arange(100) < 10
    found = from_queue(probability, verdict)
    assert found.share == pytest.approx((10 + 900 * (10 + 5) / 110) / 1000)
    assert found.covered == 1


def test_all_verdicts_leave_no_doubt():
    verdict = (np.arange(50) < 7).astype(int)
    found = from_queue(np.linspace(0, 1, 50), verdict)
    assert found.low == found.share == found.high == pytest.approx(7 / 50)


@pytest.mark.parametrize("drawn", ["top", "random"])
def test_the_interval_covers_the_truth(drawn):
    random = np.random.default_rng(0)
    queue, alone = 0, 0
    for _ in range(200):
        probability = random.beta(0.3, 5, 400)
        wrong = random.random(400) < probability
        verdict = np.full(400, -1)
        seen = (
            np.argsort(-probability)[:80]
            if drawn == "top"
            else random.choice(400, 80, replace=False)
        )
        verdict[seen] = wrong[seen]
        found = from_queue(probability, verdict)
        queue += found.low <= wrong.mean() <= found.high
        found = from_probabilities(probability)
        alone += found.low <= wrong.mean() <= found.high
    assert queue >= 190
    assert alone >= 180


def test_nothing_is_known_of_nothing():
    none = np.empty(0)
    for found in (
        from_probabilities(none),
        from_probabilities(np.array([np.nan])),
        from_sample(none.astype(bool)),
        from_weighted(none.astype(bool), none),
        from_queue(none, none.astype(int)),
    ):
        assert np.isnan(found.share)
        assert (found.low, found.high, found.verdicts) == (0, 1, 0)


rows = st.lists(
    st.tuples(st.sampled_from([0, 0.1, 0.5, 0.9, 1]), st.sampled_from([-1, -1, 0, 1])), max_size=60
)


@settings(deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_the_share_lies_in_its_interval_in_any_order(given_rows, random):
    if not given_rows:
        return
    probability, verdict = (np.array(column) for column in zip(*given_rows, strict=True))
    found = from_queue(probability, verdict)
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert found.share * len(verdict) >= (verdict == 1).sum() - 1e-9
    order = np.array(random.sample(range(len(verdict)), len(verdict)))
    again = from_queue(probability[order], verdict[order])
    assert again.share == pytest.approx(found.share, abs=1e-12)
    assert again.high == pytest.approx(found.high, abs=1e-12)
    wider = from_queue(probability, verdict, confidence=0.99)
    assert wider.low <= found.low + 1e-12
    assert wider.high >= found.high - 1e-12


HALF = np.array([0.5, 0.5])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: from_probabilities(np.array([0.5, 1.5])), "probability row 1 is 1.5"),
        (lambda: from_probabilities(HALF, confidence=1), "confidence is 1"),
        (lambda: from_sample(HALF > 0, population=1), "population is 1, fewer than the 2"),
        (lambda: from_weighted(HALF > 0, np.array([1, 0])), "inclusion row 1 is 0"),
        (lambda: from_weighted(HALF > 0, np.ones(3)), "do not match"),
        (lambda: from_queue(HALF, np.array([0, 2])), "verdict row 1 is 2"),
        (lambda: from_queue(HALF, np.array([0])), "differ"),
        (lambda: from_queue(np.array([np.nan, 0]), np.array([0, 1])), "probability row 0 is nan"),
        (lambda: from_queue(HALF, np.array([0, 1]), belief=0), "belief is 0"),
    ],
)
def test_wrong_rows_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_strata_hold_enough_verdicts():
    probability = np.linspace(0, 1, 1000)
    judged = np.arange(1000) % 20 == 0
    edges = error_rate._strata(probability, judged)
    assert edges[0] == 0
    assert edges[-1] == 1000
    assert np.add.reduceat(judged.astype(int), edges[:-1]).min() >= 10
