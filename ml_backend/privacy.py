"""What Relook keeps on disk is for its own user: task texts, labels, images, logs."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["close_folder", "keep_private"]

_log = logging.getLogger(__name__)

_OWN: Final = 0o700
_OTHERS: Final = 0o077


def keep_private(folder: Path, *, store_elsewhere: bool = False) -> None:
    """Close a process' folder to other users, and all that it and its children write from now on.

    Args:
        folder: where the process keeps its data.
        store_elsewhere: whether it also writes to a store outside that folder. Several users may
            share one, so its modes are the owner's, by the umask that Relook is started with.
    """
    if not store_elsewhere:
        os.umask(_OTHERS)
    # Where it cannot even be made, whoever writes there first says so.
    with suppress(OSError):
        close_folder(folder)


def close_folder(folder: Path) -> None:
    """Make a folder that only this user can open; one that stands is closed, whatever it holds.

    One that everybody is meant to write to, as ``/tmp``, stays as it is.

    Raises:
        OSError: when it cannot be made.
    """
    folder.mkdir(mode=_OWN, parents=True, exist_ok=True)
    mode = folder.stat().st_mode
    if not mode & _OTHERS or mode & stat.S_ISVTX:
        return
    try:
        folder.chmod(_OWN)
    except OSError as error:
        _log.warning(
            "other users of this machine can open %s (%s): give it to the user that Relook runs "
            "as, or name another folder in RELOOK_DATA_DIR",
            folder,
            error.strerror,
        )
