"""The review page in a real Chromium on the real stack, as a reviewer works with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import httpx
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from playwright.sync_api import ConsoleMessage, Error, Locator, Page, expect

from ml_backend.demo.projects import SampleTask, upload_images
from tests.integration.conftest import Bench, wait_for
from tests.integration.people import stranger
from tests.integration.samples import digit, right, scenes
from tests.page.pages import findings

#: What each cluster shows, how many of it have a label, and how many have none; together so many
#: that UMAP lays them out.
DIGITS = (0, 1, 4, 7)
EACH, BARE = 15, 2
#: Some of one cluster are said to be something else.
PLANTED, SAID, WRONG = 7, 4, 2
#: How long a busy machine may take to do what was asked.
ACTED_MS = 120_000
ROOMS = ("", "part=inputs&color=confidence&kind=mislabelled", "room=overview", "room=activity")


@dataclass
class Project:
    """An analysed project; ``tasks`` by digit, planted errors first, and those without a label."""

    bench: Bench
    id: int
    tasks: dict[int, list[int]]
    unlabelled: list[int]

    @property
    def planted(self) -> list[int]:
        return self.tasks[PLANTED][:WRONG]

    def points(self) -> dict[str, list[Any]]:
        """Return the points as the server sends them to its admin, by column."""
        token = {"Authorization": f"Bearer {self.bench.server.token()}"}
        address = f"{self.bench.stack.url}/api/projects/{self.id}/points"
        answer = httpx.get(address, params={"part": "inputs"}, headers=token, timeout=30)
        assert answer.status_code == 200, answer.text
        table = pa.ipc.open_stream(answer.content).read_all()
        return {name: table[name].to_pylist() for name in table.column_names}

    def address(self, query: str = "") -> str:
        return f"{self.bench.stack.url}/page/projects/{self.id}?{query}"

    def labelled(self) -> list[int]:
        """Return which of the tasks that had no label have one."""
        return [task for task in self.unlabelled if self.bench.task(task).annotations]


def digits(label: int, count: int) -> list[NDArray[np.uint8]]:
    found = (digit(row) for row in range(400))
    images = [image for image, drawn in found if drawn == label][:count]
    assert len(images) == count
    return images


@pytest.fixture(scope="module")
def project(bench: Bench) -> Project:
    images = {drawn: digits(drawn, EACH + BARE) for drawn in DIGITS}
    labelled = [
        SampleTask(image, [SAID if drawn == PLANTED and place < WRONG else drawn], None)
        for drawn in DIGITS
        for place, image in enumerate(images[drawn][:EACH])
    ]
    unlabelled = [image for drawn in DIGITS for image in images[drawn][EACH:]]
    made, ids = bench.project("classification", labelled)
    body = [
        {"data": {"image": address}}
        for address in upload_images(bench.client, bench.server.url, made, unlabelled)
    ]
    added: Any = bench.client.projects.import_tasks(
        id=made, request=cast(Any, body), return_task_ids=True
    )
    run = bench.analyze(made)
    assert (run.state, run.errors) == ("done", {})
    bench.settle(made)
    tasks = {drawn: ids[n * EACH : (n + 1) * EACH] for n, drawn in enumerate(DIGITS)}
    return Project(bench, made, tasks, [int(task) for task in added.task_ids])


def sign_in(page: Page, bench: Bench, token: str = "") -> None:
    page.goto(f"{bench.stack.url}/page/")
    page.get_by_label("Label Studio access token").fill(token or bench.server.token())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()


def review(page: Page, project: Project, query: str = "") -> None:
    page.goto(project.address(query))
    page.wait_for_selector("#plot[data-drawn]")
    page.wait_for_selector(".tile img")


def said(page: Page) -> Locator:
    """What the actions would act on."""
    return page.locator(".action-target strong")


def word(page: Page, text: str) -> Locator:
    """A word of the side bar's filters."""
    return page.locator(".word", has=page.get_by_text(text, exact=True))


def toast(page: Page, text: str) -> Locator:
    found = page.locator(".toast-done", has_text=text)
    expect(found).to_be_visible(timeout=ACTED_MS)
    return found


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until something has the focus."""
    expect(wanted).to_be_visible()
    for _ in range(80):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {wanted}")


def cluster(project: Project) -> tuple[NDArray[np.float64], float, set[int]]:
    """Find the planted cluster: its middle, its radius, and the tasks within."""
    points = project.points()
    place = np.stack([points["x"], points["y"]], axis=1)
    task = np.array(points["task"])
    middle = np.median(place[np.isin(task, project.tasks[PLANTED])], axis=0)
    far = np.linalg.norm(place - middle, axis=1)
    order = np.argsort(far)
    # The layout differs a little each time: the ring goes where it is widest around the cluster.
    gaps = np.diff(far[order])[WRONG + 1 : EACH + 2]
    last = int(np.argmax(gaps)) + WRONG + 1
    radius = float(far[order[last]] + far[order[last + 1]]) / 2
    return middle, radius, set(task[order[: last + 1]].tolist())


def lasso(page: Page, middle: NDArray[np.float64], radius: float) -> None:
    """Draw a ring by hand around a place of the plane."""
    page.get_by_role("button", name=re.compile("^Lasso")).click()
    box = page.locator("#plot").bounding_box()
    assert box is not None
    scale = min(box["width"], box["height"]) * 0.46
    # Begun on the side of the plot's middle: its corners are under the legend and the tools.
    turn = np.arctan2(-middle[1], -middle[0]) + np.linspace(0, 2 * np.pi, 49)
    x = box["x"] + box["width"] / 2 + scale * (middle[0] + radius * np.cos(turn))
    y = box["y"] + box["height"] / 2 - scale * (middle[1] + radius * np.sin(turn))
    page.mouse.move(x[0], y[0])
    page.mouse.down()
    for left, top in zip(x.tolist(), y.tolist(), strict=True):
        page.mouse.move(left, top)
    page.mouse.up()


def test_a_lassoed_cluster_is_flagged_in_label_studio(new_page, page, bench, project):
    reviewer = new_page()
    sign_in(reviewer, bench)
    reviewer.locator(f".project-card[href$='/projects/{project.id}']").click()
    reviewer.wait_for_selector("#plot[data-drawn]")
    placed = len(project.points()["task"])
    expect(said(reviewer)).to_have_text(f"All {placed} items")
    assert reviewer.evaluate(INKED) > placed

    middle, radius, within = cluster(project)
    assert set(project.planted) <= within
    lasso(reviewer, middle, radius)
    expect(said(reviewer)).to_have_text(f"{len(within)} items in the area")
    # Also of those that Relook has flagged already: from now on it is somebody's word.
    reviewer.get_by_role("button", name=f"Flag {len(within)}", exact=True).click()
    toast(reviewer, f"Flagged {len(within)} tasks")
    bench.settle(project.id)

    assert {task: bench.flag(task) for task in within} == dict.fromkeys(within, "needs-review")
    (tab,) = [
        one
        for one in bench.client.views.list(project=project.id)
        if one.data["title"] == "Needs review"
    ]
    queued = {one.id for one in bench.client.tasks.list(project=project.id, view=tab.id)}
    assert within <= queued
    assert not queued & {*project.tasks[0], *project.tasks[1]}
    page.goto(f"{bench.server.url}/projects/{project.id}/data?tab={tab.id}")
    page.get_by_text("flagged by hand").first.wait_for()


#: How many pixels of the plot have ink.
INKED = """() => {
  const canvas = document.querySelector('#plot canvas');
  const copy = document.createElement('canvas');
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext('2d');
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  return data.filter((value, place) => place % 4 === 3 && value > 100).length;
}"""


def test_a_saved_view_is_the_same_elsewhere(new_page, bench, project):
    here = new_page()
    sign_in(here, bench)
    review(here, project)
    word(here, "Mislabelled").click()
    found = project.points()["kind"].count("mislabelled")
    assert found >= WRONG
    expect(said(here)).to_have_text(f"{found} items match")
    here.keyboard.press("g")
    here.keyboard.press("Space")
    expect(said(here)).to_have_text("1 item picked")
    here.locator("summary", has_text="Views").click()
    here.get_by_label("Name of this view").fill("Wrong ones")
    here.get_by_role("button", name="Save").click()
    expect(here.locator(".view-open")).to_have_text("Wrong ones")
    picked = here.locator(".tile[aria-selected=true]").inner_text()

    there = new_page()
    sign_in(there, bench)
    there.goto(here.url)
    expect(said(there)).to_have_text("1 item picked")
    expect(there.locator(".tile[aria-selected=true]")).to_have_text(picked, use_inner_text=True)
    expect(word(there, "Mislabelled").locator("input")).to_be_checked()
    expect(there.locator(".tile")).to_have_count(found)
    review(there, project)
    there.locator("summary", has_text="Views").click()
    there.get_by_role("button", name="Wrong ones", exact=True).click()
    expect(said(there)).to_have_text("1 item picked")
    there.locator("summary", has_text="Views").click()
    there.get_by_role("button", name="Delete the view Wrong ones").click()
    there.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(there.locator(".view-open")).to_have_count(0)


def test_each_cell_of_the_confusion_shows_as_many_as_it_counts(new_page, bench, project):
    page = new_page()
    sign_in(page, bench)
    page.goto(project.address("room=overview"))
    cells = page.get_by_role("button", name=re.compile("^Human .*, model .*Show them"))
    cells.first.wait_for()
    # So sure it is of few if any: the other inputs stand where nothing is said.
    with page.expect_response(re.compile("confidence=1$")):
        page.get_by_label("Confidence at least").fill("1")
    expect(page.locator("[inert]")).to_have_count(0)
    names = [str(one) for one in cells.evaluate_all("all => all.map(one => one.ariaLabel)")]
    counts = {name: int(re.search(r": (\d+)\.", name)[1]) for name in names}
    # Each input has one annotation with one choice.
    assert sum(counts.values()) == len(DIGITS) * EACH
    assert any("model background" in name for name in counts)
    for name, count in counts.items():
        page.get_by_role("button", name=name, exact=True).click()
        expect(said(page)).to_have_text(re.compile(f"^{count} items? match(es)?$"))
        # Of many, those in sight alone are drawn.
        if count < 5:
            expect(page.locator(".tile")).to_have_count(count)
        page.go_back()


def test_a_batch_stands_in_label_studio(new_page, bench, project):
    page = new_page()
    sign_in(page, bench)
    review(page, project, "kind=mislabelled")
    points = project.points()
    wrong = {
        task
        for task, kind in zip(points["task"], points["kind"], strict=True)
        if kind == "mislabelled"
    }
    assert set(project.planted) <= wrong
    before = {one.id for one in bench.client.projects.list()}
    page.get_by_role("button", name="Relabel…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Where").select_option("new")
    dialog.get_by_role("button", name=f"Send {len(wrong)}", exact=True).click()
    toast(page, f"{len(wrong)} tasks sent")
    (sent,) = [one for one in bench.client.projects.list() if one.id not in before]
    assert str(sent.title).startswith("Relabel: Test classification")
    copies = list(bench.client.tasks.list(project=sent.id, fields="all", page_size=100))
    assert {copy.data["relook_source_task"] for copy in copies} == wrong
    page.get_by_role("button", name="Activity").click()
    expect(page.get_by_role("main")).to_contain_text(f"{len(wrong)}")


def test_approval_asks_and_is_taken_back(new_page, bench, project):
    page = new_page()
    sign_in(page, bench)
    review(page, project)
    page.locator(".legend-class", has_text="No label").click()
    expect(said(page)).to_have_text(f"{len(project.unlabelled)} items match")
    page.get_by_role("button", name=re.compile("^Approve")).click()
    dialog = page.get_by_role("dialog")
    yes = dialog.get_by_role("button", name=re.compile(r"^Approve \d+$"))
    expect(yes).to_be_enabled()
    count = int(yes.inner_text().split()[-1])
    assert 0 < count <= len(project.unlabelled)
    assert project.labelled() == []
    yes.click()
    done = toast(page, "Approved")
    # Nobody would wait for what settles: the note is held as by who reads it.
    done.hover()
    assert len(project.labelled()) == count
    bench.settle(project.id)
    done.get_by_role("button", name="Undo").click()
    wait_for(lambda: project.labelled() == [], "the end of the undo", 120)
    expect(done.get_by_role("button", name="Undo")).to_have_count(0)


def test_a_reviewer_needs_no_mouse(new_page, bench, project):
    page = new_page()
    keys = page.keyboard
    page.goto(f"{bench.stack.url}/page/")
    tab_to(page, page.get_by_label("Label Studio access token"))
    keys.insert_text(bench.server.token())
    keys.press("Enter")
    tab_to(page, page.locator(f".project-card[href$='/projects/{project.id}']"))
    keys.press("Enter")
    page.wait_for_selector("#plot[data-drawn]")
    tab_to(page, word(page, "Not flagged").locator("input"))
    keys.press("Space")
    page.wait_for_url("**flag=**")
    keys.press("g")
    keys.press("Space")
    keys.press("ArrowRight")
    keys.press("Space")
    picked = page.locator(".tile[aria-selected=true]")
    expect(picked).to_have_count(2)
    tasks = [int(one) for one in re.findall(r"Task (\d+): ", " ".join(picked.all_text_contents()))]
    assert [bench.flag(task) or "" for task in tasks] == ["", ""]
    keys.press("f")
    done = toast(page, "Flagged 2 tasks")
    tab_to(page, done.get_by_role("button", name="Undo"))
    assert [bench.flag(task) for task in tasks] == ["needs-review"] * 2
    bench.settle(project.id)
    keys.press("Enter")
    wait_for(lambda: not any(bench.flag(task) for task in tasks), "the end of the undo", 120)
    keys.press("g")
    with page.context.expect_page() as opened:
        keys.press("Enter")
    assert opened.value.url.startswith(f"{bench.server.url}/")


@pytest.fixture(scope="module")
def drawn(bench: Bench) -> Project:
    """Scenes of digits, their boxes drawn by people."""
    made, _ = bench.project("detection", [right(one) for one in scenes(24, seed=101)])
    run = bench.analyze(made)
    assert (run.state, run.errors) == ("done", {})
    bench.settle(made)
    return Project(bench, made, {}, [])


def test_hovering_shows_the_picture_with_both_outlines(new_page, bench, drawn):
    page = new_page()
    sign_in(page, bench)
    page.goto(drawn.address("layout=map"))
    page.wait_for_selector("#plot[data-drawn]")
    points = drawn.points()
    box = page.locator("#plot").bounding_box()
    assert box is not None
    scale = min(box["width"], box["height"]) * 0.46
    page.mouse.move(
        box["x"] + box["width"] / 2 + scale * points["x"][5],
        box["y"] + box["height"] / 2 - scale * points["y"][5],
    )
    card = page.locator(".hover-card")
    expect(card.locator("img")).to_be_visible()
    # Where points lie close together, another one's is shown.
    task = int(re.search(r"Task (\d+)", card.inner_text())[1])
    (annotation,) = bench.task(task).annotations
    expect(card.locator(".human-outline")).to_have_count(len(annotation["result"]))
    assert card.locator(".model-outline").count() > 0
    assert card.locator("img").evaluate("img => img.complete && img.naturalWidth > 0")
    picture = card.locator("img").bounding_box()
    for outline in card.locator(".human-outline, .model-outline").all():
        seen = outline.bounding_box()
        assert picture["x"] - 2 <= seen["x"] <= picture["x"] + picture["width"]
        assert picture["y"] - 2 <= seen["y"] <= picture["y"] + picture["height"]
        assert seen["width"] > 4


def test_enter_opens_that_task_in_label_studio(page, bench, project):
    # In a browser in which the person is signed in to Label Studio too.
    mine = page.context.browser.new_context(storage_state=page.context.storage_state()).new_page()
    sign_in(mine, bench)
    review(mine, project, "kind=mislabelled")
    mine.keyboard.press("g")
    mine.keyboard.press("ArrowRight")
    task = int(re.search(r"Task (\d+): ", mine.locator(".tile-at").text_content())[1])
    with mine.context.expect_page() as opened:
        mine.keyboard.press("Enter")
    there = opened.value
    there.wait_for_url(re.compile(rf"/projects/{project.id}/data\?.*task={task}\b"))
    there.locator(".lsf-annotation-button").first.wait_for(timeout=ACTED_MS)
    mine.context.close()


def test_who_has_no_access_is_told_so(new_page, bench, project):
    page = new_page()
    sign_in(page, bench, stranger(bench, "passer-by"))
    expect(page.get_by_role("heading", name="No project is connected")).to_be_visible()
    expect(page.locator(".project-card")).to_have_count(0)
    page.goto(project.address())
    refusal = page.get_by_role("alert")
    expect(refusal).to_contain_text("no access to this project")
    expect(page.locator("#plot, .tile, .top-title")).to_have_count(0)
    refusal.get_by_role("link", name="All projects").click()
    expect(page.get_by_role("heading", name="No project is connected")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(new_page, bench, project, scheme):
    page = new_page(color_scheme=scheme)
    page.goto(f"{bench.stack.url}/page/")
    page.get_by_label("Label Studio access token").wait_for()
    found = {"sign in": findings(page)}
    sign_in(page, bench)
    page.locator(".project-card").first.wait_for()
    found["projects"] = findings(page)
    for room in ROOMS:
        page.goto(project.address(room))
        page.locator(".tile img, .figure, .run").first.wait_for()
        # Bars and lists come a moment after their frame.
        page.wait_for_load_state("load")
        found[room] = findings(page)
    assert not any(found.values()), found


def broken(message: ConsoleMessage) -> bool:
    return "Content Security Policy" in message.text


def test_the_policy_lets_nobody_else_be_asked(page, bench):
    """What the watched pages listen for is what a broken policy says."""
    with page.context.browser.new_context() as context:
        page = context.new_page()
        sign_in(page, bench)
        with page.expect_console_message(broken), pytest.raises(Error, match="fetch"):
            page.evaluate("() => fetch('https://example.org/')")
        with page.expect_console_message(broken):
            page.evaluate("() => document.body.setAttribute('onclick', 'window.ran = true')")
        page.evaluate("() => document.body.click()")
        assert page.evaluate("() => window.ran") is None
