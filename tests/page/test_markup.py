"""Labels, names, tags, reasons and texts may come from anybody: they are shown, never run."""

from playwright.sync_api import expect

from tests.page import data, stand_in

EVIL = "<img src=/never onerror=\"document.title='run'\">"


def test_what_people_wrote_is_shown_and_never_run(bench, monkeypatch):
    labels = [f"{EVIL}{digit}" for digit in range(10)]
    for module in (data, stand_in):
        monkeypatch.setattr(module, "LABELS", labels)
    monkeypatch.setattr(data, "ANNOTATORS", ["", *(f"{name}{EVIL}" for name in "abc")])
    project = bench.server.project
    project.tags = {int(task): [EVIL] for task in project.ids()}
    plain = data.detail

    def detail(project, task):
        said = {**plain(project, task), "reason": f"Because of {EVIL}"}
        if task % 2:
            said |= {"text": f"A text with {EVIL}", "human": [], "model": []}
        else:
            for one in said["human"] + said["model"]:
                one["label"] = EVIL
        return said

    monkeypatch.setattr(stand_in, "detail", detail)
    page = bench.page
    for query in ("", "part=regions", "room=overview"):
        bench.open(query)
        expect(page.get_by_text(EVIL).first).to_be_attached()
        page.wait_for_load_state("load")
        assert page.locator("[onerror]").count() == 0
    bench.review()
    expect(page.locator(".tile", has_text="A text with").first).to_be_visible()
    # A tag, an annotator and a label as filters; the reason on the card that hovering brings.
    for words in (EVIL, f"a{EVIL}", f"{EVIL}0"):
        expect(page.locator(".word", has_text=words).first).to_be_attached()
    page.mouse.move(*bench.place(3))
    expect(page.locator(".hover-card")).to_contain_text(f"Because of {EVIL}")
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(".details-reason")).to_contain_text(f"Because of {EVIL}")
    assert page.locator("[onerror]").count() == 0
    assert page.title() != "run"
