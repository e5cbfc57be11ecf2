"""Which tasks go out, and what becomes of the answers: the table of what can happen between."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from ml_backend.labelstudio.relabel import batches, corrections
from ml_backend.labelstudio.relabel.batches import readable
from ml_backend.marks import Mark
from ml_backend.review.batch import (
    Answers,
    Originals,
    Sent,
    Waiting,
    choose,
    confirmed,
    fate_here,
    fates,
)

SENT, SAID, OTHER = "aa", "bb", "cc"
BEFORE = Mark(frozenset({"a", "b"}), 5.0)


def waiting(priority: list[float], kind: list[str] | None = None) -> Waiting:
    count = len(priority)
    return Waiting(
        np.arange(1, count + 1),
        np.array(priority, dtype=np.float64),
        np.array(kind or ["missing"] * count, dtype=np.str_),
        np.array([f"m{task}" for task in range(1, count + 1)], dtype=np.str_),
    )


def fate(
    *,
    answer: str = SAID,
    answered: tuple[float, float] | None = (10.0, 10.0),
    there: bool = True,
    current: str = SENT,
    back: str = "",
    came: tuple[float, float] = (0.0, 0.0),
    skipped: bool = False,
    overtaken: bool = False,
    returned: bool = False,
) -> str:
    """One task's fate; moments as (made, last saved)."""
    sent = Sent(np.array([7]), np.array([1]), np.array(["5-a"]), np.array([SENT]))
    made, written = answered or (0.0, 0.0)
    answers = Answers(
        np.array([70 if answered else -1]),
        np.array([answer if answered else ""]),
        np.array([made]),
        np.array([written]),
        np.array([skipped]),
    )
    now = Originals(
        np.array([there]),
        np.array([3]),
        np.array([current]),
        np.array([back]),
        np.array([came[0]]),
        np.array([came[1]]),
        np.array([came[0] == came[1]]),
        np.array([overtaken]),
        np.array([returned]),
    )
    return str(fates(sent, answers, now)[0])


def test_the_top_is_the_most_urgent_and_older_among_equals():
    assert choose(waiting([0.5, 0.9, 0.5, 0.7]), (), top=3).tolist() == [2, 4, 1]


def test_what_is_out_counts_as_part_of_the_top():
    queue = waiting([0.5, 0.9, 0.5, 0.7])
    assert choose(queue, {2}, top=2).tolist() == [4]
    assert choose(queue, {2, 4}, top=2).tolist() == []


def test_kinds_are_chosen_before_the_top_is_cut():
    queue = waiting([0.9, 0.8, 0.7], ["missing", "mislabelled", "outlier"])
    assert choose(queue, (), top=2, kinds=["mislabelled", "outlier"]).tolist() == [2, 3]
    assert choose(queue, (), kinds=["badly drawn"]).tolist() == []


def test_an_empty_queue_sends_nothing():
    assert choose(waiting([]), (), top=5).tolist() == []


@pytest.mark.parametrize(
    ("expected", "case"),
    [
        ("open", {"answered": None}),
        ("skipped", {"answered": None, "skipped": True}),
        ("gone", {"answered": None, "skipped": True, "there": False}),
        ("ready", {}),
        ("ready", {"answer": SENT}),
        ("conflict", {"current": OTHER}),
        ("conflict", {"current": ""}),
        # The same change made at the source by somebody else needs no second one.
        ("done", {"current": SAID}),
        ("gone", {"there": False}),
        ("gone", {"there": False, "answered": None}),
        # It came back.
        ("done", {"current": SAID, "back": SAID, "came": (11.0, 11.0)}),
        # Somebody labelled the source while the answer was on its way.
        ("conflict", {"current": SAID, "back": SAID, "came": (11.0, 11.0), "overtaken": True}),
        # It came back, and somebody has deleted it there: all of it, or the second of two.
        ("conflict", {"returned": True}),
        ("conflict", {"answer": SENT, "returned": True}),
        (
            "conflict",
            {
                **{"answered": (10.0, 30.0), "current": OTHER, "returned": True},
                **{"back": OTHER, "came": (11.0, 11.0)},
            },
        ),
        ("done", {"current": SAID, "back": SAID, "came": (11.0, 11.0), "returned": True}),
        ("done", {"current": SAID, "returned": True}),
        ("conflict", {"current": OTHER, "back": SAID, "came": (11.0, 11.0), "overtaken": True}),
        # It came back and was edited at the source afterwards.
        ("done", {"current": OTHER, "back": OTHER, "came": (11.0, 20.0)}),
        ("done", {"current": OTHER, "back": SAID, "came": (11.0, 11.0)}),
        # The relabeller answered again: onto the first answer, never onto an edit of it.
        (
            "ready",
            {
                **{"answered": (10.0, 30.0), "current": OTHER},
                **{"back": OTHER, "came": (11.0, 11.0)},
            },
        ),
        (
            "conflict",
            {
                **{"answered": (10.0, 30.0), "current": OTHER},
                **{"back": OTHER, "came": (11.0, 20.0)},
            },
        ),
        # Answered again between the look at the first answer and its writing.
        (
            "ready",
            {
                **{"answered": (10.0, 20.0), "current": OTHER},
                **{"back": OTHER, "came": (30.0, 30.0)},
            },
        ),
        # That first answer was gone on from at the source before the second came.
        (
            "conflict",
            {
                **{"answered": (10.0, 20.0), "current": SENT},
                **{"back": OTHER, "came": (30.0, 30.0)},
            },
        ),
        # An annotation older than the answer only happens to carry its number.
        ("ready", {"back": OTHER, "came": (1.0, 1.0)}),
    ],
)
def test_fate(expected, case):
    assert fate(**case) == expected


def test_an_answer_to_a_task_sent_again_is_superseded_unless_it_came_back():
    sent = Sent(
        np.array([7, 8, 9]), np.array([1, 1, 2]), np.array(["a", "b", "a"]), np.array([SENT] * 3)
    )
    moments = np.full(3, 10.0)
    answers = Answers(
        *(np.array([70, -1, 90]), np.array([SAID, "", SAID]), moments, moments),
        np.zeros(3, bool),
    )
    none = np.zeros(3)
    now = Originals(
        np.ones(3, bool),
        np.array([3, 3, 4]),
        np.array([OTHER, OTHER, SENT]),
        np.array([""] * 3),
        none,
        none,
        np.ones(3, bool),
        *(np.zeros(3, bool), np.zeros(3, bool)),
    )
    assert fates(sent, answers, now).tolist() == ["superseded", "open", "ready"]


@pytest.mark.parametrize(
    ("newer", "expected"),
    [(None, ["ready", "open"]), (SAID, ["superseded", "ready"]), (OTHER, ["superseded", "ready"])],
)
def test_an_answer_to_unchanged_labels_is_not_lost_when_its_task_is_sent_again(newer, expected):
    sent = Sent(np.array([7, 8]), np.array([1, 1]), np.array(["a", "b"]), np.array([SENT] * 2))
    moments, none = np.full(2, 10.0), np.zeros(2)
    answers = Answers(
        *(np.array([70, 80 if newer else -1]), np.array([SAID, newer or ""]), moments, moments),
        np.zeros(2, bool),
    )
    now = Originals(
        *(np.ones(2, bool), np.array([3, 3]), np.array([SENT] * 2), np.array([""] * 2)),
        *(none, none, np.ones(2, bool), np.zeros(2, bool), np.zeros(2, bool)),
    )
    assert fates(sent, answers, now).tolist() == expected


def test_an_answer_confirms_any_of_the_labels_that_were_sent():
    sent = Sent(np.arange(3), np.arange(3), np.array([""] * 3), np.array(["aa+bb", "aa", ""]))
    said = np.array(["bb", "bb", "bb"])
    moments = np.zeros(3)
    answers = Answers(np.arange(3), said, moments, moments, np.zeros(3, bool))
    assert confirmed(sent, answers).tolist() == [True, False, False]


def test_nothing_sent_has_no_fate():
    none, text = np.zeros(0), np.array([], dtype=np.str_)
    number = np.zeros(0, dtype=np.int64)
    sent = Sent(number, number, text, text)
    flags = np.zeros(0, bool)
    now = Originals(flags, number, text, text, none, none, flags, flags, flags)
    answers = Answers(number, text, none, none, np.zeros(0, bool))
    assert fates(sent, answers, now).tolist() == []


def test_each_save_of_an_answer_has_a_name_of_its_own():
    """Label Studio takes a name once: no answer stands twice, and none is taken for another."""
    first = {"id": 70, "updated_at": "2026-11-21T10:00:00.000001Z"}
    again = {"id": 70, "updated_at": "2026-11-21T10:00:00.000002Z"}
    other = {"id": 71, "updated_at": "2026-11-21T10:00:00.000001Z"}
    assert corrections._name(first) == corrections._name(dict(first))
    assert len({corrections._name(one) for one in (first, again, other)}) == 3


def test_a_file_in_a_cloud_storage_is_opened_through_the_source_project():
    coded = base64.urlsafe_b64encode(b"s3://bucket/a.png").decode()
    door = f"/projects/5/resolve/?fileuri={coded}"
    assert readable("s3://bucket/a.png", 5) == door
    assert readable(["s3://bucket/a.png", "/data/upload/5/b.png"], 5) == [
        door,
        "/data/upload/5/b.png",
    ]
    assert readable("a text about s3://", 5) == "a text about s3://"
    assert readable({"any": 1, "url": "s3://bucket/a.png"}, 5) == {"any": 1, "url": door}


def test_the_mark_of_a_relabel_project_is_read_as_it_was_written():
    said = f"Ours {batches._mark(7)} {batches._mark(12)} [relook: relabels -3]"
    assert batches._MARKED.findall(said) == ["7", "12"]


@pytest.mark.parametrize(
    ("expected", "flag", "chosen", "labels"),
    [
        ("open", "needs-review", None, Mark()),
        ("corrected", "corrected", None, Mark()),
        ("skipped", "", None, Mark()),
        # Chosen without a flag: it waits for a label, whatever verdict it had before.
        ("open", "", BEFORE, BEFORE),
        ("open", "confirmed", BEFORE, BEFORE),
        ("confirmed", "", BEFORE, Mark(frozenset("a"), 9.0)),
        ("confirmed", "confirmed", BEFORE, Mark(frozenset("a"), 9.0)),
        ("corrected", "", BEFORE, Mark(frozenset("c"), 9.0)),
        ("corrected", "", Mark(), Mark(frozenset("c"), 9.0)),
        ("open", "", BEFORE, Mark()),
        # Its new label is suspicious.
        ("open", "needs-review", BEFORE, Mark(frozenset("c"), 9.0)),
    ],
)
def test_the_fate_of_a_task_that_stayed_in_its_project(expected, flag, chosen, labels):
    assert fate_here(flag, chosen, labels) == expected
