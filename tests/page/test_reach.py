"""Who can use it: by screen reader, in light and dark, on small screens."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.page.conftest import sign_in
from tests.page.pages import findings

ROOMS = ["", "part=regions&color=confidence&kind=missing", "room=overview", "room=activity"]


def settle(page) -> None:
    page.wait_for_load_state("load")
    page.wait_for_selector(".tile img, .figure, .run, .state h2, .project-card, .sign-in-card")
    # Bars and lists come a moment after their frame.
    page.wait_for_timeout(500)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_no_serious_findings(new_page, stand_in, scheme):
    address, _ = stand_in
    page = new_page(color_scheme=scheme)
    page.goto(f"{address}/page/")
    settle(page)
    found = {"sign in": findings(page)}
    sign_in(page, address)
    found["projects"] = findings(page)
    for room in ROOMS:
        page.goto(f"{address}/page/projects/1?{room}")
        settle(page)
        found[room] = findings(page)
    page.goto(f"{address}/page/projects/1")
    settle(page)
    for key in ("g", "Space", "?"):
        page.keyboard.press(key)
    found["keys"] = findings(page)
    said = [f"{room}: {one}" for room, all_of_it in found.items() for one in all_of_it]
    assert not said, "\n".join(said)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_has_none_in_menus_questions_and_where_nothing_is_shown(new_page, stand_in, scheme):
    address, server = stand_in
    server.views["Missing ones"] = "kind=missing"
    page = new_page(color_scheme=scheme)
    sign_in(page, address)
    project = f"{address}/page/projects/1"
    found = {}
    page.goto(project)
    settle(page)
    page.locator("summary", has_text="Views").click()
    page.wait_for_selector(".view-open")
    found["views"] = findings(page)
    page.keyboard.press("Escape")
    for asks in ("Approve", "Relabel…", "Tag…"):
        page.get_by_role("button", name=asks).click()
        page.wait_for_selector("dialog .button-strong")
        found[asks] = findings(page)
        page.keyboard.press("Escape")
    page.goto(f"{project}?q=nothing-of-that-name")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    found["empty"] = findings(page)
    page.route("**/tasks?*", lambda route: route.fulfill(status=500, body="{}"))
    page.goto(f"{project}?layout=grid")
    expect(page.get_by_role("button", name="Try again").first).to_be_visible()
    found["unread"] = findings(page)
    page.route("**/points?*", lambda route: route.fulfill(status=500, body="{}"))
    page.goto(project)
    expect(page.get_by_role("alert")).to_contain_text("No points could be read")
    found["failed"] = findings(page)
    said = [f"{state}: {one}" for state, all_of_it in found.items() for one in all_of_it]
    assert not said, "\n".join(said)


def test_the_tab_says_where_one_is(bench):
    page = bench.page
    expect(page).to_have_title("Projects · Relook")
    bench.open("room=overview")
    expect(page).to_have_title("Overview · Digits, detection · Relook")
    page.get_by_role("button", name="Activity", exact=True).click()
    expect(page).to_have_title("Activity · Digits, detection · Relook")
    page.get_by_label("Signed in as").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Relook")


def test_charts_say_all_their_numbers(bench):
    bench.open("room=overview")
    table = bench.page.get_by_role("table", name="Priority")
    expect(table.get_by_role("row")).to_have_count(25)
    counts = [
        int(said.replace(",", "")) for said in table.locator("td:last-child").all_inner_texts()
    ]
    assert sum(counts) == bench.server.project.tasks
    queue = bench.page.get_by_role("table", name="Open in the queue")
    expect(queue.get_by_role("row")).to_have_count(16)


@pytest.mark.parametrize("width", [820, 1024, 1280])
def test_nothing_runs_out_of_the_screen(new_page, stand_in, width):
    address, _ = stand_in
    page = new_page(viewport={"width": width, "height": 900})
    sign_in(page, address)
    for room in ROOMS:
        page.goto(f"{address}/page/projects/1?{room}")
        settle(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, room
        for name in ("Views", "Keys"):
            box = page.get_by_text(name).or_(page.get_by_label(name)).first.bounding_box()
            assert box["x"] + box["width"] <= width
    if width < 900:
        page.goto(f"{address}/page/projects/1")
        settle(page)
        page.get_by_role("button", name="Filters", exact=True).click()
        page.locator(".word", has_text="Missing").click()
        page.get_by_role("button", name="Close the filters").click()
        page.wait_for_url("**kind=missing**")


def test_keys_lead_to_what_has_to_be_opened_first(new_page, stand_in):
    address, _ = stand_in
    page = new_page(viewport={"width": 820, "height": 900})
    sign_in(page, address)
    page.goto(f"{address}/page/projects/1?layout=map")
    page.wait_for_selector("#plot[data-drawn]")
    page.keyboard.press("g")
    expect(page.locator("#grid")).to_be_focused()
    expect(page.locator(".tile-at")).to_be_visible()
    page.wait_for_url("**/projects/1")
    page.keyboard.press("/")
    page.keyboard.type("149")
    expect(page.locator("#search")).to_have_value("149")
    expect(page.locator("#search")).to_be_focused()


def test_light_and_dark_are_kept(new_page, stand_in):
    address, _ = stand_in
    page = new_page(color_scheme="light")
    sign_in(page, address)
    page.get_by_role("button", name="Use dark colours").click()
    page.reload()
    settle(page)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
