"""What is done: flags, tags, batches, approval, and all of it by keyboard."""

from __future__ import annotations

import re

import pyarrow.compute as pc
from playwright.sync_api import expect

from tests.page.test_looking import draw_box


def flag_count(bench, flag: str) -> int:
    return pc.sum(pc.equal(bench.table()["flag"], flag)).as_py()


def test_an_area_is_flagged_and_the_flag_taken_back(bench):
    bench.review()
    before = flag_count(bench, "needs-review")
    draw_box(bench.page, 0.75, 0.3, 1, 0.6)
    flag = bench.page.get_by_role("button", name=re.compile(r"^Flag \d"))
    expect(bench.page.locator(".action-target strong")).to_contain_text("in the area")
    count = int(re.search(r"\d+", flag.inner_text())[0])
    flag.click()
    toast = bench.page.locator(".toast-done")
    expect(toast).to_contain_text(f"Flagged {count} tasks")
    (asked,) = bench.server.asked
    assert asked["action"] == "flag"
    assert len(asked["tasks"]) == count
    assert flag_count(bench, "needs-review") > before
    shown = bench.page.locator(".word", has_text="Needs review").locator(".word-count")
    expect(shown).to_have_text(str(count))
    toast.get_by_role("button", name="Undo").click()
    expect(shown).not_to_have_text(str(count))
    assert flag_count(bench, "needs-review") == before


def test_very_many_are_asked_about_first(bench):
    bench.review()
    bench.page.get_by_role("button", name="Flag 1,500").click()
    dialog = bench.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Flag 1,500 tasks?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert bench.server.asked == []


def test_approval_says_how_many_and_asks_once(bench):
    bench.review("kind=missing")
    count = int(re.search(r"\d+", bench.said())[0])
    bench.page.get_by_role("button", name=re.compile("^Approve")).click()
    dialog = bench.page.get_by_role("dialog")
    left = count // 10
    expect(dialog).to_contain_text(f"{left} left out: a suggestion waits there")
    # The project's own, until another is asked for.
    expect(dialog.get_by_label("Sure from a confidence of")).to_have_value("0.85")
    dialog.get_by_role("button", name=f"Approve {count - left}").click()
    expect(bench.page.locator(".toast-done")).to_contain_text("Approved")
    (asked,) = bench.server.asked
    assert asked["action"] == "approve"
    assert len(asked["tasks"]) == count


def test_flagged_ones_can_be_left_out(bench):
    bench.review("kind=mislabelled")
    table = bench.table()
    wrong = table.filter(pc.equal(table["kind"], "mislabelled"))
    calm = pc.sum(pc.not_equal(wrong["flag"], "needs-review")).as_py()
    assert 0 < calm < wrong.num_rows
    bench.page.get_by_label("Exclude flagged").check()
    expect(bench.page.get_by_role("button", name=f"Flag {calm}", exact=True)).to_be_visible()


def test_tags_are_put_on_and_filtered_by(bench):
    bench.review("kind=outlier")
    count = int(re.search(r"\d+", bench.said())[0])
    bench.page.get_by_role("button", name="Tag…").click()
    bench.page.get_by_label("Tag", exact=True).fill("look twice")
    bench.page.get_by_role("button", name=re.compile("^Tag .* tasks?$")).click()
    expect(bench.page.locator(".toast-done")).to_contain_text("Tagged")
    bench.review()
    bench.page.locator(".word", has_text="look twice").click()
    expect(bench.page.locator(".action-target strong")).to_have_text(f"{count} items match")


def test_a_batch_is_sent_where_it_was_said(bench):
    bench.review("kind=spurious")
    bench.page.get_by_role("button", name="Relabel…").click()
    dialog = bench.page.get_by_role("dialog")
    dialog.get_by_label("Where").select_option("here")
    dialog.get_by_role("button", name=re.compile(r"^Send \d")).click()
    expect(bench.page.locator(".toast-done")).to_contain_text("Sent")
    (asked,) = bench.server.asked
    assert asked["action"] == "batch"
    assert asked["options"] == {"to": "here"}


def test_all_of_it_by_keyboard(bench):
    bench.review("kind=mislabelled")
    page = bench.page
    keys = page.keyboard
    keys.press("g")
    tile = page.locator(".tile-at")
    expect(tile).to_have_count(1)
    first = tile.get_attribute("id")
    for key in ("Space", "ArrowRight", "ArrowDown", "Space"):
        keys.press(key)
    expect(page.locator(".tile[aria-selected=true]")).to_have_count(2)
    assert page.locator("#grid").get_attribute("aria-activedescendant") != first
    keys.press("f")
    expect(page.locator(".toast-done")).to_contain_text("Flagged 2 tasks")
    keys.press("Escape")
    expect(page.locator(".tile[aria-selected=true]")).to_have_count(0)
    keys.press("a")
    expect(page.get_by_role("dialog")).to_contain_text("Approve 1 task?")
    keys.press("Tab")
    keys.press("Tab")
    approve = page.get_by_role("dialog").get_by_role("button", name=re.compile("^Approve"))
    expect(approve).to_be_enabled()
    approve.focus()
    keys.press("Enter")
    expect(page.locator(".toast", has_text="Approved 1 task")).to_be_visible()
    with page.context.expect_page() as opened:
        page.focus("#grid")
        keys.press("Enter")
    assert re.search(r"/label-studio/projects/1/data\?task=\d+", opened.value.url)
    page.bring_to_front()
    keys.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("More like this")
    keys.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keys.press("End")
    line = page.locator(".grid-line", has=page.locator(".tile-at"))
    count = page.locator("#grid").get_attribute("aria-rowcount")
    expect(line).to_have_attribute("aria-rowindex", count)
