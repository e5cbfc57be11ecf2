"""Verdicts are read back from Label Studio and change what priorities say."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from analysis.priority import KindCalibrator
from ml_backend.labelstudio.verdicts import read_verdicts
from ml_backend.marks import Mark
from tests.integration.conftest import Bench, wait_for
from tests.integration.samples import scenes, wrong_class
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
    np.testing.assert_allclose(verdicts.score, flagged, atol=1e-4)
    assert verdicts.wrong.tolist() == [False, True]


def test_priorities_are_what_verdicts_have_taught(bench: Bench):
    """Thirty labels of one kind were confirmed; what they said stands in Label Studio alone."""
    project, (task,) = bench.project("detection", [wrong_class(scenes(1, seed=93)[0])])
    # Nothing is labelled in them, so that the first look would take their verdicts away.
    without_events(bench, project)
    reviewed = {
        "image": bench.task(task).data["image"],
        "relook_flag": "confirmed",
        "relook_kind": "mislabelled",
        "relook_seen": str(Mark(frozenset(["d"]), 1.0, "m@1", 0.8)),
    }
    # Of older days: the priority was the score. And what makes no sense is left out.
    older = reviewed | {"relook_seen": "d@1.000000@m@1", "relook_priority": 0.8}
    odd = reviewed | {"relook_seen": "x", "relook_priority": "high"}
    body: Any = [{"data": data} for data in [*[reviewed] * 15, *[older] * 15, odd]]
    bench.client.projects.import_tasks(id=project, request=cast(Any, body))
    verdicts = read_verdicts(bench.client, project, "relook")
    np.testing.assert_allclose(verdicts.score, [0.8] * 30, atol=1e-6)
    assert not verdicts.wrong.any()
    learnt = KindCalibrator.fit(verdicts.kind, verdicts.score, verdicts.wrong)

    assert bench.analyze(project).state == "done"
    data = bench.task(task).data
    expected = learnt.predict(["mislabelled"], np.array([score_of(data)]))[0]
    assert abs(data["relook_priority"] - expected) < 0.011
    assert data["relook_priority"] < score_of(data) - 0.3
    assert data["relook_flag"] == "needs-review"
