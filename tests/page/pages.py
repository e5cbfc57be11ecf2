"""Pages of a browser that are watched: no policy may be broken, and nobody else be asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect

AXE = Path(__file__).parents[2] / "ml_backend/web/page/node_modules/axe-core/axe.min.js"
#: How long a page may take for a step, milliseconds: a busy machine has no core to spare for it.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)


def until(page: Page, what: str, met: Callable[[], object]) -> None:
    """Wait for what no locator can tell."""
    for _ in range(PATIENCE_MS // 100):
        if met():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{what} did not happen within {PATIENCE_MS // 1000} s")


def held_back(page: Page, address: str | re.Pattern[str]) -> list[Route]:
    """Hold back what the page asks of an address from now on; return it, as it comes."""
    held: list[Route] = []
    page.route(address, lambda route: held.append(route))  # noqa: PLW0108 - theirs
    return held


def asked_of(page: Page, part: str) -> list[str]:
    """Return the last parts of addresses that are asked for from now on and hold this, as asked."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if part in request.url:
            asked.append(request.url.rsplit("/", 1)[1])

    page.on("request", note)
    return asked


def at_rest(page: Page, look: Callable[[], float]) -> float:
    """Wait until a thing moves no more, and return where it is."""
    seen = [look()]

    def rests() -> bool:
        seen.append(look())
        return all(one == seen[-1] for one in seen[-4:-1])

    until(page, "an end of the movement", rests)
    return seen[-1]


@contextmanager
def watched_pages(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Give a maker of pages, each with a context of its own; at the end, none may have erred.

    Args:
        browser: where they are opened.
        address: the one server that they may ask.
    """
    broken: list[str] = []
    contexts: list[BrowserContext] = []

    def own(url: str) -> bool:
        return urlsplit(url).scheme in {"blob", "data"} or url.startswith(f"{address}/")

    def make(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: broken.append(f"error: {error}"))
        page.on(
            "console",
            lambda said: "Content Security" in said.text and broken.append(said.text),
        )
        page.on("request", lambda request: own(request.url) or broken.append(request.url))
        return page

    yield make
    for context in contexts:
        context.close()
    assert not broken


def findings(page: Page) -> list[str]:
    """What axe finds serious or critical."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("() => axe.run(document)")
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]
