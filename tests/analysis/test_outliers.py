import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis import outliers
from analysis.findings import NONE
from analysis.neighbors import Neighbors, knn


def graph(distances):
    distances = np.asarray(distances, dtype=np.float32)
    return Neighbors(np.zeros(distances.shape, dtype=np.int32), distances)


def test_the_row_far_off_is_found_first():
    embeddings = np.random.default_rng(0).normal(size=(500, 8))
    embeddings[123] = 30
    found = outliers.find(
        knn(embeddings, 10, metric="euclidean"), tasks=np.arange(500) + 1000, floor=0.5
    )
    assert (found.annotation[0], found.task[0], found.kind[0]) == (123, 1123, "outlier")
    assert found.prediction[0] == found.label[0] == NONE
    assert found.score[0] > 0.99
    assert len(found) < 10
    assert (np.diff(found.score) <= 0).all()


def test_by_hand():
    # Log distances 0, 1, 2: median 1, median deviation 1.
    scores = outliers.outlier_scores(graph(np.exp([[0.0], [1.0], [2.0]])))
    steps = np.array([-1, 0, 1]) / 1.4826
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(3 - steps)), rtol=1e-5)
    assert scores.dtype == np.float32


def test_order_is_cleanlab_s():
    # cleanlab 2.9.0: OutOfDistribution({"k": 5}).fit_score(features=embeddings), where 1 is inside.
    embeddings = np.random.default_rng(5).normal(size=(12, 4)).round(2)
    theirs = [0.27235962, 0.32514157, 0.31927195, 0.37677034, 0.39047522, 0.38563647]
    theirs += [0.42493372, 0.34436471, 0.46164613, 0.34875812, 0.35919835, 0.39953118]
    ours = outliers.outlier_scores(knn(embeddings, 5))
    assert (np.argsort(-ours) == np.argsort(theirs)).all()
    mean = outliers.mean_distance(knn(embeddings, 5))
    np.testing.assert_allclose(np.exp(-mean / np.median(mean)), theirs, rtol=1e-5)


def test_duplicates_make_no_outliers_of_the_rest():
    distances = np.zeros((100, 3))
    distances[60:] = np.random.default_rng(0).uniform(1, 1.2, (40, 3))
    scores = outliers.outlier_scores(graph(distances))
    assert (scores[:60] == 0).all()
    assert (scores[60:] < 0.5).all()
    assert (outliers.outlier_scores(graph(np.zeros((5, 2)))) == 0).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_the_odd_rows_beside_equal_ones_are_found(metric):
    one = np.vstack([np.ones((50, 3)), [[1, -1, 0]]])
    scores = outliers.outlier_scores(knn(one, 5, metric=metric))
    assert (scores[:50] == 0).all()
    # By itself it would score 1 / (1 + exp(3)); what that lacks to 1 is divided by 1 + 50.
    assert scores[50] == pytest.approx(1 - 1 / 51 / (1 + np.exp(-3)))
    two = np.vstack([np.ones((500, 3)), [[1, -1, 0], [-20, 1, 0.2]]])
    scores = outliers.outlier_scores(knn(two, 5, metric=metric))
    assert (scores[:500] == 0).all()
    assert 0.95 < scores[500] < scores[501] <= 1
    found = outliers.find(knn(two, 5, metric=metric), tasks=np.arange(502))
    assert found.annotation.tolist() == [501, 500]
    found = outliers.find(knn(two.tolist(), 5, metric=metric), tasks=list(range(502)))
    assert found.task.tolist() == [501, 500]


def test_distances_all_alike_hold_no_outlier():
    assert (outliers.outlier_scores(graph(np.full((50, 3), 0.7))) < 0.1).all()


def test_rows_without_neighbours():
    assert outliers.outlier_scores(knn(np.ones((1, 2)), 3)).tolist() == [0]
    assert outliers.outlier_scores(knn(np.ones((0, 2)), 3)).shape == (0,)
    assert len(outliers.find(knn(np.ones((0, 2)), 3), tasks=np.empty(0, int))) == 0
    with pytest.raises(ValueError, match="do not match"):
        outliers.find(knn(np.ones((2, 2)), 1), tasks=np.arange(3))


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float32, (30, 2), elements=st.floats(0, 100, width=32)), st.data())
def test_scores_are_in_range_scale_free_and_rise_with_distance(distances, data):
    scores = outliers.outlier_scores(graph(distances))
    assert ((scores >= 0) & (scores <= 1)).all()
    order = np.argsort(outliers.mean_distance(graph(distances)), kind="stable")
    assert (np.diff(scores[order]) >= 0).all()
    turn = np.array(data.draw(st.permutations(range(30))))
    np.testing.assert_allclose(
        outliers.outlier_scores(graph(distances[turn])), scores[turn], atol=1e-6
    )
    distances[distances < 1e-3] = 0
    plain, larger = (outliers.outlier_scores(graph(distances * f)) for f in (1, 1024))
    np.testing.assert_allclose(plain, larger, atol=1e-5)
