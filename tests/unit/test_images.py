import io

import numpy as np
import pytest
from PIL import Image

from ml_backend.errors import MediaError
from ml_backend.labelstudio.images import decode_image


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    array = decode_image(encoded(Image.new(mode, (7, 5)), kind), 1)
    assert (array.shape, array.dtype) == ((5, 7, 3), np.uint8)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode_image(content, 1)[0, 0], [255, 0, 0])


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif)
    assert decode_image(content, 1).shape == (8, 4, 3)


@pytest.mark.parametrize("content", [b"", b"no image", encoded(Image.new("RGB", (99, 99)))[:60]])
def test_what_is_no_image_is_said(content):
    with pytest.raises(MediaError, match="is not an image that can be read"):
        decode_image(content, 1)


def test_too_many_pixels_are_refused_before_they_are_decoded():
    with pytest.raises(MediaError, match="1200 x 1000 pixels, more than 1 megapixels"):
        decode_image(encoded(Image.new("1", (1200, 1000))), 1)
