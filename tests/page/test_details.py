"""What stands of the sample at the cursor, for who has no mouse, and for who sees nothing."""

from __future__ import annotations

import pyarrow.compute as pc
import pytest
from playwright.sync_api import expect

from tests.page.conftest import Bench, sign_in
from tests.page.data import detail
from tests.page.pages import until


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


def test_the_map_alone_is_enough_to_choose_pick_open_and_compare(bench):
    bench.open("kind=mislabelled&sort=task&layout=map")
    page = bench.page
    page.wait_for_selector("#plot[data-drawn]")
    tasks = bench.table().filter(pc.equal(bench.table()["kind"], "mislabelled"))["task"].to_pylist()
    keys, name = page.keyboard, page.locator(".details-reason strong")
    page.focus("#plot")
    for key, task in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        keys.press(key)
        expect(name).to_have_text(f"Task {tasks[task]}")
    said = page.locator(".action-target strong")
    keys.press("Space")
    expect(said).to_have_text("1 item picked")
    expect(page.get_by_role("button", name="Pick", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    keys.press("Space")
    expect(said).to_have_text(f"{len(tasks)} items match")
    with page.context.expect_page() as opened:
        keys.press("Enter")
    assert opened.value.url.endswith(f"/label-studio/projects/1/data?task={tasks[1]}")
    page.bring_to_front()
    keys.press("m")
    like = page.get_by_role("button", name="Show not only similar items")
    expect(like).to_have_text(f"Like task {tasks[1]}")


def test_the_details_have_a_button_for_each_key(bench):
    bench.review("sort=task")
    page = bench.page
    page.keyboard.press("g")
    details = page.get_by_role("region", name="Details")
    with page.context.expect_page() as opened:
        details.get_by_role("button", name="Open").click()
    assert opened.value.url.endswith("/label-studio/projects/1/data?task=1")
    page.bring_to_front()
    details.get_by_role("button", name="Pick", exact=True).click()
    expect(page.locator(".action-target strong")).to_have_text("1 item picked")
    details.get_by_role("button", name="More like this").click()
    expect(page.locator(".tile").nth(1)).to_have_id("tile-48")


def test_the_cursor_goes_on_in_the_map_too_where_its_sample_left(bench):
    bench.open("flag=&sort=task&layout=map")
    page = bench.page
    page.wait_for_selector("#plot[data-drawn]")
    calm = bench.table().filter(pc.equal(bench.table()["flag"], ""))["task"].to_pylist()
    name = page.locator(".details-reason strong")
    page.focus("#plot")
    for _ in range(3):
        page.keyboard.press("j")
    page.keyboard.press("f")
    expect(name).to_have_count(0)
    page.keyboard.press("j")
    expect(name).to_have_text(f"Task {calm[3]}")
    page.keyboard.press("f")
    expect(name).to_have_count(0)
    page.keyboard.press("k")
    expect(name).to_have_text(f"Task {calm[1]}")


def test_the_cursor_begins_anew_where_points_are_other_items(bench):
    bench.open("sort=task&layout=map")
    page = bench.page
    name = page.locator(".details-reason strong")
    page.wait_for_selector("#plot[data-drawn]")
    page.focus("#plot")
    for _ in range(30):
        page.keyboard.press("j")
    expect(name).to_have_text("Task 30")
    page.get_by_role("button", name="Regions", exact=True).click()
    expect(page.locator(".action-target strong")).to_contain_text("regions")
    page.keyboard.press("j")
    expect(name).to_have_text("Task 1")


def test_the_map_marks_where_pointer_or_cursor_went_last(bench):
    bench.review("sort=task")
    page = bench.page
    plot = page.locator("#plot").bounding_box()

    def expect_mark_at(row: int) -> None:
        x, y = bench.place(row)
        at = [pytest.approx(x - plot["x"], abs=1), pytest.approx(y - plot["y"], abs=1)]
        circle = page.locator(".mark-at")
        place = "one => [one.cx.baseVal.value, one.cy.baseVal.value]"
        until(page, "the mark's move", lambda: circle.evaluate(place) == at)

    page.locator("#tile-3").hover()
    expect_mark_at(3)
    page.keyboard.press("j")
    expect_mark_at(0)
    page.keyboard.press("j")
    expect_mark_at(1)
    page.locator("#tile-4").hover()
    expect_mark_at(4)
    page.mouse.move(plot["x"] + 4, plot["y"] + 4)
    expect_mark_at(1)


def test_letters_are_keys_with_caps_lock_and_after_a_slider(bench):
    bench.review("kind=mislabelled&sort=task")
    page = bench.page
    page.keyboard.press("Shift+G")
    expect(page.locator("#grid")).to_be_focused()
    page.locator(".handles input").first.focus()
    page.keyboard.press("Shift+A")
    expect(page.get_by_role("dialog")).to_contain_text("Approve 1 task?")
    page.keyboard.press("Escape")
    page.keyboard.press("f")
    expect(page.locator(".toast-done")).to_contain_text("Flagged")
    page.keyboard.press("Shift+M")
    expect(page.get_by_role("button", name="Show not only similar items")).to_be_visible()
