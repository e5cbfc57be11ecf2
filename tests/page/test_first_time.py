"""Where nothing is there yet or something is wrong: each says why, and names the next step."""

from __future__ import annotations

import pyarrow as pa
import pytest
from playwright.sync_api import expect

from tests.page import stand_in
from tests.page.test_looking import expect_count

RUN = {**stand_in.RUNS[0], "id": "first", "project": 2}


def without_places(table: pa.Table) -> bytes:
    nowhere = pa.nulls(table.num_rows, pa.float32()).fill_null(float("nan"))
    for name in ("x", "y"):
        table = table.set_column(table.schema.get_field_index(name), name, nowhere)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("room", ["review", "overview"])
def test_a_project_that_was_never_analysed_offers_to_begin(bench, room):
    bench.open(f"room={room}", project=2)
    expect(bench.page.get_by_text("Nothing has been analysed yet")).to_be_visible()
    bench.page.get_by_role("button", name="Analyse the project").click()
    expect(bench.page.locator(".run").first).to_contain_text("queued")


def test_who_may_only_look_is_not_offered_to_begin(bench):
    bench.server.may_change = False
    bench.open(project=2)
    expect(bench.page.get_by_text("Press Start training")).to_be_visible()
    expect(bench.page.get_by_role("button", name="Analyse the project")).to_have_count(0)


@pytest.mark.parametrize("room", ["review", "overview"])
def test_a_project_without_tasks_sends_to_where_they_are_imported(bench, room):
    bench.server.tasks_of_2 = 0
    bench.open(f"room={room}", project=2)
    page = bench.page
    expect(page.get_by_text("This project has no tasks")).to_be_visible()
    link = page.get_by_role("link", name="Open the project")
    assert link.get_attribute("href") == "/label-studio/projects/2/data"
    bench.server.tasks_of_2 = 12
    page.get_by_role("button", name="Look again").click()
    expect(page.get_by_role("button", name="Analyse the project")).to_be_visible()


def test_a_first_run_under_way_is_waited_for(bench):
    bench.server.runs = [RUN]
    bench.open(project=2)
    page = bench.page
    expect(page.get_by_text("The project is being analysed")).to_be_visible()
    expect(page.get_by_role("main").get_by_role("progressbar")).to_have_attribute("value", "1200")
    expect(page.get_by_role("button", name="Analyse the project")).to_have_count(0)
    bench.server.tell("run", {**RUN, "state": "failed"})
    expect(page.get_by_text("The last run failed")).to_be_visible()
    page.get_by_role("button", name="Show its runs").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()


def test_without_embeddings_the_map_says_what_it_needs_and_the_grid_works(bench):
    for part in ("inputs", "regions"):
        bench.server.cache[part] = without_places(bench.table(part))
    bench.open()
    page = bench.page
    expect(page.get_by_text("Name an embedder in the model connection")).to_be_visible()
    expect(page.locator(".tile img").first).to_be_visible()
    expect_count(bench, bench.table().num_rows)
    page.locator(".word", has_text="Missing").click()
    expect(page.get_by_text("Nothing is laid out")).to_be_visible()


def test_few_points_have_no_map(bench):
    bench.server.cache["inputs"] = without_places(bench.table().slice(0, 12))
    bench.open()
    expect(bench.page.get_by_text("A map needs 20 points or more")).to_be_visible()


def test_where_nobody_has_drawn_a_region_the_inputs_are_shown(bench):
    sink = pa.BufferOutputStream()
    none = bench.table("regions").slice(0, 0)
    with pa.ipc.new_stream(sink, none.schema) as writer:
        writer.write_table(none)
    bench.server.cache["regions"] = sink.getvalue().to_pybytes()
    bench.open("part=regions")
    expect(bench.page.get_by_text("Nobody has drawn a region yet")).to_be_visible()
    bench.page.get_by_role("button", name="Show the whole inputs").click()
    expect_count(bench, bench.table().num_rows)


def test_what_matches_nothing_can_be_cleared(bench):
    bench.open("label=no+such+label")
    expect(bench.page.get_by_text("Nothing matches")).to_be_visible()
    bench.page.get_by_role("button", name="Clear filters and areas").click()
    expect_count(bench, bench.table().num_rows)


def test_who_has_no_access_is_told_whom_to_ask(bench):
    bench.open(project=3)
    expect(bench.page.get_by_role("alert")).to_contain_text("no access to this project")
    bench.page.get_by_role("link", name="All projects").click()
    expect(bench.page.locator(".project-card")).to_have_count(2)


@pytest.mark.parametrize(
    ("path", "query", "there"),
    [
        ("api/projects/1", "", ".tile img"),
        ("api/projects/1/points", "", ".tile img"),
        ("api/projects/1/overview", "room=overview", ".figure"),
    ],
)
def test_an_error_of_the_server_is_said_and_can_be_tried_again(bench, path, query, there):
    page, broken = bench.page, "The store cannot be read. Make room on its disk."

    def fail(route):
        route.fulfill(status=500, json={"detail": broken})

    pattern = f"{bench.address}/{path}*"
    page.route(pattern, fail)
    bench.open(query)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(broken)
    # What comes with the points is asked for again by itself.
    page.wait_for_timeout(1500)
    page.unroute(pattern)
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator(there).first).to_be_visible()
    expect(alert).to_have_count(0)
