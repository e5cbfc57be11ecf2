"""What counts as needing review: kinds, thresholds, the largest share."""

import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from analysis.findings import KINDS, Findings
from ml_backend.review.policy import Policy, cut_for
from ml_backend.scoring import page as page_scoring
from ml_backend.scoring.columns import Scored
from ml_backend.settings import Kind, ProjectSettings

FIELDS = Path(page_scoring.__file__).parents[1] / "web" / "page" / "src" / "core" / "fields.ts"


def findings(*rows):
    """Rows of unit, kind, region, score."""
    unit, kind, about, score = zip(*rows, strict=True)
    nothing = [-1] * len(rows)
    return Findings(list(unit), list(kind), list(about), nothing, list(score), nothing)


def scored(found, priority):
    said = [f"{kind} {score:.1f}" for kind, score in zip(found.kind, found.score, strict=True)]
    return Scored(np.array(priority, dtype=np.float32), found, said, [None] * len(found))


def finding(score, kind, annotation):
    return page_scoring._Finding(score, kind, f"{kind} {score}", "", annotation, None)


def counted(one, policy, adds_up=True):
    return page_scoring._counted(one, policy, adds_up=adds_up)


def test_the_settings_know_every_kind():
    assert get_args(Kind) == KINDS
    assert Policy.of(ProjectSettings()) == Policy(0.5, frozenset(KINDS), {}, 0.0)


def test_the_page_has_a_name_for_every_kind():
    (names,) = re.findall(r"const NAMES[^{]*{(.*?)}", FIELDS.read_text(), re.DOTALL)
    assert set(KINDS) <= set(re.findall(r'^ *"?([\w-]+)"?:', names, re.MULTILINE))


def test_a_check_that_does_not_run_leaves_no_trace():
    found = findings((0, "missing", -1, 0.9), (0, "spurious", 3, 0.4), (1, "missing", -1, 0.8))
    left = counted(scored(found, [0.9, 0.8, np.nan]), Policy(0.5, frozenset({"spurious"})))
    assert left.reason == ["spurious 0.4"]
    np.testing.assert_allclose(left.priority, [0.4, 0.0, np.nan], rtol=1e-6)


def test_what_is_left_of_one_region_still_adds_up_and_of_one_choice_does_not():
    found = findings((0, "mislabelled", 2, 0.3), (0, "badly_drawn", 2, 0.3), (0, "missing", 5, 0.9))
    policy = Policy(0.5, frozenset({"mislabelled", "badly_drawn"}))
    assert counted(scored(found, [0.9]), policy).priority[0] == pytest.approx(0.6)
    assert counted(scored(found, [0.9]), policy, adds_up=False).priority[0] == pytest.approx(0.3)


def test_a_kind_with_a_threshold_of_its_own_counts_from_there_on_and_only_then():
    policy = Policy(0.5, by_kind={"missing": 0.8, "duplicate": 0.2})
    found = findings((0, "missing", -1, 0.7), (1, "missing", -1, 0.85), (2, "duplicate", 1, 0.3))
    left = counted(scored(found, [0.7, 0.85, 0.3]), policy)
    needs = left.priority >= policy.least(left.findings, 3)
    np.testing.assert_allclose(left.priority, [0, 0.85, 0.3], rtol=1e-6)
    assert needs.tolist() == [False, True, True]


def test_a_task_is_named_for_what_reaches_its_own_threshold():
    policy = Policy(0.5, by_kind={"disagreement": 0.3})
    split = finding(0.37, "disagreement", 0)
    other = finding(0.45, "mislabelled", 1)
    kind, reason, _, fixes = page_scoring._by_task(1, {0: [split, other]}, policy)
    assert (kind, reason) == (["disagreement"], ["disagreement 0.37"])
    assert fixes == {0: (0, [])}
    kind, reason, *_ = page_scoring._by_task(1, {0: [other]}, policy)
    assert (kind, reason) == (["mislabelled"], ["mislabelled 0.45"])


def test_nothing_is_touched_where_everything_counts():
    one = scored(findings((0, "missing", -1, 0.7)), [0.7])
    assert counted(one, Policy(0.5)) is one


def test_the_most_urgent_share_of_the_labelled_tasks_is_what_is_left():
    random = np.random.default_rng(0)
    priority = random.permutation(np.linspace(0, 1, 1000, dtype=np.float32))
    priority[::10] = np.nan
    least = np.full(1000, 0.5, dtype=np.float32)
    cut = cut_for(priority, least, labelled=1000, share=0.05)
    assert (np.nan_to_num(priority) >= np.float32(cut)).sum() == 50


def test_a_share_in_per_cent_is_taken_as_it_is_written():
    priority = np.linspace(0.5, 1, 100, dtype=np.float32)
    least = np.full(100, 0.5, dtype=np.float32)
    cut = cut_for(priority, least, labelled=100, share=0.29)
    assert (priority >= cut).sum() == 29


def test_a_share_that_holds_all_cuts_nothing_and_equals_go_together():
    least = np.full(4, 0.5, dtype=np.float32)
    priority = np.array([0.9, 0.9, 0.9, 0.1], dtype=np.float32)
    assert cut_for(priority, least, labelled=4, share=0.75) == 0
    assert (priority >= cut_for(priority, least, labelled=4, share=0.25)).sum() == 3
