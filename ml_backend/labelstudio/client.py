"""A signed-in Label Studio client whose failures say what to mend."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from json import JSONDecodeError

import httpx
from label_studio_sdk import LabelStudio
from label_studio_sdk.core.api_error import ApiError
from label_studio_sdk.core.parse_error import ParsingError

from ml_backend.errors import (
    LabelStudioError,
    ProjectGoneError,
    SettingsError,
    TokenRefusedError,
)
from ml_backend.labelstudio.transport import PatientTransport
from ml_backend.settings import ServiceSettings

__all__ = ["AccessToken", "access_headers", "connect", "explained"]

_TIMEOUT_S = 60.0


def connect(settings: ServiceSettings) -> LabelStudio:
    """Return a client for the Label Studio that the service is set up for.

    Raises:
        SettingsError: when the address or the token is not set.
        LabelStudioError: when the token is not one, or has expired.
    """
    if not settings.label_studio_url or not settings.label_studio_api_key:
        raise SettingsError(
            "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY must both be set. Make a personal access "
            "token in Label Studio under Account & Settings > Personal Access Token."
        )
    transport = PatientTransport()
    with explained("signing in"):
        client = LabelStudio(  # type: ignore[no-untyped-call]
            base_url=settings.label_studio_url.rstrip("/"),
            api_key=settings.label_studio_api_key.get_secret_value(),
            timeout=_TIMEOUT_S,
            # The transport repeats what may be repeated; the SDK would repeat all.
            max_retries=0,
            httpx_client=httpx.Client(
                transport=transport, timeout=_TIMEOUT_S, follow_redirects=True
            ),
        )
    transport.fresh_token = partial(_fresh_token, client)
    return client


def access_headers(client: LabelStudio) -> dict[str, str]:
    """Return the headers that fetch a file from Label Studio.

    The personal access token is a refresh token: files are served only for the short-lived
    access token that the SDK gets for it, and the SDK shows that one nowhere else.
    """
    with explained("signing in"):
        headers = client._client_wrapper.get_headers()
    return {"Authorization": headers["Authorization"]}


class AccessToken(httpx.Auth):
    """Signs requests for files, see ``access_headers``.

    Where Label Studio refuses the token before its time (it ended on its way, or Label Studio's
    clock is ahead of ours), it is asked again with a fresh one, as ``PatientTransport`` does.

    Args:
        client: whose token.
    """

    def __init__(self, client: LabelStudio) -> None:
        self._client = client

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request, and once more where the answer says so.

        Raises:
            LabelStudioError: when Label Studio gives no access token.
        """
        request.headers.update(access_headers(self._client))
        answer = yield request
        bearer = request.headers["Authorization"].startswith("Bearer ")
        if answer.status_code == httpx.codes.UNAUTHORIZED and bearer:
            with explained("signing in"):
                request.headers["Authorization"] = f"Bearer {_fresh_token(self._client)}"
            yield request


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn the SDK's failures into ours, naming what was being done and the mend.

    Raises:
        ProjectGoneError: on 404.
        TokenRefusedError: on 401 and 403.
        LabelStudioError: on any other refusal or when Label Studio cannot be reached.
    """
    try:
        yield
    except ApiError as error:
        raise _refused(doing, error) from error
    except (JSONDecodeError, ParsingError) as error:
        raise LabelStudioError(
            f"what answered while {doing} does not speak Label Studio's language: {error}. Check "
            "LABEL_STUDIO_URL and the proxy before it; the work is tried again."
        ) from error
    except httpx.HTTPError as error:
        raise LabelStudioError(
            f"Label Studio cannot be reached while {doing}: {error}. "
            "Check LABEL_STUDIO_URL and that Label Studio runs; the work is tried again."
        ) from error


def _fresh_token(client: LabelStudio) -> str:
    tokens = client._client_wrapper._tokens_client
    access = str(tokens.refresh().access)
    tokens._set_access_token(access)
    return access


def _refused(doing: str, error: ApiError) -> LabelStudioError:
    status = error.status_code
    detail = error.body.get("detail", "") if isinstance(error.body, dict) else ""
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return TokenRefusedError(
            f"Label Studio refused the token while {doing} (HTTP {status}: {detail}). Put a valid "
            "personal access token of a user who may see the project into LABEL_STUDIO_API_KEY "
            "of the backend and its workers, start them again and retry the run."
        )
    # A proxy answers 404 too while Label Studio is away; its own answer names its version.
    if status == httpx.codes.NOT_FOUND and isinstance(error.body, dict) and "version" in error.body:
        return ProjectGoneError(
            f"Label Studio has nothing there while {doing} (HTTP 404: {detail})."
        )
    said = error.body if isinstance(error.body, dict) else "an answer that is not JSON"
    return LabelStudioError(f"Label Studio answered HTTP {status} while {doing}: {said}.")
