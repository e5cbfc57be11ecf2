"""What Ultralytics returns, as the numbers of a geometry."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.geometry.masks import Masks
from analysis.geometry.polygons import Polygons
from analysis.geometry.shapes import rasterise
from ml_backend.outlines import Outlines
from ml_backend.predictors.yolo_columns import Found, gather, turned
from ml_backend.predictors.yolo_masks import outline_numbers, run_numbers

FEW = st.floats(-20, 20)


@given(st.lists(st.tuples(FEW, FEW, st.floats(0.5, 30), st.floats(0.5, 30), FEW), min_size=1))
def test_a_turned_box_stays_where_it_is(rows):
    table = np.array(rows)
    said = turned(table)
    before = Polygons.from_xywhr(table).xy.reshape(-1, 4, 2)
    after = Polygons.from_rotated(said).xy.reshape(-1, 4, 2)
    apart = np.linalg.norm(before[:, :, None] - after[:, None], axis=-1)
    assert apart.min(axis=2).max() < 1e-3
    assert apart.min(axis=1).max() < 1e-3
    angle = said[:, 4]
    assert ((angle >= 0) & (angle < 360)).all()
    assert (np.cos(np.deg2rad(angle)) > 0.7071).all()


@pytest.mark.parametrize(
    ("xywhr", "box"),
    [
        ((50, 40, 20, 10, 0), (40, 35, 20, 10, 0)),
        ((50, 40, 20, 10, np.pi / 2), (45, 30, 10, 20, 0)),
        ((50, 40, 20, 10, -np.pi / 2), (45, 30, 10, 20, 0)),
        ((50, 40, 20, 10, np.pi), (40, 35, 20, 10, 0)),
        ((0, 0, 20, 10, np.pi / 6), (-6.16, -9.33, 20, 10, 30)),
        ((0, 0, 20, 10, -np.pi / 6), (-11.16, 0.67, 20, 10, 330)),
        ((0, 0, 20, 10, -1e-18), (-10, -5, 20, 10, 0)),
    ],
)
def test_a_turned_box_is_named_by_its_upper_left_corner(xywhr, box):
    np.testing.assert_allclose(turned(np.array([xywhr])), [box], atol=0.01)


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1)),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 2),
)
def test_runs_are_those_of_the_whole_image(inside, left, top, beyond):
    tall, wide = inside.shape
    whole = np.zeros((top + tall + beyond, left + wide + beyond), dtype=np.uint8)
    whole[top : top + tall, left : left + wide] = inside
    said = run_numbers(inside, (left, top), whole.shape)
    expected = Masks.from_dense([whole])
    np.testing.assert_array_equal(said[:2], whole.shape)
    np.testing.assert_array_equal(said[2:].reshape(-1, 2), expected.runs)


def test_an_outline_runs_along_the_edges_of_the_pixels():
    inside = np.ones((3, 5), dtype=np.uint8)
    ring = Polygons.from_lists([outline_numbers(inside, (10, 20), 0.5).reshape(-1, 2)])
    assert len(ring.xy) == 4
    np.testing.assert_array_equal(ring.boxes(), [[10, 20, 15, 23]])
    assert ring.area() == 15


@pytest.mark.parametrize("tolerance", [0.5, 3.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (7, 1), (2, 2)])
def test_a_sliver_has_an_outline(shape, tolerance):
    corners = outline_numbers(np.ones(shape, dtype=np.uint8), (0, 0), tolerance).reshape(-1, 2)
    assert Polygons.from_lists([corners]).area() > 0


def test_an_outline_takes_the_largest_part_and_loses_holes():
    canvas = np.zeros((80, 120), dtype=np.uint8)
    cv2.circle(canvas, (40, 40), 30, 1, -1)
    disk = canvas.copy()
    cv2.circle(canvas, (40, 40), 10, 0, -1)
    cv2.circle(canvas, (100, 20), 12, 1, -1)
    ring = Polygons.from_lists([outline_numbers(canvas, (0, 0), 0.5).reshape(-1, 2)])
    drawn = rasterise(ring, np.array([0]), np.array([canvas.shape])).dense(0)
    assert (drawn & disk.astype(bool)).sum() / (drawn | disk.astype(bool)).sum() > 0.98
    assert len(ring.xy) < 60


def found(label=(), score=(), probs=()) -> Found:
    return Found(
        np.array(label, dtype=np.int32),
        np.array(score, dtype=np.float32),
        Outlines.of_table(np.zeros((len(label), 5))),
        np.array(probs, dtype=np.float32),
    )


SIZE = np.array([[4, 3]], dtype=np.int32)


@pytest.mark.parametrize("label", [-1, 3])
def test_a_class_without_a_name_is_refused(label):
    with pytest.raises(ValueError, match="names 3 classes"):
        gather([found([label], [0.5])], SIZE, 3, "box")


def test_probabilities_must_fit_the_names_and_be_finite():
    with pytest.raises(ValueError, match="gives 2 probabilities but names 3"):
        gather([found(probs=[0.5, 0.5])], SIZE, 3, "choice")
    with pytest.raises(ValueError, match="not finite"):
        gather([found(probs=[0.5, np.nan])], SIZE, 2, "choice")
