import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.geometry import masks as masks_module
from analysis.geometry.masks import Masks, common_area

A, B, C = (np.zeros((6, 8), dtype=bool) for _ in range(3))
A[1:4, 1:5] = True
B[2:6, 3:8] = True
B[4, 5] = False
C[:, :3] = True
C[0, 7] = True

images = st.lists(arrays(bool, (5, 4)), min_size=1, max_size=6)


def every_pair(count):
    first, second = np.mgrid[:count, :count]
    return first.ravel(), second.ravel()


def test_areas_and_boxes_are_pycocotools():
    # pycocotools.mask.area and toBbox (as x y w h) of the three images.
    masks = Masks.from_dense([A, B, C])
    assert masks.area().tolist() == [12, 19, 19]
    assert masks.boxes().tolist() == [[1, 1, 5, 4], [3, 2, 8, 6], [0, 0, 8, 6]]


def test_shared_pixels_by_hand():
    masks = Masks.from_dense([A, B, C])
    first, second = every_pair(3)
    assert common_area(masks, masks, first, second).reshape(3, 3).tolist() == [
        [12, 4, 6],
        [4, 19, 0],
        [6, 0, 19],
    ]


def test_counts_are_read_down_the_columns():
    masks = Masks.from_counts(
        [[7, 3, 3, 3, 3, 3, 3, 3, 20], [0, 18, 24, 1, 5], [48], [0, 48], [3, 0, 2, 1, 0, 2, 40]],
        np.tile([6, 8], (5, 1)),
    )
    np.testing.assert_array_equal(masks.dense(0), A)
    np.testing.assert_array_equal(masks.dense(1), C)
    assert masks.area().tolist() == [12, 19, 0, 48, 3]
    assert np.diff(masks.offsets).tolist() == [4, 2, 0, 1, 1]


@settings(deadline=None)
@given(images)
def test_masks_do_what_images_do(given_images):
    masks = Masks.from_dense(given_images)
    dense = np.array(given_images)
    for row, image in enumerate(given_images):
        np.testing.assert_array_equal(masks.dense(row), image)
    np.testing.assert_array_equal(masks.area(), dense.sum(axis=(1, 2)))
    first, second = every_pair(len(dense))
    shared = (dense[first] & dense[second]).sum(axis=(1, 2))
    np.testing.assert_array_equal(common_area(masks, masks, first, second), shared)
    for box, image in zip(masks.boxes(), dense, strict=True):
        y, x = np.nonzero(image)
        wanted = [x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0, 0, 0, 0]
        assert box.tolist() == wanted


@settings(deadline=None)
@given(images, st.randoms(use_true_random=False))
def test_chosen_masks_stay_themselves(given_images, random):
    rows = np.array([random.randrange(len(given_images)) for _ in range(4)])
    chosen = Masks.from_dense(given_images).take(rows)
    for row, source in enumerate(rows.tolist()):
        np.testing.assert_array_equal(chosen.dense(row), given_images[source])


def test_blocks_change_nothing(monkeypatch):
    random = np.random.default_rng(0)
    masks = Masks.from_dense(random.random((20, 9, 7)) < 0.5)
    first, second = every_pair(20)
    whole = common_area(masks, masks, first, second)
    monkeypatch.setattr(masks_module, "_BLOCK", 10)
    np.testing.assert_array_equal(common_area(masks, masks, first, second), whole)


def test_no_masks_and_empty_ones():
    none = Masks.from_dense([])
    assert len(none) == 0
    assert none.boxes().shape == (0, 4)
    nowhere = np.empty(0, dtype=np.int64)
    assert len(common_area(none, none, nowhere, nowhere)) == 0
    empty = Masks.from_dense([np.zeros((4, 4))])
    zero = np.zeros(1, dtype=np.int64)
    assert common_area(empty, empty, zero, zero).tolist() == [0]
    assert len(Masks.from_counts([], np.empty((0, 2)))) == 0


def test_images_of_two_sizes_are_refused():
    first, second = Masks.from_dense([np.ones((2, 3))]), Masks.from_dense([np.ones((3, 2))])
    zero = np.zeros(1, dtype=np.int64)
    with pytest.raises(ValueError, match=r"masks 0 and 0 .* \[2, 3\] and \[3, 2\]"):
        common_area(first, second, zero, zero)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Masks.from_counts([[48], [47]], [[6, 8], [6, 8]]), "counts row 1 hold 47"),
        (lambda: Masks.from_counts([[50, -2]], [[6, 8]]), "counts row 0 .* none negative"),
        (lambda: Masks.from_counts([[4]], [[2, 2], [2, 2]]), "1 and 2 rows"),
        (lambda: Masks.from_dense([np.ones(3)]), "images row 0"),
        (lambda: Masks([0, 2], [[0, 2], [1, 4]], [[2, 2]]), "runs row 1 .region 0."),
        (lambda: Masks([0, 1], [[0, 5]], [[2, 2]]), "runs row 0 .region 0."),
        (lambda: Masks([0, 1, 1], [[0, 2]], [[2, 2]]), "size has 1 rows, expected 2"),
        (lambda: Masks([0, 2], [[0, 2]], [[2, 2]]), "offsets must run from 0 to 1"),
        (lambda: Masks([0, 2, 1], [[0, 1]], [[2, 2], [2, 2]]), "offsets row 1"),
    ],
)
def test_wrong_columns_are_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()
