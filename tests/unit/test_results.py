import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.results import (
    box_value,
    decode,
    digest,
    encode_boxes,
    encode_choice,
    pixel_boxes,
)

BOXES = parse_config(
    '<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">'
    '<Label value="a"/><Label value="b"/></RectangleLabels>'
    '<Choices name="c" toName="image"><Choice value="x"/><Choice value="y"/></Choices></View>'
).controls
LABEL, CHOICE = BOXES


def region(label="a", **value):
    box = {"x": 10.0, "y": 20.0, "width": 30.0, "height": 40.0, "rotation": 0} | value
    return {
        "id": "r1",
        "from_name": "label",
        "to_name": "image",
        "type": "rectanglelabels",
        "value": box | {"rectanglelabels": [label]},
    }


def test_decodes_one_controls_regions_only():
    choice = {"from_name": "c", "type": "choices", "value": {"choices": ["y"]}}
    table = decode(LABEL, [[region()], [choice, region("b"), region("unknown")]])
    np.testing.assert_array_equal(table.annotation, [0, 1, 1])
    np.testing.assert_array_equal(table.label, [0, 1, -1])
    np.testing.assert_array_equal(table.box[0], [10, 20, 30, 40])
    assert decode(CHOICE, [[choice]]).label.tolist() == [1]


@pytest.mark.parametrize(
    "broken",
    [
        {"from_name": "label"},
        {"from_name": "label", "value": None},
        {"from_name": "label", "value": {"rectanglelabels": []}},
        {"from_name": "label", "value": {"rectanglelabels": ["a"], "x": "1"}},
        {"from_name": "label", "value": region()["value"] | {"rectanglelabels": "a"}},
        {"from_name": "label", "value": region()["value"] | {"rectanglelabels": [["a"]]}},
    ],
)
def test_regions_that_cannot_be_scored_are_left_out(broken):
    assert len(decode(LABEL, [[broken, region()]])) == 1


def test_no_regions_give_empty_columns():
    table = decode(LABEL, [])
    assert len(table) == 0
    assert table.box.shape == (0, 4)
    assert pixel_boxes(table.box, table.angle, np.empty((0, 2), dtype=np.int32)).shape == (0, 4)


def test_rotation_is_about_the_top_left_corner():
    # 40 x 20 pixels, a quarter turn clockwise about (50, 50): 20 to the left, 40 down.
    box = pixel_boxes(
        np.array([[50.0, 50.0, 40.0, 20.0]]), np.array([90.0]), np.array([[100, 100]])
    )
    np.testing.assert_allclose(box, [[30, 50, 50, 90]], atol=1e-4)


sides = st.integers(1, 4096)
shares = st.floats(0, 1, allow_nan=False)


@given(sides, sides, shares, shares, shares, shares)
def test_pixels_survive_the_way_through_percent(width, height, a, b, c, d):
    x0, x1 = sorted((a * width, b * width))
    y0, y1 = sorted((c * height, d * height))
    box = np.array([x0, y0, x1, y1], dtype=np.float32)
    value = box_value(box, (width, height))
    percent = np.array([[value["x"], value["y"], value["width"], value["height"]]])
    back = pixel_boxes(percent, np.zeros(1), np.array([[width, height]]))
    np.testing.assert_allclose(back[0], box, atol=0.1)


def test_encoded_regions_decode_to_the_same():
    box = np.array([[1, 2, 30, 40], [5, 5, 100, 50]], dtype=np.float32)
    label = np.array([1, 0], dtype=np.int32)
    result = encode_boxes(LABEL, label, box, np.array([0.5, 0.9], dtype=np.float32), (200, 100))
    table = decode(LABEL, [result])
    np.testing.assert_array_equal(table.label, label)
    pixels = pixel_boxes(table.box, table.angle, np.array([[200, 100]] * 2))
    np.testing.assert_allclose(pixels, box, atol=0.01)
    assert result[0]["original_width"] == 200
    assert decode(CHOICE, [encode_choice(CHOICE, 1, 0.9)]).label.tolist() == [1]


def test_the_same_prediction_is_the_same_to_the_letter():
    def once():
        return encode_boxes(
            LABEL,
            np.array([0], dtype=np.int32),
            np.array([[1, 2, 3, 4]], dtype=np.float32),
            np.array([0.5], dtype=np.float32),
            (9, 9),
        )

    assert once() == once()


def test_digest_ignores_order_ids_and_last_digits():
    first, second = region(), region("b", x=55.123456)
    moved = [region("b", x=55.1234561) | {"id": "other", "origin": "manual"}, first]
    assert digest([[first, second]]) == digest([moved])


@pytest.mark.parametrize("changed", [region("b"), region(x=10.5), region(rotation=5)])
def test_digest_sees_what_a_person_changes(changed):
    assert digest([[region()]]) != digest([[changed]])


def test_digest_tells_nothing_from_an_empty_label():
    assert digest([[]]) != digest([[region()]])
