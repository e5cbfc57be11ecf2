"""Which labels count where answers came back from a relabel batch, and what may be cleared."""

from datetime import UTC, datetime

import numpy as np
import pytest

from ml_backend.demo.projects import CONFIGS
from ml_backend.labelstudio.clearing import clearable
from ml_backend.labelstudio.config import parse_config
from ml_backend.labelstudio.tasks import reader
from tests.unit.regions import box

CONFIG = parse_config(CONFIGS["detection"])
OURS = ("digits@1", "relook-suggestion")


def at(moment):
    return datetime.fromtimestamp(moment, UTC).isoformat()


def annotation(number, made, saved=None, **more):
    return {
        **{"id": number, "result": [box(str(number))], "was_cancelled": False},
        **{"created_at": at(made), "updated_at": at(saved or made)},
        **{"import_id": None, "parent_annotation": None, "parent_prediction": None},
        **more,
    }


def answer(number, to, made, saved=None):
    return annotation(number, made, saved, import_id=90 + number, parent_annotation=to)


def prediction(number, version):
    return {"id": number, "model_version": version, "result": [box("a")], "score": 0.5}


def page(annotations, predictions=(), **more):
    task = {
        **{"id": 1, "data": {}, "overlap": 1, "draft_exists": False},
        **{"created_at": at(0), "updated_at": at(0)},
        **{"annotations": list(annotations), "predictions": list(predictions)},
        **{"total_predictions": len(predictions), **more},
    }
    return reader._page([task], CONFIG, "relook")


LABEL = annotation(1, 10.0)


@pytest.mark.parametrize(
    ("annotations", "overlap", "acted"),
    [
        ([], 1, 0.0),
        ([LABEL], 1, 10.0),
        # The second of two that are asked for; one more than that.
        ([LABEL, annotation(2, 20.0)], 2, 0.0),
        ([LABEL, annotation(2, 20.0), annotation(3, 30.0)], 2, 30.0),
        # Edited; a copy of the other's; an answer out of a batch, and who labels after that.
        ([annotation(1, 10.0, 15.0), annotation(2, 20.0)], 2, 15.0),
        ([LABEL, annotation(2, 20.0, parent_annotation=1)], 2, 20.0),
        ([LABEL, answer(2, 1, 20.0)], 2, 20.0),
        ([LABEL, answer(2, 1, 20.0), annotation(3, 30.0)], 2, 20.0),
    ],
)
def test_a_reviewers_word_is_told_from_one_more_annotators_own(annotations, overlap, acted):
    assert page(annotations, overlap=overlap).acted_at.tolist() == [acted]


@pytest.mark.parametrize(
    ("annotations", "current", "answered"),
    [
        ([LABEL], [1], False),
        ([LABEL, answer(2, 1, 20.0)], [2], True),
        # Edited since; an answer to an answer; one whose label is gone; a copy of an export.
        ([LABEL, answer(2, 1, 20.0, 25.0)], [2], False),
        ([LABEL, answer(2, 1, 20.0), answer(3, 2, 30.0)], [3], False),
        ([answer(2, 1, 20.0)], [2], False),
        ([LABEL, annotation(2, 20.0, import_id=92)], [2], False),
        # Somebody went on from it.
        ([LABEL, answer(2, 1, 20.0), annotation(3, 30.0)], [3], False),
        # Somebody added a label while the answer was on its way: that one stands.
        ([LABEL, annotation(2, 19.0), answer(3, 1, 20.0)], [2], False),
        # That was a skip.
        ([LABEL, annotation(2, 19.0, was_cancelled=True), answer(3, 1, 20.0)], [3], True),
        # The label that was answered was edited afterwards.
        ([annotation(1, 10.0, 30.0), answer(2, 1, 20.0)], [1], False),
    ],
)
def test_the_first_answer_is_told_from_all_else(annotations, current, answered):
    found = page(annotations)
    assert found.annotations.id.tolist() == current
    assert found.answered.tolist() == [answered]


PRELABEL, SUGGESTION = prediction(7, "digits@1"), prediction(8, "relook-suggestion")


@pytest.mark.parametrize(
    ("expected", "case"),
    [
        (True, {}),
        (False, {"predictions": [PRELABEL, SUGGESTION, prediction(9, "theirs@1")]}),
        (False, {"predictions": [PRELABEL, SUGGESTION, prediction(9, None)]}),
        (False, {"draft_exists": True}),
        (False, {"total_predictions": 3}),
        # An annotation would lose what it was made of; the suggestion goes in any case.
        (False, {"annotations": [annotation(1, 10.0, parent_prediction=7)]}),
        (True, {"annotations": [annotation(1, 10.0, parent_prediction=8)]}),
    ],
)
def test_only_what_nobody_would_miss_is_cleared(expected, case):
    found = page(**{"annotations": [LABEL], "predictions": [PRELABEL, SUGGESTION], **case})
    stays = found.standing.version != "relook-suggestion"
    assert clearable(found, stays, OURS).tolist() == [expected]
    assert found.standing.score.tolist() == [0.5] * len(stays)


def test_a_page_without_tasks_has_nothing_to_clear():
    empty = reader._page([], CONFIG, "relook")
    assert empty.answered.dtype == np.bool_
    assert clearable(empty, np.zeros(0, dtype=np.bool_), OURS).tolist() == []
