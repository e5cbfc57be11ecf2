"""Flags set and cleared by hand stand until the labels that they are about change."""

from dataclasses import replace

import numpy as np

from ml_backend.jobs.acting.field_changes import FIELD_CHANGES, Refused
from ml_backend.marks import Mark
from ml_backend.review.decide import CONFIRMED, CORRECTED, NEEDS_REVIEW, State, decide
from ml_backend.review.hand import CLEARED, honour, kept_reason


def one(flag, mark, digest="d", at=5.0, priority=0.1, created=0.0):
    return State(
        flag=np.array([flag]),
        mark=np.array([mark]),
        digest=np.array([digest]),
        labelled_at=np.array([at]),
        created_at=np.array([created]),
        model="m",
        priority=np.array([priority], dtype=np.float32),
        answered=np.array([False]),
        acted_at=np.array([at]),
    )


def mark(digest="d", at=5.0):
    return str(Mark(frozenset({digest} if digest else ()), at, "m"))


def kept(state, hand):
    honoured = honour(state, decide(state, 0.5), np.array([hand]))
    said = honoured.decision
    rows = (said.flag, said.mark, said.describe, said.clear, said.resolved, honoured.ended)
    return tuple(column[0] for column in rows)


def test_a_fresh_flag_stands_and_is_marked_whatever_scoring_says():
    flag, marked, describe, clear, resolved, ended = kept(one(NEEDS_REVIEW, ""), NEEDS_REVIEW)
    assert (flag, marked) == (NEEDS_REVIEW, mark())
    assert {describe, clear, resolved, ended} == {False}


def test_a_flag_stands_while_nobody_answers():
    assert kept(one(NEEDS_REVIEW, mark()), NEEDS_REVIEW)[:2] == (NEEDS_REVIEW, mark())
    # The service was told before the field reached it.
    assert kept(one("", mark()), NEEDS_REVIEW)[0] == NEEDS_REVIEW
    assert kept(one(CONFIRMED, mark()), NEEDS_REVIEW)[0] == CONFIRMED


def test_a_flag_on_an_unlabelled_task_waits_for_its_label():
    flag, marked, *_ = kept(one(NEEDS_REVIEW, "", "", 0.0, np.nan), NEEDS_REVIEW)
    assert (flag, marked) == (NEEDS_REVIEW, mark("", 0.0))
    flag, *_, ended = kept(one(NEEDS_REVIEW, marked, "d", 9.0), NEEDS_REVIEW)
    assert (flag, ended) == (CORRECTED, True)


def test_an_answer_ends_a_flag():
    flag, *_, ended = kept(one(NEEDS_REVIEW, mark(), "d", 9.0), NEEDS_REVIEW)
    assert (flag, ended) == (CONFIRMED, True)
    flag, *_, ended = kept(one(NEEDS_REVIEW, mark(), "e", 9.0), NEEDS_REVIEW)
    assert (flag, ended) == (CORRECTED, True)


def test_a_flag_on_a_verdict_is_a_new_one():
    answer = str(Mark.of_answer("m", 0.97))
    for verdict, stood in ((CORRECTED, mark()), (CONFIRMED, mark()), (CORRECTED, answer)):
        own = {"flag": verdict, "seen": stood, "priority": 0.97, "kind": "mislabelled"}
        own |= {"reason": "corrected: 3 became 8"}
        own |= FIELD_CHANGES["flag"](own, "", [])
        assert (own["kind"], own["reason"], own["priority"]) == ("flagged", "flagged by hand", 0.0)
        flag, marked, *_, ended = kept(one(own["flag"], own["seen"]), own["hand"])
        assert (flag, marked, ended) == (NEEDS_REVIEW, mark(), False)
        assert Mark.parse(marked).score is None


def test_what_scoring_has_found_is_still_said_of_a_task_that_is_flagged():
    found = FIELD_CHANGES["flag"]({"flag": "", "kind": "missing", "reason": "a car"}, "", [])
    assert (found["kind"], found["reason"]) == ("missing", "a car")
    assert not {"seen", "priority"} & set(found)


def test_a_flag_on_what_relook_has_flagged_is_a_hands_from_then_on():
    stood = {"flag": NEEDS_REVIEW, "kind": "missing", "reason": "a car", "seen": mark()}
    made = stood | FIELD_CHANGES["flag"](stood, "", [])
    assert (made["hand"], made["kind"], made["reason"]) == (NEEDS_REVIEW, "missing", "a car")
    # A later model finds nothing.
    assert kept(one(made["flag"], made["seen"]), "")[0] == ""
    assert kept(one(made["flag"], made["seen"]), made["hand"])[0] == NEEDS_REVIEW
    assert FIELD_CHANGES["flag"](made, "", []) == Refused("needs review already")


def test_regions_that_were_flagged_are_named_beside_what_scoring_says():
    own = {"flag": NEEDS_REVIEW, "kind": "missing", "reason": "a car"}
    own |= FIELD_CHANGES["flag"](own, "", [(3, "r1")])
    assert own["reason"] == "a car; flagged by hand: region r1"
    own |= FIELD_CHANGES["flag"](own, "", [(3, "r2")])
    assert own["reason"] == "a car; flagged by hand: region r1, r2"
    assert FIELD_CHANGES["flag"](own, "", [(3, "r1")]) == Refused("needs review already")
    assert kept_reason("a bus", own["reason"], own["hand"]) == (
        "a bus; flagged by hand: region r1, r2"
    )
    # Of a flag that is not a hand's any more nothing is left.
    assert kept_reason("a bus", own["reason"], "") == "a bus"


def test_a_region_of_a_task_that_was_answered_or_flagged_as_a_whole_is_named_alone():
    whole = {"flag": NEEDS_REVIEW, "hand": NEEDS_REVIEW, "reason": "flagged by hand"}
    answered = {"flag": CONFIRMED, "kind": "missing", "reason": "a car"}
    for own in (whole, answered):
        made = FIELD_CHANGES["flag"](own, "", [(3, "r1")])
        assert made["reason"] == "flagged by hand: region r1"
    assert kept_reason("a car", made["reason"], made["hand"]) == (
        "a car; flagged by hand: region r1"
    )


def test_a_suspicion_is_described_beside_a_flag():
    flag, _, describe, *_ = kept(one(NEEDS_REVIEW, mark(), priority=0.9), NEEDS_REVIEW)
    assert (flag, describe) == (NEEDS_REVIEW, True)


def test_a_clearance_stands_against_scoring_until_the_labels_change():
    flag, marked, describe, clear, resolved, ended = kept(one("", mark(), priority=0.9), CLEARED)
    assert (flag, marked, resolved) == ("", mark(), True)
    assert {describe, clear, ended} == {False}
    # A flag that a job had under way meanwhile is emptied again.
    assert kept(one(NEEDS_REVIEW, mark(), priority=0.9), CLEARED)[3]
    flag, *_, ended = kept(one("", mark(), "e", 9.0, 0.9), CLEARED)
    assert (flag, ended) == (NEEDS_REVIEW, True)


def test_without_a_hand_nothing_is_changed():
    state = one("", "", priority=0.9)
    plain = decide(state, 0.5)
    honoured = honour(state, plain, np.array([""]))
    assert honoured.decision is plain
    assert not honoured.ended.any()


def test_what_a_hand_set_comes_along_with_an_import_and_waits_for_its_answer_there():
    """The mark is older than the task: nobody has answered the flag in this one."""
    imported = one(NEEDS_REVIEW, mark(), "d", 9.0, created=7.0)
    flag, marked, *_, ended = kept(imported, NEEDS_REVIEW)
    assert (flag, marked, ended) == (NEEDS_REVIEW, mark("d", 9.0), False)
    flag, *_, ended = kept(one(NEEDS_REVIEW, marked, "d", 11.0, created=7.0), NEEDS_REVIEW)
    assert (flag, ended) == (CONFIRMED, True)
    cleared = one("", mark(), "d", 9.0, 0.9, created=7.0)
    flag, marked, *_, ended = kept(cleared, CLEARED)
    assert (flag, Mark.parse(marked).labelled_at, ended) == ("", 9.0, False)
    other = one("", mark(), "e", 9.0, 0.9, created=7.0)
    flag, *_, ended = kept(other, CLEARED)
    assert (flag, ended) == (NEEDS_REVIEW, True)


def test_a_flag_on_an_answer_out_of_a_batch_stands_until_it_is_answered():
    """The mark of such an answer names no label and no moment."""
    answer = str(Mark.of_answer("m", 0.8))
    flag, marked, *_, ended = kept(one(NEEDS_REVIEW, answer), NEEDS_REVIEW)
    assert (flag, marked, ended) == (NEEDS_REVIEW, mark(), False)
    flag, *_, ended = kept(one(NEEDS_REVIEW, marked, "d", 9.0), NEEDS_REVIEW)
    assert (flag, ended) == (CONFIRMED, True)


def test_a_verdict_out_of_a_batch_ends_a_flag_whenever_the_job_that_wrote_it_died():
    flagged = replace(one(NEEDS_REVIEW, mark(), "e", 9.0), answered=np.array([True]))
    flag, marked, *_, ended = kept(flagged, NEEDS_REVIEW)
    assert (flag, Mark.parse(marked).answered, ended) == (CORRECTED, True, True)
    # The verdict was written, and its mark or not; the hand's end was not.
    for stands in (mark(), marked):
        half = replace(flagged, flag=np.array([CORRECTED]), mark=np.array([stands]))
        assert kept(half, NEEDS_REVIEW)[:2] == (CORRECTED, marked)
        assert kept(half, NEEDS_REVIEW)[-1]
