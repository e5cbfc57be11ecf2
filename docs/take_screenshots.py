"""Takes the documents' pictures from a running `make demo`: `python docs/take_screenshots.py`."""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from pydantic import SecretStr
from rich.console import Console

from ml_backend.commands.acting import act
from ml_backend.commands.backend import Backend
from ml_backend.settings import ServiceSettings

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
#: Room of the review page to its address's query, and what is there once it is drawn.
ROOMS = {
    "review": ("part=regions", ".tile img"),
    "overview": ("room=overview", ".figure"),
    "activity": ("room=activity", ".run"),
}
SCHEMES = ("light", "dark")


def main() -> None:
    """Photograph a reviewer's day in the demo, and every room of its review page.

    The day changes the demo: a task is corrected, and what is left goes out as a relabel batch.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".relook/demo"))
    folder = parser.parse_args().folder
    label_studio = folder / "label-studio"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        day = _signed_in(browser, _address(label_studio), (label_studio / "password").read_text())
        _queue(day)
        _afterwards(day)
        _send_batch(_address(folder), (label_studio / "token").read_text())
        _stream(day)
        for scheme in SCHEMES:
            _rooms(browser, _address(folder), (label_studio / "token").read_text(), scheme)
        browser.close()


def _address(folder: Path) -> str:
    return f"http://127.0.0.1:{(folder / 'port').read_text()}"


def _signed_in(browser: Browser, url: str, password: str) -> Page:
    context = browser.new_context(base_url=url, viewport={"width": 1440, "height": 810})
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto("/user/login/")
    page.fill("input[name=email]", "admin@relook.example")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_load_state("networkidle")
    return page


def _queue(page: Page) -> None:
    """Open the queue, take the first task's suggestion, and go on to the next."""
    page.goto("/projects/1/data")
    page.get_by_text("Needs review", exact=True).click()
    reasons = page.get_by_text("missing: ")
    reasons.first.wait_for()
    _take(page, "queue")
    reasons.first.click()
    suggestion = page.locator(".lsf-annotation-button", has_text="relook-s").first
    suggestion.wait_for()
    _take(page, "task")
    suggestion.click()
    suggestion.hover()
    suggestion.locator(".lsf-annotation-button__trigger").click()
    duplicate = page.get_by_text("Duplicate Annotation")
    duplicate.hover()
    _take(page, "suggestion")
    duplicate.click()
    page.locator("button", has_text="Submit").click()
    page.get_by_text("Annotation saved successfully").first.wait_for()
    _take(page, "submitted")
    reasons.nth(1).click()
    page.locator(".lsf-annotation-button", has_text="relook-s").first.wait_for()
    _take(page, "next")


def _afterwards(page: Page) -> None:
    page.goto("/projects/1/data")
    page.get_by_text("Reviewed", exact=True).click()
    page.get_by_text("corrected").first.scroll_into_view_if_needed()
    _take(page, "reviewed")


def _send_batch(url: str, token: str) -> None:
    settings = ServiceSettings(url=url, LABEL_STUDIO_API_KEY=SecretStr(token))
    act(Backend(settings), 1, "batch", Console(quiet=True), queue={"top": 20})


def _stream(page: Page) -> None:
    page.goto("/projects")
    page.get_by_text("Relabel: ").first.click()
    page.get_by_text("Label All Tasks").click()
    page.locator(".lsf-outliner-item").first.wait_for()
    _take(page, "stream")


def _rooms(browser: Browser, url: str, token: str, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_default_timeout(120_000)
    page.goto(f"{url}/page/")
    page.wait_for_selector(".sign-in-card")
    _take(page, f"page-sign-in-{scheme}")
    page.fill("input[type=password]", token)
    page.click("button[type=submit]")
    page.locator(".project-card").first.click()
    for room, (query, drawn) in ROOMS.items():
        page.goto(f"{url}/page/projects/1?{query}")
        page.wait_for_selector(drawn)
        if room == "review":
            _lasso(page)
        _take(page, f"page-{room}-{scheme}")
    page.close()


def _lasso(page: Page) -> None:
    """Draw around some points, as in a picture of somebody at work."""
    page.wait_for_selector("#plot[data-drawn]")
    box = page.locator("#plot").evaluate("plot => plot.getBoundingClientRect().toJSON()")
    corners = [(0.55, 0.2), (0.75, 0.15), (0.9, 0.3), (0.85, 0.5), (0.65, 0.5), (0.53, 0.35)]
    for place, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=8)
        if place == 0:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_selector(".area-add")


def _take(page: Page, name: str) -> None:
    # What fades in has come in.
    page.wait_for_timeout(2000)
    picture = Image.open(io.BytesIO(page.screenshot()))
    # A quarter of the size; only the noise of photographs is a little coarser.
    small = picture.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
    small.save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
