"""Thumbnails: small, cut where asked, kept, and no way around the limits on images."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ml_backend.errors import MediaError
from ml_backend.labelstudio.files.media import MediaReader
from ml_backend.settings import ServiceSettings
from ml_backend.web.thumbnails import Thumbnails


def address(width=400, height=200, kind="PNG"):
    grid = np.zeros((height, width, 3), dtype=np.uint8)
    grid[:, : width // 2, 0] = 255
    file = io.BytesIO()
    Image.fromarray(grid).save(file, kind)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def thumbnails(folder, **limits):
    settings = ServiceSettings(LABEL_STUDIO_URL="http://127.0.0.1:9", data_dir=folder, **limits)
    reader = MediaReader(None, settings)
    return Thumbnails(lambda: reader, settings)


def opened(made):
    image = Image.open(io.BytesIO(made.content))
    assert image.format == "WEBP"
    return image.convert("RGB")


def test_the_longer_side_is_as_asked_and_small_images_stay_small(tmp_path):
    images = thumbnails(tmp_path)
    assert opened(images.get(1, address(), 64, None)).size == (64, 32)
    assert opened(images.get(1, address(40, 90), 256, None)).size == (40, 90)


def test_a_part_is_cut_in_pixels_of_the_original(tmp_path):
    images = thumbnails(tmp_path)
    left = opened(images.get(1, address(), 256, (0, 0, 100, 50)))
    assert left.size == (100, 50)
    assert left.getpixel((50, 25))[0] > 240
    # What lies outside is left out.
    assert opened(images.get(1, address(), 256, (300, 100, 900, 900))).size == (100, 100)


def test_a_picture_is_made_once_and_its_tag_tells_it_from_others(tmp_path, monkeypatch):
    images = thumbnails(tmp_path)
    first = images.get(1, address(), 64, None)
    others = [
        images.get(1, address(), 65, None),
        images.get(1, address(), 64, (0, 0, 9, 9)),
        images.get(1, address(402), 64, None),
    ]
    assert len({one.tag for one in (first, *others)}) == 4
    monkeypatch.delattr(Thumbnails, "_make")
    assert images.get(2, address(), 64, None) == first


def test_what_cannot_be_shown_says_why(tmp_path):
    images = thumbnails(tmp_path, image_max_megapixels=1)
    with pytest.raises(MediaError, match="task 7: crop 500,0,600,9 lies outside the image"):
        images.get(7, address(), 64, (500, 0, 600, 9))
    with pytest.raises(MediaError, match=r"task 7: image .* more than 1 megapixels"):
        images.get(7, address(2000, 1000), 64, None)
    with pytest.raises(MediaError, match=r"task 7: image .* replace"):
        images.get(7, "data:image/png;base64,AAAA", 64, None)
    with pytest.raises(MediaError, match="not Label Studio"):
        images.get(7, "http://169.254.169.254/secret", 64, None)
    with pytest.raises(MediaError, match="file of this machine"):
        images.get(7, "file:///etc/passwd", 64, None)
