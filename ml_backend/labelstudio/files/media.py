"""Files of tasks, fetched from Label Studio and its storages and from nowhere else.

Files are kept on disk as they were fetched and decoded in full: outlines are in pixels of the
original, and the one place that makes an image smaller is the model that reads it, to its own size.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

import httpx
from label_studio_sdk import LabelStudio

from ml_backend.errors import MediaError
from ml_backend.labelstudio.client import AccessToken
from ml_backend.labelstudio.files.file_cache import CachedFile, FileCache
from ml_backend.labelstudio.files.hosts import FileHosts
from ml_backend.labelstudio.files.images import RGB, count_pixels, decode_image
from ml_backend.labelstudio.files.paths import check_local_file, path_of_file
from ml_backend.settings import ServiceSettings

__all__ = ["Fetched", "MediaReader"]

#: Files fetched and decoded at once, in all calls together; a lone one needs none of these threads.
_PARALLEL: Final = 16
_TIMEOUT_S: Final = 30.0
#: A whole file: Label Studio waits 100 s for a prediction.
_PATIENCE_S: Final = 60.0
#: A kept file is used this long without asking its server whether it is still there, unchanged,
#: and ours to see.
_FRESH_S: Final = 300.0
_MIB: Final = 1 << 20
#: Label Studio's answers that send us elsewhere, for one file.
_MOST_HOPS: Final = 5
#: The answer's header that names a version of a file, and the request's that asks for a newer one.
_VALIDATORS: Final = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}

T = TypeVar("T")
_Given = TypeVar("_Given")


@dataclass(frozen=True, slots=True)
class Fetched:
    """An image file that is here and not decoded.

    Attributes:
        where: the task and address it comes from, as errors name them.
        content: its bytes.
        pixels: how many pixels the image has.
    """

    where: str
    content: bytes
    pixels: int


class MediaReader:
    """Fetches files and decodes images, many at once; between the two their size is known.

    Fetched files are kept below ``RELOOK_DATA_DIR/images``, by the address that Label Studio has
    for them (of a file in a storage this names the task: one task's right to it is not another's).
    A kept file is used without a request for five minutes; after that only when its server
    confirms it. A right that was taken back ends with that.

    Args:
        client: a signed-in Label Studio client.
        settings: which hosts are allowed, how large a file may be and what may be kept.
    """

    def __init__(self, client: LabelStudio, settings: ServiceSettings) -> None:
        self._token = AccessToken(client)
        self._settings = settings
        self._base = settings.label_studio_url.rstrip("/") + "/"
        self._homes = [urlsplit(one) for one in (self._base, settings.people_url)]
        self._hosts = FileHosts((self._base, settings.people_url), settings.media_hosts)
        # Of a proxy we would see the address, and not that of the host behind a name.
        certificates = httpx.create_ssl_context()
        self._http = httpx.Client(verify=certificates, trust_env=False, timeout=_TIMEOUT_S)
        self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="media")
        self._kept = FileCache(settings.data_dir / "images", settings.image_cache_mb * _MIB)

    def fetch_all(
        self, tasks: Sequence[int], addresses: Sequence[str]
    ) -> list[Fetched | MediaError]:
        """Fetch one image file per task.

        Args:
            tasks: the task each address belongs to.
            addresses: as they stand in the tasks' data.

        Returns:
            per task the file, or the error that says what to mend. One broken file stops no other.

        Raises:
            LabelStudioError: when Label Studio itself refuses the token or cannot be reached.
        """
        return self._each(self._fetch_one, list(zip(tasks, addresses, strict=True)))

    def decode_all(self, files: Sequence[Fetched]) -> list[RGB | MediaError]:
        """Decode files.

        Returns:
            per file the image, uint8 (H, W, 3) RGB, upright; or the error that says what to mend.
        """
        return self._each(self._decode_one, files)

    def fetch(self, task: int, address: str) -> bytes:
        """Return the file at an address of a task's data.

        Raises:
            MediaError: when it cannot be fetched.
            LabelStudioError: when Label Studio itself refuses the token or cannot be reached.
        """
        found = self._explained("file", task, address, lambda content: content)
        if isinstance(found, MediaError):
            raise found
        return found

    def _each(self, do: Callable[[_Given], T], given: Sequence[_Given]) -> list[T]:
        # A lone one needs no thread.
        return list(map(do, given) if len(given) == 1 else self._pool.map(do, given))

    def _fetch_one(self, named: tuple[int, str]) -> Fetched | MediaError:
        task, address = named
        limit = self._settings.image_max_megapixels

        def measured(content: bytes) -> Fetched:
            return Fetched(_where("image", task, address), content, count_pixels(content, limit))

        return self._explained("image", task, address, measured)

    def _decode_one(self, file: Fetched) -> RGB | MediaError:
        try:
            return decode_image(file.content, self._settings.image_max_megapixels)
        except MediaError as error:
            return MediaError(f"{file.where} {error}")

    def _explained(
        self, what: str, task: int, address: str, use: Callable[[bytes], T]
    ) -> T | MediaError:
        if not address:
            return MediaError(f"task {task} has no {what} in the field that the config names")
        where = _where(what, task, address)
        try:
            return use(self._fetch(task, address))
        except MediaError as error:
            return MediaError(f"{where} {error}")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            return MediaError(
                f"{where} cannot be fetched ({error}); check that it opens in the task"
            )

    def _fetch(self, task: int, address: str) -> bytes:
        if address.startswith("data:"):
            return _inline(address)
        url, trusted = self._locate(task, address)
        kept = self._kept.get(url)
        if kept is None or kept.age > _FRESH_S:
            return self._request(task, url, trusted, kept)
        return kept.content

    def _request(self, task: int, url: str, trusted: bool, kept: CachedFile | None) -> bytes:
        headers = dict(kept.validators) if kept else {}
        with self._opened(task, url, trusted, headers) as answer:
            if kept and answer.status_code == httpx.codes.NOT_MODIFIED:
                self._kept.confirm(url)
                return kept.content
            if answer.status_code != httpx.codes.OK:
                if answer.is_client_error:
                    self._kept.drop(url)
                raise MediaError(f"answers HTTP {answer.status_code}; check that the file is there")
            content = self._body(answer)
        if "no-store" not in answer.headers.get("Cache-Control", ""):
            validators = {
                asks: answer.headers[says]
                for says, asks in _VALIDATORS.items()
                if says in answer.headers
            }
            self._kept.put(url, content, validators)
        return content

    @contextmanager
    def _opened(
        self, task: int, url: str, trusted: bool, headers: dict[str, str]
    ) -> Iterator[httpx.Response]:
        """Ask for a file; only Label Studio's answers send us on, to the storage it signs for."""
        for _ in range(_MOST_HOPS):
            extensions = self._hosts.extensions(url)
            with self._http.stream(
                "GET",
                url,
                headers=headers,
                auth=self._token if trusted else None,
                extensions=extensions,
            ) as answer:
                if answer.next_request is None:
                    yield answer
                    return
            if not trusted:
                raise MediaError("is redirected by its server, which only Label Studio may do")
            url = str(answer.next_request.url)
            if trusted := _origin(url) == _origin(self._base):
                url = self._sent_on(task, url)
        raise MediaError("is redirected again and again by Label Studio")

    def _body(self, answer: httpx.Response) -> bytes:
        content = bytearray()
        # Before it is unpacked: what is packed may arrive for hours and be nothing yet.
        answer.stream = _Timely(answer.stream)
        for chunk in answer.iter_bytes():
            content += chunk
            if len(content) > self._settings.image_max_mb * _MIB:
                raise MediaError(
                    f"is larger than {self._settings.image_max_mb} MiB; make it smaller or "
                    "raise RELOOK_IMAGE_MAX_MB"
                )
        return bytes(content)

    def _locate(self, task: int, address: str) -> tuple[str, bool]:
        parts = urlsplit(address)
        homes = [one for one in self._homes if one[:2] == parts[:2]]
        if homes or not (parts.scheme or parts.netloc):
            return self._own_file(task, parts, homes[0] if homes else self._homes[0]), True
        if parts.scheme in ("http", "https"):
            if self._hosts.lists(address):
                return address, False
            raise MediaError(
                f"is on {parts.hostname!r}, which is not Label Studio; put the file into Label "
                "Studio or a storage of it, or add the host to RELOOK_MEDIA_HOSTS"
            )
        if parts.scheme == "file":
            raise MediaError("is a file of this machine; use Label Studio's local storage instead")
        uri = base64.urlsafe_b64encode(address.encode()).decode()
        return urljoin(self._base, f"tasks/{task}/presign/?fileuri={uri}"), True

    def _own_file(self, task: int, parts: SplitResult, home: SplitResult) -> str:
        path = path_of_file(task, unquote(parts.path).removeprefix(home.path.rstrip("/")))
        check_local_file(parts.query)
        query = f"?{parts.query}" if parts.query else ""
        return urljoin(self._base, quote(path.lstrip("/"))) + query

    def _sent_on(self, task: int, url: str) -> str:
        """Return where Label Studio sends us within itself: whoever names a storage says where."""
        try:
            return self._own_file(task, urlsplit(url), self._homes[0])
        except MediaError as error:
            raise MediaError(
                "is redirected to a page of Label Studio itself that is no file of this task; "
                "check the endpoint of its storage"
            ) from error


class _Timely(httpx.SyncByteStream):
    """A body that is given up when its time is over, however little of it arrives at a time."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._end = time.monotonic() + _PATIENCE_S

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            if time.monotonic() > self._end:
                raise MediaError(
                    f"did not arrive within {_PATIENCE_S:.0f} s; check the connection to its server"
                )
            yield chunk

    def close(self) -> None:
        """Close the connection, or give it back."""
        self._stream.close()


def _origin(url: str) -> tuple[str, str, int | None]:
    found = httpx.URL(url)
    return found.scheme, found.host, found.port


def _where(what: str, task: int, address: str) -> str:
    return f"task {task}: {what} {address[:120]!r}"


def _inline(address: str) -> bytes:
    header, _, payload = address.partition(",")
    if not header.endswith(";base64"):
        raise MediaError("is inline but not base64; use a file or base64")
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise MediaError(f"is not valid base64 ({error}); replace it") from error
