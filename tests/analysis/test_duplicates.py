import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from analysis import duplicates
from analysis.findings import NONE
from analysis.neighbors import knn

TASKS = np.arange(100, 106)


def test_exact_and_near_duplicates():
    embeddings = np.random.default_rng(0).normal(size=(200, 8))
    embeddings[50] = embeddings[20]
    embeddings[60] = embeddings[20]
    embeddings[70] = embeddings[30] + 1e-3
    found = knn(embeddings, 5, metric="euclidean")
    exact = duplicates.groups(found)
    assert np.flatnonzero(exact == 20).tolist() == [20, 50, 60]
    assert exact[70] == 70
    near = duplicates.groups(found, within=duplicates.near(found))
    assert np.flatnonzero(near == 30).tolist() == [30, 70]
    assert len(np.unique(near)) == 197


def test_the_threshold_is_a_share_of_the_usual_distance_between_different_rows():
    embeddings = np.repeat([[0.0], [1.0], [2.0], [3.0]], 3, axis=0)
    embeddings = np.concatenate([embeddings, [[10.0], [11.0], [12.0]]])
    found = knn(embeddings, 2, metric="euclidean")
    assert duplicates.near(found) == pytest.approx(0.13)
    assert duplicates.near(found, 0.5) == pytest.approx(0.5)
    assert duplicates.near(knn(np.ones((4, 2)), 2)) == duplicates.SAME
    assert duplicates.near(knn(np.ones((1, 2)), 2)) == duplicates.SAME


def test_hashes_alone_or_with_neighbours():
    hashes = np.array([7, 8, 7, 9, 8, 7])
    assert duplicates.groups(hashes=hashes).tolist() == [0, 1, 0, 3, 1, 0]
    rows = np.array([[0.0], [1.0], [5.0], [1.0], [9.0], [7.0]])
    found = knn(rows, 2, metric="euclidean")
    assert duplicates.groups(found).tolist() == [0, 1, 2, 1, 4, 5]
    assert duplicates.groups(found, hashes=hashes).tolist() == [0, 1, 0, 1, 1, 0]


def test_more_equal_rows_than_neighbours_are_one_group():
    assert (duplicates.groups(knn(np.ones((500, 3)), 4)) == 0).all()


def test_the_minority_of_a_group_is_found():
    group = np.array([0, 0, 0, 3, 3, 5])
    found = duplicates.find(np.array([4, 2, 4, 1, 1, 0]), group, tasks=TASKS)
    assert len(found) == 1
    assert (found.task[0], found.kind[0], found.annotation[0]) == (101, "duplicate", 1)
    assert (found.prediction[0], found.label[0]) == (0, 4)
    assert found.score[0] == pytest.approx(2 / 3)


def test_of_two_with_two_labels_both_are_found_unless_the_model_takes_a_side():
    labels, group = np.array([0, 1]), np.array([0, 0])
    found = duplicates.find(labels, group, tasks=np.arange(2))
    assert found.annotation.tolist() == [0, 1]
    assert found.label.tolist() == [1, 0]
    assert found.score.tolist() == [0.5, 0.5]
    probs = np.array([[0.1, 0.9], [0.2, 0.8]], dtype=np.float32)
    found = duplicates.find(labels, group, tasks=np.arange(2), probs=probs)
    assert found.annotation.tolist() == [0]
    assert found.score[0] == pytest.approx(1.8 / 2.9)


def test_lists_are_read_as_arrays():
    assert duplicates.groups(hashes=[7, 8, 7]).tolist() == [0, 1, 0]
    found = duplicates.find([0, 1], [0, 0], tasks=[5, 6], probs=[[0.1, 0.9], [0.2, 0.8]])
    assert found.task.tolist() == [5]
    assert len(duplicates.find([], [], tasks=[])) == 0
    with pytest.raises(ValueError, match="labels are of type float64"):
        duplicates.find([0.5, 1], [0, 0], tasks=[5, 6])


def test_a_missing_label_has_no_vote_and_is_never_found():
    labels = np.array([NONE, NONE, 1, 1, 0, NONE])
    found = duplicates.find(labels, np.zeros(6, np.int64), tasks=TASKS)
    assert found.annotation.tolist() == [4]
    assert found.label.tolist() == [1]
    assert len(duplicates.find(np.full(6, NONE), np.zeros(6, np.int64), tasks=TASKS)) == 0


def test_nothing_and_bad_input():
    empty = np.empty(0, np.int64)
    assert len(duplicates.find(empty, empty, tasks=empty)) == 0
    assert duplicates.groups(knn(np.ones((0, 2)), 2)).shape == (0,)
    with pytest.raises(ValueError, match="needs neighbors or hashes"):
        duplicates.groups()
    with pytest.raises(ValueError, match="do not match"):
        duplicates.groups(knn(np.ones((3, 2)), 2), hashes=empty)
    with pytest.raises(ValueError, match="do not match"):
        duplicates.find(empty, np.zeros(2, np.int64), tasks=empty)
    with pytest.raises(ValueError, match="labels row 1 is -2"):
        duplicates.find(np.array([0, -2]), np.zeros(2, np.int64), tasks=np.arange(2))
    with pytest.raises(ValueError, match="labels row 1 is 2"):
        duplicates.find(
            np.array([0, 2]), np.zeros(2, np.int64), tasks=np.arange(2), probs=np.full((2, 2), 0.5)
        )


@settings(max_examples=100, deadline=None)
@given(
    hnp.arrays(np.int64, 20, elements=st.integers(-1, 3)),
    hnp.arrays(np.int64, 20, elements=st.integers(0, 4)),
    st.permutations(range(20)),
)
def test_found_is_what_counting_votes_gives_in_any_order_of_rows(labels, hashes, turn):
    group = duplicates.groups(hashes=hashes)
    found = duplicates.find(labels, group, tasks=np.arange(20))
    wanted = {}
    for row in np.flatnonzero(labels != NONE):
        votes = np.bincount(labels[(hashes == hashes[row]) & (labels != NONE)], minlength=4)
        own, votes[labels[row]] = votes[labels[row]], 0
        if votes.max() >= own:
            wanted[row] = votes.max() / (votes.max() + own), votes.argmax()
    got = dict(zip(found.annotation, zip(found.score, found.label, strict=True), strict=True))
    assert got.keys() == wanted.keys()
    for row, (score, label) in wanted.items():
        assert got[row] == (pytest.approx(score), label)
    turn = np.array(turn)
    moved = duplicates.find(labels[turn], duplicates.groups(hashes=hashes[turn]), tasks=turn)
    assert sorted(moved.task) == sorted(found.task)
