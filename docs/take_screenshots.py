"""Takes the documents' pictures from a running `make demo`: `python docs/take_screenshots.py`."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

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
    """Photograph the demo's queue, its first task, and every room of its review page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".relook/demo"))
    folder = parser.parse_args().folder
    label_studio = folder / "label-studio"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        _queue(browser, _address(label_studio), (label_studio / "password").read_text())
        for scheme in SCHEMES:
            _rooms(browser, _address(folder), (label_studio / "token").read_text(), scheme)
        browser.close()


def _address(folder: Path) -> str:
    return f"http://127.0.0.1:{(folder / 'port').read_text()}"


def _queue(browser: Browser, url: str, password: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 810})
    page.goto(f"{url}/user/login/")
    page.fill("input[name=email]", "admin@relook.example")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_load_state("networkidle")
    page.goto(f"{url}/projects/1/data?tab=2")
    reason = page.get_by_text("missing: ").first
    reason.wait_for()
    _take(page, "queue")
    reason.click()
    page.locator(".lsf-annotation-button", has_text="relook-s").first.click()
    page.wait_for_timeout(3000)
    page.mouse.move(700, 700)
    _take(page, "suggestion")


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
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
