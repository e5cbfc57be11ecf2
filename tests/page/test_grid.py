"""The grid's own ways: what is under the pointer stays there, and the cursor knows its place."""

from __future__ import annotations

from playwright.sync_api import Locator, expect


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
    page.wait_for_function("document.getElementById('grid').scrollTop > 1900")
    page.wait_for_timeout(300)
    # Two lines lie above what is seen, and of the third a part.
    tile = page.locator(".tile").nth(3 * int(grid.get_attribute("aria-colcount")))
    name, top = tile.get_attribute("id"), grid.evaluate("grid => grid.scrollTop")
    page.mouse.move(*middle(tile))
    page.mouse.down()
    page.wait_for_timeout(200)
    assert grid.evaluate("grid => grid.scrollTop") == top
    page.mouse.up()
    expect(page.locator(".tile-at")).to_have_id(name)
