"""Images of tasks, fetched from Label Studio and its storages and from nowhere else."""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpx
from label_studio_sdk import LabelStudio

from ml_backend.errors import MediaError, RelookError
from ml_backend.labelstudio.client import access_headers
from ml_backend.labelstudio.images import RGB, decode_image
from ml_backend.settings import ServiceSettings

__all__ = ["MediaReader"]

_PARALLEL = 8
_TIMEOUT_S = 30.0
_MIB = 1 << 20
_IMAGE_PATH = re.compile(r"/data/.|/(tasks|projects)/\d+/(presign|resolve)/?$")


class MediaReader:
    """Fetches and decodes images, many at once.

    Args:
        client: a signed-in Label Studio client.
        settings: which hosts are allowed and how large an image may be.
    """

    def __init__(self, client: LabelStudio, settings: ServiceSettings) -> None:
        self._client = client
        self._settings = settings
        self._base = settings.label_studio_url.rstrip("/") + "/"
        self._http = httpx.Client(timeout=_TIMEOUT_S)

    def read(self, tasks: Sequence[int], addresses: Sequence[str]) -> list[RGB | MediaError]:
        """Read one image per task.

        Args:
            tasks: the task each address belongs to.
            addresses: as they stand in the tasks' data.

        Returns:
            per task the image, uint8 (H, W, 3) RGB, upright; or the error that says what to mend.
            One broken image stops no other.

        Raises:
            LabelStudioError: when Label Studio itself refuses the token or cannot be reached.
        """
        headers = access_headers(self._client)
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(partial(self._read, headers), tasks, addresses))

    def _read(self, headers: dict[str, str], task: int, address: str) -> RGB | MediaError:
        where = f"task {task}: image {address[:120]!r}"
        if not address:
            return MediaError(f"task {task} has no image in the field that the config names")
        try:
            content = self._fetch(task, address, headers)
            return decode_image(content, self._settings.image_max_megapixels)
        except RelookError as error:
            return MediaError(f"{where} {error}")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return MediaError(
                f"{where} cannot be fetched ({error}); check that it opens in the task"
            )

    def _fetch(self, task: int, address: str, headers: dict[str, str]) -> bytes:
        if address.startswith("data:"):
            return _inline(address)
        url, trusted = self._locate(task, address)
        content = bytearray()
        limit = self._settings.image_max_mb * _MIB
        # Only Label Studio's own answer may send us elsewhere: to the storage it signs for.
        with self._http.stream(
            "GET", url, headers=headers if trusted else {}, follow_redirects=trusted
        ) as answer:
            if answer.status_code != httpx.codes.OK:
                raise MediaError(f"answers HTTP {answer.status_code}; check that the file is there")
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > limit:
                    raise MediaError(
                        f"is larger than {self._settings.image_max_mb} MiB; make it smaller or "
                        "raise RELOOK_IMAGE_MAX_MB"
                    )
        return bytes(content)

    def _locate(self, task: int, address: str) -> tuple[str, bool]:
        parts = urlsplit(address)
        home = urlsplit(self._base)
        at_home = (parts.scheme, parts.netloc) == (home.scheme, home.netloc)
        if at_home or not (parts.scheme or parts.netloc):
            inside = unquote(parts.path).removeprefix(home.path.rstrip("/")).lstrip("/")
            path = posixpath.normpath("/" + inside) + ("/" if inside.endswith("/") else "")
            # With our token any page of Label Studio would answer; images lie in these alone.
            if not _IMAGE_PATH.match(path):
                raise MediaError("is not below /data/ of Label Studio; upload it there")
            query = f"?{parts.query}" if parts.query else ""
            return urljoin(self._base, quote(path.lstrip("/"))) + query, True
        if parts.scheme in ("http", "https"):
            if parts.hostname in self._settings.media_hosts:
                return address, False
            raise MediaError(
                f"is on {parts.hostname!r}, which is not Label Studio; put the file into Label "
                "Studio or a storage of it, or add the host to RELOOK_MEDIA_HOSTS"
            )
        if parts.scheme == "file":
            raise MediaError("is a file of this machine; use Label Studio's local storage instead")
        uri = base64.b64encode(address.encode()).decode()
        return urljoin(self._base, f"tasks/{task}/presign/?fileuri={uri}"), True


def _inline(address: str) -> bytes:
    header, _, payload = address.partition(",")
    if not header.endswith(";base64"):
        raise MediaError("is inline but not base64; use a file or base64")
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise MediaError(f"is not valid base64 ({error}); replace it") from error
