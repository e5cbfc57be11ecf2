"""What every request of the review page passes: its session, its origin, its answer's headers.

A session's cookie is turned into the credential that it stands for before any route is reached, so
that all routes ask Label Studio the same way, whoever the caller is.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import anyio
import redis
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ml_backend.labelstudio.tokens import authorization
from ml_backend.web.access.permission import OWN_HEADER
from ml_backend.web.access.sessions import Sessions

__all__ = ["COOKIE", "Guard", "refusal_of_origin"]

COOKIE: Final = "relook_session"

_READS: Final = ("GET", "HEAD", "OPTIONS")
_GUARDED: Final = ("/api/", "/page")
#: Label Studio's own. A browser sends Basic by itself, as a proxy or the connection asked for it.
_CREDENTIALS: Final = ("bearer", "token")
#: Nothing from elsewhere, nothing inline; thumbnails and what the page itself draws are images.
_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob: data:; worker-src 'self' blob:; "
    "style-src 'self'; script-src 'self'; connect-src 'self'; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Stands before the application.

    Args:
        app: the application.
        sessions: who is signed in.
    """

    def __init__(self, app: ASGIApp, sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with the credential that its session stands for."""
        if scope["type"] != "http" or not scope["path"].startswith(_GUARDED):
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = await self._sign(scope)
        if refused is not None:
            await refused(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    async def _sign(self, scope: Scope) -> JSONResponse | None:
        """Give the request its session's credential; return why it is refused instead."""
        headers = Headers(scope=scope)
        secret = _cookie(headers.get("cookie", ""))
        scheme = headers.get("authorization", "").partition(" ")[0].lower()
        if scheme in _CREDENTIALS or not secret or not scope["path"].startswith("/api/"):
            return None
        if scope["method"] not in _READS:
            said = refusal_of_origin(headers)
            if said:
                return JSONResponse({"detail": said}, HTTPStatus.FORBIDDEN)
        try:
            session = await anyio.to_thread.run_sync(self._sessions.find, secret)
        except (redis.RedisError, OSError):
            said = "Redis cannot be reached; check REDIS_URL and that Redis runs"
            return JSONResponse({"detail": said}, HTTPStatus.SERVICE_UNAVAILABLE)
        if session is not None:
            # The token itself, never the cookie, is what Label Studio is asked with.
            signed = MutableHeaders(scope=scope)
            signed["Authorization"] = authorization(session.token)
            scope.setdefault("state", {})["session"] = session
        return None


def refusal_of_origin(headers: Headers) -> str:
    """Return why a request that changes something may be another site's doing; "" if it is not."""
    if OWN_HEADER not in headers:
        return f"a request that is known by its cookie must send the header `{OWN_HEADER}: 1`"
    origin = headers.get("origin", "")
    # Browsers send it with every request that changes something; scripts need not.
    if origin and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        return (
            f"the request comes from {origin[:200]}, not from this page; behind a proxy, "
            "have it pass on the Host header"
        )
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return "the request comes from another site, not from this page"
    return ""


def _cookie(text: str) -> str:
    # Other services on this host set cookies too, and not all that they set are well formed.
    return cookie_parser(text).get(COOKIE, "")
