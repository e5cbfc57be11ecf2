"""Requests to every route, as the interface's own description has them, and not so.

The application is the real one, with Redis, the demo's detector, and a small project that has been
scored; in Label Studio's place is a server that knows this project and lets everybody pass, since
what lies behind is meant here.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from fastapi.testclient import TestClient
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ml_backend.jobs.acting.book import ActionBook, Wish
from ml_backend.services import Services
from ml_backend.web.app import create_app
from tests import made_project
from tests.bad_values import anything, numbers, texts

__all__ = ["Requests", "Route", "Sent", "opened"]

#: No request may take longer, on however slow a machine.
_HANGS_S: Final = 60.0
#: After so many requests all is as it was: actions that wait hold up others, and Redis fills.
_LASTS: Final = 100

#: Method and path, as the description names them.
Route = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Sent:
    """One request.

    Attributes:
        route: where it is meant to go.
        path: its address.
        more: what is sent along, as httpx takes it.
    """

    route: Route
    path: str
    more: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A parameter in ``place``, path or query; values of it, of what is there and of any kind."""

    name: str
    place: str
    required: bool
    known: st.SearchStrategy[Any] | None
    other: st.SearchStrategy[Any]


@st.composite
def _request(
    draw: Callable[..., Any],
    route: Route,
    parameters: list[_Parameter],
    body: st.SearchStrategy[Any] | None,
) -> Sent:
    path, query = route[1], dict[str, str]()
    for one in parameters:
        values = one.other if one.known is None or draw(st.integers(0, 3)) == 0 else one.known
        # What no client can send is not sent.
        value = str(draw(values)).encode("utf-8", "replace").decode()
        if one.place == "path":
            path = re.sub(
                rf"\{{{one.name}(:path)?\}}", lambda _, v=value: quote(v, safe="") or "1", path
            )
        elif draw(st.booleans()) or one.required:
            query[one.name] = value
    more: dict[str, Any] = {"params": query}
    if body is not None:
        # NaN and lone surrogates too: neither is JSON, and anybody can send them.
        more["content"] = json.dumps(draw(body)).encode()
        more["headers"] = {"Content-Type": "application/json"}
    return Sent(route, path, more)


class Requests:
    """Makes requests, sends them and looks at what is answered.

    Args:
        client: sends them.
        services: the parts of a process beside the web server's, of the same data and Redis.

    Attributes:
        routes: all that are described; streams, which have no end, are left out.
        answers: how many answers each route has given, by status.
    """

    def __init__(self, client: TestClient, services: Services) -> None:
        self._client, self._services = client, services
        self._document = client.get("/api/openapi.json").json()
        self.routes: dict[Route, dict[str, Any]] = {
            (method.upper(), path): said
            for path, methods in self._document["paths"].items()
            for method, said in methods.items()
            if not path.endswith("/events")
        }
        self.answers: Counter[tuple[Route, int]] = Counter()
        self._parts_of = cache(self._parts)
        self._schema_of = cache(self._find_schema)
        self._sent = 0
        self._run = self._action = ""
        self._begin()

    def to(self, *routes: Route) -> st.SearchStrategy[Sent]:
        """Return requests to some routes."""
        return st.sampled_from(routes).flatmap(
            lambda route: _request(route, *self._parts_of(route))
        )

    def check(self, request: Sent) -> None:
        """No request ends in 500, none hangs, and what is answered is as described."""
        if self._sent % _LASTS == _LASTS - 1:
            self._begin()
        self._sent += 1
        start = time.monotonic()
        answer = self._client.request(request.route[0], request.path, **request.more)
        spent = time.monotonic() - start
        self.answers[request.route, answer.status_code] += 1
        assert answer.status_code != 500, (request, answer)
        assert spent < _HANGS_S, (request, spent)
        described = self._schema_of(request.route, answer.status_code)
        if described is not None and answer.headers.get("Content-Type") == "application/json":
            wrong = next(described.iter_errors(answer.json()), None)
            assert wrong is None, (request, wrong)

    def _begin(self) -> None:
        """Have nothing under way but a run, and one action that can be undone."""
        mailbox = self._services.mailbox
        mailbox.redis.flushall()
        self._client.cookies.clear()
        made_project.connect(self._services)
        self._run = self._services.graph.start(made_project.PROJECT).id
        book = ActionBook(mailbox.redis)
        self._action = book.open(made_project.PROJECT, Wish("flag", (1, 2)), 2).id
        book.note(self._action, state="done", undoable=1)

    def _known(self, name: str) -> st.SearchStrategy[Any] | None:
        """What is there by the name of a parameter."""
        there: dict[str, st.SearchStrategy[Any]] = {
            "project": st.just(made_project.PROJECT),
            "task": st.sampled_from(made_project.TASKS),
            "ids": st.sampled_from(["1", "1,2,3", "8,7,99"]),
            "control": st.sampled_from(["", made_project.CONTROL]),
            "region": st.integers(-1, 1),
            "run": st.builds(lambda: self._run),
            "action": st.builds(lambda: self._action),
        }
        return there.get(name)

    def _parts(self, route: Route) -> tuple[list[_Parameter], st.SearchStrategy[Any] | None]:
        """What a request to a route is made of: its parameters, and its body where it has one."""
        said = self.routes[route]
        parameters = [
            _Parameter(
                one["name"],
                one["in"],
                bool(one.get("required")),
                self._known(one["name"]),
                self._of_schema(one["schema"]) | texts | st.sampled_from([1, 0]),
            )
            for one in said.get("parameters", [])
        ]
        content = said.get("requestBody", {}).get("content", {}).get("application/json")
        body = self._of_schema(content["schema"]) | anything if content else None
        return parameters, body

    def _of_schema(self, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
        """Values nearly as a schema has them."""
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", maxsplit=1)[-1]
            return st.deferred(
                lambda: self._of_schema(self._document["components"]["schemas"][name])
            )
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return st.one_of([self._of_schema(one) for one in schema[word]])
        kind = schema.get("type")
        if kind == "object" and "properties" in schema:
            parts = {
                name: st.one_of(*[self._of_schema(one)] * 4, anything)
                for name, one in schema["properties"].items()
            }
            return st.fixed_dictionaries({}, optional=parts) | st.fixed_dictionaries(parts)
        if kind == "array":
            if "prefixItems" in schema:
                return st.tuples(*[self._of_schema(one) for one in schema["prefixItems"]])
            return st.lists(self._of_schema(schema.get("items", {})), max_size=4)
        least = int(schema.get("minimum", 0))
        usual = st.integers(least, int(schema.get("maximum", least + 9)))
        simple: dict[str, st.SearchStrategy[Any]] = {
            "integer": st.one_of(*[usual] * 4, st.integers()),
            "number": st.one_of(*[st.floats(0, 1)] * 4, numbers),
            "string": texts | st.sampled_from(["1", "1,2", "1.5", "flag", "0,0,9,9"]),
            "boolean": st.booleans(),
        }
        return simple.get(str(kind), anything)

    def _find_schema(self, route: Route, status: int) -> Draft202012Validator | None:
        said = self.routes[route].get("responses", {}).get(str(status), {})
        schema = said.get("content", {}).get("application/json", {}).get("schema")
        if not schema:
            return None
        return Draft202012Validator({**schema, "components": self._document["components"]})


@contextmanager
def opened(folder: Path, **more: Any) -> Iterator[Requests]:
    """Serve the application in this process."""
    studio = made_project.LabelStudioWithOneProject()
    with studio.listening(), made_project.made_services(studio, folder, **more) as services:
        made_project.score(services)
        application = create_app(services.settings)
        with TestClient(application, raise_server_exceptions=False) as client:
            client.headers |= {"Authorization": "Token any", "X-Relook": "1"}
            yield Requests(client, services)
