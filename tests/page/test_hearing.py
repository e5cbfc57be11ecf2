"""What the page hears of the server, and what it shows while it hears nothing."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from tests.page.data import FLAGS

SEEN = "value => {Object.defineProperty(document, 'visibilityState', {value, configurable: true});\
 document.dispatchEvent(new Event('visibilitychange'))}"


def test_a_hidden_page_leaves_its_connection_and_catches_up(bench):
    bench.review()
    server, page = bench.server, bench.page
    assert len(server.listeners) == 1
    page.evaluate(SEEN, "hidden")
    expect(page.locator(".offline")).to_have_count(0)
    for _ in range(40):
        if not server.listeners:
            break
        page.wait_for_timeout(100)
    assert server.listeners == []
    server.project.flag[:500] = FLAGS.index("confirmed")
    server.cache.clear()
    page.evaluate(SEEN, "visible")
    confirmed = page.locator(".word", has_text="Confirmed").locator(".word-count")
    expect(confirmed).to_have_text(re.compile("^5\\d\\d$"))


def test_points_are_fetched_one_at_a_time_and_an_outage_takes_none_away(bench):
    bench.review()
    page, held = bench.page, list[Route]()
    page.route("**/points?*", lambda route: held.append(route))  # noqa: PLW0108 - theirs
    for _ in range(3):
        bench.server.tell("points", {})
        page.wait_for_timeout(1500)
    assert len(held) == 1
    held[0].continue_()
    for _ in range(40):
        if len(held) > 1:
            break
        page.wait_for_timeout(100)
    held[1].fulfill(status=500, body="{}")
    page.wait_for_timeout(1500)
    assert len(held) == 2
    expect(page.locator("#plot")).to_be_visible()
    assert bench.said() == "All 1,500 items"


def test_another_projects_numbers_are_not_shown_meanwhile(bench):
    bench.open("room=overview")
    page = bench.page
    expect(page.locator(".figure").first).to_be_visible()
    page.route("**/api/projects/2/**", lambda _: None)
    page.locator(".home").click()
    page.locator(".project-card", has_text="Not analysed yet").click()
    page.get_by_role("button", name="Overview").click()
    expect(page.get_by_text("Counting")).to_be_visible()
    expect(page.locator(".figure")).to_have_count(0)
