"""How a view is kept and handed on: under a name, and by its address."""

from __future__ import annotations

import re

import pyarrow.compute as pc
from playwright.sync_api import Route, expect

from tests.page.conftest import ELSEWHERE, sign_in
from tests.page.pages import held_back, watched_pages
from tests.page.test_looking import draw_box, expect_count


def test_a_view_survives_its_address(bench, new_page, stand_in):
    bench.review("color=priority&sort=confidence")
    draw_box(bench.page, 0.5, 0.1, 1, 0.9)
    bench.page.locator(".word", has_text="Mislabelled").click()
    bench.page.keyboard.press("g")
    for key in ("Space", "ArrowRight", "Space"):
        bench.page.keyboard.press(key)
    expect(bench.page.locator(".action-target strong")).to_have_text("2 items picked")
    bench.page.wait_for_url(re.compile(r"picked=\d+_\d+"))
    picked = bench.page.locator(".tile[aria-selected=true]").evaluate_all(
        "all => all.map(e => e.id)"
    )
    other = new_page()
    sign_in(other, bench.address)
    other.goto(bench.page.url)
    expect(other.locator(".action-target strong")).to_have_text("2 items picked")
    again = other.locator(".tile[aria-selected=true]").evaluate_all("all => all.map(e => e.id)")
    assert again == picked
    expect(other.locator(".area-add")).to_have_count(1)
    assert other.locator(".legend select").input_value() == "priority"


def test_views_are_saved_opened_and_deleted(bench):
    bench.review("kind=missing&color=kind")
    page = bench.page
    page.locator("summary", has_text="Views").click()
    page.get_by_label("Name of this view").fill("Missing ones")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".view-open")).to_have_text("Missing ones")
    bench.review()
    expect_count(bench, bench.table().num_rows)
    page.locator("summary", has_text="Views").click()
    page.get_by_role("button", name="Missing ones", exact=True).click()
    expect_count(bench, pc.sum(pc.equal(bench.table()["kind"], "missing")).as_py())
    page.locator("summary", has_text="Views").click()
    page.get_by_role("button", name="Delete the view Missing ones").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".view-open")).to_have_count(0)
    assert bench.server.views == {}


def test_a_colleagues_view_is_replaced_only_after_a_question(bench):
    bench.review("kind=missing")
    page = bench.page
    page.locator("summary", has_text="Views").click()
    expect(page.get_by_text("Save the filters and colours")).to_be_visible()
    bench.server.views["Mine"] = "kind=spurious"
    name, keep = page.get_by_label("Name of this view"), page.get_by_role("button", name="Save")
    name.fill("Mine")
    keep.click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Replace the view “Mine”?")
    question.get_by_role("button", name="Cancel").click()
    # It is there to be looked at, and what was typed is not lost.
    expect(page.locator(".view-open")).to_have_text("Mine")
    expect(name).to_have_value("Mine")
    assert bench.server.views == {"Mine": "kind=spurious"}
    keep.click()
    question.get_by_role("button", name="Replace").click()
    expect(question).to_have_count(0)
    expect(name).to_have_value("")
    assert bench.server.views == {"Mine": "kind=missing"}


def test_views_that_cannot_be_read_are_not_none(bench):
    bench.server.views["Mine"] = "kind=spurious"
    bench.review()
    page = bench.page
    held = held_back(page, "**/views")
    page.locator("summary", has_text="Views").click()
    expect(page.get_by_role("status").filter(has_text="Reading the views")).to_be_visible()
    while not held:
        page.wait_for_timeout(50)
    held.pop().abort()
    alert = page.locator(".menu").get_by_role("alert")
    expect(alert).to_contain_text("The views could not be read. Relook does not answer.")
    expect(page.get_by_text("Save the filters and colours")).to_have_count(0)
    page.unroute("**/views")
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator(".view-open")).to_have_text("Mine")
    # What a colleague saved meanwhile is listed whenever the menu opens.
    bench.server.views["Theirs"] = "kind=missing"
    for _ in range(2):
        page.locator("summary", has_text="Views").click()
    expect(page.locator(".view-open")).to_have_text(["Mine", "Theirs"])


def test_over_plain_http_the_address_of_a_view_is_there_to_copy(bench, browser):
    # Only there does a browser lend no clipboard.
    address = bench.address.replace("127.0.0.1", ELSEWHERE)
    with watched_pages(browser, address) as make:
        page = make()
        sign_in(page, address)
        assert page.evaluate("window.isSecureContext") is False
        page.goto(f"{address}/page/projects/1?kind=missing")
        page.get_by_text("Views", exact=True).click()
        field = page.get_by_label("Address of this view, to copy")
        expect(field).to_have_value(f"{address}/page/projects/1?kind=missing")
        field.focus()
        page.keyboard.press("Control+c")
        page.get_by_label("Name of this view").focus()
        page.keyboard.press("Control+v")
        expect(page.get_by_label("Name of this view")).to_have_value(page.url)


def test_elsewhere_it_is_copied_by_a_button(bench):
    bench.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    bench.review("kind=missing")
    bench.page.get_by_text("Views", exact=True).click()
    bench.page.get_by_role("button", name="Copy the address of this view").click()
    expect(bench.page.get_by_role("button", name="Copied")).to_be_visible()
    assert bench.page.evaluate("navigator.clipboard.readText()") == bench.page.url


def test_a_refused_clipboard_leaves_the_address_to_copy(bench):
    bench.review("kind=missing")
    page = bench.page
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error('no')) }")
    page.get_by_text("Views", exact=True).click()
    page.get_by_role("button", name="Copy the address of this view").click()
    expect(page.get_by_role("alert")).to_contain_text("The browser refused its clipboard")
    expect(page.get_by_label("Address of this view, to copy")).to_have_value(page.url)


def test_what_comes_of_a_view_is_seen_by_who_has_left_its_menu(bench):
    bench.server.views["Mine"] = "kind=spurious"
    bench.review("kind=missing")
    page = bench.page
    menu = page.locator("details", has=page.locator("summary", has_text="Views"))
    held = held_back(page, "**/views/*")

    def save_and_leave() -> Route:
        page.get_by_label("Name of this view").fill("Mine")
        page.get_by_role("button", name="Save").click()
        while not held:
            page.wait_for_timeout(50)
        page.get_by_role("region", name="Details").click(position={"x": 4, "y": 4})
        expect(menu).not_to_have_attribute("open", "")
        return held.pop()

    page.locator("summary", has_text="Views").click()
    save_and_leave().continue_()
    question = page.get_by_role("dialog")
    expect(question).to_be_visible()
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    # What was typed is there to be changed.
    expect(menu).to_have_attribute("open", "")
    save_and_leave().fulfill(status=503, json={"detail": "Redis cannot be reached"})
    expect(menu.get_by_role("alert")).to_have_text("Redis cannot be reached")
