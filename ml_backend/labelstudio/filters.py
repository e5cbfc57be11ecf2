"""Filters of tasks as the Data Manager writes them."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["condition", "either", "every", "query"]


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
    column = f"filter:tasks:{column}"
    return {"filter": column, "operator": operator, "type": kind, "value": value}


def every(*conditions: dict[str, Any]) -> dict[str, Any]:
    """Return the filter that all of these must hold."""
    return {"conjunction": "and", "items": list(conditions)}


def either(*conditions: dict[str, Any]) -> dict[str, Any]:
    """Return the filter that one of these must hold."""
    return {"conjunction": "or", "items": list(conditions)}


def query(filters: dict[str, Any]) -> str:
    """Return a filter as the task list takes it."""
    return json.dumps({"filters": filters})
