import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis import coverage, duplicates
from analysis.embedding import search
from analysis.embedding.lists import Lists
from analysis.findings import NONE
from analysis.neighbors import METRICS, Neighbors, knn, nearest, neighbor_agreement


def all_distances(a, b, metric):
    a, b = a.astype(np.float64), b.astype(np.float64)
    if metric == "euclidean":
        return np.linalg.norm(a[:, None] - b[None], axis=2)
    lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b)]
    a, b = (
        rows / np.where(length > 0, length, 1) for rows, length in zip((a, b), lengths, strict=True)
    )
    return 1 - a @ b.T


def clustered(rows, columns=16, clusters=20, seed=0):
    random = np.random.default_rng(seed)
    middle = random.normal(size=(clusters, columns))
    spread = 0.6 * random.normal(size=(rows, columns))
    return (middle[random.integers(0, clusters, rows)] + spread).astype(np.float32)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("rows", [40, 700])
def test_knn_is_what_comparing_all_pairs_gives(metric, dtype, rows):
    embeddings = clustered(rows).astype(dtype)
    found = knn(embeddings, 7, metric=metric)
    apart = all_distances(embeddings, embeddings, metric)
    np.fill_diagonal(apart, np.inf)
    assert found.indices.dtype == np.int32
    assert found.distances.dtype == np.float32
    np.testing.assert_allclose(found.distances, np.sort(apart, axis=1)[:, :7], atol=1e-5)
    np.testing.assert_allclose(
        found.distances, np.take_along_axis(apart, found.indices.astype(int), 1), atol=1e-5
    )


def test_knn_by_hand():
    embeddings = np.array([[1, 0], [0, 2], [3, 3], [-1, 0]], dtype=np.float32)
    found = knn(embeddings, 3)
    assert found.indices.tolist() == [[2, 1, 3], [2, 0, 3], [0, 1, 3], [1, 2, 0]]
    half = 1 - np.sqrt(0.5)
    np.testing.assert_allclose(found.distances[0], [half, 1, 2], atol=1e-6)
    assert knn(embeddings, 1, metric="euclidean").indices.ravel().tolist() == [3, 0, 1, 0]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exact", [True, False])
def test_a_twin_is_a_neighbour_and_the_row_itself_never(metric, exact):
    embeddings = clustered(3000)
    embeddings[1000:1020] = embeddings[5]
    found = knn(embeddings, 6, metric=metric, exact=exact)
    assert not (found.indices == np.arange(3000)[:, None]).any()
    twins = [5, *range(1000, 1020)]
    assert (found.distances[twins] == 0).all()
    assert np.isin(found.indices[twins], twins).all()
    assert (np.diff(found.indices[twins], axis=1) > 0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_lists_find_nearly_all_that_the_scan_finds(metric):
    embeddings = clustered(6000, 32)
    exact, fast = (knn(embeddings, 10, metric=metric, exact=way) for way in (True, False))
    assert (fast.distances <= exact.distances[:, -1:] * (1 + 1e-5)).mean() >= 0.97
    assert (np.diff(fast.distances, axis=1) >= 0).all()
    again = knn(embeddings, 10, metric=metric, exact=False)
    assert (again.indices == fast.indices).all()


def test_lists_serve_other_queries_too():
    embeddings, queries = clustered(5000, 32), clustered(500, 32)[::-1]
    exact, fast = (nearest(queries, embeddings, 5, exact=way) for way in (True, False))
    assert (fast.distances <= exact.distances[:, -1:] * (1 + 1e-5)).mean() >= 0.96


def test_queries_whose_nearest_list_holds_fewer_than_k_rows():
    embeddings = clustered(3000, 4)
    embeddings[:3] = 40
    exact, fast = (
        nearest(embeddings[:600] + 20, embeddings, 8, exact=way) for way in (True, False)
    )
    assert (fast.indices != NONE).all()
    assert (fast.distances <= exact.distances[:, -1:] * (1 + 1e-4)).mean() > 0.9


def test_where_lists_do_not_pay_all_pairs_are_compared():
    noise = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
    assert Lists.fit(search.Points(noise), 10) is None
    assert (knn(noise, 10, exact=False).indices == knn(noise, 10, exact=True).indices).all()


def test_thousands_of_equal_rows_fill_several_short_lists():
    embeddings = clustered(6000)
    embeddings[::2] = embeddings[0]
    lists = Lists.fit(search.Points(embeddings), 5)
    assert max(map(len, lists.members)) <= 4 * 100
    assert sorted(np.concatenate(lists.members)) == list(range(6000))
    found = knn(embeddings, 5, exact=False)
    assert (found.distances[::2] == 0).all()
    assert not (found.indices == np.arange(6000)[:, None]).any()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exact", [True, False, None])
@pytest.mark.parametrize("rows", [0, 1, 2, 4])
def test_fewer_rows_than_neighbours_are_padded(rows, exact, metric):
    found = knn(clustered(rows), 6, metric=metric, exact=exact)
    others = max(rows - 1, 0)
    assert found.indices.shape == found.distances.shape == (rows, 6)
    assert (found.indices[:, others:] == NONE).all()
    assert np.isposinf(found.distances[:, others:]).all()
    assert np.isfinite(found.distances[:, :others]).all()


def test_a_row_of_zeros_is_nowhere_but_beside_another():
    embeddings = np.array([[0, 0], [1, 0], [0, 0], [1, 0.1]], dtype=np.float32)
    found = knn(embeddings, 3)
    assert found.indices.tolist() == [[2, 1, 3], [3, 0, 2], [0, 1, 3], [1, 0, 2]]
    assert found.distances[[0, 2]].tolist() == [[0, 1, 1]] * 2
    assert found.distances[[1, 3], 1:].tolist() == [[1, 1]] * 2
    assert nearest(embeddings[:1], embeddings[1:], 3).distances.tolist() == [[0, 1, 1]]
    assert nearest(embeddings[:1], embeddings[[1, 3]], 1).distances.tolist() == [[1]]
    assert nearest(embeddings[1:2], embeddings[[0, 2]], 1).distances.tolist() == [[1]]


@pytest.mark.parametrize("exact", [True, False])
def test_rows_of_zeros_find_each_other_among_many(exact):
    embeddings = np.vstack([clustered(2000), np.zeros((4, 16))])
    found = knn(embeddings, 3, exact=exact)
    assert found.indices[2000].tolist() == [2001, 2002, 2003]
    assert (found.distances[2000:] == 0).all()
    assert np.unique(duplicates.groups(found)[2000:]).tolist() == [2000]


@pytest.mark.parametrize("metric", METRICS)
def test_a_far_origin_and_huge_or_tiny_values_lose_nothing(metric):
    plain = clustered(200)
    for factor in (1e-30, 1e30):
        found = knn(plain * np.float32(factor), 5, metric=metric)
        assert (found.indices == knn(plain, 5, metric=metric).indices).all()
    far = plain.astype(np.float64) + 1e6
    assert (
        knn(far, 5, metric="euclidean").indices == knn(plain, 5, metric="euclidean").indices
    ).mean() > 0.99


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_names_its_row(value):
    embeddings = clustered(50)
    embeddings[17, 3] = value
    with pytest.raises(ValueError, match="embeddings row 17"):
        knn(embeddings, 3)
    with pytest.raises(ValueError, match="queries row 17"):
        nearest(embeddings, clustered(50), 3)


@pytest.mark.parametrize("factor", [1e40, 1e300, 1e308])
def test_distances_beyond_float32_name_the_row(factor):
    huge = np.array([[factor, 1], [factor, 1], [1, factor], [-factor, 1]])
    with pytest.raises(ValueError, match="embeddings row 0 is too far"):
        knn(huge, 1, metric="euclidean")
    assert knn(huge, 1).indices[:2, 0].tolist() == [1, 0]
    with pytest.raises(ValueError, match="queries row 1 is too far"):
        nearest(np.array([[1, 1], [1e30, 1]]), np.eye(2), 1, metric="euclidean")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="k is 0"):
        knn(clustered(5), 0)
    with pytest.raises(ValueError, match=r"k is 1.5, expected a whole number"):
        knn(clustered(5), 1.5)
    with pytest.raises(ValueError, match="embeddings are of type complex128"):
        knn(np.ones((5, 2), complex), 1)
    with pytest.raises(ValueError, match="labels are of type float64"):
        neighbor_agreement(np.full(4, 0.5), GRAPH, 3)
    with pytest.raises(ValueError, match="metric is 'manhattan'"):
        knn(clustered(5), 1, metric="manhattan")
    with pytest.raises(ValueError, match=r"expected \(N, D\)"):
        knn(np.zeros(5, dtype=np.float32), 1)
    with pytest.raises(ValueError, match="differ in columns"):
        nearest(clustered(5, 4), clustered(5, 5), 1)
    with pytest.raises(ValueError, match="do not match"):
        Neighbors(np.zeros((3, 2), np.int32), np.zeros((3, 1), np.float32))


def test_lists_and_integers_are_read_as_arrays():
    rows = clustered(30).round(2).tolist()
    array = np.array(rows)
    found = knn(array, 4)
    assert (knn(rows, np.int64(4)).indices == found.indices).all()
    assert (nearest(rows, rows, 4).indices == nearest(array, array, 4).indices).all()
    far = [[0, 2**40], [0, 2**40 + 1], [0, 2**40 + 3]]
    assert knn(far, 1, metric="euclidean").distances.ravel().tolist() == [1, 1, 2]
    labels = [0, 1, NONE] * 10
    same = Neighbors(found.indices.tolist(), found.distances.tolist())
    shares = [neighbor_agreement(column, same, 2) for column in (labels, np.array(labels))]
    assert (shares[0] != shares[1]).nnz == 0
    assert (coverage.centrality(rows) == coverage.centrality(array)).all()


def test_the_embeddings_are_left_alone():
    for dtype in (np.float16, np.float32, np.float64):
        embeddings = clustered(100).astype(dtype)
        before = embeddings.copy()
        for metric in METRICS:
            knn(embeddings, 3, metric=metric)
        assert (embeddings == before).all()


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.float32, (25, 3), elements=st.floats(-8, 8, width=16)), st.sampled_from(METRICS)
)
def test_the_order_of_rows_changes_only_the_order(embeddings, metric):
    order = np.random.default_rng(0).permutation(25)
    found, moved = (knn(rows, 4, metric=metric) for rows in (embeddings, embeddings[order]))
    # Rows are told apart by squares, of which float32 keeps seven digits of the farthest.
    power, atol = (2, 2e-4) if metric == "euclidean" else (1, 2e-5)
    apart, same = moved.distances**power, found.distances[order] ** power
    np.testing.assert_allclose(apart, same, atol=atol)


GRAPH = Neighbors(
    np.array([[1, 2], [0, 2], [1, 0], [NONE, NONE]], dtype=np.int32),
    np.array([[0, 2], [1, 1], [1, 3], [np.inf, np.inf]], dtype=np.float32),
)


def test_agreement_by_hand():
    shares = neighbor_agreement(np.array([0, 1, 0, 2]), GRAPH, 3).toarray()
    assert shares.dtype == np.float32
    near = 1 / (1 + np.exp(-2))
    np.testing.assert_allclose(shares[0], [1 - near, near, 0], rtol=1e-6)
    assert shares[1].tolist() == [1, 0, 0]
    near = np.exp(-0.5) / (np.exp(-0.5) + np.exp(-1.5))
    np.testing.assert_allclose(shares[2], [1 - near, near, 0], rtol=1e-6)
    assert shares[3].tolist() == [0, 0, 0]


def test_a_neighbour_without_a_label_does_not_vote():
    shares = neighbor_agreement(np.array([0, NONE, 0, 2]), GRAPH, 3).toarray()
    assert shares[0].tolist() == [1, 0, 0]
    assert neighbor_agreement(np.full(4, NONE), GRAPH, 3).nnz == 0


def test_agreement_does_not_depend_on_the_scale_and_sums_to_one():
    found = knn(clustered(300), 8)
    labels = np.random.default_rng(0).integers(0, 5, 300)
    shares = neighbor_agreement(labels, found, 5).toarray()
    larger = neighbor_agreement(labels, Neighbors(found.indices, found.distances * 1000), 5)
    np.testing.assert_allclose(shares, larger.toarray(), rtol=1e-5)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_agreement_of_nothing_and_of_unknown_labels():
    assert neighbor_agreement(np.empty(0, int), knn(clustered(0), 3), 4).shape == (0, 4)
    with pytest.raises(ValueError, match="labels row 2 is 3, expected -1 to 2"):
        neighbor_agreement(np.array([0, 1, 3, 0]), GRAPH, 3)
    with pytest.raises(ValueError, match="do not match"):
        neighbor_agreement(np.array([0, 1]), GRAPH, 3)


def test_uniqueness_is_fiftyone_s():
    # fiftyone.brain.internal.core.uniqueness._compute_uniqueness (FiftyOne 1.22.1) on these rows,
    # with its k = 3 from sklearn's NearestNeighbors(metric="cosine").
    embeddings = np.random.default_rng(5).normal(size=(12, 4)).round(2)
    theirs = [0.90585198, 1.0, 0.89881504, 0.33630128, 0.71781128, 0.39115825]
    theirs += [0.45232432, 0.88246465, 0.65420268, 0.7623612, 0.50306089, 0.54260875]
    np.testing.assert_allclose(coverage.uniqueness(knn(embeddings, 3)), theirs, rtol=1e-5)
    np.testing.assert_allclose(coverage.uniqueness(knn(embeddings, 10)), theirs, rtol=1e-5)
    # As FiftyOne: no more rows than neighbours asked for, so all are unique.
    assert coverage.uniqueness(knn(embeddings[:3], 3)).tolist() == [1, 1, 1]


def test_uniqueness_of_equal_rows_is_zero_and_weights_are_checked():
    same = knn(np.ones((9, 2), dtype=np.float32), 3)
    assert (coverage.uniqueness(same) == 0).all()
    assert coverage.uniqueness(knn(clustered(0), 3)).shape == (0,)
    with pytest.raises(ValueError, match="3 neighbors a row for 4 weights"):
        coverage.uniqueness(same, weights=[1, 1, 1, 1])
    with pytest.raises(ValueError, match="weights are"):
        coverage.uniqueness(same, weights=[1, -1])


def test_the_middle_of_a_crowd_represents_more_than_an_outlier():
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(400, 2))
    embeddings[0], embeddings[1] = 0, 9
    score = coverage.representativeness(knn(embeddings, 10, metric="euclidean"))
    assert score[1] == 0
    assert score[0] > 0.4
    assert ((score >= 0) & (score < 1)).all()
    np.testing.assert_allclose((score / (1 - score)).mean(), 1, rtol=1e-5)


def test_centrality_is_one_at_the_centre_and_zero_at_the_edge():
    embeddings = np.array([[0, 0], [1, 0], [-1, 0], [9, 9]], dtype=np.float32)
    assert coverage.centrality(embeddings, clusters=2).tolist() == [1, 0, 0, 1]
    assert coverage.centrality(embeddings[:0]).shape == (0,)
