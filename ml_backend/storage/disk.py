"""What comes between a process and its tables: a full disk, a death, another writer."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa
from tenacity import (
    RetryCallState,
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from ml_backend.errors import StoreError

__all__ = ["again", "drop_project", "make_table", "open_table", "written"]

_log = logging.getLogger(__name__)

#: What does not pass by itself.
_PERSONS_MATTERS: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}

#: Attempts, and those after which what is missing is gone for good.
_ATTEMPTS: Final = 9
_SURE: Final = 6


def _drop_broken(state: RetryCallState) -> None:
    """Drop a project's tables where one lacks files: the store was deleted while it was written.

    Nobody could read or write that one any more. With it go the others, which say what need not be
    computed again.
    """
    error = state.outcome.exception() if state.outcome is not None else None
    missing = re.search(r"Not found: \S*?([^/\s]+)-(\d+)\.lance/", str(error))
    if missing and state.attempt_number >= _SURE:
        table, project = missing[1], int(missing[2])
        _log.warning("project %s: its %s lack files and are made anew: %s", project, table, error)
        drop_project(state.args[0].connection, project)


def drop_project(tables: Any, project: int) -> None:
    """Drop all tables of a project from a LanceDB connection, whoever keeps them."""
    for name in tables.list_tables().tables:
        if name.endswith(f"-{project}"):
            tables.drop_table(name, ignore_missing=True)


#: Of methods whose object has a LanceDB ``connection``. Two writers met at one table, or somebody
#: deleted the store at this moment; LanceDB raises errors of these kinds for both. The work is
#: then done anew on what stands.
again = retry(
    retry=retry_if_exception_type((OSError, RuntimeError, ValueError)),
    wait=wait_random_exponential(multiplier=0.05, max=1),
    stop=stop_after_attempt(_ATTEMPTS),
    before_sleep=_drop_broken,
    reraise=True,
)


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


def make_table(tables: Any, name: str, key: Sequence[str], schema: pa.Schema) -> Any:
    """Open a table of a LanceDB connection; make it where there is none.

    Args:
        tables: the connection.
        name: the table.
        key: the columns that tell rows apart.
        schema: its columns.
    """
    try:
        table = tables.create_table(name, schema=schema)
    except ValueError as error:
        if "already exists" not in str(error):
            raise
        return tables.open_table(name)
    # LanceDB lets the later of two that make one table at once write over what the earlier has:
    # its rows still stand in a version before.
    for version in range(table.version - 1, 0, -1):
        before = tables.open_table(name)
        before.checkout(version)
        table.merge_insert(list(key)).when_not_matched_insert_all().execute(before.to_arrow())
    return table


def _reason(error: OSError | RuntimeError) -> str:
    # Lance says it in words only.
    said = re.search(r"os error (\d+)", str(error))
    number = int(said[1]) if said else getattr(error, "errno", None)
    return os.strerror(number) if number in _PERSONS_MATTERS else ""
