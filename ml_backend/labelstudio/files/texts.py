"""Texts of tasks: the value of their data itself, or the file that it is the address of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from ml_backend.errors import MediaError

__all__ = ["TextReader", "check_texts"]

_PARALLEL: Final = 8
#: Characters. A book has fewer; what has more is no task for people.
_LONGEST: Final = 1_000_000


class TextReader:
    """Reads the text files that tasks name by address (``<Text valueType="url">``).

    Args:
        fetch: returns the file at an address of a task's data, or raises a MediaError that says
            which task and what to mend: ``MediaReader.fetch``.
    """

    def __init__(self, fetch: Callable[[int, str], bytes]) -> None:
        self._fetch = fetch

    def read(self, tasks: Sequence[int], addresses: Sequence[Any]) -> list[str | MediaError]:
        """Read one text per task.

        Args:
            tasks: the task each address belongs to.
            addresses: as they stand in the tasks' data.

        Returns:
            per task the text, or the error that says what to mend. One broken file stops no other.

        Raises:
            LabelStudioError: when Label Studio itself refuses the token or cannot be reached.
        """
        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(self._read, tasks, addresses))

    def _read(self, task: int, address: Any) -> str | MediaError:
        named = _check(task, address, "address of a text")
        if isinstance(named, MediaError):
            return named
        where = f"task {task}: text {named[:120]!r}"
        try:
            content = self._fetch(task, named)
        except MediaError as error:
            return error
        try:
            # As browsers read it for the editor: UTF-8, whatever is said, without its mark. The
            # places of labels count characters of just this.
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return MediaError(
                f"{where} is not UTF-8 (byte {error.start} is 0x{content[error.start]:02x}); "
                "save it as UTF-8"
            )
        return text if len(text) <= _LONGEST else _too_long(where, text)


def check_texts(tasks: Sequence[int], values: Sequence[Any]) -> list[str | MediaError]:
    """Return texts that stand in the tasks' data, each as it is or the error that says the mend.

    Args:
        tasks: the task each value belongs to.
        values: what the tasks' data holds, None where it lacks the key.
    """
    return [_check(task, value, "text") for task, value in zip(tasks, values, strict=True)]


def _check(task: int, value: Any, what: str) -> str | MediaError:
    if value is None or value == "":
        return MediaError(f"task {task} has no {what} in the field that the config names")
    if not isinstance(value, str):
        return MediaError(
            f"task {task} has {str(value)[:60]!r} where the config names a text; put it into quotes"
        )
    return value if len(value) <= _LONGEST else _too_long(f"task {task}: text", value)


def _too_long(where: str, text: str) -> MediaError:
    return MediaError(
        f"{where} has {len(text)} characters, more than {_LONGEST}; cut it into several tasks"
    )
