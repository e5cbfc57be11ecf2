"""What belongs to a project and is asked for by a name of its own: a run, an action."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol, TypeVar

from fastapi import HTTPException, Path, Request

from ml_backend.web.numbers import NO_PROJECT

__all__ = ["Name", "known", "permitted"]

Name = Annotated[str, Path(pattern="^[0-9a-z]{1,40}$")]


class _Owned(Protocol):
    @property
    def project(self) -> int: ...


_T = TypeVar("_T")
_Found = TypeVar("_Found", bound=_Owned)


def known(read: Callable[[str], _T], name: str) -> _T | None:
    """Return what is read; None where there is none."""
    try:
        return read(name)
    except KeyError:
        return None


async def permitted(
    found: _Found | None,
    what: str,
    request: Request,
    require: Callable[[Request, int], Awaitable[None]],
) -> _Found:
    """Return what was found to whom it may be shown.

    Args:
        found: a run, say; None where there is none.
        what: what to call it.
        request: who asks.
        require: ``Access.require`` or ``Access.require_change``.

    Raises:
        HTTPException: as ``require``, and 403 when there is none.
    """
    # Whose it is not may not learn either that there is none.
    await require(request, NO_PROJECT if found is None else found.project)
    if found is None:
        raise HTTPException(403, f"no access to this {what}")
    return found
