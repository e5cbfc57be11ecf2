"""A real Label Studio on 127.0.0.1, started without a person: for the demo and for the tests."""

from __future__ import annotations

import os
import re
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx

from ml_backend.errors import SettingsError
from ml_backend.processes import ChildProcess, Started, remembered_port

__all__ = ["LabelStudioServer", "find_label_studio"]

_USERNAME = "admin@relook.example"


def find_label_studio() -> Path:
    """Return Label Studio's own command.

    Raises:
        SettingsError: when it is not installed where the Makefile installs it.
    """
    named = os.environ.get("RELOOK_LABEL_STUDIO_COMMAND")
    beside = Path(sys.prefix).parent / ".venv-labelstudio" / "bin" / "label-studio"
    command = Path(named) if named else beside
    if not command.is_file():
        raise SettingsError(
            f"Label Studio is not installed at {command}. Run `make demo` from a checkout, or "
            "install label-studio in an environment of its own and name its command in "
            "RELOOK_LABEL_STUDIO_COMMAND."
        )
    return command


@dataclass(frozen=True)
class _Account:
    username: str
    password: str


class LabelStudioServer(Started):
    """A running Label Studio with one admin account.

    Args:
        folder: its data; a folder used before is found again, account and projects included.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.account = _Account(_USERNAME, self._remember("password", secrets.token_urlsafe(12)))
        self.port = remembered_port(self.folder / "port")
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: ChildProcess | None = None

    def start(self, timeout: float = 300.0) -> None:
        """Start it and wait until it answers.

        Raises:
            StartError: when it does not come up.
        """
        # --host alone is only the public address: without --internal-host it binds 0.0.0.0.
        command = [
            *(str(find_label_studio()), "start", "--no-browser", "--port", str(self.port)),
            *("--host", self.url, "--internal-host", "127.0.0.1"),
        ]
        self._process = ChildProcess(
            "Label Studio", command, self.folder / "label-studio.log", self._environment()
        )
        self._process.wait_ready(self._healthy, timeout)

    def stop(self) -> None:
        """Stop it; its data stays."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End it without warning, as a crash would; ``start`` brings it back with its data."""
        if self._process is not None:
            self._process.kill()

    def token(self) -> str:
        """Return the account's personal access token, made as a person would by signing in."""
        stored = self.folder / "token"
        if not stored.exists():
            self._remember("token", self._create_token())
        return stored.read_text()

    def sign_in(self, session: httpx.Client) -> dict[str, str]:
        """Sign a session in as a person would; return the headers that its writes need.

        Raises:
            RuntimeError: when Label Studio's log-in page is not as expected.
        """
        page = session.get("/user/login/").text
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if found is None:
            raise RuntimeError("Label Studio's log-in page has no CSRF token")
        form = {
            "csrfmiddlewaretoken": found[1],
            "email": self.account.username,
            "password": self.account.password,
        }
        headers = {"Referer": self.url}
        session.post("/user/login/", data=form, headers=headers).raise_for_status()
        return {**headers, "X-CSRFToken": session.cookies.get("csrftoken") or ""}

    def _create_token(self) -> str:
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=30) as session:
            created = session.post("/api/token/", headers=self.sign_in(session))
            created.raise_for_status()
            return str(created.json()["token"])

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            **self._secret(),
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.folder),
            "LABEL_STUDIO_USERNAME": self.account.username,
            "LABEL_STUDIO_PASSWORD": self.account.password,
            "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            # Label Studio 1.23 refuses backends on 127.0.0.1 unless its own bans are lifted.
            "USE_DEFAULT_BANNED_SUBNETS": "false",
        }

    def _secret(self) -> dict[str, str]:
        # Label Studio makes one itself, but does not find it again where it begins with a dollar
        # sign, one time in fifty: after a restart no token is valid any more.
        if (self.folder / ".env").exists() and not (self.folder / "secret").exists():
            return {}
        return {"SECRET_KEY": self._remember("secret", secrets.token_urlsafe(40))}

    def _remember(self, name: str, value: str) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(value)
        return path.read_text()
