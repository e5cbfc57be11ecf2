"""A server that speaks S3's protocol, while somebody needs one."""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ml_backend.processes import ChildProcess, free_port

__all__ = ["put", "s3_server"]

#: Its own, because moto's pins are older than ours.
_NAMED: Final = os.environ.get("RELOOK_MOTO_PYTHON")
_BESIDE: Final = Path(sys.prefix).parent / ".venv-moto" / "bin" / "python"
_PYTHON: Final = Path(_NAMED) if _NAMED else _BESIDE


@contextmanager
def s3_server(folder: Path, bucket: str) -> Iterator[str]:
    """Run one that holds a bucket; yield its address.

    Args:
        folder: for its log.
        bucket: the bucket.
    """
    assert _PYTHON.is_file(), f"{_PYTHON} is not there; run `make .venv-moto/.ready`"
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [str(_PYTHON), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

    def made() -> bool:
        try:
            put(f"{url}/{bucket}")
        except OSError:
            return False
        return True

    with ChildProcess("moto", command, folder / "moto.log") as server:
        server.wait_ready(made, timeout=120)
        yield url


def put(url: str, content: bytes = b"") -> None:
    """Make a bucket, or put an object into one."""
    kind = {"Content-Type": "application/octet-stream"}
    asked = urllib.request.Request(quote(url, safe=":/"), content, kind, method="PUT")
    with urllib.request.urlopen(asked, timeout=30):
        pass
