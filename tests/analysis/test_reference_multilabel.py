import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis.reference import multilabel

# Literals: cleanlab 2.9.0, MultilabelScorer with each ClassLabelScorer and aggregator.
LABELS = np.array([[1, 0, 0], [0, 1, 1], [1, 1, 0], [0, 0, 0]])
PROBS = np.array([[0.9, 0.2, 0.1], [0.3, 0.4, 0.95], [0.05, 0.8, 0.6], [0.1, 0.1, 0.02]])
OWN = [[0.9, 0.8, 0.9], [0.7, 0.4, 0.95], [0.05, 0.8, 0.4], [0.9, 0.9, 0.98]]
WEIGHTED = [
    [0.80489895, 0.71267105, 0.80489895],
    [0.64727951, 0.50745943, 0.87403172],
    [0.33280187, 0.71267105, 0.50745943],
    [0.80489895, 0.80489895, 0.93410579],
]


@pytest.mark.parametrize(
    ("score", "each", "average", "soft"),
    [
        (
            "self_confidence",
            OWN,
            [0.82, 0.47, 0.136, 0.9032],
            [0.84238831, 0.41630541, 0.06065621, 0.91467599],
        ),
        (
            "normalized_margin",
            OWN,
            [0.82, 0.47, 0.136, 0.9032],
            [0.84238831, 0.41630541, 0.06065621, 0.91467599],
        ),
        (
            "confidence_weighted_entropy",
            WEIGHTED,
            [0.73111663, 0.54449354, 0.37594185, 0.81006722],
            [0.75352491, 0.54197096, 0.36535962, 0.82050247],
        ),
    ],
)
def test_scores_are_cleanlabs(monkeypatch, score, each, average, soft):
    for block in (1 << 18, 3):
        monkeypatch.setattr(multilabel, "_BLOCK", block)
        found = multilabel.class_scores(LABELS, PROBS, score=score)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, each, atol=1e-6)
        pooled = multilabel.pooled_scores(LABELS, PROBS, score=score)
        np.testing.assert_allclose(pooled, average, atol=1e-6)
        pooled = multilabel.pooled_scores(LABELS, PROBS, score=score, pool="softmin")
        np.testing.assert_allclose(pooled, soft, atol=1e-6)


def test_what_nobody_said_counts_for_nothing():
    labels = np.array([[1, 0, 0, -1], [-1, -1, -1, -1]])
    probs = np.array([[0.9, 0.2, 0.1, 0.5], [0.5, 0.5, 0.5, 0.5]])
    assert np.isnan(multilabel.class_scores(labels, probs)[labels == -1]).all()
    for pool in ("moving_average", "softmin"):
        score = multilabel.pooled_scores(labels, probs, pool=pool)
        alone = multilabel.pooled_scores(labels[:1, :3], probs[:1, :3], pool=pool)
        assert score[0] == alone[0]
        assert np.isnan(score[1])


def test_certain_classes():
    labels, probs = np.array([[1, 0, 1, 0]]), np.array([[1.0, 0, 0, 1]])
    np.testing.assert_array_equal(multilabel.class_scores(labels, probs), [[1, 1, 0, 0]])
    score = multilabel.class_scores(labels, probs, score="confidence_weighted_entropy", floor=0)
    assert ((score >= 0) & (score <= 1)).all()


def test_right_is_the_very_same_set():
    predicted = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]])
    assert multilabel.same_set(LABELS, predicted).tolist() == [True, False, True, False]


tables = hnp.array_shapes(min_dims=2, max_dims=2, max_side=8).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.int8, shape, elements=st.integers(-1, 1)),
        hnp.arrays(np.float64, shape, elements=st.floats(0, 1)),
    )
)


@given(tables, st.sampled_from(["moving_average", "softmin"]))
def test_a_pooled_score_lies_between_the_least_and_the_largest(table, pool):
    labels, probs = table
    each = multilabel.class_scores(labels, probs)
    score = multilabel.pooled_scores(labels, probs, pool=pool)
    for row, value in zip(each, score, strict=True):
        known = row[~np.isnan(row)]
        if len(known):
            assert known.min() - 1e-6 <= value <= known.max() + 1e-6
        else:
            assert np.isnan(value)


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_classes_does_not_matter(table, random):
    labels, probs = table
    order = random.sample(range(labels.shape[1]), labels.shape[1])
    for pool in ("moving_average", "softmin"):
        one = multilabel.pooled_scores(labels, probs, pool=pool)
        other = multilabel.pooled_scores(labels[:, order], probs[:, order], pool=pool)
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_empty_input_and_bad_rows():
    assert multilabel.pooled_scores(np.zeros((0, 3), dtype=int), np.zeros((0, 3))).shape == (0,)
    labels = LABELS.copy()
    labels[2, 1] = 3
    with pytest.raises(ValueError, match="labels row 2 is 3 for class 1, expected -1 to 1"):
        multilabel.class_scores(labels, PROBS)
    probs = PROBS.copy()
    probs[3, 0] = np.nan
    with pytest.raises(ValueError, match="probs row 3 is nan for class 0, expected 0 to 1"):
        multilabel.pooled_scores(LABELS, probs)
    with pytest.raises(ValueError, match="do not match"):
        multilabel.class_scores(LABELS[:2], PROBS)
    with pytest.raises(ValueError, match="pool is 'mean'"):
        multilabel.pooled_scores(LABELS, PROBS, pool="mean")
    with pytest.raises(ValueError, match="score is 'best'"):
        multilabel.class_scores(LABELS, PROBS, score="best")
    with pytest.raises(ValueError, match="alpha is 2"):
        multilabel.pooled_scores(LABELS, PROBS, alpha=2)
