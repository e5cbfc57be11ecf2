"""How fast the review page is: from open to drawn, while panning, lassoing and filtering.

Run from the repository root, where ``make page`` has built the page and, for Plotly beside it,
``make bench`` has installed that::

    python -m benchmarks.page [--points 100000 1000000]

Headless Chromium shows a made-up project from the stand-in server of the page's tests, so what
Relook's own server adds is not in these numbers. The points are made before the clock starts. Both
are drawn in software here: Relook by its own loop, Plotly by WebGL on SwiftShader, and its frame
counts as ended when that has drawn it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.page_peer import SCRIPT, serving_plotly
from tests.page.data import points
from tests.page.stand_in import TOKEN, serving

__all__ = ["main"]

_FLAGS = (
    *("--no-sandbox", "--no-first-run", "--use-gl=angle", "--use-angle=swiftshader"),
    "--enable-unsafe-swiftshader",
)
_SIZE = (1280, 800)
_FRAMES = 60
_ROUNDS = 5
_PATIENCE_MS = 120_000

#: Drags the plot about and returns the time between frames, milliseconds.
_PAN = """async ([selector, frames]) => {
  const plot = document.querySelector(selector);
  const { left, top } = plot.getBoundingClientRect();
  const send = (kind, x, y) => {
    const at = { bubbles: true, pointerId: 1, button: 0, clientX: left + x, clientY: top + y };
    plot.dispatchEvent(new PointerEvent(`pointer${kind}`, at));
    plot.dispatchEvent(new MouseEvent(`mouse${kind}`, at));
  };
  plot.setPointerCapture = () => {};
  send('down', 200, 200);
  const took = [];
  let last = performance.now();
  for (let i = 0; i < frames; i++) {
    send('move', 200 + 3 * (i % 40), 200 + i);
    await new Promise(requestAnimationFrame);
    window.finish?.();
    took.push(performance.now() - last);
    last = performance.now();
  }
  send('up', 200, 200);
  return took;
}"""

#: Waits for an event on an element and keeps the time from it to the frame that shows what it did.
_WATCH = """([selector, kind]) => {
  window.took = null;
  document.querySelector(selector).addEventListener(kind, () => {
    const began = performance.now();
    setTimeout(() => requestAnimationFrame(() => setTimeout(() => {
      window.finish?.();
      window.took = performance.now() - began;
    })));
  }, { once: true, capture: true });
}"""


@dataclass(frozen=True)
class Measured:
    """What was measured; milliseconds but where said otherwise, None where it has no such thing."""

    bytes_sent: int
    paint: float | None
    drawn: float
    frame: float
    frame_p95: float
    lasso: float
    share: float = 1
    full: float | None = None
    filtering: float | None = None


_ROWS: tuple[tuple[str, Callable[[Measured], float | None], str], ...] = (
    ("bytes of points", lambda one: one.bytes_sent / 1e6, "MB"),
    ("first paint", lambda one: one.paint, "ms"),
    ("open to all points drawn", lambda one: one.drawn, "ms"),
    ("frame while panning, median", lambda one: one.frame, "ms"),
    ("frame while panning, p95", lambda one: one.frame_p95, "ms"),
    ("points drawn in such a frame", lambda one: one.share * 100, "%"),
    ("all points, once still", lambda one: one.full, "ms"),
    ("lasso to its answer", lambda one: one.lasso, "ms"),
    ("filter to its answer", lambda one: one.filtering, "ms"),
)


def main() -> None:
    """Measure and print a table for each number of points."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000])
    counts = parser.parse_args().points
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{os.cpu_count()} cores ({platform.machine()}), load {load}; software rendering")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("chromium-browser"),
            args=list(_FLAGS),
        )
        for count in counts:
            ours, peer = _measure(browser, count)
            print(f"\n| {count:,} points | Relook | Plotly | ratio |\n|---|---|---|---|")
            for title, of, unit in _ROWS:
                both = [of(one) if one else None for one in (ours, peer)]
                said = [f"{value:,.0f} {unit}" if value is not None else "-" for value in both]
                ratio = f"{both[1] / both[0]:.1f}" if both[0] and both[1] else "-"
                print(f"| {title} | {' | '.join(said)} | {ratio} |", flush=True)
        browser.close()


def _measure(browser: Browser, count: int) -> tuple[Measured, Measured | None]:
    with serving(count) as (address, server):
        sent = points(server.project, "inputs")
        server.cache["inputs"] = sent
        page = browser.new_page(viewport={"width": _SIZE[0], "height": _SIZE[1]})
        ours = _relook(page, address)
        box = page.locator("#plot").bounding_box()
        page.close()
    if SCRIPT is None or box is None:
        return ours, None
    with serving_plotly(sent, (int(box["width"]), int(box["height"]))) as (address, size):
        page = browser.new_page(viewport={"width": _SIZE[0], "height": _SIZE[1]})
        return ours, _plotly(page, address, size)


def _relook(page: Page, address: str) -> Measured:
    page.goto(f"{address}/page/")
    page.fill("input", TOKEN)
    page.click("button[type=submit]")
    page.wait_for_selector(".project-card")
    paint, drawn = _open(page, f"{address}/page/projects/1")
    tools = page.locator(".map-tools .tool")
    tools.first.click()
    frames = page.evaluate(_PAN, ["#plot", _FRAMES])
    share = float(page.locator("#plot").get_attribute("data-share") or 1)
    page.wait_for_timeout(1000)
    full = float(page.locator("#plot").get_attribute("data-took") or 0)
    tools.nth(1).click()
    return Measured(
        bytes_sent=_bytes(address),
        paint=paint,
        drawn=drawn,
        frame=statistics.median(frames),
        frame_p95=statistics.quantiles(frames, n=20)[-1],
        lasso=statistics.median(_lasso(page, turn) for turn in range(_ROUNDS)),
        share=share,
        full=full,
        filtering=statistics.median(_filter(page, turn) for turn in range(_ROUNDS)),
    )


def _plotly(page: Page, address: str, size: int) -> Measured:
    paint, drawn = _open(page, address)
    frames = page.evaluate(_PAN, [".nsewdrag", _FRAMES])
    page.evaluate("() => Plotly.relayout(plot, { dragmode: 'lasso' })")
    return Measured(
        bytes_sent=size,
        paint=paint,
        drawn=drawn,
        frame=statistics.median(frames),
        frame_p95=statistics.quantiles(frames, n=20)[-1],
        lasso=statistics.median(_lasso(page, turn) for turn in range(_ROUNDS)),
    )


def _open(page: Page, address: str) -> tuple[float | None, float]:
    """Open a page; time to its first paint, and to when all points are drawn."""
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector("#plot[data-drawn]", timeout=_PATIENCE_MS)
    drawn = (time.perf_counter() - began) * 1000
    paint = page.evaluate(
        "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
    )
    page.wait_for_timeout(1000)
    return paint, drawn


def _bytes(address: str) -> int:
    query = {"control": "digit", "part": "inputs"}
    answer = httpx.get(
        f"{address}/api/projects/1/points", params=query, cookies={"relook_session": TOKEN}
    )
    return len(answer.content)


def _lasso(page: Page, turn: int) -> float:
    box = page.locator("#plot").bounding_box()
    assert box
    corners = [(0.4, 0.2), (0.95, 0.3 + turn / 50), (0.95, 0.7), (0.7, 0.8), (0.4, 0.6)]
    for place, (x, y) in enumerate(corners):
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=8)
        if place == 0:
            page.mouse.down()
    page.evaluate(_WATCH, ["html", "pointerup"])
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
