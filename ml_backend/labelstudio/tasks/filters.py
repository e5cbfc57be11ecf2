"""Filters of tasks as the Data Manager writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from label_studio_sdk.core.api_error import ApiError

from ml_backend.errors import SettingsError
from ml_backend.labelstudio.client import explained

__all__ = ["condition", "either", "every", "understood"]

_COLUMN: Final = "filter:tasks:"


def condition(
    column: str, kind: str, value: str | float | list[str], operator: str = "equal"
) -> dict[str, Any]:
    """Return what one column of the task list must be.

    Args:
        column: its name in the Data Manager: a field of the task's data is ``data.NAME``.
        kind: String, Number, Boolean, Datetime or List.
        value: what it is compared with.
        operator: how, as the Data Manager names it.
    """
    return {"filter": _COLUMN + column, "operator": operator, "type": kind, "value": value}


def every(*conditions: dict[str, Any]) -> dict[str, Any]:
    """Return the filter that all of these must hold."""
    return {"conjunction": "and", "items": list(conditions)}


def either(*conditions: dict[str, Any]) -> dict[str, Any]:
    """Return the filter that one of these must hold."""
    return {"conjunction": "or", "items": list(conditions)}


@contextmanager
def understood(filters: Mapping[str, Any], doing: str) -> Iterator[None]:
    """Say it when what Label Studio refuses is a filter; other failures as ``explained`` does.

    Raises:
        SettingsError: when Label Studio does not understand the filter.
        LabelStudioError: when it cannot be reached or refuses.
    """
    wrong = SettingsError(
        "Label Studio does not understand the filter: it must be as the Data Manager writes it, "
        'such as {"conjunction": "and", "items": [{"filter": "filter:tasks:id", "operator": '
        '"less", "type": "Number", "value": 100}]}'
    )
    if not _is_whole(filters.get("items")):
        raise wrong
    with explained(doing):
        try:
            yield
        except ApiError as error:
            if error.status_code not in (400, 500):
                raise
            raise wrong from error


def _is_whole(items: Any) -> bool:
    """Whether no part is one that Label Studio would pass over, as if all tasks were meant."""
    if not isinstance(items, list):
        return False
    lines = [one for one in items if isinstance(one, dict)]
    lines += [one["child_filter"] for one in lines if isinstance(one.get("child_filter"), dict)]
    return all(str(one.get("filter")).startswith(_COLUMN) for one in lines)
