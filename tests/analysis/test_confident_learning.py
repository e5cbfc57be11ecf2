import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis import confident_learning as cl
from analysis.findings import NONE
from analysis.reference import pruning

METHODS = cl.Method.__args__

# Literals below: cleanlab 2.9.0 run on these very arrays (cleanlab.rank, .count and .filter with
# their defaults and n_jobs=1).
PROBS = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.1, 0.8, 0.1],
        [0.3, 0.3, 0.4],
        [0.05, 0.05, 0.9],
        [0.6, 0.3, 0.1],
        [0.2, 0.5, 0.3],
        [0.15, 0.05, 0.8],
        [0.9, 0.06, 0.04],
        [0.34, 0.33, 0.33],
        [0.1, 0.65, 0.25],
        [0.45, 0.5, 0.05],
        [0.02, 0.08, 0.9],
    ]
)
LABELS = np.array([0, 1, 2, 0, 0, 1, 2, 1, 0, 2, 1, 2])


def waves():
    """Sixty rows of four classes, a fair model and labels that often differ from it."""
    row, column = np.arange(60)[:, None], np.arange(4)
    logits = 2 * np.sin(1.7 * row + 2.3 * column * row * 0.37 + column)
    labels = (logits + 1.5 * np.sin(5.1 * row + column * 1.3)).argmax(axis=1)
    probs = np.exp(logits)
    return labels, probs / probs.sum(axis=1, keepdims=True)


@st.composite
def projects(draw):
    n, k = draw(st.integers(1, 40)), draw(st.integers(2, 6))
    raw = draw(hnp.arrays(np.float64, (n, k), elements=st.floats(0.001, 1)))
    labels = draw(hnp.arrays(np.int32, n, elements=st.integers(-1, k - 1)))
    return labels, raw / raw.sum(1, keepdims=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("self_confidence", [0.7, 0.8, 0.4, 0.05, 0.6, 0.5, 0.8, 0.06, 0.34, 0.25, 0.5, 0.9]),
        (
            "normalized_margin",
            [0.75, 0.85, 0.55, 0.075, 0.65, 0.6, 0.825, 0.08, 0.505, 0.3, 0.525, 0.91],
        ),
        (
            "confidence_weighted_entropy",
            [
                0.68503362,
                0.75154099,
                0.50301826,
                0.29271657,
                0.63102671,
                0.56329001,
                0.75869063,
                0.32575566,
                0.46632224,
                0.45381796,
                0.6028729,
                0.84778527,
            ],
        ),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_cleanlabs(name, expected, dtype):
    probs = PROBS.astype(dtype)
    alone = getattr(cl, name)(LABELS, probs)
    assert alone.dtype == np.float32
    np.testing.assert_allclose(alone, expected, atol=1e-6)
    np.testing.assert_array_equal(getattr(cl.quality_scores(LABELS, probs), name), alone)


def test_adjusted_scores_are_cleanlabs():
    thresholds = cl.class_thresholds(LABELS, PROBS)
    np.testing.assert_allclose(thresholds, [0.4225, 0.465, 0.5875])
    np.testing.assert_allclose(
        cl.self_confidence(LABELS, PROBS, thresholds=thresholds),
        [
            0.67184466,
            0.71650485,
            0.31067961,
            0.16699029,
            0.59417476,
            0.48349515,
            0.62135922,
            0.14174757,
            0.39223301,
            0.19417476,
            0.48349515,
            0.69902913,
        ],
        atol=1e-6,
    )
    np.testing.assert_allclose(
        cl.normalized_margin(LABELS, PROBS, thresholds=thresholds),
        [
            0.71067961,
            0.75533981,
            0.47475728,
            0.23398058,
            0.63300971,
            0.6,
            0.68834951,
            0.15728155,
            0.52038835,
            0.29708738,
            0.50291262,
            0.77087379,
        ],
        atol=1e-6,
    )
    with pytest.raises(ValueError, match=r"thresholds are of shape \(2,\)"):
        cl.self_confidence(LABELS, PROBS, thresholds=np.ones(2))


def test_the_joint_and_its_noise_are_cleanlabs():
    counted = cl.confident_joint(LABELS, PROBS, calibrate=False)
    np.testing.assert_array_equal(counted, [[2, 0, 1], [1, 3, 0], [0, 1, 2]])
    joint = cl.confident_joint(LABELS, PROBS)
    np.testing.assert_array_equal(joint, [[3, 0, 1], [1, 3, 0], [0, 1, 3]])
    found = cl.noise(joint)
    np.testing.assert_allclose(found.prior, np.full(3, 1 / 3))
    forward = [[0.75, 0, 0.25], [0.25, 0.75, 0], [0, 0.25, 0.75]]
    np.testing.assert_allclose(found.label_given_true, forward)
    np.testing.assert_allclose(found.true_given_label, np.transpose(forward))
    np.testing.assert_allclose(found.wrong, np.full(3, 0.25))
    np.testing.assert_allclose(found.missed, np.full(3, 0.25))
    assert found.share == 0.25


@pytest.mark.parametrize("method", METHODS)
def test_the_three_wrong_labels_are_found(method):
    assert np.flatnonzero(cl.find_label_issues(LABELS, PROBS, method=method)).tolist() == [3, 7, 9]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (
            "prune_by_noise_rate",
            [1, 3, 4, 9, 10, 17, 19, 20, 21, 23, 26, 27, 34, 36, 38, 40, 41, 43, 46],
        ),
        (
            "prune_by_class",
            [1, 3, 4, 9, 17, 20, 21, 23, 26, 27, 30, 34, 35, 36, 40, 41, 43, 46, 57, 58],
        ),
        ("both", [1, 3, 4, 9, 17, 20, 21, 23, 26, 27, 34, 36, 40, 41, 43, 46]),
        ("confident_learning", [1, 3, 4, 9, 10, 16, 17, 19, 23, 27, 30, 34, 38, 40, 41, 46]),
        (
            "predicted_neq_given",
            [
                0,
                1,
                3,
                4,
                6,
                9,
                10,
                16,
                17,
                19,
                20,
                21,
                23,
                26,
                27,
                30,
                34,
                35,
                36,
                38,
                40,
                41,
                43,
                46,
                57,
                58,
            ],
        ),
        ("low_self_confidence", [3, 4, 9, 17, 20, 21, 23, 26, 34, 36, 40, 41, 43, 46, 57, 58]),
        ("low_normalized_margin", [1, 3, 4, 6, 9, 17, 20, 23, 26, 27, 30, 34, 40, 41, 46, 57]),
    ],
)
def test_issues_are_cleanlabs(monkeypatch, method, expected):
    labels, probs = waves()
    joint = [[9, 1, 3, 5], [1, 11, 0, 2], [0, 2, 11, 0], [4, 2, 0, 9]]
    np.testing.assert_array_equal(cl.confident_joint(labels, probs), joint)
    for block in (1 << 21, 40):
        monkeypatch.setattr(pruning, "_BLOCK", block)
        issues = cl.find_label_issues(labels, probs, method=method)
        assert np.flatnonzero(issues).tolist() == expected


def test_less_noise_and_larger_classes_prune_less_as_in_cleanlab():
    labels, probs = waves()
    issues = cl.find_label_issues(labels, probs, frac_noise=0.5, min_examples_per_class=12)
    assert np.flatnonzero(issues).tolist() == [4, 34, 41, 46]
    assert not cl.find_label_issues(labels, probs, min_examples_per_class=100).any()
    joint = cl.confident_joint(labels, probs)
    same = cl.find_label_issues(labels, probs, joint=joint)
    np.testing.assert_array_equal(same, cl.find_label_issues(labels, probs))
    assert not cl.find_label_issues(labels, probs, joint=np.diag(joint.sum(axis=1))).any()


def test_a_wholly_certain_row_is_worst_for_cleanlab_and_best_without_its_floor():
    labels, probs = np.array([0, 1]), np.array([[1.0, 0], [1, 0]])
    weighted = cl.confidence_weighted_entropy(labels, probs)
    np.testing.assert_array_equal(weighted, [0, 0])
    together = cl.quality_scores(labels, probs, floor=0)
    np.testing.assert_array_equal(together.confidence_weighted_entropy, [1, 1])
    np.testing.assert_array_equal(cl.confidence_weighted_entropy(labels, probs, floor=0), [1, 1])


def test_hardness_is_the_entropy():
    probs = np.array([[0.5, 0.5, 0], [1, 0, 0], [0.25, 0.25, 0.5]])
    expected = [np.log(2), 0, 1.5 * np.log(2)]
    np.testing.assert_allclose(cl.hardness(probs), expected, atol=1e-6)
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(probs), -1e4) + 700
    np.testing.assert_allclose(cl.hardness(logits, logits=True), expected, atol=1e-4)
    with pytest.raises(ValueError, match="logits row 1 is"):
        cl.hardness(np.array([[0.0, 1], [np.nan, 1]]), logits=True)


@given(projects())
def test_rows_without_a_label_change_nothing(project):
    labels, probs = project
    known = labels != NONE
    scores = cl.quality_scores(labels, probs)
    assert np.isnan(scores.self_confidence[~known]).all()
    assert np.isnan(scores.normalized_margin[~known]).all()
    assert np.isnan(scores.confidence_weighted_entropy[~known]).all()
    for method in METHODS:
        issues = cl.find_label_issues(labels, probs, method=method)
        assert not issues[~known].any()
        alone = cl.find_label_issues(labels[known], probs[known], method=method)
        np.testing.assert_array_equal(issues[known], alone)


@given(projects())
def test_scores_are_in_range_and_the_joint_counts_every_label(project):
    labels, probs = project
    scores = cl.quality_scores(labels, probs)
    known = labels != NONE
    for score in (
        scores.self_confidence,
        scores.normalized_margin,
        scores.confidence_weighted_entropy,
    ):
        assert ((score[known] >= 0) & (score[known] <= 1)).all()
    joint = cl.confident_joint(labels, probs)
    counts = np.bincount(labels[known], minlength=probs.shape[1])
    np.testing.assert_array_equal(joint.sum(axis=1), counts)
    found = cl.noise(joint)
    assert 0 <= found.share <= 1
    assert ((found.wrong >= 0) & (found.wrong <= 1)).all()


@given(projects(), st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing_but_order(project, random):
    labels, probs = project
    order = np.array(random.sample(range(len(labels)), len(labels)))
    one, other = cl.quality_scores(labels, probs), cl.quality_scores(labels[order], probs[order])
    np.testing.assert_allclose(
        one.confidence_weighted_entropy[order], other.confidence_weighted_entropy, atol=1e-6
    )
    np.testing.assert_array_equal(one.normalized_margin[order], other.normalized_margin)
    for method in ("confident_learning", "predicted_neq_given"):
        first = cl.find_label_issues(labels, probs, method=method)
        second = cl.find_label_issues(labels[order], probs[order], method=method)
        np.testing.assert_array_equal(first[order], second)


@given(projects(), st.floats(0.05, 0.9))
def test_more_confidence_in_the_given_label_never_lowers_its_quality(project, share):
    labels, probs = project
    labels[0] = abs(labels[0])
    surer = probs.copy()
    surer[0] *= 1 - share
    surer[0, labels[0]] += share
    before, after = cl.quality_scores(labels, probs), cl.quality_scores(labels, surer)
    assert after.self_confidence[0] >= before.self_confidence[0] - 1e-6
    assert after.normalized_margin[0] >= before.normalized_margin[0] - 1e-6


def test_many_classes_and_blocks_give_what_one_row_gives():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(300, 0.05), 3000).astype(np.float32)
    labels = rng.integers(-1, 300, 3000)
    whole = cl.quality_scores(labels, probs)
    for row in (0, 1500, 2999):
        alone = cl.quality_scores(labels[[row]], probs[[row]])
        np.testing.assert_allclose(
            alone.confidence_weighted_entropy[0], whole.confidence_weighted_entropy[row], atol=1e-6
        )
        np.testing.assert_array_equal(alone.normalized_margin[0], whole.normalized_margin[row])
    before = probs.copy()
    for method in METHODS:
        cl.find_label_issues(labels, probs, method=method)
    np.testing.assert_array_equal(probs, before)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_memory_order_and_half_floats(order, dtype):
    probs = np.array(PROBS, dtype=dtype, order=order)
    scores = cl.quality_scores(LABELS, probs)
    np.testing.assert_allclose(scores.self_confidence, PROBS[np.arange(12), LABELS], atol=1e-3)
    assert np.flatnonzero(cl.find_label_issues(LABELS, probs)).tolist() == [3, 7, 9]


def test_empty_input_one_class_and_a_class_that_no_label_names():
    none, empty = np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    assert cl.quality_scores(none, empty).self_confidence.shape == (0,)
    assert (cl.class_thresholds(none, empty) == 2).all()
    assert cl.confident_joint(none, empty).sum() == 0
    assert cl.noise(cl.confident_joint(none, empty)).share == 0
    only = np.zeros(4, dtype=np.int64)
    scores = cl.quality_scores(only, np.ones((4, 1)))
    for score in (
        scores.self_confidence,
        scores.normalized_margin,
        scores.confidence_weighted_entropy,
    ):
        np.testing.assert_array_equal(score, np.ones(4))
    for method in METHODS:
        assert not cl.find_label_issues(none, empty, method=method).any()
        assert not cl.find_label_issues(only, np.ones((4, 1)), method=method).any()
        assert not cl.find_label_issues(np.full(12, NONE), PROBS, method=method).any()
    few = np.where(LABELS == 2, 0, LABELS)
    assert cl.class_thresholds(few, PROBS)[2] == 2
    assert cl.confident_joint(few, PROBS)[2].sum() == 0


@pytest.mark.parametrize(
    ("labels", "change", "words"),
    [
        ([0, 1, 3], None, "labels row 2 is 3, expected -1 to 2"),
        ([0, -2, 1], None, "labels row 1 is -2"),
        ([0, 1, 2], (1, [0.5, 0.1, 0.1]), "probs row 1 sums to 0.7"),
        ([0, 1, 2], (2, [np.nan, 0.5, 0.5]), "probs row 2"),
        ([0, 1, 2], (0, [1.2, -0.1, -0.1]), "probs row 0 holds -0.1"),
        ([0, 1], None, "do not match"),
    ],
)
@pytest.mark.parametrize(
    "function", [cl.quality_scores, cl.self_confidence, cl.class_thresholds, cl.find_label_issues]
)
def test_bad_rows_are_named(function, labels, change, words):
    probs = PROBS[:3].copy()
    if change:
        probs[change[0]] = change[1]
    with pytest.raises(ValueError, match=words):
        function(np.array(labels), probs)


def test_unknown_methods_and_types_are_named():
    with pytest.raises(ValueError, match="method is 'best'"):
        cl.find_label_issues(LABELS, PROBS, method="best")
    with pytest.raises(ValueError, match=r"joint is of shape \(2, 2\)"):
        cl.find_label_issues(LABELS, PROBS, joint=np.eye(2, dtype=np.int64))
    with pytest.raises(ValueError, match=r"thresholds are of shape \(2,\)"):
        cl.confident_joint(LABELS, PROBS, thresholds=np.ones(2))
    with pytest.raises(ValueError, match="probs row 1 sums to nan"):
        cl.confident_joint(
            LABELS, np.where(np.arange(12)[:, None] == 1, np.nan, PROBS), thresholds=np.ones(3)
        )
    with pytest.raises(ValueError, match="probs are of type int64"):
        cl.quality_scores(np.array([0, 1]), np.eye(2, dtype=np.int64))
