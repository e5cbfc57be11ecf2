"""Disks that are full or closed, and what a process leaves on them that dies while it writes."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ml_backend.errors import StoreError

__all__ = ["open_table", "written"]

#: What does not pass by itself.
_PERSONS_MATTERS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


@contextmanager
def written(location: str) -> Iterator[None]:
    """Explain why something cannot be written.

    Args:
        location: where it was to be written.

    Raises:
        StoreError: when a person must make room or give a right; all else is raised as it is.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        reason = _reason(error)
        if not reason:
            raise
        raise StoreError(
            f"{location} cannot be written: {reason}. Make room, or let this user write there, "
            "then retry the run; what it has done so far is kept."
        ) from error


def open_table(tables: Any, name: str) -> Any | None:
    """Open a table of a LanceDB connection; None where there is none.

    A process that dies while it makes a table, or for which the disk is too full, leaves one
    that is listed and cannot be opened; whoever makes it again completes it.
    """
    try:
        return tables.open_table(name)
    except ValueError as error:
        if "was not found" in str(error):
            return None
        raise


def _reason(error: OSError | RuntimeError) -> str:
    # Lance says it in words only.
    said = re.search(r"os error (\d+)", str(error))
    number = int(said[1]) if said else getattr(error, "errno", None)
    return os.strerror(number) if number in _PERSONS_MATTERS else ""
