import numpy as np
import pytest

from ml_backend.marks import Mark
from ml_backend.review.decide import State, decide

NOW, LATER = 100.0, 200.0


def state(
    flag="",
    seen="",
    digest="d1",
    at=NOW,
    model="m@1",
    priority=0.0,
    created=0.0,
    answered=False,
    acted=None,
):
    return State(
        np.array([flag]),
        np.array([seen]),
        np.array([digest]),
        np.array([at]),
        np.array([created]),
        model,
        np.array([priority], dtype=np.float32),
        np.array([answered]),
        np.array([at if acted is None else acted]),
    )


def seen(digest="d1", at=NOW, model="m@1", score=None):
    return str(Mark(frozenset(digest.split("+")), at, model, score))


def flag_of(decision):
    return str(decision.flag[0])


def test_a_suspicious_label_needs_review():
    decision = decide(state(priority=0.9), 0.5)
    assert flag_of(decision) == "needs-review"
    assert str(decision.mark[0]) == seen(score=0.9)
    assert decision.describe[0]


def test_a_fine_label_is_left_alone():
    decision = decide(state(priority=0.2), 0.5)
    assert (flag_of(decision), str(decision.mark[0])) == ("", "")
    assert not decision.describe[0]
    assert not decision.clear[0]


def test_a_task_without_labels_is_never_flagged():
    assert flag_of(decide(state(digest="", at=0.0, priority=0.9), 0.5)) == ""


def test_a_second_look_changes_nothing():
    decision = decide(state("needs-review", seen(), priority=0.9), 0.5)
    assert (flag_of(decision), str(decision.mark[0])) == ("needs-review", seen())


def test_saved_unchanged_is_confirmed_whatever_the_model_says():
    decision = decide(state("needs-review", seen(), at=LATER, priority=0.9), 0.5)
    assert flag_of(decision) == "confirmed"
    assert decision.resolved[0]


def test_confirmed_is_not_asked_again():
    for priority in (0.9, 0.1):
        decision = decide(state("confirmed", seen(), priority=priority), 0.5)
        assert (flag_of(decision), str(decision.mark[0])) == ("confirmed", seen())


@pytest.mark.parametrize(("digest", "model"), [("d2", "m@1"), ("d1", "m@2")])
def test_confirmed_is_asked_again_when_label_or_model_changes(digest, model):
    decision = decide(state("confirmed", seen(), digest, LATER, model, 0.9), 0.5)
    assert flag_of(decision) == "needs-review"


def test_changed_and_fine_now_is_corrected():
    decision = decide(state("needs-review", seen(), "d2", LATER, priority=0.1), 0.5)
    assert flag_of(decision) == "corrected"
    assert str(decision.mark[0]) == seen("d2", LATER)
    assert decision.resolved[0]
    assert not decision.clear[0]


def test_changed_but_still_suspicious_stays_in_the_queue():
    decision = decide(state("needs-review", seen(), "d2", LATER, priority=0.9), 0.5)
    assert (flag_of(decision), str(decision.mark[0])) == (
        "needs-review",
        seen("d2", LATER, score=0.9),
    )


def test_the_flag_goes_when_the_labels_go():
    decision = decide(state("needs-review", seen(), "", 0.0, priority=np.nan), 0.5)
    assert (flag_of(decision), str(decision.mark[0])) == ("", "")
    assert decision.clear[0]


def test_the_flag_goes_when_a_new_model_agrees():
    decision = decide(state("needs-review", seen(), model="m@2", priority=0.1), 0.5)
    assert flag_of(decision) == ""
    assert decision.clear[0]


def test_what_cannot_be_scored_stays_as_it_is():
    decision = decide(state("needs-review", seen(), "d2", LATER, priority=np.nan), 0.5)
    assert (flag_of(decision), str(decision.mark[0])) == ("needs-review", seen())
    assert not decision.resolved[0]


def test_confirming_needs_no_score():
    decision = decide(state("needs-review", seen(), at=LATER, priority=np.nan), 0.5)
    assert flag_of(decision) == "confirmed"


def test_a_mark_of_another_hand_does_no_harm():
    assert flag_of(decide(state("needs-review", "garbage", priority=0.9), 0.5)) == "needs-review"


def test_deciding_twice_is_deciding_once():
    first = decide(state("needs-review", seen(), "d2", LATER, priority=0.1), 0.5)
    second = decide(state(flag_of(first), str(first.mark[0]), "d2", LATER, priority=0.1), 0.5)
    assert (flag_of(second), str(second.mark[0])) == (flag_of(first), str(first.mark[0]))


def test_one_of_two_labels_gone_and_the_other_kept_is_confirmed():
    decision = decide(state("needs-review", seen("d1+d2"), "d2", LATER, priority=0.9), 0.5)
    assert flag_of(decision) == "confirmed"


def test_of_two_labels_the_wrong_one_giving_way_is_corrected():
    decision = decide(state("needs-review", seen("d1+d2"), "d1", LATER, priority=0.1), 0.5)
    assert flag_of(decision) == "corrected"


@pytest.mark.parametrize(("digest", "flag"), [("d1", "needs-review"), ("d1+d2", "needs-review")])
def test_one_more_label_that_the_task_asks_for_is_no_answer(digest, flag):
    """The second annotator has labelled the task, as its overlap wants it: nobody reviewed it."""
    further = state("needs-review", seen(score=0.8), digest, LATER, priority=0.9, acted=0.0)
    assert flag_of(decide(further, 0.5)) == flag
    fine = state("needs-review", seen(score=0.8), digest, LATER, priority=0.1, acted=0.0)
    decision = decide(fine, 0.5)
    assert (flag_of(decision), str(decision.mark[0])) == ("", "")


def test_a_reviewers_word_is_heard_after_one_more_label_came():
    first = decide(state("needs-review", seen(), "d1+d2", LATER, priority=0.9, acted=0.0), 0.5)
    mark, later = str(first.mark[0]), LATER + 1
    same = state("needs-review", mark, "d1+d2", later, priority=0.9)
    assert flag_of(decide(same, 0.5)) == "confirmed"
    mended = state("needs-review", mark, "d2", later, priority=0.1)
    assert flag_of(decide(mended, 0.5)) == "corrected"


def test_a_label_made_in_place_of_another_is_an_answer():
    """Of two, one was deleted, and the reviewer made a new one: no label was saved again."""
    made = state("needs-review", seen("d1+d2"), "d1+d3", LATER, priority=0.1, acted=0.0)
    assert flag_of(decide(made, 0.5)) == "corrected"


@pytest.mark.parametrize("text", ["", "garbage", str(Mark.of_answer("m@1", 0.8))])
@pytest.mark.parametrize(("priority", "flag"), [(0.9, "needs-review"), (0.1, "")])
def test_a_flag_whose_mark_says_no_label_has_had_no_answer(text, priority, flag):
    """Somebody else set it, or the task was flagged by hand after a batch had answered it."""
    decision = decide(state("needs-review", text, priority=priority), 0.5)
    mark = seen(score=0.9) if flag else ""
    assert (flag_of(decision), str(decision.mark[0])) == (flag, mark)


def test_a_confirmed_label_that_gave_way_to_a_better_one_was_an_error():
    decision = decide(state("confirmed", seen(score=0.8), "d2", LATER, priority=0.1), 0.5)
    assert flag_of(decision) == "corrected"
    assert str(decision.mark[0]) == seen("d2", LATER, score=0.8)


def test_one_more_label_beside_a_confirmed_one_leaves_it_confirmed():
    beside = state("confirmed", seen(score=0.8), "d1+d2", LATER, priority=0.1, acted=0.0)
    decision = decide(beside, 0.5)
    assert flag_of(decision) == "confirmed"
    assert str(decision.mark[0]) == seen("d1+d2", LATER, score=0.8)


def test_a_confirmed_answer_stays_confirmed_when_a_new_model_agrees():
    mark = str(Mark.of_answer("m@1", 0.8))
    decision = decide(state("confirmed", mark, model="m@2", priority=0.1, **ANSWER), 0.5)
    assert flag_of(decision) == "confirmed"


@pytest.mark.parametrize("verdict", ["confirmed", "corrected"])
def test_a_verdict_that_came_with_an_import_goes_when_the_label_is_another(verdict):
    other = state(verdict, seen(score=0.8), "d2", LATER, "m@1", 0.1, CREATED)
    decision = decide(other, 0.5)
    assert (flag_of(decision), str(decision.mark[0])) == ("", "")
    assert decision.clear[0]


def test_the_mark_follows_labels_that_changed_without_an_act():
    """The newest label was deleted: what is left is older, and was never decided on."""
    decision = decide(state("needs-review", seen("d2", LATER), "d1", NOW, priority=0.9), 0.5)
    assert str(decision.mark[0]) == seen("d1", NOW, score=0.9)


@pytest.mark.parametrize(("digest", "priority", "at"), [("d1", 0.9, NOW), ("d2", 0.1, LATER)])
def test_a_verdict_keeps_the_score_that_it_answers(digest, priority, at):
    flagged = seen(score=0.8125)
    decision = decide(state("needs-review", flagged, digest, LATER, priority=priority), 0.5)
    assert str(decision.mark[0]) == seen(digest, at, score=0.8125)


def test_a_flag_that_stays_keeps_the_score_that_it_was_raised_for():
    decision = decide(state("needs-review", seen(score=0.8125), priority=0.9), 0.5)
    assert str(decision.mark[0]) == seen(score=0.8125)


@pytest.mark.parametrize("score", ["", "~", "~nan", "~inf", "~-1", "~2", "~x"])
def test_a_score_of_another_hand_does_no_harm(score):
    assert Mark.parse(f"d1@1.5{score}@m@1").score is None


def test_a_verdict_goes_with_the_last_label():
    decision = decide(state("corrected", seen(), "", 0.0, priority=np.nan), 0.5)
    assert (flag_of(decision), str(decision.mark[0])) == ("", "")


@pytest.mark.parametrize("text", ["", "garbage", "a@b@c", "@@", "d1@1.5"])
def test_marks_of_any_text_are_read(text):
    assert Mark.parse(str(Mark.parse(text))) == Mark.parse(text)


CREATED = 150.0


@pytest.mark.parametrize(("priority", "flag"), [(0.9, "needs-review"), (0.1, "")])
def test_a_flag_that_came_with_an_import_is_no_verdict(priority, flag):
    """Its mark is older than the task, which an import makes anew together with the labels."""
    imported = state("needs-review", seen(score=0.7), "d1", LATER, "m@1", priority, CREATED)
    decision = decide(imported, 0.5)
    mark = seen("d1", LATER, score=0.9) if flag else ""
    assert (flag_of(decision), str(decision.mark[0])) == (flag, mark)


def test_what_was_imported_is_answered_from_its_first_look_on():
    first = decide(state("needs-review", seen(), "d1", LATER, "m@1", 0.9, CREATED), 0.5)
    answered = state("needs-review", str(first.mark[0]), "d1", LATER + 1, "m@1", 0.9, CREATED)
    assert flag_of(decide(answered, 0.5)) == "confirmed"


def test_a_verdict_that_came_with_an_import_stands_while_label_and_model_do():
    same = state("confirmed", seen(), "d1", LATER, "m@1", 0.9, CREATED)
    assert flag_of(decide(same, 0.5)) == "confirmed"
    changed = state("confirmed", seen(), "d2", LATER, "m@1", 0.9, CREATED)
    assert flag_of(decide(changed, 0.5)) == "needs-review"


ANSWER = {"digest": "d2", "at": LATER, "answered": True}


def test_a_corrected_answer_out_of_a_batch_has_a_mark_like_others():
    decision = decide(state("needs-review", seen(score=0.8123), priority=0.1, **ANSWER), 0.5)
    mark = str(decision.mark[0])
    assert (flag_of(decision), mark) == ("corrected", str(Mark.of_answer("m@1", 0.8123)))
    assert Mark.parse(mark).score == 0.81
    for later in (0.1, 0.9):
        again = decide(state("corrected", mark, priority=later, **ANSWER), 0.5)
        assert (flag_of(again), str(again.mark[0])) == ("corrected", mark)


@pytest.mark.parametrize(
    "label",
    [
        # Another answer, to the first one; the answer, edited; it was deleted, and left what was.
        {"digest": "d3", "at": LATER + 1},
        {"digest": "d1"},
    ],
)
def test_what_is_no_longer_that_answer_is_looked_at_like_any_label(label):
    mark = str(Mark.of_answer("m@1", 0.8))
    decision = decide(state("corrected", mark, priority=0.9, **label), 0.5)
    assert flag_of(decision) == "needs-review"
    assert str(decision.mark[0]) == seen(label["digest"], label.get("at", NOW), score=0.9)
    fine = decide(state("corrected", mark, priority=0.1, **label), 0.5)
    assert flag_of(fine) == "corrected"
    assert str(fine.mark[0]) == seen(label["digest"], label.get("at", NOW), score=0.8)


def test_an_answer_is_asked_again_once_the_model_is_another():
    mark = str(Mark.of_answer("m@1", 0.8))
    decision = decide(state("corrected", mark, model="m@2", priority=0.9, **ANSWER), 0.5)
    assert flag_of(decision) == "needs-review"
    assert str(decision.mark[0]) == seen("d2", at=LATER, model="m@2", score=0.9)


def test_a_confirmation_leaves_the_mark_of_the_flag_as_it_was():
    decision = decide(state("needs-review", seen(score=0.8), at=LATER, priority=0.9), 0.5)
    assert (flag_of(decision), str(decision.mark[0])) == ("confirmed", seen(score=0.8))
    decision = decide(state("needs-review", seen(score=0.8), at=LATER, model="m@2"), 0.5)
    assert str(decision.mark[0]) == seen(at=LATER, model="m@2", score=0.8)
