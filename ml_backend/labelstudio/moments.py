"""Moments as Label Studio writes them: texts, or datetimes where its SDK has read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["LONG_AGO", "microseconds", "seconds", "shifted", "stamp"]

#: The one form of a moment that Label Studio's filters take; others are an error 500.
_FORM: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
#: A stamp before all others.
LONG_AGO: Final = "1970-01-01T00:00:00.000000Z"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def seconds(moment: str | datetime) -> float:
    """Return a moment in seconds since 1970."""
    return _read(moment).timestamp()


def microseconds(moment: str | datetime) -> int:
    """Return a moment in microseconds since 1970."""
    return (_read(moment) - _EPOCH) // timedelta(microseconds=1)


def stamp(moment: str | datetime) -> str:
    """Return a moment in the form that Label Studio's filters take."""
    return _read(moment).astimezone(UTC).strftime(_FORM)


def shifted(moment: str | datetime, by: timedelta) -> str:
    """Return another moment, in the form that Label Studio's filters take."""
    return stamp(_read(moment) + by)


def _read(moment: str | datetime) -> datetime:
    return datetime.fromisoformat(moment) if isinstance(moment, str) else moment
