"""The built page in Chromium, with a stand-in for its server."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.page.data import points
from tests.page.pages import watched_pages
from tests.page.stand_in import STATIC, TOKEN, StandIn, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: A name of this machine that browsers trust no more than any other over plain http.
ELSEWHERE = "relook.test"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-unsafe-swiftshader"),
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
]
TASKS = 1500


@dataclass
class Bench:
    """A page that is signed in, and what answers it."""

    page: Page
    address: str
    server: StandIn

    def open(self, query: str = "", project: int = 1) -> None:
        self.page.goto(f"{self.address}/page/projects/{project}?{query}")

    def review(self, query: str = "") -> None:
        self.open(query)
        if "layout=grid" not in query:
            self.page.wait_for_selector("#plot[data-drawn]")
        self.page.wait_for_selector(".tile img")

    def said(self) -> str:
        """What the actions would act on."""
        return self.page.inner_text(".action-target strong")

    def place(self, row: int) -> tuple[float, float]:
        """Where an input's point is on the screen while the whole plane is seen, pixels."""
        box = self.page.locator("#plot").bounding_box()
        assert box is not None
        scale = min(box["width"], box["height"]) * 0.46
        x, y = (self.table()[axis][row].as_py() for axis in "xy")
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        return middle[0] + x * scale, middle[1] - y * scale

    def table(self, part: str = "inputs") -> pa.Table:
        return pa.ipc.open_stream(points(self.server.project, part)).read_all()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def stand_in() -> Iterator[tuple[str, StandIn]]:
    assert (STATIC / "index.html").exists(), "the page is not built: run make page"
    with serving(TASKS) as served:
        yield served


@pytest.fixture
def new_page(browser: Browser, stand_in) -> Iterator[Callable[..., Page]]:
    """Makes pages; in none of them may the policy be broken or anybody else be asked."""
    address, _ = stand_in
    with watched_pages(browser, address) as make:
        yield make


def sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/page/")
    page.fill("input[type=password]", TOKEN)
    page.click("button[type=submit]")
    page.wait_for_selector(".project-card")


@pytest.fixture
def bench(new_page, stand_in) -> Bench:
    address, server = stand_in
    page = new_page()
    sign_in(page, address)
    return Bench(page, address, server)
