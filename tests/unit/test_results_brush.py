"""Brush masks: our bytes beside those of label-studio-sdk, and bytes that are no mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from label_studio_sdk.converter import brush

from analysis.geometry.masks import Masks
from ml_backend.labelstudio.regions.brush import MAX_PIXELS, decode_rle, encode_rle
from ml_backend.labelstudio.regions.results import decode, digest, encode
from ml_backend.labelstudio.regions.units import to_percent, to_pixels
from ml_backend.outlines import Outlines, boxes, masks, shapes
from tests.unit.regions import MASK, region

images = arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, max_side=24))


def runs(image):
    return Masks.from_dense([image]).runs


def disc(height, width, radius, x, y):
    down, across = np.mgrid[:height, :width]
    return (across - x) ** 2 + (down - y) ** 2 < radius**2


@given(images)
def test_the_sdk_reads_what_we_write(image):
    rle = encode_rle(runs(image), *image.shape)
    read = brush.decode_rle(rle).reshape(*image.shape, 4)
    np.testing.assert_array_equal(read, np.repeat(image[..., None] * 255, 4, axis=2))


@given(images, st.sampled_from([1, 100, 255]))
def test_we_read_what_the_sdk_writes(image, alpha):
    rle = bytes(brush.mask2rle((image * alpha).astype(np.uint8)))
    np.testing.assert_array_equal(decode_rle(rle, *image.shape), runs(image))


@given(images)
def test_masks_survive_to_the_pixel(image):
    rle = bytes(encode_rle(runs(image), *image.shape))
    np.testing.assert_array_equal(decode_rle(rle, *image.shape), runs(image))


@pytest.mark.parametrize("image", [disc(300, 500, 120, 250, 150), np.ones((300, 500), dtype=bool)])
def test_long_runs_are_written_as_the_sdk_writes_them(image):
    rle = encode_rle(runs(image), *image.shape)
    assert rle == brush.mask2rle((image * 255).astype(np.uint8))[: len(rle)]
    np.testing.assert_array_equal(decode_rle(bytes(rle), *image.shape), runs(image))


@given(arrays.arrays(np.uint8, (6, 5, 4)))
def test_only_alpha_counts(image):
    rle = bytes(brush.encode_rle(image.ravel().astype(int)))
    alpha = image[..., 3].astype(int)
    solid = 2 * alpha > alpha.max()
    np.testing.assert_array_equal(decode_rle(rle, 6, 5), runs(solid))


def in_single_values(image):
    """The same mask without a run: what the editor's library writes where no two values agree."""
    values = np.repeat(image.ravel() * 255, 4)
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    for chunk in np.array_split(values, -(-len(values) // 200)):
        bits += f"010{len(chunk) - 1:08b}" + "".join(f"{value:08b}" for value in chunk)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


@given(images)
def test_single_values_are_read(image):
    written = in_single_values(image.astype(int))
    np.testing.assert_array_equal(
        brush.decode_rle(written).reshape(-1, 4)[:, 3], image.ravel() * 255
    )
    np.testing.assert_array_equal(decode_rle(written, *image.shape), runs(image))


@settings(max_examples=300)
@given(st.binary(max_size=60), st.booleans(), st.integers(0, 60))
def test_any_bytes_are_a_mask_or_none(tail, with_header, cut):
    head = bytes(encode_rle(runs(np.ones((7, 9), dtype=bool)), 7, 9))[:7] if with_header else b""
    found = decode_rle((head + tail)[:cut], 7, 9)
    if found is not None:
        assert (
            Masks.from_runs(np.zeros(len(found), dtype=int), found, np.array([[7, 9]])).area()[0]
            <= 63
        )


def test_a_mask_of_another_size_or_too_large_is_none():
    rle = bytes(encode_rle(runs(np.ones((7, 9), dtype=bool)), 7, 9))
    assert decode_rle(rle, 9, 7) is not None  # as many pixels: only the size tells
    for height, width in ((7, 8), (0, 63), (-7, -9), (1, MAX_PIXELS + 1)):
        assert decode_rle(rle, height, width) is None
    assert decode_rle(rle + bytes(1 << 23), 7, 9) is None


def test_a_mask_comes_back_to_the_pixel():
    images = [disc(90, 160, 30, 80, 40), disc(90, 160, 500, 0, 0), disc(90, 160, 5, 159, 89)]
    outline = Outlines.of_masks(Masks.from_dense(images))
    label, score = np.zeros(3, dtype=np.int32), np.ones(3, dtype=np.float32)
    table = decode(MASK, [encode(MASK, label, score, outline, (160, 90))])
    size = np.tile(np.array([[160, 90]], dtype=np.int32), (3, 1))
    back = to_pixels("mask", table.outline, size)
    for row, image in enumerate(images):
        np.testing.assert_array_equal(masks(back).dense(row), image)
    shape = shapes("mask", back)
    np.testing.assert_array_equal(shape.area(), [image.sum() for image in images])
    np.testing.assert_array_equal(boxes("mask", back), shape.boxes())
    np.testing.assert_array_equal(to_percent("mask", back, size).values, back.values)


def test_masks_of_another_size_are_scaled_if_they_have_the_images_shape():
    half, other, same = (
        disc(50, 100, 20, 50, 25),
        disc(50, 90, 20, 40, 25),
        disc(100, 200, 9, 30, 30),
    )
    outline = Outlines.of_masks(Masks.from_dense([half, other, same]))
    size = np.array([[200, 100]] * 3, dtype=np.int32)
    fitted = masks(to_pixels("mask", outline, size))
    np.testing.assert_array_equal(fitted.size, [[100, 200]] * 3)
    np.testing.assert_array_equal(fitted.dense(0), half.repeat(2, axis=0).repeat(2, axis=1))
    assert not fitted.dense(1).any()
    np.testing.assert_array_equal(fitted.dense(2), same)
    back = masks(to_percent("mask", Outlines.of_masks(fitted).take(np.array([0])), size[:1] // 2))
    np.testing.assert_array_equal(back.dense(0), half)


def test_a_mask_without_foreground_is_no_region():
    outline = Outlines.of_rows([[100, 200]])
    label, score = np.zeros(1, dtype=np.int32), np.ones(1, dtype=np.float32)
    assert encode(MASK, label, score, outline, (200, 100)) == []
    rle = encode_rle(np.empty((0, 2), dtype=np.int64), 100, 200)
    assert len(decode(MASK, [[region(MASK, value={"rle": rle})]])) == 0
    np.testing.assert_array_equal(boxes("mask", outline), [[0, 0, 0, 0]])


def test_digest_goes_by_the_pixels_not_the_bytes():
    image = disc(100, 200, 30, 60, 40)
    ours = encode_rle(runs(image), 100, 200)
    theirs = brush.mask2rle(image.astype(np.uint8))
    assert ours != theirs

    def of(rle):
        return digest([[region(MASK, value={"rle": rle, "format": "rle"})]])

    assert of(ours) == of(theirs)
    image[0, 0] = True
    assert of(ours) != of(encode_rle(runs(image), 100, 200))
    assert of([1, 2]) != of([1, 3])
