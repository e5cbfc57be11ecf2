"""Labels and predictions of each geometry to findings, reasons and fixes."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.findings import Findings
from ml_backend.labelstudio.config import parse_config
from ml_backend.outlines import Outlines
from ml_backend.prediction.predicting import ControlPredictions
from ml_backend.predictors.base import Predictions
from ml_backend.scoring import choices, points, regions, spans
from ml_backend.scoring.columns import Units
from ml_backend.scoring.disputes import disputes
from ml_backend.scoring.page import fit_calibration
from ml_backend.scoring.whereabouts import whereabouts
from ml_backend.storage.labels import StoredLabels

SIZE = (400, 300)


def control(tag, names="abc", extra=""):
    inside = "Choice" if tag == "Choices" else "Label"
    read = "Text" if tag == "Labels" else "Image"
    children = "".join(f'<{inside} value="{name}"/>' for name in names)
    xml = f'<View><{read} name="o" value="$o"/><{tag} name="t" toName="o" {extra}>{children}'
    return parse_config(f"{xml}</{tag}></View>").controls[0]


def units(tag, human, model, *, count=1, known=None, extra="", probs=None):
    """``human``: (unit, label, numbers), ``model``: (unit, label, score, numbers)."""
    one = control(tag, extra=extra)
    said = Predictions(
        np.tile(np.array(SIZE, dtype=np.int32), (count, 1)),
        np.array([row[0] for row in model], dtype=np.int64),
        np.array([row[1] for row in model], dtype=np.int32),
        np.array([row[2] for row in model], dtype=np.float32),
        Outlines.of_rows([row[3] for row in model]),
        np.empty((count, 0), dtype=np.float32) if probs is None else np.float32(probs),
    )
    every = np.ones(3, dtype=np.bool_) if known is None else np.array(known)
    table = ControlPredictions(one, "v", False, np.ones(count, dtype=np.bool_), said, every)
    number = np.arange(count)
    labels = StoredLabels(
        task=number + 100,
        unit=number + 10,
        region_unit=np.array([row[0] + 10 for row in human], dtype=np.int64),
        label=np.array([row[1] for row in human], dtype=np.int32),
        outline=Outlines.of_rows([row[2] for row in human]),
        held_task=number + 100,
        held=number + 10,
        approved=np.zeros(len(number), dtype=np.bool_),
        size=np.zeros((len(number), 2), dtype=np.int32),
    )
    return Units.of(table, labels, number), table, labels


def said(scored):
    return sorted(zip(scored.findings.kind.tolist(), scored.reason, strict=True))


def disputed(units, tasks):
    found = disputes(units, np.array(tasks))
    return list(zip(found.findings.task.tolist(), found.reason, strict=True)), found


def test_people_who_chose_differently_disagree():
    human = [(0, 0, []), (1, 1, []), (2, 2, []), (3, 2, [])]
    found, _, _ = units("Choices", human, [], count=4, probs=np.full((4, 3), 1 / 3))
    reasons, scored = disputed(found, [7, 7, 8, 8])
    assert reasons == [
        (0, "annotators disagree: a, given by 1 of 2"),
        (1, "annotators disagree: b, given by 1 of 2"),
    ]
    assert scored.priority[:2].tolist() == [0.5, 0.5]
    assert np.isnan(scored.priority[2:]).all()
    assert scored.fix == [None, None]
    assert disputed(found, [6, 7, 8, 9])[0] == []


@pytest.mark.parametrize(
    ("tag", "here", "near", "far"),
    [
        ("RectangleLabels", (50, 40, 100, 80, 0), (52, 40, 100, 80, 0), (300, 40, 50, 50, 0)),
        ("KeyPointLabels", (50, 40, 0), (54, 42, 0), (90, 40, 0)),
        ("Labels", (5, 20), (5, 19), (30, 40)),
    ],
)
def test_people_who_marked_other_things_disagree(tag, here, near, far):
    human = [(0, 0, here), (1, 0, near), (1, 2, far)]
    found, _, _ = units(tag, human, [], count=2)
    reasons, scored = disputed(found, [7, 7])
    assert reasons == [(1, "annotators disagree: c, given by 1 of 2")]
    assert scored.findings.annotation.tolist() == [2]


def items(count):
    return np.arange(count, dtype=np.int64)


def test_where_nothing_is_labelled_yet_nothing_is_learnt_of_the_model():
    _, table, labels = units("RectangleLabels", [], [], count=0)
    assert fit_calibration(table, labels, None) == {}
    _, table, labels = units("RectangleLabels", [(0, 0, [1, 1, 9, 9])], [], count=1)
    assert "silent" in fit_calibration(table, labels, None)


@pytest.mark.parametrize(
    ("tag", "mine", "theirs", "places"),
    [
        (
            "RectangleLabels",
            (50, 40, 100, 80, 0),
            (300, 220, 60, 60, 0),
            ["top left", "bottom right"],
        ),
        (
            "PolygonLabels",
            (5, 140, 9, 140, 9, 150),
            (190, 290, 210, 290, 200, 299),
            ["left", "bottom"],
        ),
        ("KeyPointLabels", (200, 150, 0), (399, 1, 1), ["middle", "top right"]),
        ("Labels", (13, 18), (0, 4), ["“Paris”", "“Anna”"]),
        ("Choices", (), (), ["", ""]),
    ],
)
def test_a_finding_says_where_it_is(tag, mine, theirs, places):
    """One is about a person's region, the other about what the model alone has seen."""
    model = [] if tag == "Choices" else [(0, 1, 0.9, theirs)]
    one, _, _ = units(tag, [(0, 0, mine)], model, probs=[[0, 1, 0]])
    found = Findings([0, 0], ["spurious", "missing"], [0, -1], [-1, 0], [0.9, 0.8], [-1, 1])
    assert whereabouts(one, found, ["Anna went to Paris"]) == places
    assert whereabouts(one, Findings(), [None]) == []
    unknown = Units(
        one.table, one.labels, one.unit, one.given, replace(one.model, size=one.model.size * 0)
    )
    if tag != "Labels":
        assert whereabouts(unknown, found, [None]) == ["", ""]
    else:
        assert whereabouts(one, found, [None]) == ["", ""]


def test_a_long_span_is_named_by_its_beginning_on_one_line():
    one, _, _ = units("Labels", [(0, 0, (0, 60))], [])
    found = Findings([0], ["spurious"], [0], [-1], [0.9], [-1])
    text = "one\ntwo " * 20
    assert whereabouts(one, found, [text]) == ["“" + ("one two " * 5)[:40] + "…”"]


def test_a_box_under_the_wrong_name_is_relabelled():
    box = (50, 40, 100, 80, 0)
    found, _, _ = units("RectangleLabels", [(0, 0, box)], [(0, 1, 0.95, box)])
    scored = regions.score(found, items(1), None)
    assert said(scored)[0] == ("mislabelled", "labelled a, model says b (0.95)")
    (fix, *_) = scored.fix
    assert (fix.action, fix.item, fix.label, fix.size) == ("relabel", 0, 1, SIZE)


def test_a_turned_box_is_compared_as_it_lies():
    # Turned by a right angle about its top left corner, a box lies elsewhere.
    turned, upright = (200, 100, 120, 30, 90), (200, 100, 120, 30, 0)
    found, _, _ = units("RectangleLabels", [(0, 0, turned)], [(0, 0, 0.9, upright)])
    kinds = {kind for kind, _ in said(regions.score(found, items(1), None))}
    assert kinds & {"spurious", "badly_drawn", "missing"}
    again, _, _ = units("RectangleLabels", [(0, 0, turned)], [(0, 0, 0.9, (170, 100, 30, 120, 0))])
    assert all(score < 0.5 for score in regions.score(again, items(1), None).findings.score)


def test_a_span_that_is_missing_is_added_where_the_model_has_it():
    found, _, _ = units("Labels", [(0, 0, (0, 4))], [(0, 0, 0.99, (0, 4)), (0, 2, 0.97, (9, 12))])
    scored = spans.score(found, items(1), None)
    fix = dict(zip(scored.reason, scored.fix, strict=True))["missing: c, model 0.97"]
    assert fix.action == "add"
    assert fix.outline is not None
    assert fix.outline[0].tolist() == [9, 12]


def test_a_single_point_has_a_size_and_two_of_one_name_are_two_objects():
    model = [(0, 0, 0.9, (100, 100, 0)), (0, 0, 0.9, (300, 200, 1))]
    near = [(0, 0, (101, 100, 0)), (0, 0, (300, 201, 0))]
    found, _, _ = units("KeyPointLabels", near, model)
    assert all(score < 0.5 for score in points.score(found, items(2), None).findings.score)
    far = [(0, 0, (101, 100, 0)), (0, 0, (200, 50, 0))]
    found, _, _ = units("KeyPointLabels", far, model)
    assert points.score(found, items(2), None).findings.score.max() > 0.5


def test_of_several_choices_one_too_many_goes_and_one_too_few_comes():
    probs = [[0.99, 0.01, 0.5], [0.02, 0.98, 0.01], [0.5, 0.5, 0.5]]
    human = [(0, 0, ()), (0, 1, ()), (1, 0, ())]
    found, _, _ = units("Choices", human, [], count=3, extra='choice="multiple"', probs=probs)
    scored = choices.score(found, np.array([4, 4, 7]), None)
    worst = {
        (unit, kind, label): fix
        for unit, kind, label, fix in zip(
            scored.findings.task.tolist(),
            scored.findings.kind.tolist(),
            scored.findings.label.tolist(),
            scored.fix,
            strict=True,
        )
    }
    assert worst[0, "spurious", 1].action == "remove"
    assert worst[0, "spurious", 1].item == 4
    assert worst[1, "missing", 1].action == "add"
    assert worst[1, "missing", 1].item == 7
    # Nothing was chosen in the third: it may not have applied.
    assert np.isnan(scored.priority).tolist() == [False, False, True]
    assert not (scored.findings.task == 2).any()


def test_a_label_that_the_model_does_not_know_is_not_judged():
    box = (50, 40, 100, 80, 0)
    model = [(0, 1, 0.95, box)]
    found, _, _ = units("RectangleLabels", [(0, 0, box)], model, known=[False, True, True])
    assert not len(regions.score(found, items(1), None).findings)
    (none,) = choices.score(
        units("Choices", [(0, 0, ())], [], known=[False, True, True], probs=[[0, 0.5, 0.5]])[0],
        items(1),
        None,
    ).priority
    assert np.isnan(none)


@pytest.mark.parametrize("tag", ["RectangleLabels", "PolygonLabels", "KeyPointLabels", "Labels"])
def test_a_model_that_never_said_anything_is_silent(tag):
    numbers = {"RectangleLabels": (1, 1, 9, 9, 0), "Labels": (0, 3), "KeyPointLabels": (5, 5, 0)}
    human = [(0, 0, numbers.get(tag, (0, 0, 9, 0, 9, 9)))]
    _, table, labels = units(tag, human, [])
    assert set(fit_calibration(table, labels, None)) == {"silent"}


@pytest.mark.parametrize(
    ("tag", "module", "numbers"),
    [
        ("RectangleLabels", regions, (50, 40, 100, 80, 30)),
        ("PolygonLabels", regions, (50, 40, 150, 40, 150, 120)),
        ("BrushLabels", regions, (300, 400, 5, 900, 1200, 1300)),
        ("KeyPointLabels", points, (50, 60, 0)),
        ("Labels", spans, (3, 9)),
    ],
)
def test_what_was_learnt_scores_as_if_learnt_here_and_a_stranger_is_refused(tag, module, numbers):
    human = [(n, n % 3, numbers) for n in range(6)]
    model = [(n, n % 3, 0.9, numbers) for n in range(6)]
    found, table, labels = units(tag, human, model, count=6)
    learnt = fit_calibration(table, labels, None)
    again = module.score(found, items(6), learnt)
    np.testing.assert_allclose(again.priority, module.score(found, items(6), None).priority)
    with pytest.raises((KeyError, ValueError)):
        module.score(found, items(6), {"other": np.zeros(2)})
