"""Image files decoded: whatever their kind, depth and colours, as a person sees them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ml_backend.errors import MediaError

__all__ = ["RGB", "count_pixels", "decode_image"]

#: uint8 (H, W, 3), RGB.
RGB = NDArray[np.uint8]

# ``decode_image`` has a limit of its own, set by the machine's owner; Pillow's would undercut it.
Image.MAX_IMAGE_PIXELS = None

# Others of Pillow's kinds start programs (EPS) or hold pictures larger than they say (ICO).
Image.init()
_KINDS: Final = tuple(
    kind
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
    if kind in Image.OPEN
)
_HEIF: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_TIFF_BITS: Final = 258
_TIFF_ZERO_IS: Final = 262
_WHITE: Final = 0


def decode_image(content: bytes, max_megapixels: int) -> RGB:
    """Decode an image file as uint8 (H, W, 3) RGB, as a browser would show it.

    It is turned upright by its EXIF orientation, colours are taken to sRGB by the file's profile,
    what is transparent lies on white, and of several frames or pages the first is taken. 16 bits
    become 8 over the range that they can hold; numbers of no such range (32 bits, floats outside
    [0, 1]) over their own.

    Args:
        content: the file.
        max_megapixels: of an image with more nothing is decoded.

    Raises:
        MediaError: when it is no image, is broken, or has too many pixels.
    """
    with _opened(content, max_megapixels) as image:
        image.load()
        _turn_upright(image)
        return np.asarray(_seen(image), dtype=np.uint8)


def count_pixels(content: bytes, max_megapixels: int) -> int:
    """Return how many pixels an image file says that it has, without decoding it.

    Raises:
        MediaError: when it is no image or has too many pixels.
    """
    with _opened(content, max_megapixels) as image:
        return image.width * image.height


@contextmanager
def _opened(content: bytes, max_megapixels: int) -> Iterator[Image.Image]:
    """Open a file; whatever fails meanwhile is a MediaError."""
    try:
        with Image.open(io.BytesIO(content), formats=_KINDS) as image:
            if image.width * image.height > max_megapixels * 1_000_000:
                raise MediaError(
                    f"has {image.width} x {image.height} pixels, more than "
                    f"{max_megapixels} megapixels; make it smaller or raise "
                    "RELOOK_IMAGE_MAX_MEGAPIXELS"
                )
            yield image
    except MediaError:
        raise
    except (UnidentifiedImageError, ImportError) as error:
        # ImportError: Ultralytics replaces Image.open by one that looks for a plugin it lacks.
        raise MediaError(_what_it_is(content)) from error
    except Exception as error:
        # A decoder fed with a hostile file raises almost anything.
        raise MediaError(f"is not an image that can be read ({error}); replace the file") from error


def _what_it_is(content: bytes) -> str:
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not content:
        return "is an empty file; replace it"
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF:
        return "is HEIC, which is not an image that can be read here; save it as JPEG or PNG"
    if b"<svg" in start:
        return "is SVG, which is not an image that can be read here; save it as PNG"
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page, not an image; check that the address leads to the file itself"
    return f"is not an image that can be read (it is none of {', '.join(_KINDS)}); replace the file"


def _turn_upright(image: Image.Image) -> None:
    # What a camera noted beside the picture may be broken; browsers show the picture all the same.
    with suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)


def _seen(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(image)).convert("RGB")
    if image.mode in ("1", "P", "PA", "LA", "La", "RGBa"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image = _to_srgb(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    # A conversion to the same mode would copy.
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Scale grey of many bits; (H, W)."""
    values: NDArray[Any] = np.asarray(image)
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    if values.dtype.kind == "u":
        (bits,) = tags.get(_TIFF_BITS, (16,))
        low, high = 0.0, float(2**bits - 1)
    else:
        values = np.nan_to_num(values.astype(np.float32))
        low, high = float(values.min()), float(values.max())
        usual = 1.0 if image.mode == "F" else 65535.0
        if low >= 0 and high <= usual:
            low, high = 0.0, usual
    grey = (values - np.float32(low)) * np.float32(255 / ((high - low) or 1))
    if tags.get(_TIFF_ZERO_IS) == _WHITE:
        grey = 255 - grey
    scaled: NDArray[np.uint8] = np.rint(grey).clip(0, 255).astype(np.uint8)
    return scaled


def _to_srgb(image: Image.Image) -> Image.Image:
    content = image.info.get("icc_profile")
    if not content or image.mode not in ("L", "RGB", "RGBA", "CMYK"):
        return image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return image
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, profile, srgb, outputMode=mode) or image
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        # A profile that is broken or made for other colours is passed over, as in browsers.
        return image
