"""What changes meanwhile takes nothing out of the hand, and what was left behind does not act."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.page.data import FLAGS
from tests.page.pages import asked_of, held_back, until
from tests.page.test_hearing import SEEN

TOP = "grid => grid.scrollTop"


def tell_new_points(bench) -> None:
    """Points change, and the page has drawn them."""
    drawn = bench.page.locator("#plot").get_attribute("data-drawn")
    with bench.page.expect_response(re.compile("/points")):
        bench.server._changed()
    expect(bench.page.locator("#plot")).not_to_have_attribute("data-drawn", str(drawn))


def test_who_reads_on_stays_there_when_the_order_changes(bench):
    bench.review()
    page, grid = bench.page, bench.page.locator("#grid")
    page.locator(".tile").nth(5).click()
    expect(page.locator(".tile-at")).to_have_count(1)
    grid.evaluate("grid => { grid.scrollTop = 3000 }")
    expect(page.locator(".tile-at")).to_have_count(0)
    priority = bench.server.project.priority
    priority[:] = priority[::-1].copy()
    tell_new_points(bench)
    page.wait_for_timeout(300)
    assert grid.evaluate(TOP) == 3000
    # Who moves the cursor on sees it.
    page.keyboard.press("j")
    expect(page.locator(".tile-at")).to_be_in_viewport()


def test_what_looks_alike_is_seen_from_its_beginning(bench):
    bench.review("layout=grid")
    page, grid = bench.page, bench.page.locator("#grid")
    page.keyboard.press("g")
    for key in ("End", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator(".tile-at")).to_be_in_viewport()
    asked = held_back(page, "**/similar*")
    page.keyboard.press("m")
    until(page, "the question", lambda: asked)
    page.wait_for_timeout(300)
    asked[0].continue_()
    expect(grid).to_have_attribute("aria-rowcount", re.compile(r"^\d\d?$"))
    expect(page.locator(".tile-at")).to_be_in_viewport()


def test_pictures_in_sight_stay_when_points_change(bench):
    bench.review("layout=grid")
    page, grid = bench.page, bench.page.locator("#grid")
    first = page.locator(".grid-line[aria-rowindex='1'] img").first
    expect(first).to_be_visible()
    # So far that more samples were looked at than are read again.
    for line in range(1, 31):
        grid.evaluate("(grid, top) => { grid.scrollTop = top }", line * 700)
        page.wait_for_timeout(100)
    grid.evaluate("grid => { grid.scrollTop = 0 }")
    first.evaluate("image => { image.dataset.mine = 'yes' }")
    with page.expect_response(re.compile("/tasks")):
        bench.server._changed()
    page.wait_for_timeout(500)
    expect(page.locator("img[data-mine]")).to_have_count(1)


def test_a_tab_that_was_opened_in_the_background_shows_the_present(bench):
    page = bench.page
    page.add_init_script(f"({SEEN})('hidden')")
    bench.review()
    assert bench.server.listeners == []
    bench.server.project.flag[:500] = FLAGS.index("confirmed")
    bench.server.cache.clear()
    page.evaluate(SEEN, "visible")
    confirmed = page.locator(".word", has_text="Confirmed").locator(".word-count")
    expect(confirmed).to_have_text(re.compile("^5\\d\\d$"))


def test_a_question_that_was_left_is_not_asked_later(bench):
    bench.review()
    page, dialog = bench.page, bench.page.get_by_role("dialog")
    page.get_by_role("button", name="Activity").click()
    page.get_by_role("button", name="Withdraw 8… of 1-b1").click()
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Flag 1,500").click()
    expect(dialog).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("row", name="1-b1")).to_be_visible()
    expect(dialog).to_have_count(0)


def test_batches_are_counted_anew_after_what_was_done_in_another_room(bench):
    page = bench.page
    asked = asked_of(page, "/batches")
    bench.open("room=activity")
    expect(page.get_by_role("row", name="1-b1")).to_be_visible()
    page.get_by_role("button", name="Review").click()
    page.wait_for_selector(".tile img")
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.locator(".toast-done")).to_be_visible()
    with page.expect_request(re.compile("/batches$")):
        page.get_by_role("button", name="Activity").click()
    assert asked[0] == "batches?lately=true"


def test_what_is_counted_by_itself_takes_nobodys_focus(bench):
    bench.open("room=activity")
    page = bench.page
    again = page.locator(".card", has_text="Relabel batches").get_by_role(
        "button", name="Count again"
    )
    again.focus()
    held = held_back(page, re.compile("/batches"))
    bench.server._changed()
    until(page, "another count", lambda: held)
    page.wait_for_timeout(200)
    expect(again).to_be_focused()
    expect(again).to_be_enabled()
    held[0].continue_()


def test_a_refusal_is_said_once(bench):
    bench.open("room=activity")
    page = bench.page
    refusal = '{"detail": "run-2 has ended already: nothing to cancel"}'
    page.route("**/api/runs/**", lambda route: route.fulfill(status=409, body=refusal))
    page.get_by_role("button", name="Cancel").click()
    said = page.get_by_text("nothing to cancel")
    expect(said).to_be_visible()
    page.get_by_role("button", name="Overview").click()
    expect(page.locator(".figure").first).to_be_visible()
    page.get_by_role("button", name="Activity").click()
    expect(page.locator(".run").first).to_be_visible()
    expect(said).to_have_count(0)


LET_GO_UNHEARD = """plot => {
    const { left, top } = plot.getBoundingClientRect();
    const at = { clientX: left + 200, clientY: top + 200, pointerId: 1, pointerType: 'mouse' };
    plot.dispatchEvent(new PointerEvent('pointermove', { ...at, buttons: 0, bubbles: true }));
}"""


def test_a_ring_is_given_up_where_the_mouse_was_let_go_unheard(bench):
    bench.review()
    page = bench.page
    box = page.locator("#plot").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 80, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 120, steps=4)
    drawing = page.locator(".area-drawing")
    expect(drawing).to_have_count(1)
    page.locator("#plot").evaluate(LET_GO_UNHEARD)
    expect(drawing).to_have_count(0)
