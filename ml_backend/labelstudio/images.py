"""Image files decoded: every kind and mode that Pillow reads becomes upright RGB."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from ml_backend.errors import MediaError

__all__ = ["RGB", "decode_image"]

#: uint8 (H, W, 3), RGB.
RGB = NDArray[np.uint8]


def decode_image(content: bytes, max_megapixels: int) -> RGB:
    """Decode an image file as uint8 (H, W, 3) RGB, turned upright by its EXIF orientation.

    Raises:
        MediaError: when it is no image, is broken, or has too many pixels.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if image.width * image.height > max_megapixels * 1_000_000:
                raise MediaError(
                    f"has {image.width} x {image.height} pixels, more than "
                    f"{max_megapixels} megapixels; make it smaller or raise "
                    "RELOOK_IMAGE_MAX_MEGAPIXELS"
                )
            upright = ImageOps.exif_transpose(image)
            return np.asarray(upright.convert("RGB"), dtype=np.uint8)
    except MediaError:
        raise
    except Exception as error:
        # A decoder fed with a hostile file raises almost anything, and Ultralytics replaces
        # Image.open by one that adds kinds of its own.
        raise MediaError(f"is not an image that can be read ({error}); replace the file") from error
