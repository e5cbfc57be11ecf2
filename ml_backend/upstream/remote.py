"""Any other ML backend, by its address: Label Studio's protocol, spoken from the other side."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import httpx

from ml_backend.errors import ModelAwayError, ModelError
from ml_backend.upstream.answers import excerpt, read_replies, to_json, version_text
from ml_backend.upstream.base import Reply, UpstreamTask
from ml_backend.upstream.batches import SilentError, SpoiledError, ask_in_batches, batches

__all__ = ["RemoteUpstream"]

_log = logging.getLogger(__name__)

_CONNECT_S: Final = 1.0
_PREDICT_S: Final = 100.0
# Label Studio waits 3 s for our own /setup, and there may be several models.
_VERSION_S: Final = 1.8
_VERSION_KEPT_S: Final = 30.0
# A backend that is away for a while costs the tasks of that while, not the run.
_VERSION_HELD_S: Final = 600.0
# After two time-outs in a row nothing is asked for so long: a run has hundreds of requests.
_SILENT: Final = 2
_REST_S: Final = 60.0
_BATCH: Final = 16
_BATCH_BYTES: Final = 4 << 20
_ANSWER_BYTES: Final = 64 << 20

#: Answers that every task would get.
_REFUSED: Final = {
    401: "asks for a user: write http://user:password@host into the model's address",
    403: "refuses us; let it answer this machine",
    404: "has no such page; check that the address is an ML backend's",
    405: "does not take a POST; check that the address is an ML backend's",
}


@dataclass(frozen=True, slots=True)
class _SetUp:
    config_xml: str
    version: str
    asked: float
    trusted: bool = True

    def within(self, seconds: float) -> bool:
        return time.monotonic() - self.asked < seconds


class RemoteUpstream:
    """An ML backend that is spoken to as Label Studio would, without our token.

    Files of tasks are its own affair: it needs a token of its own to read Label Studio's.

    Args:
        address: ``http(s)://[user:password@]host[:port][/path]``.
        hosts: the hosts that may be asked, as ``host`` or ``host:port``.
        label_studio_url: told to the backend as the address that tasks' files are relative to.
        patience: seconds that one prediction request may take, from first to last byte.

    Raises:
        ModelError: when the address is none, or its host is not allowed.
    """

    def __init__(
        self,
        address: str,
        hosts: Sequence[str],
        label_studio_url: str = "",
        patience: float = _PREDICT_S,
    ) -> None:
        url = _checked(address, hosts)
        path = url.raw_path.partition(b"?")[0].rstrip(b"/")
        #: The address without its password: it is shown in Label Studio and written to logs.
        self.name = (url.netloc + path).decode()
        self._base = url.copy_with(userinfo=b"", raw_path=path, fragment=None)
        self._auth = (url.username, url.password) if url.userinfo else None
        self._label_studio_url = label_studio_url
        self._patience = patience
        self._set_up: dict[int, _SetUp] = {}
        self._silent = 0
        self._rest_until = 0.0

    def version(self, project: int, config_xml: str) -> str:
        """Return ``host:port/path@VERSION`` by the backend's /setup, kept for 30 s.

        Raises:
            ModelError: when it does not answer in 1.8 s, or in another way than an ML backend, and
                did not do better in the last ten minutes.
        """
        return f"{self.name}@{self._version(project, config_xml, _VERSION_S)}"

    def predict(self, project: int, config_xml: str, tasks: Sequence[UpstreamTask]) -> list[Reply]:
        """Return one reply per task, asked for in batches of 16 tasks or 4 MiB."""
        renewed = False

        def ask(batch: Sequence[UpstreamTask]) -> list[Reply]:
            nonlocal renewed
            try:
                return self._ask(project, config_xml, batch)
            except SpoiledError:
                if renewed:
                    raise
                # A backend that was started anew wants its /setup again before it predicts.
                renewed = True
                self._set_up[project] = replace(self._set_up[project], trusted=False)
                return self._ask(project, config_xml, batch)

        return ask_in_batches(batches(tasks, _BATCH, _BATCH_BYTES, _size), ask)

    def _ask(self, project: int, config_xml: str, batch: Sequence[UpstreamTask]) -> list[Reply]:
        version = self._version(project, config_xml, self._patience)
        body = {
            "tasks": [task.body for task in batch],
            "project": _project(project),
            "label_config": config_xml,
            "params": {"login": None, "password": None, "context": None},
        }
        answer = self._predicted(body)
        if not isinstance(answer, dict) or "results" not in answer:
            raise SpoiledError(
                f"model {self.name!r} answers {excerpt(answer)}, which has no results"
            )
        said_by = version_text(answer.get("model_version"), version)
        return read_replies(self.name, batch, answer["results"], said_by)

    def _predicted(self, body: dict[str, Any]) -> Any:
        if time.monotonic() < self._rest_until:
            raise SilentError(
                f"model {self.name!r} did not answer in time lately, so it is left alone for "
                f"{_REST_S:g} s; check that it runs and is not overloaded"
            )
        try:
            answer = self._post("predict", body, self._patience)
        except SilentError:
            self._silent += 1
            if self._silent >= _SILENT:
                self._rest_until = time.monotonic() + _REST_S
            raise
        self._silent = 0
        return answer

    def _version(self, project: int, config_xml: str, seconds: float) -> str:
        known = self._set_up.get(project)
        if known and known.config_xml != config_xml:
            known = None
        if known and known.trusted and known.within(_VERSION_KEPT_S):
            return known.version
        try:
            version = self._ask_version(project, config_xml, seconds)
        except ModelError as error:
            if known is None or not known.within(_VERSION_HELD_S):
                raise
            _log.warning("%s; it is taken to be %s still", error, known.version)
            return known.version
        self._set_up[project] = _SetUp(config_xml, version, time.monotonic())
        return version

    def _ask_version(self, project: int, config_xml: str, seconds: float) -> str:
        body = {
            "project": _project(project),
            "schema": config_xml,
            "hostname": self._label_studio_url,
            "access_token": "",
            "extra_params": None,
        }
        try:
            answer = self._post("setup", body, seconds)
        except SpoiledError as error:
            raise ModelError(str(error)) from error
        if not isinstance(answer, dict):
            raise ModelError(
                f"model {self.name!r} answers {excerpt(answer)} to /setup; check that the address "
                "is an ML backend's"
            )
        return version_text(answer.get("model_version"))

    def _post(self, page: str, body: dict[str, Any], seconds: float) -> Any:
        try:
            return asyncio.run(self._exchange(page, body, seconds))
        except TimeoutError as error:
            raise SilentError(
                f"model {self.name!r} does not answer /{page} within {seconds:g} s; check that it "
                "runs and is not overloaded"
            ) from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ModelAwayError(
                f"model {self.name!r} cannot be reached ({type(error).__name__} {error}); check "
                "its address and that it runs"
            ) from error
        except httpx.HTTPError as error:
            # A process that one task brings down breaks off like this.
            raise SpoiledError(
                f"model {self.name!r} breaks off at /{page} ({type(error).__name__} {error}); "
                "look at its log"
            ) from error
        except (ValueError, RecursionError) as error:
            raise SpoiledError(
                f"model {self.name!r} does not answer /{page} in JSON ({excerpt(str(error))}); "
                "look at its log"
            ) from error

    async def _exchange(self, page: str, body: dict[str, Any], seconds: float) -> Any:
        url = self._base.copy_with(raw_path=self._base.raw_path.rstrip(b"/") + b"/" + page.encode())
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            # A small answer that unpacks to a huge one is not taken.
            "Accept-Encoding": "identity",
        }
        # A time-out per read would wait for ever on a backend that sends a byte now and then.
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(
                timeout=httpx.Timeout(None, connect=min(_CONNECT_S, seconds)),
                auth=self._auth,
                verify=_certificates(),
            ) as client,
            client.stream(
                "POST", url, content=to_json(body, allow_nan=True), headers=headers
            ) as answer,
        ):
            return self._read(page, answer, await self._content(answer))

    async def _content(self, answer: httpx.Response) -> bytes:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise ModelError(
                f"model {self.name!r} compresses its answer although it was asked not to"
            )
        content = bytearray()
        async for chunk in answer.aiter_raw():
            content += chunk
            if len(content) > _ANSWER_BYTES:
                raise SpoiledError(
                    f"model {self.name!r} answers with more than {_ANSWER_BYTES >> 20} MiB"
                )
        return bytes(content)

    def _read(self, page: str, answer: httpx.Response, content: bytes) -> Any:
        status = answer.status_code
        if answer.is_redirect:
            target = excerpt(answer.headers.get("Location", "nowhere"))
            raise ModelError(
                f"model {self.name!r} sends /{page} on to {target}, which is not followed; name "
                "the final address as the model"
            )
        if status in _REFUSED:
            raise ModelError(f"model {self.name!r}, HTTP {status} at /{page}: {_REFUSED[status]}")
        if not answer.is_success:
            raise SpoiledError(
                f"model {self.name!r} fails at /{page}: HTTP {status}, {excerpt(content)}; "
                "look at its log"
            )
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise ModelError(
                f"model {self.name!r} answers /{page} with a web page, {excerpt(content)}; check "
                "that the address is an ML backend's"
            )
        return json.loads(content)


def _checked(address: str, hosts: Sequence[str]) -> httpx.URL:
    try:
        url = httpx.URL(address)
        port = url.port or {"http": 80, "https": 443}[url.scheme]
    except (httpx.InvalidURL, KeyError) as error:
        raise ModelError(
            "a model's address must be http(s)://host[:port][/path]; check the model setting"
        ) from error
    host = f"[{url.host}]" if ":" in url.host else url.host
    if not host or not {host, f"{host}:{port}"} & {one.lower() for one in hosts}:
        raise ModelError(
            f"model host {host + ':' + str(port)!r} is not allowed: the owner of this machine adds "
            f"it to RELOOK_MODEL_HOSTS, which holds {', '.join(hosts) or 'none'}"
        )
    return url


def _project(project: int) -> str:
    # Label Studio sends the id with the time the project was made; backends cut at the dot.
    return f"{project}.0"


def _size(task: UpstreamTask) -> int:
    return len(to_json(task.body, allow_nan=True))


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()
