"""uvicorn, with reason phrases: the only words of a refusal that Label Studio shows an admin.

When a backend answers /setup with an error, Label Studio drops the body and puts the status line
("400 Client Error: REASON for url ...") into the dialog where the admin typed the settings. ASGI
has no field for that reason, so it travels beside the response.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http import h11_impl

from ml_backend.settings import ServiceSettings

__all__ = ["configured", "say_reason", "serve", "stopping"]

_LONGEST = 600
#: Set when the server ends; answers that never end by themselves look at it.
stopping: Final = threading.Event()
_reason: ContextVar[bytes] = ContextVar("reason", default=b"")


class _Phrases(dict[int, bytes]):
    def __getitem__(self, status: int) -> bytes:
        return _reason.get() or super().__getitem__(status)


class _Server(uvicorn.Server):
    """A server that says when it is told to stop: it waits until every answer has ended."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        stopping.set()
        super().handle_exit(sig, frame)


def say_reason(text: str) -> None:
    """Give the response to the current request this reason phrase."""
    shown = (one if one.isprintable() else "?" for one in " ".join(text.split())[:_LONGEST])
    # Label Studio reads Latin-1; by its number, a label of another alphabet can still be told.
    line = "".join(shown).encode("latin-1", "backslashreplace")
    _reason.set(line[:_LONGEST])


def serve(app: Callable[..., Any], settings: ServiceSettings) -> None:
    """Serve an ASGI application until told to stop."""
    h11_impl.STATUS_PHRASES = _Phrases(h11_impl.STATUS_PHRASES)
    _Server(configured(app, settings)).run()


def configured(app: Callable[..., Any], settings: ServiceSettings) -> uvicorn.Config:
    """Return how an ASGI application is served."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http="h11",
        log_level="info",
        access_log=False,
        forwarded_allow_ips=settings.trusted_proxies,
    )
