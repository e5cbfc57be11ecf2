"""Signing in to the review page with one's own Label Studio token."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import anyio
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, Field, SecretStr

from ml_backend.web.access.guard import COOKIE, refusal_of_origin
from ml_backend.web.access.permission import Access, name_of
from ml_backend.web.access.sessions import SESSION_S, Session, Sessions

__all__ = ["session_api"]


class Credential(BaseModel):
    """What a person signs in with: a Label Studio access token."""

    token: SecretStr = Field(min_length=10, max_length=4000)


class User(BaseModel):
    """A Label Studio user."""

    id: int
    name: str
    email: str


class SignedIn(BaseModel):
    """Who is signed in, and where Label Studio is."""

    user: User
    label_studio: str


def session_api(sessions: Sessions, access: Access, label_studio: str) -> APIRouter:
    """Return the routes ``/api/session``.

    Args:
        sessions: who is signed in.
        access: asks Label Studio who a token's owner is.
        label_studio: Label Studio's address, as people reach it.
    """
    router = APIRouter(prefix="/api/session", tags=["session"])

    @router.post("")
    async def sign_in(credential: Credential, request: Request, response: Response) -> SignedIn:
        said = refusal_of_origin(request.headers)
        if said:
            raise HTTPException(HTTPStatus.FORBIDDEN, said)
        token = credential.token.get_secret_value().strip()
        found = await access.sign_in(request, token)
        if found is None:
            raise HTTPException(
                HTTPStatus.UNAUTHORIZED,
                "Label Studio does not accept this token; make one there under Account & "
                "Settings > Personal Access Token",
            )
        session = _session(token, found)

        def keep() -> str:
            # Whoever planted a cookie before knows nothing of the session after.
            sessions.close(request.cookies.get(COOKIE, ""))
            return sessions.open(session)

        secret = await anyio.to_thread.run_sync(keep)
        response.set_cookie(
            COOKIE,
            secret,
            max_age=SESSION_S,
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return SignedIn(user=_user(session), label_studio=label_studio)

    @router.get("")
    async def who(request: Request) -> SignedIn:
        session = getattr(request.state, "session", None)
        if session is None:
            raise HTTPException(HTTPStatus.UNAUTHORIZED, "sign in with a Label Studio token")
        return SignedIn(user=_user(session), label_studio=label_studio)

    @router.delete("", status_code=HTTPStatus.NO_CONTENT)
    async def sign_out(request: Request, response: Response) -> None:
        secret = request.cookies.get(COOKIE, "")
        await anyio.to_thread.run_sync(sessions.close, secret)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")

    return router


def _session(token: str, found: dict[str, Any]) -> Session:
    email = str(found.get("email") or "")
    return Session(token, int(found["id"]), name_of(found), email)


def _user(session: Session) -> User:
    return User(id=session.user, name=session.name, email=session.email)
