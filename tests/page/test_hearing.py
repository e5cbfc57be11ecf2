"""What the page hears of the server, and what it shows while it hears nothing."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Route, expect

from tests.page.data import FLAGS
from tests.page.pages import asked_of, held_back, until
from tests.page.stand_in import RUNS, TOKEN
from tests.page.test_looking import expect_count

SEEN = "value => {Object.defineProperty(document, 'visibilityState', {value, configurable: true});\
 document.dispatchEvent(new Event('visibilitychange'))}"


def test_a_hidden_page_leaves_its_connection_and_catches_up(bench):
    bench.review()
    server, page = bench.server, bench.page
    assert len(server.listeners) == 1
    page.evaluate(SEEN, "hidden")
    expect(page.locator(".offline")).to_have_count(0)
    until(page, "an end of the connection", lambda: not server.listeners)
    server.project.flag[:500] = FLAGS.index("confirmed")
    server.cache.clear()
    page.evaluate(SEEN, "visible")
    confirmed = page.locator(".word", has_text="Confirmed").locator(".word-count")
    expect(confirmed).to_have_text(re.compile("^5\\d\\d$"))


def test_points_are_fetched_one_at_a_time_and_an_outage_takes_none_away(bench):
    bench.review()
    page = bench.page
    held = held_back(page, "**/points?*")
    for _ in range(3):
        bench.server.tell("points", {})
        page.wait_for_timeout(1500)
    assert len(held) == 1
    held[0].continue_()
    until(page, "another question", lambda: len(held) > 1)
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


FAILING = [
    ("q=149", "**/search?*", "Searching…", "The search failed"),
    ("like=12", "**/similar?*", "Looking for similar items…", "No similar items were found"),
    ("part=regions&cell=0.5_0.3&human=3&model=3", "**/cell?*", "Looking for", "The cell was not"),
]


@pytest.mark.parametrize(("query", "path", "waits", "fails"), FAILING)
def test_nothing_is_acted_on_until_the_server_has_answered(bench, query, path, waits, fails):
    page = bench.page
    held = held_back(page, path)
    bench.review(query)
    said = page.locator(".action-target strong")
    expect(said).to_contain_text(waits)

    def nothing_acts() -> None:
        page.keyboard.press("g")
        for key in "faht":
            page.keyboard.press(key)
        for name in ("Flag 0", "Approve 0…", "Relabel…", "Tag…", "Clear flag"):
            expect(page.get_by_role("button", name=name)).to_be_disabled()
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert bench.server.asked == []

    nothing_acts()
    held[0].fulfill(status=503, body='{"detail": "away for a moment"}')
    expect(said).to_contain_text(fails)
    expect(page.locator(".grid-panel").get_by_role("alert")).to_contain_text("away for a moment")
    expect(page.locator(".tile")).to_have_count(0)
    nothing_acts()
    page.unroute(path)
    page.locator(".action-target").get_by_role("button", name="Try again").click()
    expect(said).to_contain_text("match")
    expect(page.locator(".tile").first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile(r"^Flag [1-9]"))).to_be_enabled()


def test_an_answer_to_another_search_is_no_answer(bench):
    bench.review("q=149")
    page = bench.page
    said = page.locator(".action-target strong")
    expect(said).to_contain_text("match")
    page.route("**/search?*", lambda _: None)
    page.get_by_label("Search text, file name, reason or id").fill("1491")
    expect(said).to_have_text("Searching…")
    expect(page.get_by_role("button", name="Flag 0")).to_be_disabled()


def test_a_search_is_made_again_when_something_has_changed(bench):
    bench.review("q=149")
    found = [int(task) for task in bench.server.project.ids() if "149" in str(task)]
    expect_count(bench, len(found))
    answer = {"tasks": found[1:], "more": False}
    bench.page.route("**/search?*", lambda route: route.fulfill(json=answer))
    bench.server._changed()
    expect_count(bench, len(found) - 1)


def test_a_refused_connection_is_opened_anew(bench):
    page = bench.page
    refusals = []

    def refuse(route: Route) -> None:
        refusals.append(route.request.url)
        route.fulfill(status=429, body='{"detail": "too many open pages"}')

    page.route("**/events", refuse)
    bench.review()
    expect(page.locator(".offline")).to_be_visible()
    until(page, "another try", lambda: len(refusals) > 1)
    page.unroute("**/events")
    expect(page.locator(".offline")).to_have_count(0)
    assert len(bench.server.listeners) == 1
    bench.server.project.flag[:500] = FLAGS.index("confirmed")
    bench.server._changed()
    confirmed = page.locator(".word", has_text="Confirmed").locator(".word-count")
    expect(confirmed).to_have_text(re.compile("^5\\d\\d$"))


def test_who_was_signed_out_meanwhile_is_asked_to_sign_in(bench):
    bench.review()
    page = bench.page
    page.evaluate(SEEN, "hidden")
    page.context.clear_cookies()
    page.evaluate(SEEN, "visible")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_activity_hears_of_what_changes(bench):
    bench.open("room=activity")
    page, server = bench.page, bench.server
    cells = page.get_by_role("row", name="1-b1").get_by_role("cell")
    expect(cells.nth(1)).to_have_text("8")
    server.batches[0] |= {"open": 0, "done": 56}
    server.tell("points", {})
    expect(cells.nth(1)).to_have_text("0")
    expect(page.get_by_role("row", name=re.compile("^Flagged"))).to_have_count(0)
    server.ended = {
        **{"id": "other", "action": "flag", "total": 3, "done": 3, "said": "", "by": "Grace"},
        **{"state": "done", "ended": time.time(), "undoable": False},
    }
    server.tell("action", server.ended)
    expect(page.get_by_role("row", name="Flagged 3 tasks")).to_contain_text("Grace")


def test_annotators_are_counted_again_for_who_asks_alone(bench):
    page = bench.page
    asked = asked_of(page, "/annotators")
    bench.open("room=activity")
    again = page.locator(".card", has_text="Errors, estimated").get_by_role(
        "button", name="Count again"
    )
    expect(again).to_be_enabled()
    bench.server.tell("points", {})
    page.wait_for_timeout(1500)
    assert asked == ["annotators?lately=true"]
    with page.expect_response(re.compile("/annotators")):
        again.click()
    expect(again).to_be_enabled()
    assert asked == ["annotators?lately=true", "annotators"]


def test_a_card_that_failed_is_read_again(bench):
    page = bench.page
    names = ("runs", "batches", "actions", "annotators")
    paths = {path: re.compile(rf"/{path}(\?|$)") for path in names}

    def refuse(route: Route) -> None:
        name = route.request.url.rsplit("/", 1)[1].partition("?")[0]
        route.fulfill(status=503, body=f'{{"detail": "no {name} now"}}')

    for address in paths.values():
        page.route(address, refuse)
    bench.open("room=activity")
    for path, address in paths.items():
        card = page.locator(".card", has_text=f"no {path} now")
        expect(card).to_have_count(1)
        page.unroute(address)
        card.get_by_role("button", name="Try again").click()
        expect(card).to_have_count(0)
    expect(page.locator(".run").first).to_be_visible()


def test_a_short_outage_leaves_nothing_behind(bench):
    page, failed = bench.page, []

    def fail_once(route: Route) -> None:
        if len(failed) < 1:
            # First: while it is aborted, the next request is asked about.
            failed.append(route)
            route.abort()
        else:
            route.continue_()

    page.route("**/tasks?*", fail_once)
    bench.review("layout=grid")
    assert len(failed) == 1
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


@pytest.mark.parametrize("part", ["**/tasks?*", "**/image?*"])
def test_what_could_not_be_read_is_tried_again(bench, part):
    page = bench.page
    page.route(part, lambda route: route.fulfill(status=502, body="{}"))
    bench.open("layout=grid")
    again = page.get_by_role("button", name="Try again")
    expect(again.first).to_be_visible()
    page.unroute(part)
    again.first.click()
    expect(page.locator(".tile img").first).to_be_visible()
    expect(again).to_have_count(0)


def test_pictures_come_back_with_the_server(bench):
    page = bench.page
    page.route("**/image?*", lambda route: route.abort())
    bench.open("layout=grid")
    again = page.get_by_role("button", name="Try again")
    expect(again.first).to_be_visible()
    page.unroute("**/image?*")
    # It is heard of again as after any break.
    for state in ("hidden", "visible"):
        page.evaluate(SEEN, state)
    expect(page.locator(".tile img").first).to_be_visible()
    expect(again).to_have_count(0)


def test_who_was_signed_out_is_told_by_what_could_not_be_read(bench):
    page = bench.page
    refuse = {"status": 401, "body": '{"detail": "sign in"}'}
    page.route("**/tasks?*", lambda route: route.fulfill(**refuse))
    bench.open("layout=grid")
    expect(page.locator("input[type=password]")).to_be_visible()
    expect(page.get_by_text("You were signed out.")).to_be_visible()


def test_who_could_not_sign_out_is_told(bench):
    page = bench.page
    page.route("**/api/session", lambda route: route.abort())
    page.get_by_label("Signed in as Ada Lovelace").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("alert")).to_contain_text("You are still signed in. Relook does not")
    page.unroute("**/api/session")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("input[type=password]")).to_be_visible()


def test_who_signs_in_finds_what_the_address_searches_for(bench):
    page = bench.page
    page.context.clear_cookies()
    bench.open("q=149")
    # Longer than a search waits for the next letter.
    page.wait_for_timeout(700)
    page.fill("input[type=password]", TOKEN)
    page.click("button[type=submit]")
    expect(page.locator(".action-target strong")).to_contain_text("match")
    expect(page.locator(".tile img").first).to_be_visible()


def test_a_run_that_ended_unheard_is_not_shown_as_under_way(bench):
    page, server = bench.page, bench.server
    ended = RUNS[1]
    server.runs = [{**ended, "state": "running", "ended": 0.0}]
    bench.open("room=activity")
    cancel = page.locator(".run").nth(1).get_by_role("button", name="Cancel")
    expect(cancel).to_have_count(1)
    page.evaluate(SEEN, "hidden")
    # Later ones are told when it is heard again; this one is listed.
    server.runs = []
    page.evaluate(SEEN, "visible")
    expect(cancel).to_have_count(0)
    expect(page.locator(".run")).to_have_count(len(RUNS))


def test_a_wish_that_is_granted_elsewhere_moves_nothing_here(bench):
    page, held = bench.page, list[Route]()
    wishes = re.compile("/api/projects/1/runs$")

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            held.append(route)
        else:
            route.continue_()

    page.route(wishes, hold)
    bench.open("room=activity")
    analyse = page.get_by_role("button", name="Analyse the project")
    analyse.click()
    # Pressed again, it would be a second run.
    analyse.click()
    until(page, "the wish", lambda: held)
    page.locator(".home").click()
    expect(page.locator(".project-card").first).to_be_visible()
    assert len(held) == 1
    with page.expect_response(wishes):
        held[0].continue_()
    page.wait_for_timeout(300)
    expect(page.locator(".project-card").first).to_be_visible()
    assert "room" not in page.url
