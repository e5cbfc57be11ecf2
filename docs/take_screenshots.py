"""Takes the README's pictures from a running `make demo`: `python docs/take_screenshots.py`."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def main() -> None:
    """Sign in to the demo's Label Studio and photograph the queue and its first task."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".relook/demo/label-studio"))
    folder = parser.parse_args().folder
    url = f"http://127.0.0.1:{(folder / 'port').read_text()}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 810})
        _sign_in(page, url, (folder / "password").read_text())
        page.goto(f"{url}/projects/1/data?tab=2")
        reason = page.get_by_text("missing: ").first
        reason.wait_for()
        page.wait_for_timeout(2000)
        page.screenshot(path=IMAGES / "queue.png")
        reason.click()
        page.locator(".lsf-annotation-button", has_text="relook-s").first.click()
        page.wait_for_timeout(3000)
        page.mouse.move(700, 700)
        page.wait_for_timeout(500)
        page.screenshot(path=IMAGES / "suggestion.png")
        browser.close()


def _sign_in(page: Page, url: str, password: str) -> None:
    page.goto(f"{url}/user/login/")
    page.fill("input[name=email]", "admin@relook.example")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_load_state("networkidle")


if __name__ == "__main__":
    main()
