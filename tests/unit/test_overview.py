"""A project at a glance, of what was scored and what reviewers have said of it."""

import copy
import math
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from analysis.priority import KindCalibrator
from ml_backend.demo.projects import human_result
from ml_backend.jobs.project.annotators import _score
from ml_backend.jobs.project.opened import OpenedProject
from ml_backend.jobs.project.work import ProjectWork
from ml_backend.labelstudio.approval_marks import approval_version
from ml_backend.review.decide import CORRECTED, NEEDS_REVIEW
from ml_backend.storage.plane import get_plane, put_plane
from ml_backend.web.api.events import _Looker
from ml_backend.web.api.overview import _count, _key
from ml_backend.web.projects import Projects
from tests import made_project
from tests.integration.samples import right, scenes
from tests.made_project import CONTROL, PROJECT, TASKS


@pytest.fixture(scope="module")
def studio():
    made = made_project.LabelStudioWithOneProject()
    with made.listening():
        yield made


@pytest.fixture(scope="module")
def services(studio, tmp_path_factory):
    with made_project.made_services(studio, tmp_path_factory.mktemp("overview")) as services:
        made_project.score(services)
        yield services


@contextmanager
def changed(studio, task, **more):
    """Have a task be another while the body runs."""
    before = studio.tasks[task]
    studio.tasks[task] = copy.deepcopy(before) | more
    try:
        yield
    finally:
        studio.tasks[task] = before


def counted(services):
    opened = Projects(services).open(PROJECT)
    return _count(opened, opened.control(""), 0.5, 0.3)


def test_a_correction_says_nothing_of_the_labels_that_were_never_doubted(studio, services):
    """The verdict is on the label as it was flagged: what it became is as good as the others."""
    before = counted(services)["error_share"]
    wrong = TASKS[0]
    mended = studio.tasks[wrong]["annotations"][0] | {
        "result": human_result("detection", right(scenes(len(TASKS))[0])),
        "updated_at": "2026-01-03T03:04:05.678901Z",
    }
    with changed(studio, wrong, annotations=[mended]):
        assert studio.tasks[wrong]["data"]["relook_flag"] == NEEDS_REVIEW
        ProjectWork.open(services, PROJECT).score(np.array([wrong]), lambda: None)
        assert studio.tasks[wrong]["data"]["relook_flag"] == CORRECTED
    after = counted(services)["error_share"]
    assert (before.reviewed, after.reviewed) == (0, 1)
    # Two of six labels were flagged; one of them is known to have been wrong now.
    assert after.estimate == pytest.approx(before.estimate, abs=0.02)
    assert after.low >= 1 / 6


def test_what_the_model_approved_by_itself_does_not_count_as_agreement(studio, services):
    before = counted(services)
    unlabelled = 7
    (right_one, *_) = studio.tasks[3]["annotations"]
    said = {"id": 700, "result": right_one["result"], "score": 0.9}
    approval = right_one | {"id": 701, "parent_prediction": 700}
    version = approval_version("b1", "m@1")
    with changed(
        studio,
        unlabelled,
        annotations=[approval],
        predictions=[said | {"model_version": version}],
    ):
        ProjectWork.open(services, PROJECT).score(np.array([unlabelled]), lambda: None)
    assert services.page.tasks(PROJECT, np.array([unlabelled]))["unit"].to_pylist() == [[701]]
    after = counted(services)
    assert (after["classes"], after["confusion"]) == (before["classes"], before["confusion"])


def test_what_verdicts_have_taught_holds_for_annotators_too(services):
    opened, tasks = OpenedProject.open(services, PROJECT), np.array(TASKS)
    missing = TASKS[1]
    (before,) = _score(opened, tasks).of(np.array([10 * missing]))
    many = np.full(30, 0.98, dtype=np.float32)
    learnt = KindCalibrator.fit(["missing"] * 30, many, np.zeros(30, dtype=np.bool_))
    services.store.put_arrays(PROJECT, "verdicts", learnt.to_arrays())
    try:
        (after,) = _score(opened, tasks).of(np.array([10 * missing]))
    finally:
        nothing = KindCalibrator.fit([], many[:0], many[:0] > 0)
        services.store.put_arrays(PROJECT, "verdicts", nothing.to_arrays())
    (expected,) = learnt.predict(["missing"], np.array([before]))
    assert after == pytest.approx(expected, abs=1e-6)
    assert after < before - 0.3


def test_a_map_that_ends_a_run_is_told_and_counted(services):
    """No row changes any more by then: only the arrays do."""
    page, opened = _Looker(services, PROJECT), Projects(services).open(PROJECT)
    page.news()
    page.points_at = -math.inf
    assert page.news() == []
    rows, counts = services.page.version(PROJECT), _key(opened)
    plane = get_plane(services.store, PROJECT, CONTROL, "inputs")
    put_plane(services.store, PROJECT, CONTROL, "inputs", replace(plane, x=plane.y, y=plane.x))
    assert services.page.version(PROJECT) == rows
    assert [one.partition("\n")[0] for one in page.news()] == ["event: points"]
    assert _key(opened) != counts
