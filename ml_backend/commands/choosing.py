"""How tasks are chosen on the command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, get_args

import typer

from ml_backend.errors import SettingsError
from ml_backend.settings import QueueKind

__all__ = ["FilterOption", "TaskOption", "filter_of", "ids_of", "require_kinds"]

#: More would be no task's id, and fit into no column.
_DIGITS: Final = 18

FilterOption = Annotated[
    str, typer.Option("--filter", help="Only these: a Data Manager filter, as JSON.")
]
TaskOption = Annotated[str, typer.Option(help="Only these task ids, joined by commas.")]


def filter_of(text: str) -> Any:
    """Return the filter that was typed, None for none.

    Raises:
        SettingsError: when it is not a filter.
    """
    if not text:
        return None
    try:
        said = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"--filter is not JSON: {error}") from error
    if not isinstance(said, dict) or not isinstance(said.get("items"), list):
        raise SettingsError('--filter must be {"conjunction": "and", "items": [...]}')
    return said


def ids_of(text: str) -> list[int] | None:
    """Return the task ids that were typed, None for none.

    Raises:
        SettingsError: when they are not ids joined by commas.
    """
    if not text:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [part for part in parts if not part.isdecimal() or len(part) > _DIGITS]
    if wrong:
        raise SettingsError(f"--task wants task ids joined by commas, not {wrong[0]!r}")
    return [int(part) for part in parts]


def require_kinds(texts: Sequence[str]) -> None:
    """Make sure that kinds of findings were typed.

    Raises:
        SettingsError: when one is none.
    """
    kinds = get_args(QueueKind)
    if wrong := [text for text in texts if text not in kinds]:
        raise SettingsError(f"--kind wants one of {', '.join(kinds)}, not {wrong[0]!r}")
