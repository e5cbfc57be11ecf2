"""What is seen: filters and their counts, areas, addresses, similar items, numbers."""

from __future__ import annotations

import re
import time

import numpy as np
import pyarrow.compute as pc
import pytest
from playwright.sync_api import Route, expect

from tests.page.conftest import sign_in
from tests.page.data import LABELS
from tests.page.stand_in import DIGIT, RUNS


def counted(bench) -> int:
    """The number that the action bar names."""
    return int(re.search(r"[\d,]+", bench.said())[0].replace(",", ""))


#: A number as the side bar has it.
SHORT = "n => new Intl.NumberFormat(undefined, " + (
    "{notation: 'compact', maximumFractionDigits: 1}).format(n)"
)


def expect_count(bench, count: int) -> None:
    said = bench.page.locator(".action-target strong")
    expect(said).to_have_text(re.compile(rf"(^|\s){count:,}\s"))


def draw_box(page, x0: float, y0: float, x1: float, y1: float, key: str = "") -> None:
    """Draw a box over the plot; places are shares of its width and height."""
    page.get_by_role("button", name=re.compile("^Box")).click()
    box = page.locator("#plot").bounding_box()
    at = [
        (box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in ((x0, y0), (x1, y1))
    ]
    if key:
        page.keyboard.down(key)
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move(*at[1], steps=4)
    page.mouse.up()
    if key:
        page.keyboard.up(key)


def test_a_wrong_token_is_refused_with_the_mend(new_page, stand_in):
    address, _ = stand_in
    page = new_page()
    page.goto(f"{address}/page/")
    page.fill("input[type=password]", "wrong")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("Make a new one")
    sign_in(page, address)
    expect(page.locator(".project-card")).to_have_count(2)


def test_a_false_positive_and_confidence_are_two_clicks(bench):
    bench.review()
    bench.page.get_by_role("button", name=re.compile("False positives ≥ 1")).click()
    bench.page.get_by_role("button", name=re.compile("Confidence ≥ 0.75")).click()
    table = bench.table()
    wanted = pc.and_(
        pc.greater_equal(table["false_positives"], 1), pc.greater_equal(table["confidence"], 0.75)
    )
    assert pc.sum(wanted).as_py() > 0
    expect_count(bench, pc.sum(wanted).as_py())
    # What other kinds there are among them is said beside each.
    missing = bench.page.locator(".word", has_text="Missing").locator(".word-count")
    expect(missing).to_have_text(str(pc.sum(wanted).as_py()))


def test_counts_are_of_what_another_choice_would_bring(bench):
    bench.review()
    table = bench.table()
    corrected = pc.sum(pc.equal(table["flag"], "corrected")).as_py()
    flagged = pc.sum(pc.equal(table["flag"], "needs-review")).as_py()
    bench.page.locator(".word", has_text="Needs review").click()
    expect_count(bench, flagged)
    row = bench.page.locator(".word", has_text="Corrected").locator(".word-count")
    expect(row).to_have_text(str(corrected))
    bench.page.locator(".word", has_text="Corrected").click()
    expect_count(bench, flagged + corrected)


def test_the_legend_filters(bench):
    bench.review()
    label = bench.page.locator(".legend-class").first
    name = label.locator(".cut").inner_text()
    label.click()
    expect_count(bench, pc.sum(pc.equal(bench.table()["label"], name)).as_py())
    label.click()
    expect_count(bench, bench.table().num_rows)


def test_areas_add_and_take_away(bench):
    bench.review()
    draw_box(bench.page, 0.01, 0.01, 0.5, 0.99)
    left = bench.page.locator(".action-target strong")
    expect(left).to_contain_text("in the area")
    half = counted(bench)
    draw_box(bench.page, 0.01, 0.01, 0.5, 0.5, "Alt")
    expect(left).not_to_contain_text(f"{half:,} ")
    quarter = counted(bench)
    assert 0 < quarter < half
    draw_box(bench.page, 0.5, 0.5, 0.99, 0.99, "Shift")
    expect(left).not_to_contain_text(f"{quarter:,} ")
    draw_box(bench.page, 0.5, 0.01, 0.99, 0.5, "Shift")
    draw_box(bench.page, 0.01, 0.01, 0.5, 0.5, "Shift")
    # All that has a place in the plane is within one of the four quarters.
    placed = bench.table().num_rows - pc.sum(pc.is_nan(bench.table()["x"])).as_py()
    expect_count(bench, placed)


def test_an_area_grows_and_shrinks_without_keys(bench):
    """On a tablet there is neither Shift nor Alt, and many a desktop keeps Alt for itself."""
    bench.review()
    page, said = bench.page, bench.page.locator(".action-target strong")
    new, add, less = (
        page.get_by_role("button", name=re.compile(name))
        for name in ("^A new area", "^Add to the area", "^Take away from the area")
    )
    expect(new).to_have_attribute("aria-pressed", "true")
    # Of nothing, nothing can be taken.
    expect(less).to_be_disabled()
    draw_box(page, 0.2, 0.05, 0.5, 0.95)
    expect(said).to_contain_text("in the area")
    left = counted(bench)
    add.click()
    draw_box(page, 0.5, 0.05, 0.95, 0.95)
    expect(said).not_to_contain_text(f"{left:,} ")
    both = counted(bench)
    less.click()
    draw_box(page, 0.2, 0.05, 0.5, 0.95)
    expect(said).not_to_contain_text(f"{both:,} ")
    assert counted(bench) == both - left
    # A click beside all points lets go of an area only where the next one is a new one.
    box = page.locator("#plot").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(said).to_contain_text("in the area")
    page.get_by_role("button", name="Remove the area").click()
    expect(new).to_have_attribute("aria-pressed", "true")
    expect(less).to_be_disabled()


def test_what_is_in_sight_is_an_area_by_key(bench):
    bench.review()
    page, said, keys = bench.page, bench.page.locator(".action-target strong"), bench.page.keyboard
    placed = bench.table().num_rows - pc.sum(pc.is_nan(bench.table()["x"])).as_py()
    page.focus("#plot")
    keys.press("v")
    expect_count(bench, placed)
    expect(said).to_contain_text("in the area")
    for key in ("+", "+", "ArrowRight", "ArrowRight", "ArrowRight", "Shift+V"):
        keys.press(key)
    expect(said).not_to_contain_text(f"{placed:,} ")
    some = counted(bench)
    assert 0 < some < placed
    for key in ("0", "v"):
        keys.press(key)
    expect_count(bench, placed)
    for _ in range(2):
        keys.press("+")
    for _ in range(3):
        keys.press("ArrowRight")
    page.get_by_role("button", name=re.compile("^Take away")).focus()
    keys.press("Enter")
    page.get_by_role("button", name=re.compile("^Take what is in sight")).focus()
    keys.press("Enter")
    expect_count(bench, placed - some)


def test_an_area_is_what_lies_within_it(bench):
    """A lasso around the cluster of one label holds that cluster."""
    bench.review()
    bench.page.get_by_role("button", name=re.compile("^Lasso")).click()
    table = bench.table()
    box = bench.page.locator("#plot").bounding_box()
    scale = min(box["width"], box["height"]) * 0.46
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    # The first label's cluster lies to the right: 0.66, 0.
    corners = [(0.4, -0.19), (0.92, -0.19), (0.92, 0.19), (0.4, 0.19)]
    for place, (x, y) in enumerate(corners):
        bench.page.mouse.move(middle[0] + x * scale, middle[1] - y * scale, steps=6)
        if place == 0:
            bench.page.mouse.down()
    bench.page.mouse.up()
    expect(bench.page.locator(".action-target strong")).to_contain_text("in the area")
    x, y = table["x"].to_numpy(), table["y"].to_numpy()
    within = (x > 0.4) & (x < 0.92) & (abs(y) < 0.19)
    # A pixel more or less is a hand's doing.
    assert counted(bench) == pytest.approx(within.sum(), rel=0.03)
    wanted = pc.equal(table["label"], LABELS[0]).to_numpy()
    assert (within & wanted).sum() / within.sum() > 0.9


def test_an_area_of_the_map_before_means_nothing(bench):
    """Laid out anew, other points lie there: nobody knows of which one thought."""
    bench.review()
    page, server = bench.page, bench.server
    draw_box(page, 0.75, 0.3, 1, 0.6)
    said = page.locator(".action-target strong")
    expect(said).to_contain_text("in the area")
    address = page.url
    server.project.plane = "p2"
    server.cache.clear()
    server.tell("points", {})
    anew = "The map was laid out anew: draw the area again"
    expect(said).to_have_text(anew)
    expect(page.get_by_role("button", name=re.compile("^Flag"))).to_be_disabled()
    page.keyboard.press("f")
    expect(page.locator("polygon.area")).to_have_count(0)
    # What is added to it is all of the area.
    draw_box(page, 0.75, 0.3, 1, 0.6, "Shift")
    expect(said).to_contain_text("in the area")
    expect(page.locator("polygon.area")).to_have_count(1)
    # The address that a colleague was shown, or a saved view.
    page.goto(address)
    expect(said).to_have_text(anew)
    page.get_by_role("button", name="Go on without the area").click()
    expect_count(bench, bench.table().num_rows)
    assert server.asked == []


def test_search_narrows_to_what_the_server_finds(bench):
    bench.review()
    bench.page.keyboard.press("/")
    bench.page.keyboard.type("149")
    found = [task for task in bench.server.project.ids() if "149" in str(task)]
    expect_count(bench, len(found))


def test_a_range_that_is_shut_at_its_upper_end_is_opened_again(bench):
    """Both handles lie on each other there, and the upper one has nowhere to go."""
    bench.open("confidence=1_1")
    low, high = (bench.page.get_by_label(f"Confidence: at {end}") for end in ("least", "most"))
    low.scroll_into_view_if_needed()
    box, mouse = low.bounding_box(), bench.page.mouse
    middle = box["y"] + box["height"] / 2
    mouse.move(box["x"] + box["width"] - 7, middle)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 2, middle, steps=4)
    mouse.up()
    expect(low).to_have_value(re.compile(r"0\.[45]"))
    expect(high).to_have_value("1")


def test_a_movement_just_before_a_frame_is_not_lost(bench):
    bench.review()
    low = bench.page.get_by_label("Confidence: at least")
    # Frames as slow as a busy machine's: effects that wait for one are run before it comes.
    low.evaluate(
        """handle => {
            const move = to => {
                handle.value = to;
                handle.dispatchEvent(new Event("input", {bubbles: true}));
            };
            const waiting = new Map(), later = ["0.4"];
            let count = 0;
            window.requestAnimationFrame = work => waiting.set(++count, work) && count;
            window.cancelAnimationFrame = id => waiting.delete(id);
            setInterval(async () => {
                if (later.length) move(later.pop());
                await null;
                const now = [...waiting.values()];
                waiting.clear();
                for (const work of now) work(performance.now());
            }, 300);
            move("0.3");
        }"""
    )
    bench.page.wait_for_url("**confidence=0.4_1*")
    expect(low).to_have_value("0.4")


def test_a_day_is_asked_for_and_let_go_of(bench):
    bench.review()
    page = bench.page
    page.locator("summary", has_text="Last changed").click()
    start, end = page.get_by_label("From", exact=True), page.get_by_label("To", exact=True)
    # A year is typed digit by digit; those before the last make no year of ours.
    for year in ("0002", "0020", "0202"):
        start.fill(f"{year}-05-01")
        expect(start).to_have_value(f"{year}-05-01")
    expect_count(bench, bench.table().num_rows)
    start.fill("2026-05-01")
    updated = bench.table()["updated"].to_numpy()
    midnight = page.evaluate("new Date(2026, 4, 1).getTime() / 1000")
    within = int((updated >= midnight).sum())
    assert 0 < within < len(updated)
    expect_count(bench, within)
    end.fill("2026-05-01")
    expect_count(bench, int(((updated >= midnight) & (updated < midnight + 86_400)).sum()))
    end.fill("")
    expect_count(bench, within)
    start.fill("")
    expect_count(bench, len(updated))
    expect(page.locator(".action-target strong")).to_contain_text("All ")
    page.wait_for_url(lambda url: "updated=" not in url)


def test_a_limit_says_how_many_it_would_bring(bench):
    bench.review("part=regions&layout=grid")
    page = bench.page
    page.get_by_role("button", name="Regions", exact=True).wait_for()
    table = bench.table("regions")
    for title, column in (("Confidence", "confidence"), ("IoU with the model", "iou")):
        facet = page.locator(".facet", has_text=title).first
        unknown = pc.sum(pc.is_nan(table[column])).as_py()
        said = facet.get_by_text(f"unknown {unknown}")
        expect(said).to_have_count(1 if unknown else 0)
    least = np.float32(0.9)
    within = int((table["confidence"].to_numpy() >= least).sum())
    preset = page.get_by_role("button", name=re.compile("^Confidence ≥ 0.9 "))
    said = preset.locator(".preset-count").inner_text()
    preset.click()
    expect_count(bench, within)
    assert said == page.evaluate(SHORT, within)


def test_days_say_how_many_they_would_bring(bench):
    now = int(time.time())
    changed = bench.server.project.updated
    changed[:] = now - 10 * 86_400
    changed[:40] = now
    bench.server.cache.clear()
    bench.review()
    page = bench.page
    page.locator("summary", has_text="Last changed").click()
    week = page.get_by_role("button", name=re.compile("^Changed: 7 days"))
    expect(week).to_have_text(re.compile(" 40$"))
    expect(page.get_by_role("button", name="Changed: 30 days 1.5K")).to_be_visible()
    week.click()
    expect_count(bench, 40)
    expect(week).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".dates input").first).not_to_have_value("")
    week.click()
    expect_count(bench, len(changed))


def test_hovering_shows_the_regions_of_both(bench):
    bench.review()
    bench.page.mouse.move(*bench.place(3))
    card = bench.page.locator(".hover-card")
    expect(card.locator("img")).to_be_visible()
    assert card.locator(".human-outline").count() > 0
    assert card.locator(".model-outline").count() > 0


def test_both_can_be_hidden(bench):
    bench.review("layout=grid")
    drawn = {
        kind: bench.page.locator(f".tile .{kind}-outline").first for kind in ("human", "model")
    }
    for kind, other in (("human", "model"), ("model", "human")):
        button = bench.page.get_by_role("button", name=kind.title(), exact=True)
        button.click()
        expect(drawn[kind]).to_have_count(0)
        expect(drawn[other]).to_be_attached()
        button.click()


def test_more_like_this_lists_the_nearest_first(bench):
    bench.review("sort=task&layout=grid")
    bench.page.focus("#grid")
    bench.page.keyboard.press("m")
    expect(bench.page.locator(".tile").nth(1)).to_have_id("tile-48")
    expect(bench.page.locator(".tile").first).to_have_id("tile-0")
    bench.page.keyboard.press("Escape")
    expect_count(bench, bench.table().num_rows)


def overview_at(page, iou: str, confidence: str) -> None:
    """Ask the overview for other numbers, and wait until they are there."""
    asked = re.compile(rf"/overview\?.*iou={iou}&confidence={confidence}$")
    with page.expect_response(asked):
        page.get_by_label("IoU at least").fill(iou)
        page.get_by_label("Confidence at least").fill(confidence)
    # Before the first numbers are there, nothing is out of date.
    expect(page.locator(".confusion")).to_be_visible()
    expect(page.locator("[inert]")).to_have_count(0)
    expect(page.get_by_text("Counting…")).to_have_count(0)


@pytest.mark.parametrize("at", [("0.6", "0.4"), ("0.9", "0.8")])
def test_a_cell_of_the_confusion_matrix_shows_what_it_counts(bench, at):
    page = bench.page
    bench.open("room=overview")
    overview_at(page, *at)
    said = page.locator(".action-target strong")
    wrong = page.locator(".cell-wrong button").evaluate_all("all => all.map(one => one.ariaLabel)")
    mixed_up = next(one for one in wrong if "background" not in one)
    for cell in ("Human 3, model 3: ", "Human 3, model background: ", mixed_up):
        button = page.get_by_role("button", name=re.compile(f"^{cell}"))
        count = int(button.inner_text())
        button.click()
        expect(said).to_have_text(re.compile(f"^{count} regions? match(es)?$"))
        page.get_by_role("button", name="Show not only this cell").click()
        expect(said).to_contain_text("All ")
        page.go_back()
        page.go_back()
        # The numbers are those that led there.
        expect(page.get_by_label("IoU at least")).to_have_value(at[0])
    # Regions of the model are no points: their inputs are shown, and both are said.
    button = page.get_by_role("button", name=re.compile("^Human background, model 1: "))
    count = int(button.inner_text())
    button.click()
    chip = page.get_by_role("button", name="Show not only this cell")
    expect(chip).to_contain_text(f"Human nothing, model 1: {count} in ")
    tasks = int(chip.inner_text().split(" in ")[1].split()[0])
    assert tasks < count
    expect(said).to_have_text(f"{tasks} items match")


def test_a_label_may_be_called_background(bench):
    matrix = {
        "labels": ["background", "3", "background"],
        "counts": [[5, 1, 2], [0] * 3, [4, 0, 0]],
    }

    def rename(route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"confusion": matrix})

    bench.page.route("**/overview?*", rename)
    asked = []
    bench.page.on("request", lambda one: "/cell?" in one.url and asked.append(one.url))
    for cell, wanted in (
        ("Human background, model 3: 1", {"human=background", "model=3"}),
        ("Human background, model background: 5", {"human=background", "model=background"}),
        ("Human background, model background: 2", {"human=background"}),
        ("Human background, model background: 4", {"model=background"}),
    ):
        asked.clear()
        bench.open("room=overview")
        bench.page.get_by_role("button", name=cell).click()
        bench.page.wait_for_selector(".action-target")
        while not asked:
            bench.page.wait_for_timeout(50)
        parts = set(asked[0].split("?")[1].split("&"))
        assert {one for one in parts if one.startswith(("human", "model"))} == wanted


def test_a_class_of_the_table_shows_its_items(bench):
    bench.open("room=overview&cell=0.5_0.3&human=3&model=0")
    row = bench.page.locator(
        ".table tr", has=bench.page.get_by_role("button", name="7", exact=True)
    )
    counted = int(row.locator("td").last.inner_text().replace(",", ""))
    row.get_by_role("button").click()
    bench.page.wait_for_selector("#plot[data-drawn]")
    expect_count(bench, counted)
    assert counted == pc.sum(pc.equal(bench.table("regions")["label"], "7")).as_py()


def test_a_figure_of_the_overview_shows_what_it_counts(bench):
    bench.open("room=overview&part=regions")
    figure = bench.page.get_by_role("button", name=re.compile("^Need review"))
    counted = int(figure.locator(".figure-value").inner_text().replace(",", ""))
    figure.click()
    expect(bench.page.locator(".action-target strong")).to_have_text(f"{counted:,} items match")


def test_a_class_without_regions_shows_its_inputs(bench):
    bench.server.controls[0] = DIGIT | {"geometry": "choice", "parts": ["inputs"]}
    bench.open("room=overview")
    bench.page.locator(".table").get_by_role("button", name="7", exact=True).click()
    expect_count(bench, pc.sum(pc.equal(bench.table()["label"], "7")).as_py())


def test_the_overviews_thresholds_are_those_of_its_numbers(bench):
    bench.open("room=overview")
    page = bench.page
    cards = page.locator(".cards")
    expect(cards).to_be_visible()
    held, asked = list[Route](), list[str]()

    def hold(route: Route) -> None:
        asked.append(route.request.url)
        if "confidence=1" in asked[-1] and not held:
            held.append(route)
        else:
            route.continue_()

    page.route("**/overview?*", hold)
    page.get_by_label("Confidence at least").fill("1")
    expect(page.get_by_role("status").filter(has_text="Counting…")).to_be_visible()
    expect(page.locator("[inert] .cards")).to_have_count(1)
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    expect(page.locator("[inert]")).to_have_count(0)
    expect(page.get_by_text("Counting…")).to_have_count(0)
    for wrong in ("1.2", "-0.1", ""):
        page.get_by_label("Confidence at least").fill(wrong)
        expect(page.get_by_role("alert")).to_have_text("From 0 to 1")
    page.get_by_label("IoU at least").fill("0")
    expect(page.get_by_role("alert").first).to_have_text("From 0.05 to 1")
    assert {url.split("iou=")[1] for url in asked} <= {"0.5&confidence=0.3", "0.5&confidence=1"}


def test_regions_are_cut_out(bench):
    bench.review("part=regions&layout=grid")
    source = bench.page.locator(".tile img").first.get_attribute("src")
    assert re.search(r"crop=\d+%2C\d+%2C\d+%2C\d+", source)
    expect(bench.page.locator(".action-target")).to_contain_text(
        f"in {bench.server.project.tasks:,}"
    )


def as_texts(text: str):
    """Answer with tasks that are texts: people's regions are words of it, far down."""

    def change(route: Route) -> None:
        answer = route.fetch()
        details = answer.json()
        for one in details:
            one["text"], one["model"] = text, []
            for place, region in enumerate(one["human"]):
                start = text.find(f"word{100 + 20 * place}")
                region["outline"] = [start, start + len("word100")]
        route.fulfill(response=answer, json=details)

    return change


def test_a_region_of_a_text_is_what_its_tile_shows(bench):
    page = bench.page
    bench.server.controls[0] = DIGIT | {"geometry": "span"}
    page.route("**/tasks?*", as_texts(" ".join(f"word{n}" for n in range(400))))
    bench.open("part=regions&layout=grid&sort=task")
    regions = pc.sum(pc.equal(bench.table("regions")["task"], 1)).as_py()
    assert regions > 1
    for place in range(regions):
        mark = page.locator(".tile").nth(place).locator("mark")
        expect(mark).to_have_text([f"word{100 + 20 * place}"])
        expect(mark).to_be_in_viewport(ratio=1)


def test_a_text_that_is_not_kept_is_no_image(bench):
    page = bench.page
    bench.server.controls[0] = DIGIT | {"geometry": "span"}
    asked = []
    page.on("request", lambda one: "/image" in one.url and asked.append(one.url))
    page.route("**/tasks?*", as_texts(""))
    bench.open("layout=grid")
    expect(page.locator(".tile").first).to_contain_text("No text is kept")
    assert not asked


def test_both_ways_of_drawing_draw_the_same(new_page, stand_in):
    address, _ = stand_in
    inked = {}
    for renderer in ("raster", "webgl"):
        page = new_page()
        sign_in(page, address)
        page.evaluate("name => localStorage.setItem('relook-renderer', name)", renderer)
        page.goto(f"{address}/page/projects/1?layout=map")
        page.wait_for_selector(f"#plot[data-drawn][data-renderer={renderer}]")
        inked[renderer] = page.evaluate(INKED)
    raster, webgl = inked["raster"], inked["webgl"]
    assert raster[0] > 2000
    assert webgl[0] == pytest.approx(raster[0], rel=0.25)
    # The middle of all ink is at the same place.
    assert webgl[1] == pytest.approx(raster[1], abs=2)
    assert webgl[2] == pytest.approx(raster[2], abs=2)


#: How many pixels of the plot have ink, and their middle.
INKED = """async () => {
  const plot = document.querySelector('#plot');
  const copy = document.createElement('canvas');
  const context = copy.getContext('2d');
  const draw = async () => {
    document.querySelector('[aria-label="See everything"]').click();
    await new Promise(requestAnimationFrame);
    const canvas = plot.querySelector('canvas');
    [copy.width, copy.height] = [canvas.width, canvas.height];
    context.drawImage(canvas, 0, 0);
    return plot.dataset.share === '1.000';
  };
  // Where drawing takes long, a part of the points is drawn first.
  while (!(await draw())) await new Promise(done => setTimeout(done, 50));
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  let [count, x, y] = [0, 0, 0];
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] < 100) continue;
    count += 1;
    x += (i / 4) % copy.width;
    y += Math.floor(i / 4 / copy.width);
  }
  return [count, x / count, y / count];
}"""


def test_annotators_are_told_apart(bench):
    bench.open("room=activity")
    row = bench.page.get_by_role("row", name="grace@example.org").first
    expect(row).to_contain_text("3.4 % (2.4 % to 4.7 %)")
    expect(row).to_contain_text("7 for 1, 9 of 11 confirmed")
    assert row.get_by_role("link", name="40").get_attribute("href").endswith("?task=40")
    expect(bench.page.get_by_role("row", name="ada@example.org").first).to_contain_text(
        "too little is reviewed"
    )
    pair = bench.page.get_by_role("row", name="ada@example.org, grace@example.org")
    expect(pair).to_contain_text("0.92")


def test_the_legend_of_amounts_filters(bench):
    bench.review("color=priority")
    step = bench.page.get_by_role("button", name="0.9 to 1.0")
    step.click()
    expect(step).to_have_attribute("aria-pressed", "true")
    expect(bench.page.locator(".action-target strong")).to_contain_text("match")
    assert "priority=0.9_1" in bench.page.url
    bench.page.get_by_role("button", name="0.7 to 0.8").click(modifiers=["Shift"])
    bench.page.wait_for_url("**priority=0.7_1**")
    step.click()
    step.click()
    bench.page.wait_for_url(lambda url: "priority=" not in url)


def test_a_lost_graphics_card_is_done_without(bench):
    bench.page.evaluate("localStorage.setItem('relook-renderer', 'webgl')")
    bench.review()
    plot = bench.page.locator("#plot")
    expect(plot).to_have_attribute("data-renderer", "webgl")
    lose = "canvas => canvas.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"
    plot.locator("canvas").evaluate(lose)
    expect(plot).to_have_attribute("data-renderer", "raster")
    expect(plot.locator("canvas")).to_have_count(1)


def test_the_overview_begins_at_the_projects_own_threshold(bench):
    bench.open("room=overview")
    expect(bench.page.get_by_label("Confidence at least")).to_have_value("0.3")


def test_the_control_tag_is_chosen_in_the_overview_too(bench):
    side = {"name": "side", "geometry": "choice", "parts": ["inputs"], "threshold": 0.6}
    bench.server.controls.append(DIGIT | side)
    page = bench.page
    bench.open("room=overview&picked=3")
    tag = page.get_by_label("Control tag")
    expect(tag).to_have_value("digit")
    page.get_by_label("Confidence at least").fill("0.9")
    with page.expect_response(re.compile(r"/overview\?control=side&iou=0.5&confidence=0.6$")):
        tag.select_option("side")
    expect(page.locator(".confusion")).to_be_visible()
    expect(page.get_by_label("IoU at least")).to_have_count(0)
    page.get_by_role("button", name="Review", exact=True).click()
    expect(tag).to_have_value("side")
    expect(page.locator(".action-target strong")).to_contain_text("All ")


def test_a_run_says_what_it_was_over(bench):
    bench.open("room=activity")
    runs = bench.page.locator(".run")
    expect(runs.first).to_contain_text("over tab 3")
    expect(runs.nth(1)).to_contain_text("failed")
    expect(runs.nth(1)).not_to_contain_text("over")


def test_a_run_is_offered_a_retry_while_something_of_it_is_undone(bench):
    failed = RUNS[1]
    bench.open("room=activity")
    run = bench.page.locator(".run").nth(1)
    retry = run.get_by_role("button", name="Retry")
    expect(retry).to_be_visible()
    bench.server.tell("run", {**failed, "state": "done"})
    expect(run.locator(".state-badge")).to_have_text("done")
    expect(retry).to_be_visible()
    bench.server.tell("run", {**failed, "state": "done", "errors": {}})
    expect(retry).to_have_count(0)
