"""Files fetched before, kept on disk within bounds; any number of processes may share a folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["CachedFile", "FileCache"]

_log = logging.getLogger(__name__)

_PART: Final = ".part"
_ABANDONED_S: Final = 3600.0
_LONGEST_HEAD: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file as it was fetched.

    Attributes:
        content: its bytes.
        validators: HTTP headers that ask its server whether it has changed; empty where the server
            named none.
        age: seconds since the server last gave or confirmed it.
    """

    content: bytes
    validators: dict[str, str]
    age: float


class FileCache:
    """Files by key, the least recently used dropped for room.

    A file is written whole or not at all, so readers need no lock. Its times are the bookkeeping:
    modified is when the server last gave or confirmed it, accessed is when it was last used. All
    of it may be deleted at any moment. What the disk refuses is not kept, and stops nobody.

    Args:
        folder: where they lie, readable by this user only; made when needed.
        limit: bytes to stay within; 0 keeps nothing. Each process looks at the folder after
            writing a twentieth of it, then makes a tenth free: more than two that write at once
            can go over it by a twentieth each.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._cleaning = threading.Lock()
        # What earlier processes left there is looked at with the first write.
        self._written = limit

    def get(self, key: str) -> CachedFile | None:
        """Return a file, or None where it is not kept or is broken."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                changed = os.fstat(file.fileno()).st_mtime
                head = json.loads(file.readline(_LONGEST_HEAD))
                content = file.read()
            if len(content) != head["length"]:
                raise ValueError("it is not whole")
            validators = dict(head["validators"])
            # Set by hand: most disks are mounted so that reading does not.
            os.utime(path, (time.time(), changed))
        except FileNotFoundError:
            return None
        except (LookupError, OSError, TypeError, ValueError) as error:
            _log.warning("cached file %s cannot be used: %s", path, error)
            return None
        age = time.time() - changed
        # From the future: the clock was set back, and nothing is known of its age.
        return CachedFile(content, validators, age if age >= 0 else float("inf"))

    def put(self, key: str, content: bytes, validators: dict[str, str]) -> None:
        """Keep a file that was just fetched."""
        if not self._limit:
            return
        head = json.dumps({"length": len(content), "validators": validators}).encode() + b"\n"
        path = self._path(key)
        try:
            for folder in (self._folder, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, part = tempfile.mkstemp(dir=path.parent, suffix=_PART)
            try:
                with open(handle, "wb") as file:
                    file.write(head)
                    file.write(content)
                os.replace(part, path)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise
        except OSError as error:
            _log.warning("not kept in %s: %s", self._folder, error)
        self._written += len(head) + len(content)
        if self._written > self._limit / 20 and self._cleaning.acquire(blocking=False):
            try:
                self._clean()
            finally:
                self._cleaning.release()

    def confirm(self, key: str) -> None:
        """Note that the server has just said that a file is as it was."""
        with suppress(OSError):
            os.utime(self._path(key))

    def drop(self, key: str) -> None:
        """Forget a file."""
        with suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / name[:2] / name[2:]

    def _clean(self) -> None:
        self._written = 0
        found = sorted(self._scan())
        total = sum(size for _, size, _ in found)
        for _, size, path in found:
            if total <= self._limit * 0.9:
                break
            with suppress(OSError):
                os.unlink(path)
                total -= size

    def _scan(self) -> Iterator[tuple[float, int, str]]:
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(folder, name)
                with suppress(OSError):
                    stat = os.stat(path)
                    if not name.endswith(_PART):
                        yield stat.st_atime, stat.st_size, path
                    elif time.time() - stat.st_mtime > _ABANDONED_S:
                        os.unlink(path)
