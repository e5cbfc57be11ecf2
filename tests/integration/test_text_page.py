"""Projects of texts on the review page, on the real stack: shown, laid out, flagged from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from playwright.sync_api import expect

from tests.integration import label_types
from tests.integration.conftest import Bench
from tests.integration.label_types import WRONG, Case
from tests.integration.test_review_page import INKED, Project, said, sign_in, toast, word
from tests.text_models import make_embedder

#: Fewer than twenty are not laid out.
TASKS = 24
CASES: dict[str, Callable[[], Case]] = {
    "spans": lambda: label_types.of_spans("transformers:tagger", TASKS),
    "choices": lambda: label_types.of_topics("transformers:topics", TASKS),
}


@dataclass
class Analysed:
    case: Case
    id: int
    tasks: list[int]


@pytest.fixture(scope="module")
def embedder(model_dir, trained_models) -> str:
    make_embedder(model_dir / "sentences", model_dir / "tagger")
    return "sentence-transformers:sentences"


@pytest.fixture(scope="module", params=CASES)
def analysed(request, bench: Bench, embedder) -> Analysed:
    case = replace(CASES[request.param](), params={"embedder": embedder})
    project, tasks = bench.labelled(case)
    run = bench.analyze(project)
    assert (run.state, run.errors) == ("done", {})
    bench.settle(project)
    return Analysed(case, project, tasks)


def test_texts_are_laid_out(bench: Bench, analysed: Analysed):
    shown = Project(bench, analysed.id, {}, []).points()
    assert shown["task"] == analysed.tasks
    assert all(abs(place) <= 1 for axis in "xy" for place in shown[axis])
    assert shown["kind"][WRONG] == analysed.case.kind


def test_a_finding_in_a_text_is_flagged_from_the_page(new_page, bench: Bench, analysed: Analysed):
    wrong, case = analysed.tasks[WRONG], analysed.case
    page = new_page()
    sign_in(page, bench)
    page.goto(f"{bench.stack.url}/page/projects/{analysed.id}")
    page.wait_for_selector("#plot[data-drawn]")
    expect(said(page)).to_have_text(f"All {TASKS} items")
    assert page.evaluate(INKED) > TASKS

    word(page, case.kind.capitalize()).click()
    page.get_by_label("Search text").fill(str(case.objects[WRONG]))
    expect(said(page)).to_have_text("1 item matches")
    expect(page.locator(".tile .text-sample")).to_have_text([str(case.objects[WRONG])])
    # What people marked is marked in the text, and what the model alone sees too.
    spans = case.control.geometry == "span"
    expect(page.locator(".tile .human-span")).to_have_count(len(case.results[WRONG]) * spans)
    expect(page.locator(".tile .model-span")).to_have_count(len(case.truth) * spans)

    assert bench.flag(wrong) == "needs-review"
    page.get_by_role("button", name="Clear flag").click()
    toast(page, "Cleared the flag of 1 task")
    bench.settle(analysed.id)
    assert bench.flag(wrong) == ""
    page.get_by_role("button", name=re.compile("^Flag 1$")).click()
    toast(page, "Flagged 1 task")
    bench.settle(analysed.id)
    found = bench.task(wrong).data
    assert found["relook_flag"] == "needs-review"
    assert found["relook_hand"] == "needs-review"
