"""Verdicts are read back from Label Studio and change what priorities say."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from analysis.priority import KindCalibrator
from ml_backend.demo.projects import human_result, upload_images
from ml_backend.jobs.project.work import ProjectWork
from ml_backend.labelstudio.regions.results import digest
from ml_backend.labelstudio.regions.suggestions import SUGGESTION_VERSION as SUGGESTION
from ml_backend.labelstudio.tasks.importing import import_tasks
from ml_backend.labelstudio.tasks.verdicts import read_verdicts
from ml_backend.marks import Mark
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import right, scenes, wrong_class
from tests.integration.test_runs import without_events


def score_of(data: dict[str, Any]) -> float:
    score = Mark.parse(data["relook_seen"]).score
    assert score is not None
    return score


def test_without_verdicts_the_priority_is_the_score(bench: Bench):
    project, (task,) = bench.project("detection", [wrong_class(scenes(1, seed=91)[0])])
    bench.analyze(project)
    data = bench.task(task).data
    assert data["relook_priority"] == round(score_of(data), 2)


def test_a_verdict_is_kept_with_the_score_that_it_answers(bench: Bench):
    project, (kept, fixed) = bench.project(
        "detection", [wrong_class(scene) for scene in scenes(2, seed=92)]
    )
    bench.analyze(project)
    flagged = [score_of(bench.task(task).data) for task in (kept, fixed)]
    (annotation,) = bench.task(kept).annotations
    bench.client.annotations.update(id=annotation["id"], result=annotation["result"])
    (suggestion,) = bench.predictions(fixed, "relook-suggestion")
    bench.client.annotations.create(id=fixed, result=suggestion.result)
    wait_for(lambda: bench.flag(kept) == "confirmed", "the verdict")
    wait_for(lambda: bench.flag(fixed) == "corrected", "the verdict")
    bench.settle(project)
    verdicts = read_verdicts(bench.client, project, "relook")
    assert verdicts.kind == ["mislabelled", "mislabelled"]
    # Read verdict by verdict, not in the order of the tasks.
    order = np.argsort(verdicts.wrong)
    assert verdicts.wrong[order].tolist() == [False, True]
    np.testing.assert_allclose(verdicts.score[order], flagged, atol=1e-4)


def test_what_was_changed_is_said_whoever_reads_the_correction_first(bench: Bench):
    drawn = [wrong_class(scene) for scene in scenes(2, seed=96)]
    project, (predicted, tried) = bench.project("detection", drawn)
    bench.analyze(project)
    bench.settle(project)
    without_events(bench, project)
    for task in (predicted, tried):
        (annotation,), (fix,) = bench.task(task).annotations, bench.predictions(task, SUGGESTION)
        bench.client.annotations.update(id=annotation["id"], result=fix.result)
    work, once = ProjectWork.open(bench.services, project), iter([None])
    work.predict(np.array([predicted]), lambda: None)
    # It has lost its lock by the time it would write verdicts.
    with pytest.raises(StopIteration):
        work.score(np.array([tried]), lambda: next(once))
    work.score(np.array([predicted, tried]), lambda: None)
    for task in (predicted, tried):
        assert bench.flag(task) == "corrected"
        assert re.fullmatch(r"corrected: \d became \d", bench.task(task).data["relook_reason"])


def test_priorities_are_what_verdicts_have_taught(bench: Bench):
    """Thirty labels of one kind were confirmed; what they said stands in Label Studio alone."""
    first, second = scenes(2, seed=93)
    project, (good,) = bench.project("detection", [right(first)])
    assert bench.analyze(project).state == "done"
    bench.settle(project)
    # What follows is scored once, by the run: the mark then has the score that the priority is of.
    without_events(bench, project)
    (annotation,) = bench.task(good).annotations
    said = digest([annotation["result"]])
    model = bench.client.projects.get(id=project).model_version
    assert model
    reviewed = {
        "image": bench.task(good).data["image"],
        "relook_flag": "confirmed",
        "relook_kind": "mislabelled",
        "relook_seen": str(Mark(frozenset([said]), 1.0, model, 0.8)),
    }
    # Of older days: the priority was the score. And what makes no sense is left out.
    older = reviewed | {"relook_seen": f"{said}@1.000000@{model}", "relook_priority": 0.8}
    odd = reviewed | {"relook_seen": "x", "relook_priority": "high"}
    body = [
        {"data": data, "annotations": [{"result": annotation["result"]}]}
        for data in [*[reviewed] * 15, *[older] * 15, odd]
    ]
    wrong = wrong_class(second)
    (address,) = upload_images(bench.client, bench.server.url, project, [wrong.image])
    result = human_result("detection", wrong)
    body.append({"data": {"image": address}, "annotations": [{"result": result}]})
    *confirmed, _, task = import_tasks(bench.client, project, body)
    verdicts = read_verdicts(bench.client, project, "relook")
    np.testing.assert_allclose(verdicts.score, [0.8] * 30, atol=1e-6)
    assert not verdicts.wrong.any()
    learnt = KindCalibrator.fit(verdicts.kind, verdicts.score, verdicts.wrong)

    assert bench.analyze(project).state == "done"
    data = bench.task(task).data
    assert data["relook_kind"] == "mislabelled"
    expected = learnt.predict(["mislabelled"], np.array([score_of(data)]))[0]
    assert abs(data["relook_priority"] - expected) < 0.011
    assert data["relook_priority"] < score_of(data) - 0.3
    assert data["relook_flag"] == "needs-review"
    # The verdicts are of labels that still stand: they are not taken away, nor asked for again.
    assert {bench.flag(one) for one in confirmed} == {"confirmed"}
    before = [bench.task(one).data for one in [*confirmed, task]]
    assert bench.analyze(project).state == "done"
    assert [bench.task(one).data for one in [*confirmed, task]] == before


def test_an_import_brings_flags_along_that_nobody_has_answered(bench: Bench):
    """An export carries our fields; the import stamps its labels anew, as if they were saved."""
    wrong, fine, other = scenes(3, seed=94)
    source, (flagged, plain) = bench.project("detection", [wrong_class(wrong), right(fine)])
    bench.analyze(source)
    assert (bench.flag(flagged), bench.flag(plain)) == ("needs-review", None)
    exported = [bench.task(task) for task in (flagged, plain)]
    (said,) = exported[1].annotations
    by_hand = {
        "relook_flag": "needs-review",
        "relook_hand": "needs-review",
        "relook_seen": str(Mark(frozenset([digest([said["result"]])]), 1.0, "m")),
    }
    data = [exported[0].data, exported[1].data | by_hand]
    target, _ = bench.project("detection", [right(other)])
    body = [
        {"data": one, "annotations": [{"result": task.annotations[0]["result"]}]}
        for one, task in zip(data, exported, strict=True)
    ]
    copies = import_tasks(bench.client, target, body)
    for task, before in zip(copies, data, strict=True):
        mark = before["relook_seen"]
        wait_for(lambda t=task, m=mark: bench.task(t).data["relook_seen"] != m, "the first look")
    bench.settle(target)
    assert [bench.flag(task) for task in copies] == ["needs-review"] * 2
    assert not len(read_verdicts(bench.client, target, "relook").kind)
    for task in copies:
        (annotation,) = bench.task(task).annotations
        bench.client.annotations.update(id=annotation["id"], result=annotation["result"])
    wait_for(lambda: [bench.flag(task) for task in copies] == ["confirmed"] * 2, "the verdicts")
