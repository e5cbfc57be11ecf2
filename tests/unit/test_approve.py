from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.errors import ConfigError
from ml_backend.jobs.approvals.work import _sure
from ml_backend.outlines import Outlines
from ml_backend.prediction.inputs import TaskInputs
from ml_backend.prediction.predicting import ControlPredictions, PredictedTasks
from ml_backend.predictors.base import Predictions
from ml_backend.review.approve import REASONS, Candidates, Limits, judge, require_known
from ml_backend.settings import ProjectSettings, project_settings
from tests.unit.regions import BOX, MANY, ONE


def boxes(*scores, label=0, found=None):
    """One table of regions: a list of scores for each task."""
    item = np.repeat(np.arange(len(scores)), [len(one) for one in scores])
    flat = np.array([score for one in scores for score in one], dtype=np.float32)
    said = Predictions(
        np.full((len(scores), 2), 100, dtype=np.int32),
        item.astype(np.int64),
        np.full(len(flat), label, dtype=np.int32),
        flat,
        Outlines.of_table(np.tile([10.0, 10.0, 20.0, 20.0, 0.0], (len(flat), 1))),
        np.zeros((len(scores), 0), dtype=np.float32),
    )
    seen = np.ones(len(scores), dtype=bool) if found is None else np.array(found)
    return ControlPredictions(BOX, "m", False, seen, said, np.ones(2, dtype=bool))


def choices(*probs, control=ONE):
    said = Predictions.of_classes(np.array(probs, dtype=np.float32))
    found = np.ones(len(probs), dtype=bool)
    return ControlPredictions(control, "m", False, found, said, np.ones(2, dtype=bool))


def candidates(*tables):
    count = len(tables[0].found)
    return Candidates(
        np.zeros(count, dtype=bool), np.full(count, ""), np.full(count, np.nan), tables
    )


def limits(confidence=0.9, **settings):
    return Limits.of(ProjectSettings(**settings), confidence)


def why(judged):
    return [REASONS[n] if n >= 0 else "" for n in judged.why]


def test_sure_regions_alone_are_approved():
    judged = judge(
        candidates(boxes([0.95, 0.91], [0.95, 0.6], [0.95, 0.15], [0.95, 0.05], [])), limits()
    )
    half = "something only half seen"
    assert why(judged) == ["", half, half, "", "nothing seen"]
    assert judged.approved.tolist() == [True, False, False, True, False]
    np.testing.assert_allclose(judged.confidence, [0.91, 0.6, 0.15, 0.95, np.nan], atol=1e-6)


def test_a_region_that_no_label_takes_says_nothing():
    assert why(judge(candidates(boxes([0.95], label=-1)), limits())) == ["nothing seen"]


def test_of_choices_that_exclude_each_other_the_best_decides():
    judged = judge(candidates(choices([0.92, 0.08], [0.6, 0.4], [0.0, 0.0])), limits())
    assert why(judged) == ["", "something only half seen", "nothing seen"]


def test_of_several_choices_each_must_be_sure_or_as_good_as_absent():
    table = choices([0.95, 0.93], [0.95, 0.02], [0.95, 0.4], [0.01, 0.02], control=MANY)
    judged = judge(candidates(table), limits())
    assert why(judged) == ["", "", "something only half seen", "nothing seen"]


def test_every_tag_has_its_say():
    table = candidates(boxes([0.95], [0.95], []), choices([0.95, 0.05], [0.5, 0.5], [0.95, 0.05]))
    assert why(judge(table, limits())) == ["", "something only half seen", "nothing seen"]


def test_one_of_two_tags_of_regions_may_be_silent():
    assert why(judge(candidates(boxes([0.95], []), boxes([], [])), limits())) == [
        "",
        "nothing seen",
    ]


def test_what_somebody_has_begun_what_needs_review_and_outliers_are_left_out():
    sure = candidates(boxes(*[[0.95]] * 5))
    given_ = replace(
        sure,
        begun=np.array([True, False, False, False, False]),
        flag=np.array(["", "needs-review", "", "corrected", ""]),
        outlier=np.array([0.0, 0.0, 0.7, 0.2, np.nan]),
    )
    assert why(judge(given_, limits())) == [
        "labelled or begun by somebody",
        "needs review",
        "an outlier",
        "",
        "",
    ]


def test_a_task_that_could_not_be_predicted_is_left_out():
    table = boxes([0.95], found=[False, True])
    assert why(judge(candidates(table), limits())) == ["not predicted", ""]


scores = st.lists(st.floats(0, 1, width=32), max_size=5)


@given(st.lists(scores, min_size=1, max_size=8), st.floats(0.5, 1))
def test_a_higher_bar_never_approves_more(tasks, confidence):
    low = judge(candidates(boxes(*tasks)), limits(confidence))
    high = judge(candidates(boxes(*tasks)), limits(min(1.0, confidence + 0.1)))
    assert (low.approved | ~high.approved).all()
    assert (low.confidence[low.approved] >= np.float32(confidence)).all()
    assert (low.approved == (low.why < 0)).all()


@pytest.mark.parametrize("count", [0, 3])
def test_any_number_of_tasks(count):
    assert len(judge(candidates(boxes(*[[0.95]] * count)), limits()).approved) == count


def test_a_project_says_what_is_half_seen():
    table = candidates(boxes([0.95, 0.3], [0.95, 0.05], [0.95]))
    half = "something only half seen"
    assert why(judge(table, limits(approve_half_seen=0.4))) == ["", "", ""]
    assert why(judge(table, limits(approve_half_seen=0.02))) == [half, half, ""]


def test_a_project_says_what_is_an_outlier():
    table = replace(candidates(boxes([0.95], [0.95])), outlier=np.array([0.3, 0.7]))
    assert why(judge(table, limits(approve_outlier=0.9))) == ["", ""]
    assert why(judge(table, limits(approve_outlier=0.2))) == ["an outlier", "an outlier"]


def test_the_projects_own_confidence_holds_unless_another_is_asked_for():
    settings = project_settings({"approve_confidence": 0.7})
    assert (Limits.of(settings).confidence, Limits.of(settings, 0.95).confidence) == (0.7, 0.95)


@pytest.mark.parametrize("threshold", [0.3, 0.95])
def test_an_approval_says_what_was_judged_whatever_is_pre_labelled(threshold):
    """A label's own threshold is of pre-labels: it neither hides what is sure nor adds noise."""
    settings = ProjectSettings(approve_half_seen=0.5, class_thresholds={"a": threshold, "x": 0.99})
    tables = (boxes([0.92, 0.35]), choices([0.92, 0.08]))
    judged = judge(candidates(*tables), Limits.of(settings, 0.9))
    assert judged.approved.all()
    inputs = TaskInputs(np.array([7]), [{"data": {}}])
    result, _ = _sure(PredictedTasks("m", tables), settings, 0.9, inputs)[7]
    assert [item["type"] for item in result] == ["rectanglelabels", "choices"]
    np.testing.assert_allclose([item["score"] for item in result], 0.92, atol=1e-6)


def test_labels_that_the_model_has_no_class_for_are_approved_of_by_name():
    table = replace(boxes([0.95]), known=np.array([True, False]))
    with pytest.raises(ConfigError, match="'RectangleLabels' has no class for 'b', so that"):
        require_known([boxes([0.95]), table], ProjectSettings())
    require_known([table], ProjectSettings(approve_without=("b",)))
    require_known([boxes([0.95])], ProjectSettings())
