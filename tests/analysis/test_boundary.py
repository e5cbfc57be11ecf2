import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from analysis import boundary
from analysis.geometry.matching import Pairs
from analysis.geometry.shapes import Masks, Polygons
from analysis.regions import Regions

Y, X = np.mgrid[:48, :64]
ROUND = (X - 30) ** 2 + (Y - 24) ** 2 < 18**2
SQUASHED = (X - 33) ** 2 + ((Y - 22) * 1.2) ** 2 < 18**2
LEFT = X < 40


def every_pair(count):
    first, second = np.mgrid[:count, :count]
    return Pairs(first.ravel(), second.ravel(), np.ones(count**2, dtype=np.float32))


@pytest.mark.parametrize(
    ("ratio", "wanted"),
    [
        (0.02, [0.125, 0.023890784982935155, 0.02127659574468085]),
        (0.05, [0.31843575418994413, 0.04797047970479705, 0.0421455938697318]),
    ],
)
def test_boundary_iou_is_that_of_its_authors(ratio, wanted):
    # mask_to_boundary of bowenc0221/boundary-iou-api, run with OpenCV 4 on the same images.
    masks = Masks.from_dense([ROUND, SQUASHED, LEFT])
    found = boundary.boundary_iou(masks, masks, every_pair(3), ratio=ratio).reshape(3, 3)
    np.testing.assert_allclose(found[[0, 0, 1], [1, 2, 2]], wanted, rtol=1e-6)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(found.diagonal(), 1)


@settings(deadline=None)
@given(
    st.lists(arrays(bool, (6, 7), elements=st.sampled_from([True, True, True, False])), max_size=4),
    st.integers(0, 4),
)
def test_erosion_is_scipys(images, distance):
    eroded = boundary.erode(Masks.from_dense(images), np.full(len(images), distance))
    square = np.ones((2 * distance + 1,) * 2)
    for row, image in enumerate(images):
        wanted = ndimage.binary_erosion(image, square)
        np.testing.assert_array_equal(eroded.dense(row), wanted)


def test_each_mask_is_eroded_by_its_own_distance_in_blocks(monkeypatch):
    monkeypatch.setattr(boundary, "_BLOCK", 5)
    images = [np.ones((5, 7)), np.zeros((2, 2)), ROUND, np.ones((9, 3))]
    eroded = boundary.erode(Masks.from_dense(images), np.array([1, 3, 0, 9]))
    assert eroded.area().tolist() == [15, 0, ROUND.sum(), 0]
    assert eroded.size.tolist() == [[5, 7], [2, 2], [48, 64], [9, 3]]


def test_polygons_need_the_size_of_their_image():
    square = Polygons.from_lists([[[10, 10], [30, 10], [30, 30], [10, 30]]])
    wide = Polygons.from_lists([[[10, 10], [32, 10], [32, 30], [10, 30]]])
    masks = Masks.from_dense([(X >= 10) & (X < 32) & (Y >= 10) & (Y < 30)])
    exact = boundary.boundary_iou(square, wide, every_pair(1), size=np.array([48, 64]))
    assert 0 < exact[0] < 20 / 22
    for first, second in ((square, masks), (masks, square)):
        np.testing.assert_array_equal(boundary.boundary_iou(first, second, every_pair(1)), exact)
    with pytest.raises(ValueError, match="size is None"):
        boundary.boundary_iou(square, wide, every_pair(1))
    with pytest.raises(ValueError, match=r"size row 0 is \[0, 64\]"):
        boundary.boundary_iou(square, wide, every_pair(1), size=np.array([0, 64]))
    with pytest.raises(ValueError, match="ratio is 0"):
        boundary.boundary_iou(square, wide, every_pair(1), size=np.array([48, 64]), ratio=0)


def table(images, labels, score=None):
    shape = Masks.from_dense(images)
    return Regions.from_shapes(np.zeros(len(images)), np.array(labels), shape, score)


def test_a_loose_outline_scores_more_than_a_tight_one():
    people = table([ROUND, SQUASHED, LEFT], [0, 1, -1])
    model = table([ROUND, ROUND, LEFT], [0, 1, 2], np.array([0.9, 0.8, 1]))
    score = boundary.boundary_scores(people, model, ratio=0.05, usual=0.8)
    # Tight; boundary IoU of 0.318 short of 0.8; of a class that the model does not know.
    assert score.tolist() == pytest.approx([0, 0.8 * (1 - 0.31843575418994413 / 0.8), 0])


def test_the_usual_boundary_is_learnt_from_the_pairs():
    people = table([SQUASHED], [0])
    model = table([ROUND, LEFT], [0, 0], np.array([0.5, 0.1]))
    usual = (0.31843575418994413 + 10 * 0.7) / 11
    score = boundary.boundary_scores(people, model, ratio=0.05)
    assert score.tolist() == pytest.approx([0.5 * (1 - 0.31843575418994413 / usual)])


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_scores_rise_with_confidence(one, other):
    low, high = sorted([one, other])
    people, scores = table([SQUASHED], [0]), []
    for confidence in (low, high):
        model = table([ROUND], [0], np.array([confidence]))
        scores.append(float(boundary.boundary_scores(people, model, usual=0.9)[0]))
    assert 0 <= scores[0] <= scores[1] <= 1


def test_nothing_and_what_is_missing():
    model = table([ROUND], [0], np.array([0.9]))
    assert boundary.boundary_scores(table([], []), model).shape == (0,)
    assert boundary.boundary_scores(model, table([], [], np.empty(0))).tolist() == [0]
    with pytest.raises(ValueError, match=r"predictions\.score is None"):
        boundary.boundary_scores(model, table([ROUND], [0]))
    plain = Regions(np.zeros(1), np.zeros(1), np.array([[0, 0, 1, 1]]))
    with pytest.raises(ValueError, match="shape is None"):
        boundary.boundary_scores(plain, model)
