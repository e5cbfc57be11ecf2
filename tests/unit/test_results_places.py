"""Per cent and pixels, both ways, beside label-studio-sdk's converters."""

import io

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given
from hypothesis import strategies as st
from label_studio_sdk.converter.converter import Converter
from label_studio_sdk.converter.utils import (
    convert_annotation_to_yolo_obb,
    convert_yolo_obb_to_annotation,
)
from PIL import Image

from analysis.geometry.polygons import Polygons
from ml_backend.labelstudio.files.media import decode_image
from ml_backend.labelstudio.regions.results import decode, encode
from ml_backend.labelstudio.regions.units import to_percent, to_pixels
from ml_backend.outlines import Outlines, boxes, shapes
from tests.unit.regions import BOX, POINT, POLYGON, SPAN, box, region

WIDTH, HEIGHT = 3840, 2160
UHD = np.array([[WIDTH, HEIGHT]], dtype=np.int32)

shares = st.floats(0, 1)
percents = st.floats(0, 100)
angles = st.floats(0, 360, exclude_max=True)
corners = st.lists(st.tuples(shares, shares), min_size=3, max_size=12)


def one(control, row, size=(WIDTH, HEIGHT)):
    return encode(
        control,
        np.zeros(1, dtype=np.int32),
        np.ones(1, dtype=np.float32),
        Outlines.of_rows([row]),
        size,
    )


def pixels(control, result, size=UHD):
    table = decode(control, [result])
    return to_pixels(control.geometry, table.outline, np.repeat(size, len(table), axis=0))


@given(shares, shares, shares, shares)
def test_boxes_survive_the_way_through_per_cent(a, b, c, d):
    x0, x1 = sorted((a * WIDTH, b * WIDTH))
    y0, y1 = sorted((c * HEIGHT, d * HEIGHT))
    assume(x1 - x0 > 0.01 and y1 - y0 > 0.01)
    row = [x0, y0, x1 - x0, y1 - y0, 0]
    back = pixels(BOX, one(BOX, row))
    np.testing.assert_allclose(back[0], row, atol=0.1)
    np.testing.assert_allclose(boxes("box", back)[0], [x0, y0, x1, y1], atol=0.1)
    assert shapes("box", back) is None


@example(0.0, 1.0, 0.001, 1.0, 0.001)
@given(shares, shares, st.floats(0.001, 1), st.floats(0.001, 1), angles)
def test_turned_boxes_survive_the_way_through_per_cent(x, y, width, height, angle):
    row = [x * WIDTH, y * HEIGHT, width * WIDTH, height * HEIGHT, angle]
    assume(round(angle, 4) % 360)
    (item,) = one(BOX, row)
    back = pixels(BOX, [item])
    before = Polygons.from_rotated(np.array([row])).xy
    after = shapes("box", back).xy
    np.testing.assert_allclose(after, before, atol=0.1)
    # The SDK's own corners, from our JSON.
    theirs = convert_annotation_to_yolo_obb(item["value"] | item, normalize=False)
    np.testing.assert_allclose(after, theirs, atol=0.1)
    hull = [*before.min(axis=0), *before.max(axis=0)]
    np.testing.assert_allclose(boxes("box", back)[0], hull, atol=0.1)
    # And our corners through the SDK into Label Studio's numbers.
    value = convert_yolo_obb_to_annotation(after.ravel(), WIDTH, HEIGHT)
    again = pixels(
        BOX, [box(**{key: value[key] for key in ("x", "y", "width", "height", "rotation")})]
    )
    # The SDK rounds what is hardly turned to a box that is not, so corners are compared.
    np.testing.assert_allclose(Polygons.from_rotated(again.table(5)).xy, before, atol=0.1)


@given(percents, percents, st.floats(1, 100), st.floats(1, 100), st.floats(1, 89))
def test_hulls_are_those_of_the_sdks_export(x, y, width, height, angle):
    # The SDK turns boxes in per cent, which is right on a square image alone.
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": angle}
    left, top, across, down = Converter.rotated_rectangle(value)
    hull = boxes("box", pixels(BOX, [box(**value)], np.array([[100, 100]], dtype=np.int32)))[0]
    np.testing.assert_allclose(hull, [left, top, left + across, top + down], atol=1e-3)


def test_rotation_is_about_the_top_left_corner():
    # 40 x 20 pixels, a quarter turn clockwise about (50, 50): 20 to the left, 40 down.
    outline = Outlines.of_rows([[50, 50, 40, 20, 90], [1, 2, 3, 4, 360]])
    np.testing.assert_allclose(boxes("box", outline), [[30, 50, 50, 90], [1, 2, 4, 6]], atol=1e-4)


@given(corners)
def test_polygons_survive_the_way_through_per_cent(points):
    xy = np.array(points) * [WIDTH, HEIGHT]
    assume(np.ptp(xy, axis=0).min() > 0.01)
    back = pixels(POLYGON, one(POLYGON, xy.ravel()))
    np.testing.assert_allclose(back[0].reshape(-1, 2), xy, atol=0.1)
    np.testing.assert_allclose(boxes("polygon", back)[0], [*xy.min(0), *xy.max(0)], atol=0.1)
    assert len(shapes("polygon", back).xy) == len(xy)


@given(shares, shares)
def test_points_survive_the_way_through_per_cent(x, y):
    back = pixels(POINT, one(POINT, [x * WIDTH, y * HEIGHT, 0]))
    np.testing.assert_allclose(back[0], [x * WIDTH, y * HEIGHT, 0], atol=0.1)
    np.testing.assert_array_equal(boxes("point", back)[0, :2], boxes("point", back)[0, 2:])
    assert shapes("point", back) is None


@given(
    st.lists(percents, min_size=4, max_size=4), angles, st.integers(1, 9000), st.integers(1, 9000)
)
def test_per_cent_survives_the_way_through_pixels(sides, angle, width, height):
    size = np.array([[width, height]], dtype=np.int32)
    for geometry, row in (
        ("box", [*sides, angle]),
        ("polygon", [*sides, 1, 2]),
        ("point", [*sides[:2], 7]),
        ("span", [3, 9]),
        ("choice", []),
    ):
        there = to_pixels(geometry, Outlines.of_rows([row]), size)
        back = to_percent(geometry, there, size)
        np.testing.assert_allclose(back[0], row, atol=1e-9)


def test_each_region_is_scaled_by_its_own_image():
    outline = Outlines.of_rows([[0, 0, 50, 0, 50, 100], [], [100, 100, 0, 100, 0, 0, 10, 0]])
    size = np.array([[200, 100], [7, 7], [10, 20]], dtype=np.int32)
    scaled = to_pixels("polygon", outline, size)
    np.testing.assert_array_equal(scaled[0], [0, 0, 100, 0, 100, 100])
    np.testing.assert_array_equal(scaled[2], [10, 20, 0, 20, 0, 0, 1, 0])


def test_spans_and_choices_have_no_box():
    for geometry, row in (("span", [3, 9]), ("choice", [])):
        outline = Outlines.of_rows([row])
        np.testing.assert_array_equal(boxes(geometry, outline), [[0, 0, 0, 0]])
        assert shapes(geometry, outline) is None


def test_regions_are_kept_inside_the_image():
    (item,) = one(BOX, [-10, 50, 40, 100, 0], (200, 100))
    value = item["value"]
    assert [value[key] for key in ("x", "y", "width", "height")] == [0, 50, 15, 50]
    (item,) = one(POINT, [-5, 120, 0], (200, 100))
    assert (item["value"]["x"], item["value"]["y"]) == (0, 100)
    (item,) = one(BOX, [190, 90, 40, 20, 30], (200, 100))
    np.testing.assert_allclose(
        pixels(BOX, [item], np.array([[200, 100]]))[0], [190, 90, 40, 20, 30]
    )


@pytest.mark.parametrize("row", [[300, 10, 5, 5, 0], [10, 10, 0, 5, 0], [10, 10, 0, 5, 30]])
def test_boxes_without_a_part_inside_are_left_out(row):
    assert one(BOX, row, (200, 100)) == []


# Of places 1e-196 apart, shapely's own areas are wrong.
place = st.integers(-80 * 64, 180 * 64).map(lambda step: step / 64)
outside = st.lists(st.tuples(place, place), min_size=3, max_size=3)


@given(outside)
def test_polygons_are_cut_at_the_edges_of_the_image(points):
    whole = shapely.Polygon(points)
    assume(whole.is_valid and whole.area > 1)
    wanted = shapely.intersection(whole, shapely.box(0, 0, 100, 100))
    result = one(POLYGON, np.array(points).ravel(), (100, 100))
    if wanted.area > 0.01:
        drawn = shapely.Polygon(result[0]["value"]["points"])
        assert shapely.symmetric_difference(shapely.make_valid(drawn), wanted).area < 0.1
        assert shapely.box(-1e-3, -1e-3, 100.001, 100.001).contains(drawn)


def test_spans_keep_to_their_text():
    span = region(SPAN, value={"start": 3, "end": 7})
    assert pixels(SPAN, [span], np.zeros((1, 2), dtype=np.int32))[0].tolist() == [3, 7]


#: How a file's pixels are turned so that its EXIF orientation makes them upright again.
UNTURN = {
    **{2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180},
    **{4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE},
    **{6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270},
}


@pytest.mark.parametrize("orientation", range(1, 9))
@given(st.integers(0, 30), st.integers(0, 20), st.integers(1, 20), st.integers(1, 12))
def test_regions_lie_on_the_upright_image(orientation, x, y, width, height):
    upright = np.zeros((40, 60, 3), dtype=np.uint8)
    upright[y : y + height, x : x + width] = 255
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(UNTURN[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, "PNG", exif=exif)
    image = decode_image(file.getvalue(), 1)
    size = (image.shape[1], image.shape[0])
    assert size == (60, 40)
    value = {"x": x / 0.6, "y": y / 0.4, "width": width / 0.6, "height": height / 0.4}
    hull = boxes("box", pixels(BOX, [box(**value)], np.array([size], dtype=np.int32)))[0]
    x0, y0, x1, y1 = hull.round().astype(int)
    np.testing.assert_allclose(hull, [x, y, x + width, y + height], atol=0.01)
    assert image[y0:y1, x0:x1].all()
    assert image.astype(bool).sum() == width * height * 3
