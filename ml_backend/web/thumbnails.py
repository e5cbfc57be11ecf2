"""Small pictures of tasks' images, made once and kept on disk."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL import Image

from ml_backend.errors import MediaError
from ml_backend.labelstudio.files.file_cache import FileCache
from ml_backend.labelstudio.files.images import RGB
from ml_backend.labelstudio.files.media import Fetched, MediaReader
from ml_backend.settings import ServiceSettings

__all__ = ["Thumbnail", "Thumbnails"]

_QUALITY: Final = 80
#: Of the disk for images, what is for thumbnails besides.
_SHARE: Final = 1 / 8
_MIB: Final = 1 << 20

Crop = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A picture as WebP; ``tag`` changes with it."""

    content: bytes
    tag: str


class Thumbnails:
    """Makes them.

    Args:
        images: says where images come from: it keeps to Label Studio and its storages, and to the
            sizes that the machine's owner allows.
        settings: where they may be kept, and how many.
    """

    def __init__(self, images: Callable[[], MediaReader], settings: ServiceSettings) -> None:
        self._images = images
        room = int(settings.image_cache_mb * _MIB * _SHARE)
        self._kept = FileCache(settings.data_dir / "thumbnails", room)

    def get(self, task: int, address: str, size: int, crop: Crop | None) -> Thumbnail:
        """Return the picture of one image, or of a part of it.

        Args:
            task: the task it belongs to.
            address: as it stands in the task's data.
            size: its longer side at most, pixels.
            crop: x0 y0 x1 y1 in pixels of the original.

        Raises:
            MediaError: when the image cannot be fetched or read, or the part lies outside it.
        """
        (file,) = self._images().fetch_all([task], [address])
        if isinstance(file, MediaError):
            raise file
        # By what the file holds: an image that is replaced at its address has another picture.
        said = (hashlib.blake2b(file.content).hexdigest(), size, crop)
        tag = hashlib.blake2b(repr(said).encode(), digest_size=12).hexdigest()
        kept = self._kept.get(tag)
        if kept is not None:
            return Thumbnail(kept.content, tag)
        content = self._make(task, file, size, crop)
        self._kept.put(tag, content, {})
        return Thumbnail(content, tag)

    def _make(self, task: int, file: Fetched, size: int, crop: Crop | None) -> bytes:
        (image,) = self._images().decode_all([file])
        if isinstance(image, MediaError):
            raise image
        picture = Image.fromarray(image if crop is None else _cut(task, image, crop))
        picture.thumbnail((size, size), Image.Resampling.LANCZOS, reducing_gap=2.0)
        made = io.BytesIO()
        picture.save(made, "WEBP", quality=_QUALITY, method=2)
        return made.getvalue()


def _cut(task: int, image: RGB, crop: Crop) -> RGB:
    height, width = image.shape[:2]
    x0, x1 = (min(max(x, 0), width) for x in crop[::2])
    y0, y1 = (min(max(y, 0), height) for y in crop[1::2])
    if x1 <= x0 or y1 <= y0:
        raise MediaError(
            f"task {task}: crop {','.join(map(str, crop))} lies outside the image, which has "
            f"{width} x {height} pixels"
        )
    return image[y0:y1, x0:x1]
