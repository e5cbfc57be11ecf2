"""What stands of the sample at the cursor, for who has no mouse, and for who sees nothing."""

from __future__ import annotations

import pyarrow.compute as pc
import pytest
from playwright.sync_api import expect

from tests.page.conftest import Bench, sign_in
from tests.page.data import detail


def mislabelled(bench: Bench) -> tuple[int, str, list[str]]:
    """A finding that lies in the plane: its row, its reason, and its numbers as they are said."""
    table = bench.table()
    found = pc.and_(pc.equal(table["kind"], "mislabelled"), pc.is_finite(table["confidence"]))
    found = pc.and_(found, pc.is_finite(table["x"]))
    row = pc.index(found, True).as_py()
    names = {"confidence": "Confidence", "iou": "IoU"}
    numbers = [f"{names[one]} {table[one][row].as_py():.2f}" for one in names]
    return row, detail(bench.server.project, row + 1)["reason"], numbers


@pytest.mark.parametrize("layout", ["both", "grid"])
def test_a_reason_and_its_numbers_need_no_mouse(bench, layout):
    bench.review(f"kind=mislabelled&sort=task&layout={layout}")
    page = bench.page
    row, reason, numbers = mislabelled(bench)
    page.keyboard.press("g")
    details = page.get_by_role("region", name="Details")
    expect(details.locator(".details-reason")).to_have_text(f"Task {row + 1} {reason}")
    for number in numbers:
        expect(details.locator("dl")).to_contain_text(number.replace(" ", ""))
    expect(details.locator("img")).to_be_visible()
    # The tile is named by the grid, and describes itself.
    tile = page.locator(".tile-at")
    expect(tile).to_have_accessible_description(f"{'. '.join(numbers)}. {reason}")
    expect(details.get_by_role("status")).to_be_empty()
    # It is no news of it that one goes elsewhere.
    details.get_by_role("button", name="Pick", exact=True).click()
    expect(page.locator(".action-target strong")).to_have_text("1 item picked")
    expect(details.get_by_role("status")).to_be_empty()


@pytest.mark.parametrize("touch", [False, True])
@pytest.mark.parametrize("layout", ["both", "map"])
def test_a_click_or_a_tap_on_a_point_shows_what_it_is(new_page, stand_in, layout, touch):
    address, server = stand_in
    page = new_page(has_touch=touch)
    sign_in(page, address)
    bench = Bench(page, address, server)
    bench.open(f"kind=mislabelled&layout={layout}")
    page.wait_for_selector("#plot[data-drawn]")
    row, reason, numbers = mislabelled(bench)
    details = page.get_by_role("region", name="Details")
    expect(details).to_contain_text("Choose a point")
    before = page.locator("#plot").bounding_box()
    (page.touchscreen.tap if touch else page.mouse.click)(*bench.place(row))
    expect(details.locator(".details-reason")).to_have_text(f"Task {row + 1} {reason}")
    # Nothing has moved under the pointer.
    assert page.locator("#plot").bounding_box() == before
    # It is said once, and whole.
    said = details.get_by_role("status")
    expect(said).to_contain_text(f"Task {row + 1}. Human ")
    expect(said).to_contain_text(f"{'. '.join(numbers)}. Priority ")
    expect(said).to_contain_text(reason)


def test_what_a_filter_hides_has_no_details(bench):
    bench.review("kind=mislabelled")
    page = bench.page
    page.keyboard.press("g")
    details = page.get_by_role("region", name="Details")
    expect(details.locator(".details-reason")).to_be_visible()
    page.locator(".word", has_text="Mislabelled").click()
    page.locator(".word", has_text="Missing").click()
    expect(details).to_contain_text("Choose a point")
