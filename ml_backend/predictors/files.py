"""Model files and folders: found in the model folder only, and named by their content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from ml_backend.errors import ModelError

__all__ = ["digest", "locate", "models", "version"]

_SUFFIXES: Final = (".onnx", ".pt", ".pth", ".safetensors")
_CONFIG: Final = "config.json"


def locate(root: Path, name: str) -> Path:
    """Return the file or folder of a model.

    What comes back is there, is a regular file or a folder, and lies below ``root`` with all links
    followed; so does, for a folder, everything in it, and none of its folders is a link. No name
    leads elsewhere: neither ``..``, nor an absolute path, nor a link. Nothing is opened.

    Args:
        root: the model folder.
        name: path below it, as a project's settings have it.

    Returns:
        the path, absolute, links followed.

    Raises:
        ModelError: when the name is empty, leads outside or to nothing.
    """
    if not name:
        raise ModelError(
            "no model is named: set model in the extra params of the model connection, "
            "model_path on the control tag, or RELOOK_MODEL"
        )
    home = root.resolve()
    try:
        path = (home / name).resolve()
        there = path != home and path.is_relative_to(home) and (path.is_file() or path.is_dir())
    except (OSError, RuntimeError, ValueError):
        # Names that no file can have: too long, a zero byte, a lone surrogate, links in a circle.
        there = False
    if not there:
        raise ModelError(
            f"model {name[:120]!r} is not in the model folder; there are: "
            f"{', '.join(models(home)) or 'none'}"
        )
    for entry in _entries(path):
        linked_folder = entry.is_symlink() and entry.is_dir()
        if linked_folder or not entry.resolve().is_relative_to(home):
            raise ModelError(
                f"model {name[:120]!r} holds the link {entry.name!r}; put the file itself there"
            )
    return path


def models(root: Path) -> list[str]:
    """Return the names of the models in the model folder, sorted.

    A folder with a ``config.json`` is one model; outside such folders each file of a known kind is.
    """
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        if _CONFIG in files and here != root:
            found.append(here.relative_to(root).as_posix())
            folders.clear()
            continue
        names = [file for file in files if Path(file).suffix in _SUFFIXES]
        found += [(here / file).relative_to(root).as_posix() for file in names]
    return sorted(found)


def digest(path: Path) -> str:
    """Return what stands for a model's content: 64 hex digits.

    Of a file it is the sha256. Of a folder it is the sha256 over the names and contents of all its
    files; hidden ones and documents (``.md``) do not count, and neither does the folder's own name.
    A file is read again only when its size or time has changed.

    Raises:
        ModelError: when it cannot be read.
    """
    try:
        if not path.is_dir():
            return _file_digest(path)
        total = hashlib.sha256()
        for entry in _entries(path):
            if entry.is_file() and entry.suffix != ".md":
                inside = entry.relative_to(path).as_posix()
                total.update(f"{_file_digest(entry)} {inside}\n".encode())
        return total.hexdigest()
    except OSError as error:
        raise ModelError(f"model {path.name!r} cannot be read ({error.strerror})") from error


def version(name: str, path: Path) -> str:
    """Return what the predictions of a model are called: its name and 8 digits of its digest."""
    return f"{name}@{digest(path)[:8]}"


def _entries(path: Path) -> Iterator[Path]:
    """Walk a folder in a fixed order, into no links and nothing hidden; a file has no entries."""
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted([*folders, *files]):
            if not name.startswith("."):
                yield Path(folder, name)


def _file_digest(path: Path) -> str:
    stat = path.stat()
    return _hashed(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=1024)
def _hashed(path: Path, _time: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
