"""A reviewer's clicks, in a real Chromium on a real Label Studio."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page

from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import one_missing, scenes, wrong_class


@pytest.fixture(scope="module")
def queue(bench: Bench):
    first, second = scenes(2, seed=41)
    project, tasks = bench.project("detection", [wrong_class(first), one_missing(second)])
    bench.analyze(project)
    views = bench.client.views.list(project=project)
    (tab,) = [view.id for view in views if view.data["title"] == "Needs review"]
    return f"{bench.server.url}/projects/{project}/data?tab={tab}", tasks


def duplicate_and_submit(page: Page, tab_text: str) -> None:
    """Open an annotation's or prediction's menu, duplicate it, and submit the copy."""
    tab = page.locator(".lsf-annotation-button", has_text=tab_text).first
    tab.click()
    tab.hover()
    tab.locator(".lsf-annotation-button__trigger").click()
    page.get_by_text("Duplicate Annotation").click()
    page.locator("button", has_text="Submit").click()
    page.get_by_text("Annotation saved successfully").first.wait_for()


def test_the_tab_shows_the_reasons(page, queue):
    address, _ = queue
    page.goto(address)
    page.get_by_text("model says").first.wait_for()
    page.get_by_text("missing: ").first.wait_for()


def test_a_pre_label_is_drawn_in_the_editor(page, bench, queue):
    address, (wrong, _) = queue
    page.goto(f"{address}&task={wrong}")
    page.locator(".lsf-annotation-button", has_text="digits-d").first.click()
    drawn = page.locator(".lsf-outliner-item")
    drawn.first.wait_for()
    (prediction,) = [p for p in bench.predictions(wrong) if p.model_version.startswith("digits-d")]
    assert len(prediction.result) == drawn.count()


def test_accepting_the_suggestion_corrects(page, bench, queue):
    address, (wrong, _) = queue
    page.goto(f"{address}&task={wrong}")
    duplicate_and_submit(page, "relook-s")
    wait_for(lambda: bench.flag(wrong) == "corrected", "the verdict 'corrected'")


def test_submitting_the_own_label_again_confirms(page, bench, queue):
    address, (_, missing) = queue
    page.goto(f"{address}&task={missing}")
    duplicate_and_submit(page, "admin@")
    wait_for(lambda: bench.flag(missing) == "confirmed", "the verdict 'confirmed'")


def test_a_reviewer_goes_from_task_to_task_by_clicking(page, bench):
    project, _ = bench.project("detection", [wrong_class(scene) for scene in scenes(2, seed=42)])
    bench.analyze(project)
    views = bench.client.views.list(project=project)
    (tab,) = [view.id for view in views if view.data["title"] == "Needs review"]
    in_order = [task.id for task in bench.client.tasks.list(project=project, view=tab)]
    assert len(in_order) == 2

    page.goto(f"{bench.server.url}/projects/{project}/data")
    page.get_by_text("Needs review", exact=True).click()
    for task in in_order:
        page.get_by_text(bench.task(task).data["relook_reason"]).first.click()
        page.wait_for_url(re.compile(rf"task={task}\b"))
        duplicate_and_submit(page, "relook-s")
        wait_for(lambda task=task: bench.flag(task) == "corrected", "the verdict 'corrected'")
