import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import cohen_kappa_score

from analysis.agreement import cohen_kappa, fleiss_kappa, krippendorff_alpha
from analysis.crowd import grouping
from analysis.crowd.votes import Votes
from analysis.findings import NONE


def observers(*rows):
    """Votes of one observer a row, one unit a column; a point is a missing value."""
    cells = np.array([row.split() for row in rows])
    annotator, item = np.nonzero(cells != ".")
    _, label = np.unique(cells[annotator, item], return_inverse=True)
    return Votes(item, annotator, label)


def votes_of(table):
    table = np.asarray(table)
    item, annotator = np.indices(table.shape).reshape(2, -1)
    return Votes(item, annotator, table.ravel())


tables = hnp.arrays(
    np.int32,
    st.tuples(st.integers(1, 12), st.integers(1, 5)),
    elements=st.integers(-1, 2),
)


@pytest.mark.parametrize(
    ("rows", "alpha"),
    [
        # The worked examples of Krippendorff, "Computing Krippendorff's Alpha-Reliability"
        # (2011): two observers and binary data, two and nominal data, four with missing data.
        (["0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"], 0.095),
        (["a a b b d c c c e d d a", "b a b b b c c c e d d d"], 0.692),
        (
            [
                "1 2 3 3 2 1 4 1 2 . . .",
                "1 2 3 3 2 2 4 1 2 5 . 3",
                ". 3 3 3 2 3 4 2 2 5 1 .",
                "1 2 3 3 2 4 4 1 2 5 1 .",
            ],
            0.743,
        ),
        # The worked example of Wikipedia's article on it.
        (
            [
                ". . . . . 3 4 1 2 1 1 3 3 . 3",
                "1 . 2 1 3 3 4 3 . . . . . . .",
                ". . 2 1 3 4 4 . 2 1 1 3 3 . 4",
            ],
            0.691,
        ),
    ],
)
def test_alpha_of_published_examples(rows, alpha):
    assert krippendorff_alpha(observers(*rows), 5) == pytest.approx(alpha, abs=5e-4)


def test_fleiss_kappa_of_the_published_example():
    # Ten subjects, fourteen raters, five categories: Wikipedia's article on Fleiss' kappa.
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    table = [np.repeat(np.arange(5), row) for row in counts]
    assert fleiss_kappa(votes_of(table), 5) == pytest.approx(0.210, abs=5e-4)


def test_cohen_kappa_by_hand():
    # 50 proposals, two readers: 20 yes and 15 no by both, 5 and 10 not; kappa is 0.4.
    table = [[1, 1]] * 20 + [[1, 0]] * 5 + [[0, 1]] * 10 + [[0, 0]] * 15
    got = cohen_kappa(votes_of(table), 2)
    assert (got.first.tolist(), got.second.tolist(), got.items.tolist()) == ([0], [1], [50])
    assert got.agreement[0] == pytest.approx(0.7)
    assert got.kappa[0] == pytest.approx(0.4)


@pytest.mark.parametrize("block", [1 << 20, 3])
def test_cohen_kappa_is_scikit_learns_on_shared_items(monkeypatch, block):
    monkeypatch.setattr(grouping, "_BLOCK", block)
    table = np.random.default_rng(0).integers(-1, 4, (60, 7))
    table[:, 5:] = np.where(np.arange(60)[:, None] % 2 == [0, 1], table[:, 5:], NONE)
    got = cohen_kappa(votes_of(table), 4)
    assert len(got) == 20  # the last two share no item
    for row in range(len(got)):
        a, b = table[:, got.first[row]], table[:, got.second[row]]
        both = (a != NONE) & (b != NONE)
        assert got.items[row] == both.sum()
        assert got.agreement[row] == pytest.approx((a == b)[both].mean())
        assert got.kappa[row] == pytest.approx(cohen_kappa_score(a[both], b[both]))


def test_alpha_nears_fleiss_with_many_items():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 3000)
    table = np.where(rng.random((3000, 3)) < 0.7, truth[:, None], rng.integers(0, 4, (3000, 3)))
    votes = votes_of(table)
    assert krippendorff_alpha(votes, 4) == pytest.approx(fleiss_kappa(votes, 4), abs=1e-3)
    chance = votes_of(rng.integers(0, 4, (3000, 3)))
    assert krippendorff_alpha(chance, 4) == pytest.approx(0, abs=0.02)


@settings(deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_order_of_votes_changes_nothing_and_nothing_exceeds_1(table, random):
    votes = votes_of(table)
    other = votes.take(np.array(random.sample(range(len(votes)), len(votes)), dtype=np.int64))
    alpha = krippendorff_alpha(votes, 3)
    assert np.isnan(alpha) or alpha <= 1
    assert alpha == pytest.approx(krippendorff_alpha(other, 3), nan_ok=True)
    one, two = cohen_kappa(votes, 3), cohen_kappa(other, 3)
    np.testing.assert_allclose(one.kappa, two.kappa)
    assert (one.kappa[~np.isnan(one.kappa)] <= 1).all()
    assert (one.first < one.second).all()


@settings(deadline=None)
@given(tables)
def test_who_agree_on_everything_have_1(table):
    table = np.repeat(table[:, :1], 3, axis=1)
    votes = votes_of(table)
    used = len(np.unique(table[table != NONE]))
    alpha, fleiss = krippendorff_alpha(votes, 3), fleiss_kappa(votes, 3)
    kappa = cohen_kappa(votes, 3).kappa
    if used > 1:
        assert alpha == pytest.approx(1)
        assert fleiss == pytest.approx(1)
        assert kappa == pytest.approx(1)
    else:
        assert np.isnan([alpha, fleiss, *kappa]).all()


def test_without_shared_items_there_is_no_agreement_to_speak_of():
    none = np.empty(0, dtype=np.int64)
    for votes in (
        Votes(none, none, none),
        Votes(np.arange(3), np.arange(3), np.arange(3)),
        Votes(np.arange(3), np.zeros(3, dtype=int), np.arange(3)),
    ):
        assert np.isnan(krippendorff_alpha(votes, 3))
        assert np.isnan(fleiss_kappa(votes, 3))
        assert not len(cohen_kappa(votes, 3))


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match="item 1 has 1 labels, expected 2 as item 0 has"):
        fleiss_kappa(votes_of([[0, 1], [1, NONE]]), 2)
    for agreement in (cohen_kappa, fleiss_kappa, krippendorff_alpha):
        with pytest.raises(ValueError, match="label row 1 is 5, expected -1 to 1"):
            agreement(votes_of([[0, 5]]), 2)
