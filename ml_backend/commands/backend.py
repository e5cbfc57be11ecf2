"""The backend, asked over HTTP with one's own token: see docs/api.md."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter

from ml_backend.errors import BackendError, SettingsError
from ml_backend.jobs.runs.run import Run
from ml_backend.labelstudio.tokens import authorization
from ml_backend.settings import ServiceSettings, service_settings

__all__ = ["Backend", "backend", "run_of"]

#: A report on annotators reads a whole project before its first byte.
_TIMEOUT: Final = httpx.Timeout(5.0, read=600.0)
_RUN: Final = TypeAdapter(Run)
_MEND: Final = (
    "make a personal access token in Label Studio under Account & Settings > Personal Access "
    "Token, and put it into LABEL_STUDIO_API_KEY"
)


def backend() -> Backend:
    """Return the backend that the environment names.

    Raises:
        SettingsError: when a variable is wrong, or there is no token.
    """
    return Backend(service_settings())


class Backend:
    """Asks the backend's API; its refusals are raised in its own words.

    Args:
        settings: where it is, and who asks.

    Raises:
        SettingsError: when there is no token, or what no token is.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        key = settings.label_studio_api_key
        token = key.get_secret_value().strip() if key is not None else ""
        # Named here: what sends a header says what is wrong with it by showing it.
        if not token or not token.isascii() or not token.isprintable():
            what = "is no token" if token else "is not set"
            raise SettingsError(f"LABEL_STUDIO_API_KEY {what}: {_MEND}")
        self.url = settings.backend_url
        self._http = httpx.Client(
            base_url=self.url, timeout=_TIMEOUT, headers={"Authorization": authorization(token)}
        )

    def get(self, *path: str | int) -> Any:
        """Return what the API has there, below ``/api``.

        Raises:
            BackendError: when the backend does not answer, or refuses.
        """
        return self._json(self._ask("GET", path))

    def post(self, *path: str | int, body: Any = None) -> Any:
        """Send something to the API, and return its answer.

        Raises:
            BackendError: when the backend does not answer, or refuses.
        """
        return self._json(self._ask("POST", path, body))

    def text(self, *path: str | int) -> str:
        """Return a text that the API has there.

        Raises:
            BackendError: when the backend does not answer, or refuses.
        """
        return self._ask("GET", path).text

    def _ask(self, method: str, path: tuple[str | int, ...], body: Any = None) -> httpx.Response:
        place = "/".join(quote(str(part), safe="") for part in ("api", *path))
        try:
            answer = self._http.request(method, f"/{place}", json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise BackendError(
                f"no backend answers at {self.url} ({type(error).__name__}): start it with "
                "`relook start` or `relook serve`, or name its address in RELOOK_URL",
                passing=True,
            ) from error
        if not answer.is_success:
            busy = answer.status_code == httpx.codes.TOO_MANY_REQUESTS
            raise BackendError(self._refusal(answer), passing=busy or answer.is_server_error)
        return answer

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            raise BackendError(self._stranger(answer)) from error

    def _refusal(self, answer: httpx.Response) -> str:
        try:
            said = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):
            return self._stranger(answer)
        return f"{said}: {_MEND}" if answer.status_code == httpx.codes.UNAUTHORIZED else said

    def _stranger(self, answer: httpx.Response) -> str:
        return (
            f"what answers at {self.url} does not speak Relook's language (HTTP "
            f"{answer.status_code}): check RELOOK_URL, and the proxy before it"
        )


def run_of(said: Any) -> Run:
    """Return a run as the API tells of it."""
    return _RUN.validate_python(said)
