"""An admin's settings in Label Studio's own dialog, in Chromium."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from ml_backend.demo.projects import connect_backend
from tests.integration.conftest import Bench
from tests.integration.samples import right, scenes
from tests.page.pages import PATIENCE_MS

MODEL = {"model": "digits-detect.pt"}


def test_a_wrong_setting_is_refused_in_the_dialog_by_name(bench: Bench, page: Page):
    project, _ = bench.project("detection", [right(one) for one in scenes(1, seed=3)])
    (first,) = bench.client.ml.list(project=project)
    bench.client.ml.delete(id=str(first.id))
    connect_backend(bench.client, project, bench.stack.url, json.dumps(MODEL))
    page.goto(f"{bench.server.url}/projects/{project}/settings/ml")
    page.get_by_label("Machine learning model options").click()
    page.get_by_text("Edit", exact=True).click()
    settings, save = page.locator("[name=extra_params]"), page.get_by_text("Validate and Save")
    expect(settings).to_have_value(json.dumps(MODEL), timeout=PATIENCE_MS)
    # 50 ms after it has opened, the form fills in once more what it was opened with.
    page.evaluate("new Promise((done) => setTimeout(done, 100))")
    settings.fill(json.dumps({**MODEL, "review_shar": 0.05}))
    save.click()
    said = page.get_by_text("did you mean 'review_share'")
    expect(said.first).to_be_visible(timeout=PATIENCE_MS)
    settings.fill(json.dumps({**MODEL, "review_share": 0.05}))
    # What was said has moved the button out of sight, and its dialog does not scroll.
    save.dispatch_event("click")
    expect(settings).to_have_count(0, timeout=PATIENCE_MS)
    assert bench.mailbox.settings_of(project).review_share == 0.05
