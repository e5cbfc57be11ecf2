"""What a full or closed disk says, in words that name the mend."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ml_backend.errors import StoreError

__all__ = ["written"]

#: What does not pass by itself.
_PERSONS_MATTERS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


@contextmanager
def written(folder: Path) -> Iterator[None]:
    """Explain why something cannot be written below a folder.

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
            f"{folder} cannot be written: {reason}. Make room, or let this user write there, then "
            "retry the run; what it has done so far is kept."
        ) from error


def _reason(error: OSError | RuntimeError) -> str:
    # Lance says it in words only.
    said = re.search(r"os error (\d+)", str(error))
    number = int(said[1]) if said else getattr(error, "errno", None)
    return os.strerror(number) if number in _PERSONS_MATTERS else ""
