"""The grid's own ways: what is under the pointer stays there, and the cursor knows its place."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.page.conftest import Bench, sign_in
from tests.page.pages import at_rest, until, watched_pages
from tests.page.stand_in import serving


def middle(element: Locator) -> tuple[float, float]:
    box = element.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_slow_press_chooses_the_tile_under_it(bench):
    bench.review("sort=task&layout=grid")
    page = bench.page
    grid = page.locator("#grid")
    page.mouse.move(*middle(grid))
    page.mouse.wheel(0, 2000)
    until(page, "the scrolling", lambda: grid.evaluate("grid => grid.scrollTop") > 1900)
    at_rest(page, lambda: grid.evaluate("grid => grid.scrollTop"))
    # Two lines lie above what is seen, and of the third a part.
    tile = page.locator(".tile").nth(3 * int(grid.get_attribute("aria-colcount")))
    name, top = tile.get_attribute("id"), grid.evaluate("grid => grid.scrollTop")
    page.mouse.move(*middle(tile))
    page.mouse.down()
    page.wait_for_timeout(200)
    assert grid.evaluate("grid => grid.scrollTop") == top
    page.mouse.up()
    expect(page.locator(".tile-at")).to_have_id(name)


def test_very_many_samples_are_reached_one_by_one(browser):
    many = 100_000
    with serving(many) as (address, server), watched_pages(browser, address) as make:
        # One column: higher than any browser scrolls.
        page = make(viewport={"width": 340, "height": 700})
        sign_in(page, address)
        Bench(page, address, server).review("sort=task&layout=grid")
        grid = page.locator("#grid")
        assert grid.evaluate("grid => grid.scrollHeight") < 17_000_000
        page.keyboard.press("g")
        page.keyboard.press("End")
        last = page.locator(f"#tile-{many - 1}")
        expect(last).to_be_in_viewport(ratio=1)
        # By the wheel, line by line.
        page.mouse.move(*middle(grid))
        y = middle(last)[1]
        page.mouse.wheel(0, -100)
        moved = pytest.approx(y + 100, abs=1)
        until(page, "the scrolling", lambda: middle(last)[1] == moved)
        assert at_rest(page, lambda: middle(last)[1]) == moved
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        expect(page.locator(f"#tile-{many - 3}")).to_be_in_viewport(ratio=1)
        # By the scroll bar, in proportion.
        grid.evaluate("grid => { grid.scrollTop = grid.scrollHeight / 2 }")
        expect(page.locator(f"#tile-{many // 2}")).to_be_attached()
