"""What review says of each annotation, told from what stands in Label Studio."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ml_backend.labelstudio.tasks.authorship import Authored
from ml_backend.review.judged import RIGHT, WRONG, judged

OPEN = -1


def work(
    *rows: tuple[int, str, str, bool], overlap: int = 1, edited: tuple[int, ...] = ()
) -> Authored:
    """Annotations as (task, flag, what they say, out of a relabel batch), as they were saved."""
    count = len(rows)
    nothing = np.zeros(count)
    return Authored(
        task=np.array([task for task, *_ in rows]),
        id=np.arange(count),
        author=np.arange(count),
        made=nothing,
        saved=np.arange(count, dtype=np.float64),
        edited=np.isin(np.arange(count), edited),
        digest=np.array([said for _, _, said, _ in rows]),
        answers=np.array([answers for *_, answers in rows], dtype=np.bool_),
        overlap=np.full(count, overlap),
        flag=np.array([flag for _, flag, *_ in rows]),
        kind=np.full(count, ""),
        score=nothing,
        labels=(),
    )


def test_nothing_is_said_of_a_task_without_a_verdict():
    found = judged(work((1, "", "a", False), (2, "needs-review", "a", False)))
    assert found.verdict.tolist() == [OPEN, OPEN]
    assert not found.review.any()


def test_a_reviewers_annotation_says_what_is_right():
    found = judged(work((1, "corrected", "a", False), (1, "corrected", "b", False)))
    assert found.review.tolist() == [False, True]
    assert found.verdict.tolist() == [WRONG, OPEN]
    assert found.answer.tolist() == [1, -1]


def test_a_reviewer_who_needs_more_than_one_annotation_is_no_annotator():
    said = ("a", "b", "c")
    found = judged(work(*[(1, "corrected", one, False) for one in said]))
    assert found.review.tolist() == [False, True, True]
    assert found.verdict.tolist() == [WRONG, OPEN, OPEN]
    assert found.answer.tolist() == [2, -1, -1]
    # Between the two the task waits, and has no verdict.
    found = judged(work(*[(1, "needs-review", one, False) for one in said[:2]]))
    assert (found.review.tolist(), found.verdict.tolist()) == ([False, True], [OPEN, OPEN])
    # Where nothing was flagged, nobody has reviewed.
    assert not judged(work(*[(1, "", one, False) for one in said])).review.any()


def test_what_an_annotator_saved_again_after_the_review_stays_his():
    rows = [(1, "needs-review", said, False) for said in ("b", "a")]
    given = replace(work(*rows), made=np.array([9.0, 3.0]))
    assert judged(given).review.tolist() == [True, False]


def test_of_two_annotators_only_who_said_something_else_was_wrong():
    rows = [(1, "corrected", said, False) for said in ("a", "b", "b")]
    found = judged(work(*rows, overlap=2))
    assert found.verdict.tolist() == [WRONG, RIGHT, OPEN]
    assert found.answer.tolist() == [2, 2, -1]


def test_a_label_that_was_mended_in_place_was_wrong():
    found = judged(work((1, "corrected", "b", False), edited=(0,)))
    assert found.verdict.tolist() == [WRONG]
    assert not found.review.any()
    assert found.answer.tolist() == [-1]


def test_of_two_labels_the_one_that_was_saved_last_was_mended():
    rows = [(1, "corrected", said, False) for said in ("a", "b")]
    assert judged(work(*rows, overlap=2, edited=(1,))).verdict.tolist() == [RIGHT, WRONG]
    # A third annotator has labelled the task since: nobody has judged that.
    rows.append((1, "corrected", "c", False))
    assert judged(work(*rows, overlap=3, edited=(1,))).verdict.tolist() == [RIGHT, WRONG, OPEN]


def test_a_label_made_in_place_of_a_deleted_one_is_the_reviewers():
    found = judged(work((1, "corrected", "b", False)))
    assert (found.review.tolist(), found.verdict.tolist()) == ([True], [OPEN])
    rows = [(1, "corrected", said, False) for said in ("a", "b")]
    found = judged(work(*rows, overlap=2))
    assert (found.review.tolist(), found.verdict.tolist()) == ([False, True], [RIGHT, OPEN])


def test_who_labels_a_task_after_its_answer_has_not_been_judged():
    rows = [(1, "corrected", said, said == "b") for said in ("a", "b", "c")]
    found = judged(work(*rows, overlap=3))
    assert found.verdict.tolist() == [WRONG, OPEN, OPEN]
    assert (found.review.tolist(), found.answer.tolist()) == ([False, True, False], [1, -1, -1])


def test_a_confirmed_label_was_right_whoever_confirmed_it():
    found = judged(
        work(
            (1, "confirmed", "a", False), (2, "confirmed", "a", False), (2, "confirmed", "a", True)
        )
    )
    assert found.verdict.tolist() == [RIGHT, RIGHT, OPEN]
    assert found.review.tolist() == [False, False, True]


def test_an_answer_out_of_a_batch_is_no_annotators_work_whatever_became_of_it():
    found = judged(work((1, "needs-review", "a", False), (1, "needs-review", "b", True)))
    assert found.review.tolist() == [False, True]
    assert found.verdict.tolist() == [OPEN, OPEN]


def test_no_annotations_are_no_annotations():
    assert judged(work()).verdict.tolist() == []
