import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from ml_backend.errors import MediaError
from ml_backend.labelstudio.files.images import decode_image

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colours: int, rows: bytes) -> bytes:
    """A PNG of any header, written by hand."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(width: int, height: int, bits: int, zero_is: int, data: bytes) -> bytes:
    """A grey TIFF of any depth, written by hand."""
    entries = [(256, width), (257, height), (258, bits), (259, 1), (262, zero_is)]
    end = 8 + 2 + 12 * 9 + 4
    entries += [(273, end), (277, 1), (278, height), (279, len(data))]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4) + data


def line(content: bytes) -> list[list[int]]:
    return decode_image(content, 1)[0].tolist()


def grey(*values: int) -> list[list[int]]:
    return [[value] * 3 for value in values]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    array = decode_image(encoded(Image.new(mode, (7, 5)), kind), 1)
    assert (array.shape, array.dtype) == ((5, 7, 3), np.uint8)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("<u2", "PNG"),
        ("<u2", "TIFF"),
        (">u2", "TIFF"),
        ("<i4", "TIFF"),
        ("<f4", "TIFF"),
    ],
)
def test_sixteen_bits_become_eight_over_their_whole_range(dtype, kind):
    values = np.array([[0, 257, 0x8000, 0xFFFF]], dtype=dtype)
    assert line(encoded(Image.fromarray(values), kind)) == grey(0, 1, 128, 255)


@pytest.mark.parametrize(("colours", "samples"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_of_every_png(colours, samples):
    solid = samples in (2, 4)
    pixels = [[value] * (samples - solid) + [0xFFFF] * solid for value in (0, 0x8000, 0xFFFF)]
    row = b"\0" + np.array(pixels, dtype=">u2").tobytes()
    assert line(png(3, 1, 16, colours, row)) == grey(0, 128, 255)


def test_twelve_bits_reach_white():
    packed = bytes([0x00, 0x08, 0x00, 0xFF, 0xF0, 0x00])
    assert line(tiff(4, 1, 12, 1, packed)) == grey(0, 128, 255, 0)


def test_zero_may_be_white():
    data = np.array([0, 0x8000, 0xFFFF], dtype="<u2").tobytes()
    assert line(tiff(3, 1, 16, 0, data)) == grey(255, 127, 0)
    assert line(tiff(3, 1, 8, 0, bytes([0, 128, 255]))) == grey(255, 127, 0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], (0, 128, 255)),
        ([0.25, 0.25, 0.25], (64, 64, 64)),
        ([-1.0, 0.0, 1.0], (0, 128, 255)),
        ([0.0, 1e6, 4e6], (0, 64, 255)),
        ([1e6, 1e6, 1e6], (0, 0, 0)),
        ([0.0, np.nan, 1.0], (0, 0, 255)),
    ],
)
def test_floats_are_seen(values, expected):
    image = Image.fromarray(np.array([values], dtype=np.float32))
    assert line(encoded(image, "TIFF")) == grey(*expected)


def test_what_is_transparent_lies_on_white():
    clear = Image.new("RGBA", (2, 1), (*RED, 255))
    clear.putpixel((1, 0), (*BLUE, 0))
    assert line(encoded(clear)) == [list(RED), list(WHITE)]
    half = Image.new("LA", (1, 1), (0, 128))
    assert line(encoded(half)) == grey(127)
    palette = Image.new("P", (2, 1))
    palette.putpalette([*RED, *GREEN])
    palette.putpixel((1, 0), 1)
    assert line(encoded(palette)) == [list(RED), list(GREEN)]
    assert line(encoded(palette, transparency=1)) == [list(RED), list(WHITE)]
    assert line(encoded(palette, "GIF", transparency=1)) == [list(RED), list(WHITE)]
    assert line(encoded(palette, transparency=bytes([255, 0]))) == [list(RED), list(WHITE)]
    assert line(encoded(clear, "WEBP", lossless=True)) == [list(RED), list(WHITE)]


@pytest.mark.parametrize(
    ("ink", "colour"), [((0, 0, 0, 0), WHITE), ((0, 255, 255, 0), RED), ((0, 0, 0, 255), BLACK)]
)
def test_ink_becomes_colour(ink, colour):
    # Pillow writes these as Adobe does: inverted, and with Adobe's mark.
    content = encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=95)
    assert b"Adobe" in content
    assert np.abs(decode_image(content, 1).astype(int) - colour).max() <= 2


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_many_frames_or_pages_the_first_is_taken(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE, GREEN)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:] * 50, **lossless)
    assert Image.open(io.BytesIO(content)).n_frames > 2
    assert line(content) == [list(RED)] * 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_an_image_upright(kind, orientation):
    upright = np.zeros((32, 48, 3), dtype=np.uint8)
    upright[:16, :16], upright[:16, 16:], upright[16:] = RED, GREEN, BLUE
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(turns[orientation](upright)))
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
    array = decode_image(encoded(stored, kind, exif=exif, **options.get(kind, {})), 1)
    assert array.shape == upright.shape
    assert np.abs(array.astype(int) - upright).max() <= 8


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert decode_image(encoded(Image.new("RGB", (8, 4)), exif=exif), 1).shape == (4, 8, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_does_not_hide_the_picture():
    for exif in (b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0", b"\xff" * 99):
        content = encoded(Image.new("RGB", (8, 4), RED), "PNG", exif=exif)
        assert line(content) == [list(RED)] * 8


def test_sixteen_bits_are_turned_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(np.array([[0], [0xFFFF]], dtype=np.uint16))
    assert line(encoded(image, exif=exif)) == grey(255, 0)


def swapped_profile() -> bytes:
    """An sRGB profile in which red and blue have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    name = "sRGB".encode("utf-16-be")
    return bytes(profile).replace(name, "swap".encode("utf-16-be")).replace(b"sRGB", b"swap")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_are_what_the_profile_says(mode):
    content = encoded(Image.new("RGB", (2, 2), RED).convert(mode), icc_profile=swapped_profile())
    assert np.abs(decode_image(content, 1).astype(int) - BLUE).max() <= 2


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "I;16"])
def test_a_profile_that_does_not_fit_is_passed_over(mode):
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = Image.new(mode, (2, 2))
    for profile in (b"no profile", swapped_profile()[:200], swapped_profile()):
        with_profile = decode_image(encoded(image, kind, icc_profile=profile), 1)
        np.testing.assert_array_equal(with_profile, decode_image(encoded(image, kind), 1))


def test_srgb_changes_nothing():
    random = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = encoded(Image.fromarray(random), icc_profile=profile)
    np.testing.assert_array_equal(decode_image(content, 1), random)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is an empty file"),
        (b"no image", "is not an image that can be read"),
        (b"\0" * 10_000, "is not an image that can be read"),
        (HEIC, "is HEIC"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "is SVG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- x -->\n<svg/>', "is SVG"),
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image that can be"),
        (encoded(Image.new("RGB", (16, 16)), "ICO"), "is none of JPEG"),
        (encoded(Image.new("RGB", (16, 16)), "PDF"), "is none of JPEG"),
    ],
)
def test_what_is_no_image_is_said(content, said):
    with pytest.raises(MediaError, match=said):
        decode_image(content, 1)


def test_what_is_no_image_is_said_where_another_opener_is_in_place(monkeypatch):
    """Ultralytics replaces Pillow's opener by one that looks for a plugin."""
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.setenv("YOLO_AUTOINSTALL", "false")
    patches = pytest.importorskip("ultralytics.utils.patches")
    assert Image.open is patches.image_open
    with pytest.raises(MediaError, match=r"image that can be read \(it is none of JPEG"):
        decode_image(b"no image", 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_file_is_said(kind, part):
    random = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(random), kind)
    with pytest.raises(MediaError, match="is not an image that can be read"):
        decode_image(content[: int(part * len(content))], 1)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_file_is_read_or_said(seed):
    random = np.random.default_rng(seed)
    image = Image.fromarray(random.integers(0, 256, (20, 30, 3), dtype=np.uint8))
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM"):
        content = np.frombuffer(encoded(image, kind), dtype=np.uint8).copy()
        places = random.integers(0, len(content), 8)
        content[places] = random.integers(0, 256, 8)
        try:
            array = decode_image(content.tobytes(), 1)
        except MediaError:
            continue
        assert (array.ndim, array.shape[2], array.dtype) == (3, 3, np.uint8)


GIF_FRAME_BEYOND_ITS_SCREEN = (
    b"GIF89a" + struct.pack("<HHBBB", 10, 10, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff,"
    b"" + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x44\x01\x00;"
)


@pytest.mark.parametrize(
    "content",
    [
        png(60_000, 60_000, 8, 2, b""),
        png(2**31 - 1, 2**31 - 1, 8, 2, b""),
        tiff(60_000, 60_000, 16, 1, b""),
        b"P6 60000 60000 255\n",
        GIF_FRAME_BEYOND_ITS_SCREEN,
    ],
)
def test_too_many_pixels_are_refused_before_they_are_decoded(content):
    with pytest.raises(MediaError, match=r"pixels, more than 200 megapixels"):
        decode_image(content, 200)


def test_the_owner_may_allow_more_than_pillow_does():
    with pytest.raises(MediaError, match="truncated"):
        decode_image(png(19_000, 10_000, 1, 0, b""), 200)


def test_one_pixel_too_many():
    content = encoded(Image.new("1", (1000, 1001)))
    with pytest.raises(MediaError, match="1000 x 1001 pixels, more than 1 megapixels"):
        decode_image(content, 1)
    assert decode_image(encoded(Image.new("1", (1000, 1000))), 1).shape == (1000, 1000, 3)
