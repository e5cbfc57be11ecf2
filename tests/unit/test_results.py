import copy
import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml_backend.labelstudio.regions.results import decode, digest, encode, encode_choices
from ml_backend.outlines import Outlines
from tests.unit.regions import BOX, MANY, MASK, ONE, POINT, POLYGON, SPAN, box, region

CONTROLS = (BOX, POLYGON, MASK, POINT, ONE, MANY, SPAN)
TRIANGLE = {"points": [[10, 10], [50, 10], [50, 60]], "closed": True}
#: 4 x 2 pixels, the left half of them drawn, in the editor's bytes.
RLE = [0, 0, 0, 32, 57, 27, 252, 255, 243, 128, 79, 255, 56, 0]


def floats(*numbers):
    return np.array(numbers, dtype=np.float32)


def labels(*numbers):
    return np.array(numbers, dtype=np.int32)


def test_decodes_one_controls_regions_only():
    choice = region(ONE, "y")
    table = decode(BOX, [[box()], [choice, box("b"), box("unknown")]])
    np.testing.assert_array_equal(table.annotation, [0, 1, 1])
    np.testing.assert_array_equal(table.item, [0, 1, 2])
    np.testing.assert_array_equal(table.label, [0, 1, -1])
    np.testing.assert_array_equal(table.outline[0], [10, 20, 30, 40, 0])
    assert decode(ONE, [[choice]]).label.tolist() == [1]


def test_every_kind_of_region_is_read():
    polygon = decode(POLYGON, [[region(POLYGON, value=TRIANGLE)]])
    np.testing.assert_array_equal(polygon.outline[0], [10, 10, 50, 10, 50, 60])
    point = decode(POINT, [[region(POINT, value={"x": 1, "y": 2, "width": 0.5})]])
    np.testing.assert_array_equal(point.outline[0], [1, 2, 0])
    span = decode(SPAN, [[region(SPAN, value={"start": 3, "end": 7, "text": "abcd"})]])
    np.testing.assert_array_equal(span.outline[0], [3, 7])
    assert len(decode(ONE, [[region(ONE)]]).outline[0]) == 0


def test_several_choices_are_several_rows_of_one_region():
    table = decode(MANY, [[region(MANY, ["y", "x", "y", "z"])]])
    assert table.label.tolist() == [1, 0, -1]
    assert table.item.tolist() == [0, 0, 0]
    # Where choices exclude each other a foreign tool's second one is not counted.
    assert decode(ONE, [[region(ONE, ["y", "x"])]]).label.tolist() == [1]


@pytest.mark.parametrize("control", [BOX, POINT, SPAN], ids=lambda control: control.name)
def test_a_region_with_several_labels_stands_but_is_of_no_one_class(control):
    place = {"x": 1, "y": 2, "width": 3, "height": 4, "rotation": 0, "start": 1, "end": 2}
    table = decode(control, [[region(control, ["a", "b"], place), region(control, ["b"], place)]])
    assert table.label.tolist() == [-1, 1]


def test_take_keeps_the_outlines_beside_their_rows():
    table = decode(BOX, [[box(), box("b", x=50.0)]]).take(np.array([False, True]))
    assert (len(table), table.label.tolist(), table.outline[0][0]) == (1, [1], 50)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_no_regions_give_empty_columns(control):
    table = decode(control, [[], []])
    assert len(table) == len(table.outline) == 0


def broken():
    """Regions that lack what they need, of every kind."""
    for bad in ("1", None, math.nan, math.inf, 10**400, [1], True, 1e12):
        yield BOX, box(x=bad)
        yield BOX, box(width=bad)
        yield POINT, region(POINT, value={"x": 1, "y": bad})
    for bad in ("1", None, math.nan, math.inf, 10**400, -(2**63), [1], 1e12):
        yield POLYGON, region(POLYGON, value={"points": [[1, 2], [3, 4], [5, bad]]})
    for bad in ("1", None, math.nan, math.inf, 10**400, [1], True, 1e12, 2.5, 1):
        yield SPAN, region(SPAN, value={"start": 1, "end": bad})
    yield SPAN, region(SPAN, value={"start": -1, "end": 4})
    yield BOX, box(width=-1)
    yield BOX, box(rotation="90")
    yield BOX, box() | {"value": None}
    yield BOX, box() | {"value": {"rectanglelabels": []}}
    for label in ("", 1, ["a"], None):
        yield BOX, box([label])
    yield BOX, box() | {"value": box()["value"] | {"rectanglelabels": "a"}}
    for points in (
        None,
        "abc",
        [[1, 2], [3, 4]],
        [1, 2, 3],
        [[1, 2], [3, 4], [5]],
        [[0, 0]] * 10001,
    ):
        yield POLYGON, region(POLYGON, value={"points": points})
    for rle in (None, [], "abc", 7, [256], [-1], ["1"], [1.5], RLE[:-4], RLE[::-1], {"0": 1}):
        yield MASK, region(MASK, value={"rle": rle}, original_width=4, original_height=2)
    for size in ((None, None), (2, 2), (-4, -2), (4.5, 2), ("4", "2"), (20000, 20000), (0, 0)):
        width, height = size
        yield MASK, region(MASK, value={"rle": RLE}, original_width=width, original_height=height)
    for item in (None, "text", 1, []):
        yield BOX, item


@pytest.mark.parametrize(("control", "item"), list(broken()))
def test_regions_that_cannot_be_scored_are_left_out(control, item):
    whole = {
        "box": box(),
        "polygon": region(POLYGON, value=TRIANGLE),
        "mask": region(MASK, value={"rle": RLE}, original_width=4, original_height=2),
        "point": region(POINT, value={"x": 1, "y": 2}),
        "span": region(SPAN, value={"start": 1, "end": 2}),
    }[control.geometry]
    table = decode(control, [[item, whole]])
    assert table.item.tolist() == [1]
    assert len(digest([[item, whole]])) == 12


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("xy"), inner, max_size=2)
    ),
    max_leaves=8,
)
FIELDS = ("x", "y", "width", "height", "rotation", "points", "rle", "start", "end", "text")


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CONTROLS), st.data())
def test_nothing_in_a_region_raises(control, data):
    value = data.draw(st.dictionaries(st.sampled_from(FIELDS), json_values))
    keys = ("original_width", "original_height", "id", "parentID", "type")
    item = region(control, value=value)
    item |= data.draw(st.dictionaries(st.sampled_from(keys), json_values))
    item["value"] |= data.draw(st.sampled_from([{}, {control.kind: [[]]}, {control.kind: None}]))
    table = decode(control, [[item, item]])
    assert len(table) in (0, 2)
    assert np.isfinite(table.outline.values).all()
    assert digest([[item]]) == digest([[copy.deepcopy(item)]])


def test_a_region_nested_without_end_is_read():
    deep: object = 1
    for _ in range(600):
        deep = [deep]
    item = box() | {"value": box()["value"] | {"more": deep}, "type": deep, "from_name": deep}
    assert len(decode(BOX, [[item]])) == 0
    assert len(digest([[item]])) == 12


def outlines(control):
    """Two regions of a control tag, on an image of 200 x 100 pixels."""
    return {
        "box": Outlines.of_rows([[1, 2, 30, 40, 0], [50, 50, 20, 10, 30]]),
        "polygon": Outlines.of_rows([[1, 2, 30, 2, 30, 40], [5, 5, 9, 5, 9, 9, 5, 9]]),
        "mask": Outlines.of_rows([[100, 200, 3, 9, 103, 109], [100, 200, 0, 1]]),
        "point": Outlines.of_rows([[1, 2, 0], [30, 40, 0]]),
        "span": Outlines.of_rows([[0, 4], [2, 9]]),
    }[control.geometry]


REGIONS = (BOX, POLYGON, MASK, POINT, SPAN)


@pytest.mark.parametrize("control", REGIONS, ids=lambda control: control.name)
def test_regions_are_written_as_label_studio_keeps_them(control):
    result = encode(control, labels(1, 0), floats(0.5, 0.9), outlines(control), (200, 100))
    assert [item["value"][control.kind] for item in result] == [["b"], ["a"]]
    assert [item["score"] for item in result] == [0.5, 0.9]
    assert {item["type"] for item in result} == {control.kind}
    assert len({item["id"] for item in result}) == 2
    for item in result:
        if control is SPAN:
            assert "original_width" not in item
        else:
            assert (item["original_width"], item["original_height"]) == (200, 100)
            assert item["image_rotation"] == 0
    again = encode(control, labels(1, 0), floats(0.5, 0.9), outlines(control), (200, 100))
    assert json.dumps(again) == json.dumps(result)
    assert decode(control, [result]).label.tolist() == [1, 0]


def test_each_kind_has_the_keys_that_the_editor_needs():
    boxes, polygons, masks, points, spans = (
        [
            item["value"]
            for item in encode(control, labels(0, 0), floats(1, 1), outlines(control), (200, 100))
        ]
        for control in REGIONS
    )
    expected = {"x": 0.5, "y": 2, "width": 15, "height": 40, "rotation": 0}
    assert boxes[0] == expected | {"rectanglelabels": ["a"]}
    assert boxes[1]["rotation"] == 30
    assert polygons[0]["points"] == [[0.5, 2], [15, 2], [15, 40]]
    assert polygons[0]["closed"] is True
    assert masks[0]["format"] == "rle"
    assert all(0 <= byte < 256 for byte in masks[0]["rle"])
    assert points[0] == {"x": 0.5, "y": 2, "width": 0.5, "keypointlabels": ["a"]}
    assert spans[1] == {"start": 2, "end": 9, "labels": ["a"]}


def test_a_span_is_written_with_its_words():
    outline = Outlines.of_rows([[0, 1], [1, 3], [2, 99], [7, 9]])
    result = encode(SPAN, labels(0, 0, 0, 0), floats(1, 1, 1, 1), outline, (0, 0), "🎉 héy")
    # Characters are code points, as the editor counts them: the first is one, not two.
    assert [item["value"]["text"] for item in result] == ["🎉", " h", "héy"]
    assert result[2]["value"]["end"] == 5


def test_choices_are_one_region():
    (item,) = encode_choices(MANY, [1, 0], 0.25)
    assert item["value"] == {"choices": ["y", "x"]}
    assert item["score"] == 0.25
    assert encode_choices(MANY, [], 0.25) == []
    assert decode(MANY, [encode_choices(MANY, [1, 0], 0.25)]).label.tolist() == [1, 0]


def test_equal_regions_have_ids_of_their_own():
    outline = Outlines.of_rows([[1, 2, 3, 4, 0]] * 3)
    result = encode(BOX, labels(0, 0, 0), floats(1, 1, 1), outline, (9, 9))
    assert len({item["id"] for item in result}) == 3


def test_digest_ignores_order_ids_and_last_digits():
    first, second = box(), box("b", x=55.123456)
    moved = [box("b", x=55.1234561) | {"id": "other", "origin": "manual"}, first]
    assert digest([[first, second]]) == digest([moved])


@pytest.mark.parametrize("changed", [box("b"), box(x=10.5), box(rotation=5)])
def test_digest_sees_what_a_person_changes(changed):
    assert digest([[box()]]) != digest([[changed]])


def test_digest_of_boxes_and_choices_is_that_of_earlier_versions():
    # What reviewers have confirmed stays confirmed after an update.
    assert digest([[box(), region(ONE, "y")]]) == "10cde2d2866c"


def test_digest_tells_nothing_from_an_empty_label():
    assert digest([[]]) != digest([[box()]])


def test_digest_ignores_what_the_editor_adds_when_it_saves():
    span = {"start": 1, "end": 3}
    assert digest([[region(SPAN, value=span)]]) == digest(
        [[region(SPAN, value=span | {"text": "bc"})]]
    )
    bare = box()
    del bare["value"]["rotation"]
    assert digest([[bare]]) == digest([[box()]])
    open_ended = {"points": TRIANGLE["points"]}
    assert digest([[region(POLYGON, value=open_ended)]]) == digest(
        [[region(POLYGON, value=TRIANGLE)]]
    )


def test_digest_of_spans_and_polygons_sees_changes():
    for control, value, other in (
        (SPAN, {"start": 1, "end": 3}, {"start": 1, "end": 4}),
        (POLYGON, TRIANGLE, {"points": [[10, 10], [50, 10], [50, 61]]}),
        (POINT, {"x": 1, "y": 2}, {"x": 1, "y": 2.5}),
    ):
        assert digest([[region(control, value=value)]]) != digest([[region(control, value=other)]])
