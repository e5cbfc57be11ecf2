"""How fast the review page is: from open to drawn, while panning, lassoing and filtering.

Run from the repository root, where ``make page`` has built the page::

    python -m benchmarks.page [--points 100000 1000000]

Headless Chromium, which draws in software here, shows a made-up project from the stand-in server
of the page's tests, so what Relook's own server adds is not in these numbers. The points are made
before the clock starts.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import time
from dataclasses import dataclass

import httpx
from playwright.sync_api import Page, sync_playwright

from tests.page.data import points
from tests.page.stand_in import TOKEN, serving

__all__ = ["main"]

_FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run")
_SIZE = (1280, 800)
_FRAMES = 60
_ROUNDS = 5

#: Drags the plot about and returns the time between frames, milliseconds.
_PAN = """async (frames) => {
  const plot = document.querySelector('#plot');
  const { left, top } = plot.getBoundingClientRect();
  const send = (kind, x, y) => plot.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, pointerId: 1, button: 0, clientX: left + x, clientY: top + y }));
  plot.setPointerCapture = () => {};
  send('pointerdown', 200, 200);
  const took = [];
  let last = performance.now();
  for (let i = 0; i < frames; i++) {
    send('pointermove', 200 + 3 * (i % 40), 200 + i);
    await new Promise(requestAnimationFrame);
    took.push(performance.now() - last);
    last = performance.now();
  }
  send('pointerup', 200, 200);
  return took;
}"""

#: Waits for an event on an element and keeps the time from it to the frame that shows what it did.
_WATCH = """([selector, kind]) => {
  window.took = null;
  document.querySelector(selector).addEventListener(kind, () => {
    const began = performance.now();
    setTimeout(() => requestAnimationFrame(() => setTimeout(() => {
      window.took = performance.now() - began;
    })));
  }, { once: true, capture: true });
}"""


@dataclass(frozen=True)
class Measured:
    """What was measured with so many points; milliseconds but where said otherwise."""

    points: int
    bytes_sent: int
    paint: float
    drawn: float
    frame: float
    frame_p95: float
    share: float
    full: float
    lasso: float
    filtering: float


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000])
    rows = [_measure(count) for count in parser.parse_args().points]
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{os.cpu_count()} cores ({platform.machine()}), load {load}; software rendering\n")
    print("| measured | " + " | ".join(f"{row.points:,} points" for row in rows) + " |")
    print("|---|" + "---|" * len(rows))
    for title, said in (
        ("bytes of points", lambda row: f"{row.bytes_sent / 1e6:.1f} MB"),
        ("first paint", lambda row: f"{row.paint:.0f} ms"),
        ("open to all points drawn", lambda row: f"{row.drawn / 1000:.1f} s"),
        (
            "frame while panning",
            lambda row: (
                f"{row.frame:.0f} ms (p95 {row.frame_p95:.0f}), {row.share:.0%} of points drawn"
            ),
        ),
        ("all points, once still", lambda row: f"{row.full:.0f} ms"),
        ("lasso to its answer", lambda row: f"{row.lasso:.0f} ms"),
        ("filter to its answer", lambda row: f"{row.filtering:.0f} ms"),
    ):
        print(f"| {title} | " + " | ".join(said(row) for row in rows) + " |")


def _measure(count: int) -> Measured:
    with serving(count) as (address, server), sync_playwright() as playwright:
        server.cache["inputs"] = points(server.project, "inputs")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=list(_FLAGS),
        )
        page = browser.new_page(viewport={"width": _SIZE[0], "height": _SIZE[1]})
        page.goto(f"{address}/page/")
        page.fill("input", TOKEN)
        page.click("button[type=submit]")
        page.wait_for_selector(".project-card")
        began = time.perf_counter()
        page.goto(f"{address}/page/projects/1")
        page.wait_for_selector("#plot[data-drawn]", timeout=120_000)
        drawn = (time.perf_counter() - began) * 1000
        paint = page.evaluate(
            "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        page.wait_for_timeout(1000)
        frames, share = _pan(page)
        found = Measured(
            points=count,
            bytes_sent=_bytes(address),
            paint=paint,
            drawn=drawn,
            frame=statistics.median(frames),
            frame_p95=statistics.quantiles(frames, n=20)[-1],
            share=share,
            full=_full(page),
            lasso=statistics.median(_lasso(page, turn) for turn in range(_ROUNDS)),
            filtering=statistics.median(_filter(page, turn) for turn in range(_ROUNDS)),
        )
        browser.close()
        return found


def _bytes(address: str) -> int:
    query = {"control": "digit", "part": "inputs"}
    answer = httpx.get(
        f"{address}/api/projects/1/points", params=query, cookies={"relook_session": TOKEN}
    )
    return len(answer.content)


def _pan(page: Page) -> tuple[list[float], float]:
    page.locator(".map-tools .tool").first.click()
    frames = page.evaluate(_PAN, _FRAMES)
    return frames, float(page.locator("#plot").get_attribute("data-share") or 1)


def _full(page: Page) -> float:
    page.wait_for_timeout(1000)
    return float(page.locator("#plot").get_attribute("data-took") or 0)


def _lasso(page: Page, turn: int) -> float:
    page.locator(".map-tools .tool").nth(1).click()
    box = page.locator("#plot").bounding_box()
    assert box
    corners = [(0.4, 0.2), (0.95, 0.3 + turn / 50), (0.95, 0.7), (0.7, 0.8), (0.4, 0.6)]
    for place, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=8)
        if place == 0:
            page.mouse.down()
    page.evaluate(_WATCH, ["#plot", "pointerup"])
    page.mouse.up()
    return _took(page)


def _filter(page: Page, turn: int) -> float:
    selector = f".facet:nth-of-type(2) li:nth-child({turn + 1}) input"
    page.evaluate(_WATCH, [selector, "change"])
    page.locator(selector).click()
    return _took(page)


def _took(page: Page) -> float:
    while (took := page.evaluate("() => window.took")) is None:
        page.wait_for_timeout(20)
    return float(took)


if __name__ == "__main__":
    main()
