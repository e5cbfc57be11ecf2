"""A Label Studio that is ready in seconds: its first start takes a minute of processor time."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from filelock import FileLock

from ml_backend.demo.labelstudio import LabelStudioServer

_PINS = Path(__file__).parents[2] / "constraints-labelstudio.txt"
#: Each copy's own.
_NOT_COPIED = shutil.ignore_patterns("port", "*.log")


def copy_migrated(kept: Path, folder: Path) -> Path:
    """Give a folder the data of a Label Studio that nobody has used yet; return the folder.

    Args:
        kept: a folder that stays from one run of the tests to the next.
        folder: the new Label Studio's data.
    """
    made = kept / hashlib.sha256(_PINS.read_bytes()).hexdigest()[:16]
    with FileLock(kept / "lock"):
        if not (made / "token").exists():
            with LabelStudioServer(made) as server:
                server.token()
    shutil.copytree(made, folder, ignore=_NOT_COPIED, dirs_exist_ok=True)
    return folder
