"""What is done: flags, tags, batches, approval, and all of it by keyboard."""

from __future__ import annotations

import re
import time

import pyarrow.compute as pc
from playwright.sync_api import expect

from tests.page.pages import held_back
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
    expect(bench.page.locator(".toast-undone")).to_contain_text(
        f"Taken back: flagged {count} tasks"
    )
    assert flag_count(bench, "needs-review") == before


def test_the_end_of_an_action_is_told_for_a_minute(bench):
    bench.review("kind=missing")
    bench.page.get_by_role("button", name=re.compile(r"^Flag \d")).click()
    toast = bench.page.locator(".toast-done")
    expect(toast).to_be_visible()
    bench.page.reload()
    expect(toast.get_by_role("button", name="Undo")).to_be_visible()
    bench.server.ended["ended"] -= 120
    with bench.page.expect_event("requestfinished", lambda one: "/tasks?" in one.url):
        bench.page.reload()
    bench.page.wait_for_selector(".tile img")
    assert len(bench.server.listeners) > 0
    expect(toast).to_have_count(0)


FADING = "note => note.getAnimations().map(one => one.effect.getTiming().delay)"


def test_the_note_on_what_is_done_goes_by_itself(bench):
    bench.review("kind=missing")
    page = bench.page
    page.get_by_role("button", name=re.compile(r"^Flag \d")).click()
    note = page.locator(".toast-done")
    expect(note).to_be_visible()
    assert note.evaluate(FADING) == [20_000]
    # Not under who reads it, nor under who is about to press its button.
    note.hover()
    assert note.evaluate(FADING) == []
    page.mouse.move(0, 0)
    note.get_by_role("button", name="Undo").focus()
    assert note.evaluate(FADING) == []
    page.focus("#grid")
    note.evaluate("note => note.getAnimations().forEach(one => one.finish())")
    expect(note).to_have_count(0)
    # What nobody sees any more is not taken back by a key.
    after = flag_count(bench, "needs-review")
    page.keyboard.press("u")
    page.wait_for_timeout(500)
    assert flag_count(bench, "needs-review") == after


def test_the_note_on_a_failure_stays(bench):
    bench.review("kind=missing")
    bench.page.route("**/actions", lambda route: route.fulfill(status=503, body="{}"))
    bench.page.get_by_role("button", name=re.compile(r"^Flag \d")).click()
    note = bench.page.locator(".toast-failed")
    expect(note).to_be_visible()
    assert note.evaluate(FADING) == []


def test_a_key_takes_back_what_was_done_last(bench):
    bench.review("kind=missing")
    before = flag_count(bench, "needs-review")
    # What somebody else did is theirs to take back, or to be clicked at.
    theirs = {"id": "theirs", "action": "tag", "total": 3, "done": 3, "said": "", "by": "Grace"}
    theirs |= {"state": "done", "ended": time.time(), "undoable": True}
    page = bench.page
    page.keyboard.press("g")
    page.keyboard.press("f")
    expect(page.locator(".toast-done", has_text="Flagged 1 task")).to_be_visible()
    bench.server.tell("action", theirs)
    expect(page.locator(".toast-done")).to_have_count(2)
    page.keyboard.press("u")
    expect(page.locator(".toast-undone")).to_have_text(re.compile("Taken back: flagged 1 task"))
    assert flag_count(bench, "needs-review") == before


def test_beginnings_and_ends_are_said_and_no_progress(bench):
    bench.server.pause = 1.0
    bench.review("kind=missing")
    page = bench.page
    count = int(bench.said().split()[0])
    page.evaluate(
        """() => {
          const status = document.querySelector('.toasts [role=status]');
          window.said = [];
          new MutationObserver(() => status.textContent && window.said.push(status.textContent))
            .observe(status, {childList: true, characterData: true, subtree: true});
        }"""
    )
    page.get_by_role("button", name=f"Flag {count}", exact=True).click()
    expect(page.locator(".toast-done")).to_be_visible()
    expect(page.locator(".toasts").get_by_role("status")).to_have_text(f"Flagged {count} tasks")
    assert page.evaluate("window.said") == [f"Flagging {count} tasks", f"Flagged {count} tasks"]
    assert page.locator(".toasts").get_attribute("aria-live") is None


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


def test_approval_says_of_how_many_outliers_are_not_known(bench):
    bench.server.unknown = 7
    bench.review("kind=missing")
    bench.page.get_by_role("button", name=re.compile("^Approve")).click()
    expect(bench.page.get_by_role("dialog")).to_contain_text(
        "outliers not known for 7 of them: no embedding of their input"
    )


def test_enter_opens_label_studio_at_that_task(bench):
    bench.review("kind=mislabelled")
    page = bench.page
    page.keyboard.press("g")
    for key in ("ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    at = page.locator(".tile-at")
    task = re.search(r"Task (\d+): ", at.text_content())[1]
    for opens in (lambda: page.keyboard.press("Enter"), at.dblclick):
        with page.context.expect_page() as opened:
            opens()
        assert opened.value.url.endswith(f"/label-studio/projects/1/data?task={task}")
        opened.value.close()


def test_what_is_approved_is_what_the_question_shows(bench):
    bench.review("kind=missing")
    # Somebody changes the project's settings while the page is open.
    bench.server.approve_confidence = 0.6
    bench.page.get_by_role("button", name=re.compile("^Approve")).click()
    dialog = bench.page.get_by_role("dialog")
    field = dialog.get_by_label("Sure from a confidence of")
    yes = dialog.get_by_role("button", name=re.compile("^Approve"))
    expect(field).to_have_value("0.6")
    for wrong in ("0.3", "1.5", ""):
        field.fill(wrong)
        expect(dialog.get_by_role("alert")).to_have_text("From 0.5 to 1")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(yes).to_be_disabled()
    field.fill("1")
    expect(dialog.get_by_role("alert")).to_have_count(0)
    expect(yes).to_be_enabled()
    held = held_back(bench.page, "**/actions")
    field.fill("0.75")
    # Until these are counted, nobody knows how many there are.
    expect(yes).to_be_disabled()
    expect(dialog.get_by_role("status")).to_have_text("Counting…")
    while not held:
        bench.page.wait_for_timeout(50)
    held[0].continue_()
    bench.page.unroute("**/actions")
    yes.click()
    expect(bench.page.locator(".toast-done")).to_contain_text("Approved")
    (asked,) = bench.server.asked
    assert asked["options"] == {"confidence": 0.75}


def test_flagged_ones_can_be_left_out(bench):
    bench.review("kind=mislabelled")
    table = bench.table()
    wrong = table.filter(pc.equal(table["kind"], "mislabelled"))
    calm = pc.sum(pc.not_equal(wrong["flag"], "needs-review")).as_py()
    assert 0 < calm < wrong.num_rows
    bench.page.get_by_label("Exclude flagged").check()
    expect(bench.page.get_by_role("button", name=f"Flag {calm}", exact=True)).to_be_visible()
    bench.page.reload()
    expect(bench.page.get_by_label("Exclude flagged")).to_be_checked()


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
    # Somebody changes the project's settings while the page is open.
    bench.server.batch_to = "7"
    bench.page.get_by_role("button", name="Relabel…").click()
    dialog = bench.page.get_by_role("dialog")
    where = dialog.get_by_label("Where")
    expect(where.locator("option:checked")).to_have_text("Project 7")
    where.select_option("here")
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


ASKED_AND_LEFT = """async () => {
    const settled = async () => { for (let i = 0; i < 20; i++) await null; };
    const grid = document.getElementById("grid");
    grid.dispatchEvent(new KeyboardEvent("keydown", { key: "?", bubbles: true }));
    await settled();
    const dialog = document.querySelector("dialog");
    const asked = dialog?.open && dialog.contains(document.activeElement);
    dialog?.querySelector(".button").click();
    await settled();
    return [asked, document.querySelector("dialog"), document.activeElement.id];
}"""


def test_a_question_has_the_keys_and_gives_them_back_before_the_next_frame(bench):
    bench.review()
    bench.page.keyboard.press("g")
    assert bench.page.evaluate(ASKED_AND_LEFT) == [True, None, "grid"]


def test_a_key_that_is_held_down_acts_once(bench):
    bench.review("kind=missing")
    page = bench.page
    page.keyboard.press("g")
    # As a keyboard sends it that is held down.
    for _ in range(5):
        page.keyboard.down("f")
    page.keyboard.up("f")
    expect(page.locator(".toast-done")).to_have_count(1)
    assert len(bench.server.asked) == 1
    for _ in range(4):
        page.keyboard.down("Space")
    page.keyboard.up("Space")
    expect(page.locator(".tile[aria-selected=true]")).to_have_count(1)
    tile = page.locator(".tile-at")
    first = tile.get_attribute("id")
    for _ in range(3):
        page.keyboard.down("j")
    page.keyboard.up("j")
    expect(tile).not_to_have_attribute("id", str(first))


def test_enter_that_is_held_down_presses_a_button_once(bench):
    bench.review("kind=missing")
    page = bench.page
    page.get_by_role("button", name=re.compile("^Flag ")).focus()
    for _ in range(5):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(page.locator(".toast-done")).to_have_count(1)
    assert len(bench.server.asked) == 1
    # Nor is what is in sight added to itself.
    page.get_by_role("button", name=re.compile("^Add to the area")).click()
    page.locator("#plot").focus()
    for _ in range(5):
        page.keyboard.down("v")
    page.keyboard.up("v")
    expect(page.locator("polygon.area")).to_have_count(1)


def test_text_marked_to_beyond_the_edge_leaves_the_question_open(bench):
    bench.review("kind=missing")
    page, dialog = bench.page, bench.page.get_by_role("dialog")
    page.get_by_role("button", name="Tag…").click()
    field = dialog.get_by_label("Tag", exact=True)
    field.fill("blurred")
    box = field.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 40, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(5, box["y"], steps=5)
    page.mouse.up()
    expect(field).to_have_value("blurred")
    page.mouse.click(5, box["y"])
    expect(dialog).to_have_count(0)


def test_what_is_not_shown_any_more_is_not_flagged(bench):
    bench.review("kind=mislabelled")
    page = bench.page
    page.keyboard.press("g")
    expect(page.locator(".tile-at")).to_have_count(1)
    page.locator(".word", has_text="Mislabelled").click()
    page.locator(".word", has_text="Missing").click()
    expect(page.locator(".tile-at")).to_have_count(0)
    page.keyboard.press("f")
    page.keyboard.press("a")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert bench.server.asked == []


def pick_two(page) -> None:
    page.keyboard.press("g")
    for key in ("Space", "ArrowRight", "Space"):
        page.keyboard.press(key)
    expect(page.locator(".action-target strong")).to_have_text("2 items picked")


def test_what_a_flag_led_out_of_the_view_is_picked_no_longer(bench):
    bench.review("flag=")
    page = bench.page
    count = int(bench.said().split()[0].replace(",", ""))
    pick_two(page)
    page.keyboard.press("f")
    expect(page.locator(".toast-done")).to_contain_text("Flagged 2 tasks")
    expect(page.locator(".action-target strong")).to_have_text(f"{count - 2:,} items match")
    assert "picked" not in page.url
    for key in "fat":
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    (asked,) = bench.server.asked
    assert len(asked["tasks"]) == 2


def test_what_was_picked_and_is_hidden_is_not_acted_on(bench):
    bench.review("kind=mislabelled")
    page = bench.page
    pick_two(page)
    page.locator(".word", has_text="Mislabelled").click()
    page.locator(".word", has_text="Missing").click()
    said = page.locator(".action-target strong")
    expect(said).to_have_text("Nothing that is picked is shown")
    expect(page.get_by_role("button", name="Flag 0")).to_be_disabled()
    page.locator("#plot").focus()
    page.keyboard.press("f")
    page.keyboard.press("a")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert bench.server.asked == []
    # The cursor is seen, so it is acted on, and on nothing else.
    page.keyboard.press("g")
    expect(page.locator(".tile-at")).to_have_count(1)
    page.keyboard.press("f")
    expect(page.locator(".toast-done")).to_contain_text("Flagged 1 task")
    # They stay picked: nothing was done to them.
    page.locator(".word", has_text="Missing").click()
    expect(said).to_have_text("2 items picked")


def test_keys_act_only_where_one_sees_what_on(bench):
    bench.review("kind=mislabelled")
    page = bench.page
    pick_two(page)
    for room in ("Overview", "Activity"):
        page.get_by_role("button", name=room, exact=True).click()
        expect(page.locator(".card").first).to_be_visible()
        for key in ("f", "a", "t", "Escape"):
            page.keyboard.press(key)
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Review", exact=True).click()
    expect(page.locator(".action-target strong")).to_have_text("2 items picked")
    assert bench.server.asked == []
    page.keyboard.press("f")
    expect(page.locator(".toast-done")).to_contain_text("Flagged 2 tasks")


def test_the_cursor_goes_on_where_its_sample_left_the_view(bench):
    bench.review("flag=&layout=grid&sort=task")
    page = bench.page
    count = int(bench.said().split()[0].replace(",", ""))
    at = page.locator(".tile-at")

    def task() -> str:
        return re.search(r"Task (\d+): ", at.text_content())[1]

    page.keyboard.press("g")
    page.keyboard.press("End")
    last = task()
    page.keyboard.press("Home")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    following = task()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("f")
    expect(page.locator(".action-target strong")).to_have_text(f"{count - 1:,} items match")
    expect(at).to_have_count(0)
    page.keyboard.press("ArrowRight")
    assert task() == following
    # By the key of the grid too, and at the end of the list.
    page.keyboard.press("End")
    assert task() == last
    page.get_by_label("Exclude flagged").focus()
    page.keyboard.press("f")
    expect(page.locator(".action-target strong")).to_have_text(f"{count - 2:,} items match")
    expect(at).to_have_count(0)
    page.keyboard.press("g")
    expect(at).to_have_count(1)
    before = task()
    page.keyboard.press("End")
    assert task() == before
    # Another question begins at its beginning.
    page.locator(".word", has_text="Outlier").click()
    expect(at).to_have_count(0)
    page.keyboard.press("g")
    expect(page.locator(".grid-line").first.locator(".tile-at")).to_have_count(1)


def test_where_all_that_is_picked_is_left_out_the_cursor_is_acted_on(bench):
    table = bench.table().filter(pc.equal(bench.table()["kind"], "mislabelled"))
    is_flagged = pc.equal(table["flag"], "needs-review")
    flagged = table.filter(is_flagged)["task"].to_pylist()[:2]
    calm = table.filter(pc.invert(is_flagged))["task"].to_pylist()[0]
    picked = "_".join(map(str, flagged))
    bench.review(f"kind=mislabelled&layout=grid&sort=task&exclude=flagged&picked={picked}")
    page = bench.page
    expect(page.locator(".action-target strong")).to_have_text("0 items picked")
    page.keyboard.press("f")
    page.locator(".tile", has_text=f"Task {calm}: ").locator(".tile-caption").click()
    page.keyboard.press("f")
    expect(page.locator(".toast-done")).to_contain_text("Flagged 1 task")
    (asked,) = bench.server.asked
    assert asked["tasks"] == [calm]


def test_an_action_is_taken_back_in_activity_long_after(bench):
    before = flag_count(bench, "needs-review")
    bench.review("kind=spurious")
    bench.page.get_by_role("button", name=re.compile(r"^Flag \d")).click()
    expect(bench.page.locator(".toast-done")).to_be_visible()
    bench.server.ended["ended"] -= 3600
    bench.open("room=activity")
    undo = bench.page.get_by_role("button", name=re.compile(r"^Undo: Flagged \d+ tasks"))
    undo.click()
    expect(bench.page.locator(".toast-undone")).to_be_visible()
    expect(undo).to_have_count(0)
    assert flag_count(bench, "needs-review") == before


def test_a_key_asks_what_its_button_asks(bench):
    # The whole plane, as the address has it.
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
    area = "_".join(f"{x}000000_{y}000000" for x, y in corners)
    bench.review(f"area=a{area}&plane={bench.server.project.plane}")
    expect(bench.page.locator(".action-target strong")).to_contain_text("in the area")
    count = bench.said().split()[0]
    assert int(count.replace(",", "")) > 1000
    bench.page.keyboard.press("f")
    expect(bench.page.get_by_role("dialog")).to_contain_text(f"Flag {count} tasks?")
    assert bench.server.asked == []


def test_a_key_asks_whether_the_area_is_meant_or_the_sample_at_the_cursor(bench):
    bench.review()
    page = bench.page
    draw_box(page, 0.75, 0.3, 1, 0.6)
    expect(page.locator(".action-target strong")).to_contain_text("in the area")
    count = bench.said().split()[0]
    assert 5 < int(count) < 1000
    page.keyboard.press("g")
    expect(page.locator(".tile-at")).to_have_count(1)
    page.keyboard.press("f")
    expect(page.get_by_role("dialog")).to_contain_text(f"Flag {count} tasks?")
    assert bench.server.asked == []


def test_regions_are_tagged_and_not_their_tasks(bench):
    bench.review("part=regions&kind=mislabelled")
    count = int(bench.said().split()[0])
    bench.page.get_by_role("button", name="Tag…").click()
    bench.page.get_by_label("Tag", exact=True).fill("twin")
    bench.page.get_by_role("button", name=f"Tag {count} regions").click()
    expect(bench.page.locator(".toast-done")).to_be_visible()
    (asked,) = bench.server.asked
    assert "tasks" not in asked
    assert len(asked["regions"]) == count
    assert all(region >= 0 for _, region in asked["regions"])
    # By it the server tells whether places mean what was seen here.
    all_of = bench.table("regions")["task"].to_pylist()
    assert [task for task, *_ in asked["shown"]] == sorted({task for task, _ in asked["regions"]})
    for task, updated, count in asked["shown"]:
        assert (updated, count) == (bench.server.project.updated[task - 1], all_of.count(task))
    assert asked["options"] == {"tag": "twin", "control": "digit"}


def test_who_may_only_look_is_offered_nothing_else(bench):
    bench.server.may_change = False
    bench.server.views["ours"] = "kind=missing"
    bench.review("kind=mislabelled")
    page = bench.page
    expect(page.locator(".action-bar")).to_contain_text("You may look at this project")
    page.keyboard.press("g")
    for key in "fat":
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_text("Views", exact=True).click()
    expect(page.get_by_role("button", name="ours", exact=True)).to_be_visible()
    page.get_by_role("button", name="Activity").click()
    page.wait_for_selector(".run")
    refused = re.compile("Flag|Clear flag|Tag|Relabel|Approve|Save|Delete|Analyse|Cancel|Retry")
    expect(page.get_by_role("button", name=refused)).to_have_count(0)
    assert bench.server.asked == []


def test_a_view_that_stands_is_lost_only_after_a_question(bench):
    bench.server.views["cars/trucks"] = "kind=missing"
    bench.review("kind=mislabelled")
    page = bench.page
    page.get_by_text("Views", exact=True).click()
    page.get_by_label("Name of this view").fill("cars/trucks")
    page.get_by_role("button", name="Save").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Replace the view “cars/trucks”?")
    dialog.get_by_role("button", name="Cancel").click()
    assert bench.server.views == {"cars/trucks": "kind=missing"}
    page.get_by_role("button", name="Save").click()
    dialog.get_by_role("button", name="Replace").click()
    expect(page.get_by_label("Name of this view")).to_have_value("")
    assert bench.server.views == {"cars/trucks": "kind=mislabelled"}
    page.get_by_role("button", name="Delete the view").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator(".view-open")).to_have_count(0)
    assert bench.server.views == {}


def test_answers_of_a_batch_are_brought_back_and_the_rest_is_withdrawn(bench):
    bench.open("room=activity")
    page = bench.page
    row = page.get_by_role("row", name="1-b1")
    link = row.get_by_role("link")
    expect(link).to_have_attribute("target", "_blank")
    row.get_by_role("button", name="Bring back 3 of 1-b1").click()
    expect(page.locator(".toast")).to_contain_text("Brought back answers to 3 tasks")
    expect(row.get_by_role("button", name="Bring back")).to_have_count(0)
    row.get_by_role("button", name="Withdraw 8… of 1-b1").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("Withdraw 8 open tasks of batch 1-b1?")
    question.get_by_role("button", name="Cancel").click()
    assert [one["action"] for one in bench.server.asked] == ["sync"]
    row.get_by_role("button", name="Withdraw").click()
    question.get_by_role("button", name="Withdraw 8").click()
    expect(page.locator(".toast").first).to_contain_text("Withdrew 8 tasks")
    expect(row.get_by_role("button")).to_have_count(0)
    sync, withdraw = bench.server.asked
    assert sync == {"action": "sync", "options": {}}
    assert withdraw == {"action": "withdraw", "options": {"batch": "1-b1"}}


def test_who_may_not_change_a_project_is_offered_no_act_on_its_batches(bench):
    bench.server.may_change = False
    bench.open("room=activity")
    row = bench.page.get_by_role("row", name="1-b1")
    expect(row).to_be_visible()
    expect(row.get_by_role("button")).to_have_count(0)


def test_a_conflict_of_a_batch_says_its_mend(bench):
    bench.open("room=activity")
    row = bench.page.get_by_role("row", name="1-b1")
    expect(row.get_by_role("cell")).to_have_text(
        ["60", "8", "0", "3", "48", "40", "8", "2", "1", "1", re.compile("^Bring back")]
    )
    bench.page.get_by_text("1 note").click()
    expect(bench.page.get_by_text("send it again as it now stands")).to_be_visible()


def test_activity_says_who_did_what(bench):
    bench.review("kind=spurious")
    bench.page.get_by_role("button", name=re.compile(r"^Flag \d")).click()
    expect(bench.page.locator(".toast-done")).to_be_visible()
    bench.page.get_by_role("button", name="Activity").click()
    row = bench.page.get_by_role("row", name=re.compile(r"^Flagged \d+ tasks"))
    expect(row).to_contain_text("Ada Lovelace")


def test_escape_closes_a_menu_wherever_one_is_in_it(bench):
    bench.server.views["ours"] = "kind=missing"
    bench.review("kind=mislabelled")
    page = bench.page
    for name, inside in (("Views", "ours"), ("Signed in as Ada Lovelace", "Sign out")):
        head = page.locator("summary", has_text=name).or_(page.get_by_label(name))
        head.click()
        button = page.get_by_role("button", name=inside, exact=True)
        button.focus()
        page.keyboard.press("Escape")
        expect(button).to_be_hidden()
        expect(head).to_be_focused()
    # A question over the menu is answered first.
    page.locator("summary", has_text="Views").click()
    page.get_by_role("button", name="Delete the view ours").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="ours", exact=True)).to_be_visible()


def test_a_menu_closes_as_one_turns_to_something_else(bench):
    bench.server.views["ours"] = "kind=missing"
    bench.review("kind=mislabelled")
    page = bench.page
    head = page.locator("summary", has_text="Views")
    ours = page.get_by_role("button", name="ours", exact=True)
    # By a click elsewhere, which does what it does everywhere.
    head.click()
    expect(ours).to_be_visible()
    page.get_by_role("button", name="Grid", exact=True).click()
    expect(ours).to_be_hidden()
    page.wait_for_url("**layout=grid**")
    # By the focus that leaves it; not by one that goes about in it.
    head.click()
    page.get_by_label("Name of this view").focus()
    expect(ours).to_be_visible()
    page.keyboard.press("g")
    expect(ours).to_be_visible()
    page.focus("#grid")
    expect(ours).to_be_hidden()
    # By the view that was chosen; not by one that is kept.
    head.click()
    page.get_by_label("Name of this view").fill("mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("button", name="mine", exact=True)).to_be_visible()
    ours.click()
    page.wait_for_url("**kind=missing**")
    expect(ours).to_be_hidden()
    expect(head).to_be_focused()


def test_what_was_refused_in_one_project_is_not_said_in_another(bench):
    bench.open("room=activity")
    page = bench.page
    refusal = {"status": 403, "body": '{"detail": "not by you"}'}
    page.route("**/api/projects/1/runs", lambda route: route.fulfill(**refusal))
    page.get_by_role("button", name="Analyse the project").click()
    expect(page.get_by_text("not by you").first).to_be_visible()
    page.locator(".home").click()
    page.locator(".project-card", has_text="Not analysed yet").click()
    page.get_by_role("button", name="Activity").click()
    expect(page.locator(".run").first).to_be_visible()
    expect(page.get_by_text("not by you")).to_have_count(0)
