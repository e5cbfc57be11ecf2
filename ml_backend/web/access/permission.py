"""Who may read or change a project, Label Studio says: asked with the caller's own credential."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import anyio
import httpx
from cachetools import TTLCache
from fastapi import HTTPException, Request

from ml_backend.labelstudio.tokens import authorization, token_type
from ml_backend.web.access.sessions import Attempts

__all__ = ["OWN_HEADER", "WHO", "Access", "address_of", "name_of"]

_TIMEOUT_S: Final = 5.0
#: How long an answer holds: a person who loses a project reads its runs for this long.
_HOLDS_S: Final = 30.0
_MOST_KEPT: Final = 10_000
_SESSION: Final = "sessionid"
_WHOAMI: Final = "/api/current-user/whoami"
#: No form, image or link of another site can make a browser send it.
OWN_HEADER: Final = "X-Relook"
#: What the browser keeps for one person is nothing for the next.
WHO: Final = "Cookie, Authorization"

_Question = Callable[[httpx.AsyncClient, dict[str, str], int], Coroutine[Any, Any, int]]


class Access:
    """Asks Label Studio whether a request's sender may read or change a project.

    Args:
        url: Label Studio's address.
        attempts: who is guessing credentials.
    """

    def __init__(self, url: str, attempts: Attempts) -> None:
        self._attempts = attempts
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/") or "http://",
            timeout=_TIMEOUT_S,
            # Label Studio answers a session with its cookie: kept, it would sign others in.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        self._kept = TTLCache[str, int](_MOST_KEPT, _HOLDS_S)

    async def require(self, request: Request, project: int) -> None:
        """Let a request pass whose sender may read the project.

        The credential is what Label Studio itself takes: ``Authorization: Bearer`` with an access
        token or a personal access token, ``Authorization: Token`` with a legacy token, or the
        cookie of a signed-in browser where both are served from one host.

        Raises:
            HTTPException: 401 without a valid credential, 403 when the project is not theirs, 429
                when too many were refused, 503 when Label Studio cannot be asked.
        """
        await self._require(request, project, _may_read)

    async def require_change(self, request: Request, project: int) -> None:
        """Let a request pass whose sender may change the project.

        A browser sends its cookies along with whatever another site makes it send, but no header
        of that site's making: a caller that is known by its cookie must send ``X-Relook``.

        Raises:
            HTTPException: as ``require``, and 403 when the project may only be read, or the header
                is missing.
        """
        credential = _credential(request)
        if "Cookie" in credential and OWN_HEADER not in request.headers:
            raise _refused(
                HTTPStatus.FORBIDDEN,
                f"a request that is known by its cookie must send the header `{OWN_HEADER}: 1`",
            )
        await self._require(request, project, _may_read)
        await self._require(request, project, _may_change)

    async def _require(self, request: Request, project: int, may: _Question) -> None:
        credential = _credential(request)
        if not credential:
            raise _refused(
                HTTPStatus.UNAUTHORIZED,
                "send a Label Studio token: `Authorization: Bearer <personal access token>`",
            )
        # The credential itself is kept nowhere.
        parts = (may.__name__, project, sorted(credential.items()))
        key = hashlib.sha256(repr(parts).encode()).hexdigest()
        status = self._kept.get(key)
        if status is None:
            await self._hold_back(request)
            status = await self._ask(credential, project, may)
            # What Label Studio could not say is asked again.
            if status < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._kept[key] = status
            if status == HTTPStatus.UNAUTHORIZED:
                await self._count(request, credential)
        if status == HTTPStatus.UNAUTHORIZED:
            raise _refused(status, "Label Studio does not accept this credential")
        if status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
            raise _refused(HTTPStatus.FORBIDDEN, "no access to this project")
        if status != HTTPStatus.OK:
            raise _refused(HTTPStatus.SERVICE_UNAVAILABLE, "Label Studio cannot be asked just now")

    async def sign_in(self, request: Request, token: str) -> dict[str, Any] | None:
        """Return what Label Studio says of the owner of a token, None where it does not accept it.

        Raises:
            HTTPException: 429 when too many were refused, 503 when Label Studio cannot be asked.
        """
        await self._hold_back(request)
        found = await self.whoami(token)
        if found is None:
            await self._count(request, {"token": token})
        return found

    async def whoami(self, token: str) -> dict[str, Any] | None:
        """Return what Label Studio says of a token's owner, None where it does not accept it.

        Raises:
            HTTPException: 503 when Label Studio cannot be asked.
        """
        if not token.isascii() or not token.isprintable():
            return None
        answer = await self._asked({"Authorization": authorization(token)}, _WHOAMI)
        return None if answer is None else dict(answer)

    async def name(self, request: Request) -> str:
        """Return what to call a request's sender.

        Raises:
            HTTPException: 401 without a valid credential, 503 when Label Studio cannot be asked.
        """
        session = getattr(request.state, "session", None)
        return name_of(await self.ask(request, _WHOAMI)) if session is None else str(session.name)

    async def ask(self, request: Request, path: str) -> Any:
        """Read something from Label Studio with the caller's own credential.

        Raises:
            HTTPException: 401 without a valid credential, 429 when too many were refused, 503 when
                Label Studio cannot be asked.
        """
        credential = _credential(request)
        if credential:
            await self._hold_back(request)
        answer = await self._asked(credential, path) if credential else None
        if answer is None:
            await self._count(request, credential)
            raise _refused(HTTPStatus.UNAUTHORIZED, "sign in with a Label Studio token")
        return answer

    async def _asked(self, credential: dict[str, str], path: str) -> Any:
        try:
            headers = await self._signed_in(credential)
            if headers is None:
                return None
            answer = await self._http.get(path, headers=headers)
            if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                return None
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError):
            raise _refused(
                HTTPStatus.SERVICE_UNAVAILABLE, "Label Studio cannot be asked just now"
            ) from None

    async def _hold_back(self, request: Request) -> None:
        # Whoever is signed in guesses nothing: nobody guesses a session's secret.
        if getattr(request.state, "session", None) is not None:
            return
        wait = await anyio.to_thread.run_sync(self._attempts.wait_s, address_of(request))
        if wait:
            raise HTTPException(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"too many refused tokens from this address; try again in {-(-wait // 60)} minutes",
                {"Retry-After": str(wait)},
            )

    async def _count(self, request: Request, credential: dict[str, str]) -> None:
        if credential and getattr(request.state, "session", None) is None:
            guess = next(iter(credential.values()))
            await anyio.to_thread.run_sync(self._attempts.note, address_of(request), guess)

    async def close(self) -> None:
        """Close the connections to Label Studio."""
        await self._http.aclose()

    async def _ask(self, credential: dict[str, str], project: int, may: _Question) -> int:
        try:
            headers = await self._signed_in(credential)
            if headers is None:
                return HTTPStatus.UNAUTHORIZED
            return await may(self._http, headers, project)
        except (httpx.HTTPError, ValueError):
            return HTTPStatus.SERVICE_UNAVAILABLE

    async def _signed_in(self, credential: dict[str, str]) -> dict[str, str] | None:
        """Return what opens the API: a personal access token only buys one that does."""
        scheme, _, token = credential.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token_type(token) != "refresh":
            return credential
        answer = await self._http.post("/api/token/refresh/", json={"refresh": token})
        if answer.status_code != HTTPStatus.OK:
            return None
        return {"Authorization": f"Bearer {answer.json()['access']}"}


def name_of(user: Mapping[str, Any]) -> str:
    """Return what to call a user as Label Studio describes them."""
    full = " ".join(filter(None, (user.get("first_name"), user.get("last_name"))))
    return full or str(user.get("username") or user.get("email") or "")


async def _may_read(http: httpx.AsyncClient, headers: dict[str, str], project: int) -> int:
    return (await http.get(f"/api/projects/{project}/", headers=headers)).status_code


async def _may_change(http: httpx.AsyncClient, headers: dict[str, str], project: int) -> int:
    """Ask for the methods that Label Studio offers this user: PUT among them means change.

    It looks at the user's rights for that and changes nothing.
    """
    answer = await http.options(f"/api/projects/{project}/", headers=headers)
    if answer.status_code != HTTPStatus.OK:
        return answer.status_code
    offered = answer.json().get("actions", {})
    return HTTPStatus.OK if "PUT" in offered else HTTPStatus.FORBIDDEN


def _credential(request: Request) -> dict[str, str]:
    authorization = request.headers.get("Authorization", "")
    if authorization:
        return {"Authorization": authorization}
    session = request.cookies.get(_SESSION, "")
    return {"Cookie": f"{_SESSION}={session}"} if session else {}


def address_of(request: Request) -> str:
    """Return where a request comes from, "" where that is not known."""
    return request.client.host if request.client else ""


def _refused(status: int, said: str) -> HTTPException:
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return HTTPException(status, said, headers)
