import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from analysis.findings import NONE
from analysis.neighbors import Neighbors, knn, nearest
from analysis.projection import place, project, warm


def clusters(rows=400, columns=8, seed=0):
    random = np.random.default_rng(seed)
    middle = 8 * random.normal(size=(4, columns))
    label = random.integers(0, 4, rows)
    return (middle[label] + random.normal(size=(rows, columns))).astype(np.float32), label


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 8, 9, 20])
def test_any_number_of_rows_has_finite_places(rows):
    places = project(clusters(rows)[0], seed=0)
    assert places.shape == (rows, 2)
    assert places.dtype == np.float32
    assert np.isfinite(places).all()


def test_equal_rows_one_column_and_float16():
    for embeddings in (
        np.ones((30, 3)),
        np.zeros((30, 3), np.float32),
        np.random.default_rng(0).normal(size=(40, 1)).astype(np.float16),
    ):
        assert np.isfinite(project(embeddings, seed=0)).all()


def test_neighbours_stay_neighbours():
    embeddings, _ = clusters()
    places = project(embeddings, knn(embeddings, 14, metric="euclidean"), seed=0)
    assert trustworthiness(embeddings, places, n_neighbors=10) > 0.9
    fewer = project(embeddings, knn(embeddings, 5, metric="euclidean"), seed=0)
    assert trustworthiness(embeddings, fewer, n_neighbors=10) > 0.88


def test_a_seed_makes_it_repeatable():
    embeddings, _ = clusters()
    assert (project(embeddings, seed=3) == project(embeddings, seed=3)).all()
    assert (project(embeddings, seed=3) != project(embeddings, seed=4)).any()


def test_rows_beyond_the_most_are_placed_among_the_sample():
    embeddings, label = clusters(1200)
    places = project(embeddings, seed=0, metric="euclidean", most=300)
    assert places.shape == (1200, 2)
    near = knn(places, 1, metric="euclidean").indices[:, 0]
    assert (label[near] == label).mean() > 0.99
    assert trustworthiness(embeddings, places, n_neighbors=10) > 0.85


def test_new_rows_land_in_their_cluster():
    embeddings, label = clusters()
    places = project(embeddings[:300], seed=0, metric="euclidean")
    new = nearest(embeddings[300:], embeddings[:300], 5, metric="euclidean")
    near = nearest(place(places, new), places, 1, metric="euclidean").indices[:, 0]
    assert (label[near] == label[300:]).mean() > 0.98


def test_place_by_hand():
    positions = np.array([[0, 0], [2, 0], [100, 0]], dtype=np.float32)
    neighbors = Neighbors(
        np.array([[0, 1, 2], [2, NONE, NONE], [NONE, NONE, NONE]], dtype=np.int32),
        np.array([[1, 1, 1], [0.5, np.inf, np.inf], [np.inf] * 3], dtype=np.float32),
    )
    assert place(positions, neighbors).tolist() == [[1, 0], [100, 0], [34, 0]]
    with pytest.raises(ValueError, match="neighbors row 1 names a row beyond the 2 positions"):
        place(positions[:2], Neighbors(neighbors.indices[[1, 1]] * [[0], [1]], np.ones((2, 3))))


def test_place_of_nothing():
    none = Neighbors(np.full((3, 2), NONE, np.int32), np.full((3, 2), np.inf, np.float32))
    assert place(np.empty((0, 2), np.float32), none).tolist() == [[0, 0]] * 3
    empty = Neighbors(np.empty((0, 2), np.int32), np.empty((0, 2), np.float32))
    assert place(np.ones((4, 2), np.float32), empty).shape == (0, 2)


def test_warm_may_be_called_again():
    warm()
    warm()


def test_lists_are_read_as_arrays():
    embeddings = clusters(20)[0].astype(np.float64)
    assert (project(embeddings.tolist(), seed=0) == project(embeddings, seed=0)).all()


def test_lengths_have_to_match():
    with pytest.raises(ValueError, match="differ"):
        project(np.ones((4, 2)), knn(np.ones((5, 2)), 2))
