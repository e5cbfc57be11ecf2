"""Which of Label Studio's own paths hold files: with our token any page of it would answer."""

from __future__ import annotations

import posixpath
import re
from typing import Final
from urllib.parse import parse_qsl, unquote

from ml_backend.errors import MediaError

__all__ = ["check_local_file", "path_of_file"]

_FILE_PATH: Final = re.compile(r"/data/.|/(tasks|projects)/(\d+)/(presign|resolve)/?$")
#: The part of a query that names a file of a local storage, and what no such name has.
_LOCAL_FILE: Final = "d"
_NEVER_IN_NAMES: Final = frozenset("\\\0")
#: Nobody between us and the disk decodes a name as often.
_DECODED: Final = 4


def path_of_file(task: int, asked: str) -> str:
    """Return the plain path that a file's address means, without dots.

    Args:
        task: the task whose data has the address.
        asked: its path, decoded.

    Raises:
        MediaError: when no file of this task lies there.
    """
    inside = asked.lstrip("/")
    path = posixpath.normpath("/" + inside) + ("/" if inside.endswith("/") else "")
    door = _FILE_PATH.match(path)
    if not door:
        raise MediaError("is not below /data/ of Label Studio; upload it there")
    # Our token opens the storages of all tasks; who wrote this task's data may not.
    if door[1] == "tasks" and door[2] != str(task):
        raise MediaError(f"is a file of task {door[2][:20]}; name it as its storage does")
    return path


def check_local_file(query: str) -> None:
    """See to it that the name of a file in a local storage leads nowhere else, however encoded.

    Raises:
        MediaError: when it could; Label Studio alone would look at it else.
    """
    for key, said in parse_qsl(query, keep_blank_values=True):
        if key == _LOCAL_FILE and any(map(_leads_out, _decoded(said))):
            raise MediaError(
                "leads out of its local storage; name the file as the storage does, by a path "
                "below the folder that Label Studio serves"
            )


def _decoded(name: str) -> list[str]:
    names = [name]
    for _ in range(_DECODED):
        names.append(unquote(names[-1]))
    return names


def _leads_out(name: str) -> bool:
    parts = name.split("/")
    return name.startswith("/") or ".." in parts or not _NEVER_IN_NAMES.isdisjoint(name)
