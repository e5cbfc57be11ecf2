"""Who may speak to the ML backend's endpoints, where the machine's owner wants a password.

Label Studio sends Basic auth, as its model connection has it, with all requests but events: those
are webhooks, and carry the headers that the webhook has. So an event shows a key that is made from
the password, which a job puts into the webhook (``labelstudio/webhooks.py``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio
import redis
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ml_backend.labelstudio.webhooks import KEY_HEADER, webhook_key
from ml_backend.settings import ServiceSettings
from ml_backend.web.access.permission import address_of
from ml_backend.web.access.sessions import Attempts
from ml_backend.web.server import say_reason

__all__ = ["BodyLimit", "guarded"]

_log = logging.getLogger(__name__)

_WEBHOOK: Final = "/webhook"
_REFUSED: Final = (
    "Relook wants Basic authentication: set it in the model connection, with the user and the "
    "password of RELOOK_BASIC_AUTH_USER and RELOOK_BASIC_AUTH_PASS"
)
#: Of the page's interface, in bytes: its bodies are read before rights are asked. A million picked
#: regions for an action, or tasks for a run, and anything else.
_MOST_PICKED: Final = 32 << 20
_PICKED: Final = ("/actions", "/runs")
_MOST_ELSE: Final = 64 << 10
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def guarded(settings: ServiceSettings, attempts: Attempts) -> type[APIRoute]:
    """Return a kind of route that lets in only who knows the password, before it reads the body.

    The right one always passes: else who shares Label Studio's address could lock it out.

    Args:
        settings: the user and the password, where there is one.
        attempts: who is guessing it.
    """

    class GuardedRoute(APIRoute):
        def get_route_handler(self) -> _Handler:
            handle = super().get_route_handler()

            async def handle_if_allowed(request: Request) -> Response:
                if not _allowed(settings, request):
                    raise _refusal(await anyio.to_thread.run_sync(_count_guess, attempts, request))
                return await handle(request)

            return handle_if_allowed

    return GuardedRoute


def _count_guess(attempts: Attempts, request: Request) -> int:
    """Note a wrong password; return for how many seconds its address has to wait, 0 for none."""
    guess, address = _credentials(request), address_of(request)
    if not guess:
        return 0
    try:
        if wait := attempts.wait_s(address):
            return wait
        attempts.note(address, guess.decode("latin-1"))
        if attempts.wait_s(address):
            _log.warning("too many wrong passwords from %s: is somebody guessing?", address)
    except redis.RedisError:
        _log.warning("a wrong password from %s is not counted: Redis cannot be reached", address)
    return 0


def _refusal(wait: int) -> HTTPException:
    status, said, headers = 401, _REFUSED, {"WWW-Authenticate": 'Basic realm="Relook"'}
    if wait:
        said = f"too many wrong passwords from this address; try again in {-(-wait // 60)} minutes"
        status, headers = 429, {"Retry-After": str(wait)}
    say_reason(said)
    return HTTPException(status, said, headers)


def _allowed(settings: ServiceSettings, request: Request) -> bool:
    user, password = settings.basic_auth_user, settings.basic_auth_pass
    if password is None:
        return True
    secret = password.get_secret_value()
    by_password = _same(_credentials(request), f"{user}:{secret}".encode())
    request.state.by_password = by_password
    if request.url.path == _WEBHOOK:
        key = request.headers.get(KEY_HEADER, "").encode()
        return _same(key, webhook_key(secret).encode()) | by_password
    return by_password


def _credentials(request: Request) -> bytes:
    scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(sent, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _same(given: bytes, right: bytes) -> bool:
    # Of equal length, so that not even the length is told by the time it takes.
    digests = (hashlib.sha256(one).digest() for one in (given, right))
    return hmac.compare_digest(*digests)


class _TooLargeError(Exception):
    pass


class BodyLimit:
    """Refuses request bodies that are too large, however they are sent.

    Args:
        app: the application.
        most: bytes.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count what it brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._allowed(scope["path"])
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if told.isdigit() and int(told) > most:
            await self._refuse(scope, receive, send, most)
            return
        read, refused = 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise _TooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal refused
            # Whatever the application makes of the error.
            if read <= most:
                await send(message)
            elif not refused:
                refused = True
                await self._refuse(scope, receive, send, most)

        try:
            await self._app(scope, counted, watched)
        except _TooLargeError:
            if not refused:
                await self._refuse(scope, receive, send, most)

    def _allowed(self, path: str) -> int:
        if not path.startswith("/api/"):
            return self._most
        return min(self._most, _MOST_PICKED if path.endswith(_PICKED) else _MOST_ELSE)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        said = f"the body is larger than {most >> 10} KiB"
        if most == self._most:
            said += "; RELOOK_BODY_MAX_MB allows more"
        say_reason(said)
        answer = JSONResponse({"detail": said}, 413, {"Connection": "close"})
        await answer(scope, receive, send)
